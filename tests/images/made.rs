//! `diff`, `export`, `commit`, `import`.

use super::tool;
use crate::support::env::{Env, run};
use crate::support::eventually;
use crate::support::image::Image;
use crate::support::registry::Registry;
use crate::support::tree::Tree;
use crate::support::user;
use serde_json::Value;

/// Changes of every sort, by a shell in a container.
const CHANGES: &str = "set -e
    echo hello >/new; ln /new /again; ln -s new /link; chown 1000:33 /new; chmod 4751 /new
    mkdir -p /a/b; chmod 1777 /a; mkfifo /a/fifo; touch -d '2001-02-03 04:05:06' /a/b
    rm /etc/group; echo more >>/etc/passwd; chmod 700 /var
    rm -r /dir; mkdir /dir; echo new >/dir/new
    rm /gone/x; rm -r /was; echo file >/was";

fn base() -> Image {
    let mut tree = Tree::busybox();
    for dir in ["dir", "gone", "was", "same"] {
        tree.dir(dir, 0o755);
    }
    for file in [
        "dir/old", "dir/new", "gone/x", "gone/y", "was/deep", "same/f",
    ] {
        tree.file(file, file.as_bytes().to_vec(), 0o644).owner(7, 8);
    }
    Image::new().layer(tree)
}

/// An environment with a container `c` that has made [`CHANGES`].
fn changed() -> Env {
    let env = Env::with(Registry::shared());
    let registry = Registry::plain();
    registry.push(&env, &base(), "library/base:1");
    let name = format!("{}/library/base:1", registry.host());
    env.without_tls(&[&registry.host()]);
    env.ok(["pull", "-q", &name]);
    env.ok(["tag", &name, "base:1"]);
    env.ok(["run", "--name", "cc", "base:1", "sh", "-c", CHANGES]);
    env
}

fn inspected(env: &Env, name: &str) -> Value {
    let text = env.ok(["image", "inspect", name]);
    serde_json::from_str::<Value>(&text).unwrap()[0].take()
}

#[test]
fn diff_lists_what_docker_lists() {
    let env = changed();
    let want = "A /a\nA /a/b\nA /a/fifo\nA /again\nC /dir\nC /dir/new\nD /dir/old\nC /etc\n\
                D /etc/group\nC /etc/passwd\nC /gone\nD /gone/x\nA /link\nA /new\nC /var\nC /was";
    // A root that rootless containers see has /root/.ash_history only on terminals.
    assert_eq!(env.ok(["diff", "cc"]), want);
    env.ok(["create", "--name", "fresh", "base:1"]);
    assert_eq!(env.ok(["diff", "fresh"]), "");
    env.wherry(["diff", "nope"])
        .status(1)
        .says("No such container: nope");
    env.ok([
        "run",
        "-d",
        "--name",
        "runs",
        "base:1",
        "sh",
        "-c",
        "touch /live; sleep 100",
    ]);
    assert!(eventually(10, || env.ok(["container", "diff", "runs"]) == "A /live"));
}

#[test]
fn what_is_committed_is_what_was_there() {
    let env = changed();
    let id = env.ok([
        "commit",
        "-a",
        "Me <me@x>",
        "-m",
        "a note",
        "-c",
        "CMD [\"cat\", \"/new\"]",
        "--change",
        "ENV A=b",
        "-c",
        "LABEL x=\"y z\"",
        "cc",
        "made:2",
    ]);
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    assert_eq!(env.ok(["run", "--rm", "made:2"]), "hello");
    assert_eq!(
        env.ok([
            "run",
            "--rm",
            "made:2",
            "sh",
            "-c",
            "ls /etc/group /dir /gone /was; echo $A"
        ])
        .lines()
        .collect::<Vec<_>>(),
        ["/was", "", "/dir:", "new", "", "/gone:", "y", "b"]
    );
    let image = inspected(&env, "made:2");
    assert_eq!(
        (&image["Author"], &image["Comment"], &image["Id"]),
        (&"Me <me@x>".into(), &"a note".into(), &id.clone().into())
    );
    assert_eq!(image["Config"]["Labels"]["x"], "y z");
    assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), 2);

    // The archive of a container of it is that of the container it was made from.
    env.ok(["create", "--name", "copy", "made:2"]);
    let archive = |name: &str| env.wherry(["export", name]).ok().stdout;
    let (one, two) = (archive("cc"), archive("copy"));
    assert!(
        one == two && one.len() > 1 << 20,
        "{} {}",
        one.len(),
        two.len()
    );
    // The same changes make the same layer.
    env.ok(["commit", "cc", "made:3"]);
    assert_eq!(inspected(&env, "made:3")["RootFS"], image["RootFS"]);
}

#[test]
fn other_tools_read_what_was_committed() {
    let env = changed();
    env.ok(["commit", "cc", "made:2"]);
    let layout = env.path("tmp/layout");
    let from = format!(
        "oci:{}:docker.io/library/made:2",
        env.path("data/wherry/images").display()
    );
    let copy = |tag: &str| {
        let to = format!("oci:{}:{tag}", layout.display());
        let args = ["copy", "--insecure-policy", "-q", &from, &to];
        tool(&env, "skopeo", &args);
    };
    copy("in-haste");
    // What leaves the store is packed.
    let saved = env.path("tmp/saved.tar");
    env.ok(["save", "-o", saved.to_str().unwrap(), "made:2"]);
    copy("made");
    let bundle = env.path("tmp/bundle");
    let image = format!("{}:made", layout.display());
    let mut args = vec!["unpack", "--image", &image];
    if !user::is_root() {
        args.push("--rootless");
    }
    args.push(bundle.to_str().unwrap());
    tool(&env, "umoci", &args);
    let root = bundle.join("rootfs");
    assert_eq!(
        std::fs::read_to_string(root.join("new")).unwrap(),
        "hello\n"
    );
    assert_eq!(std::fs::read_to_string(root.join("was")).unwrap(), "file\n");
    for gone in ["etc/group", "dir/old", "gone/x"] {
        assert!(!root.join(gone).exists(), "{gone}");
    }
    use std::os::unix::fs::MetadataExt;
    let meta = |name: &str| std::fs::symlink_metadata(root.join(name)).unwrap();
    assert_eq!(meta("new").ino(), meta("again").ino());
    assert_eq!(
        (meta("a").mode() & 0o7777, meta("a/b").mtime()),
        (0o1777, 981_173_106)
    );
    if user::is_root() {
        assert_eq!(
            (
                meta("new").mode() & 0o7777,
                meta("new").uid(),
                meta("new").gid()
            ),
            (0o4751, 1000, 33)
        );
    }
}

#[test]
fn an_archive_goes_in_and_out_unchanged() {
    let env = changed();
    let file = env.path("tmp/c.tar");
    env.ok(["export", "-o", file.to_str().unwrap(), "cc"]);
    let tar = std::fs::read(&file).unwrap();
    let listed = tool(&env, "tar", &["-tvf", file.to_str().unwrap()]);
    for line in [" link -> new", "again link to", "dir/new"] {
        assert!(
            listed.contains(line) || line == "again link to",
            "{line} in {listed}"
        );
    }
    assert!(
        listed.contains("new link to again") || listed.contains("again link to new"),
        "{listed}"
    );
    for (i, program) in ["cat", "gzip", "zstd", "xz", "bzip2"].iter().enumerate() {
        let mut pack = env.command(program);
        pack.arg(if *program == "cat" { "-" } else { "-c" });
        let packed = run(pack, &tar, 60).ok().stdout;
        let name = format!("in:{i}");
        env.wherry_with(["import", "-c", "CMD [\"true\"]", "-", &name], &packed)
            .ok();
        env.ok(["create", "--name", &format!("c{i}"), &name]);
        let back = env.wherry(["export", &format!("c{i}")]).ok().stdout;
        assert!(back == tar, "{program}: {} {}", back.len(), tar.len());
    }
    let image = inspected(&env, "in:0");
    assert_eq!(image["Comment"], "Imported from -");
    env.ok([
        "import",
        "--platform",
        "linux/arm64",
        "-m",
        "hi",
        file.to_str().unwrap(),
    ]);
}

/// Holes are zeros for other engines, which save and push no layer with holes, and
/// holes again when there is too much nothing.
#[test]
fn holes_are_zeros_unless_there_are_too_many() {
    let env = Env::busybox();
    let script = "dd if=/dev/zero of=/one bs=1 count=1 seek=40000000; \
        dd if=/dev/zero of=/two bs=1 count=1 seek=2000000000; echo end >>/one; echo end >>/two; \
        sha256sum /one";
    let sums = env.ok(["run", "--name", "cc", "busybox", "sh", "-ec", script]);
    env.ok(["commit", "cc", "made:1"]);
    let file = env.path("tmp/made.tar");
    env.ok(["save", "-o", file.to_str().unwrap(), "made:1"]);
    tool(
        &env,
        "tar",
        &[
            "-xf",
            file.to_str().unwrap(),
            "-C",
            env.path("tmp").to_str().unwrap(),
        ],
    );
    let manifest = std::fs::read(env.path("tmp/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layer = manifest[0]["Layers"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    let layer = env.path("tmp").join(layer.as_str().unwrap());
    // Python shows what an entry is; the type of a sparse one is only in its records.
    let list = "import sys, tarfile\nfor e in tarfile.open(sys.argv[1]): print(e.name, e.issparse(), e.size)";
    let listed = tool(&env, "python3", &["-c", list, layer.to_str().unwrap()]);
    for line in ["one False 40000005", "two True 2000000005"] {
        assert!(listed.lines().any(|l| l == line), "{line} in {listed}");
    }
    env.ok(["rm", "cc"]);
    env.ok(["rmi", "made:1"]);
    env.ok(["load", "-qi", file.to_str().unwrap()]);
    let back = env.ok([
        "run",
        "--rm",
        "made:1",
        "sh",
        "-c",
        "sha256sum /one; stat -c %s /two",
    ]);
    assert_eq!(back, format!("{sums}\n2000000005"));
}

#[test]
fn an_unchanged_container_adds_no_layer() {
    let env = Env::busybox();
    env.ok(["create", "--name", "cc", "busybox"]);
    env.ok(["commit", "cc", "same"]);
    let (old, new) = (inspected(&env, "busybox"), inspected(&env, "same"));
    assert_eq!(old["RootFS"], new["RootFS"]);
    env.ok(["run", "--name", "dd", "busybox", "true"]);
    env.ok(["commit", "dd", "again"]);
    assert_eq!(old["RootFS"], inspected(&env, "again")["RootFS"]);
}

#[test]
fn refusals() {
    let env = Env::busybox();
    env.ok(["create", "--name", "cc", "busybox"]);
    for (args, text) in [
        (&["commit", "nope"][..], "No such container: nope"),
        (
            &["commit", "-c", "RUN x", "cc"],
            "RUN is not a valid change command",
        ),
        (&["commit", "cc", "BAD"], "must be lowercase"),
        (
            &["export", "-o", "/nope/x", "cc"],
            "invalid output path: directory \"/nope\" does not exist",
        ),
        (&["export", "nope"], "No such container: nope"),
        (
            &["import", "/nope.tar"],
            "open /nope.tar: no such file or directory",
        ),
        (
            &["import", "-c", "FROM x", "/dev/null"],
            "FROM is not a valid change command",
        ),
        (&["import", "http://127.0.0.1:1/x"], "connection refused"),
    ] {
        env.wherry(args).status(1).says(text);
    }
    env.wherry_with(["import", "-"], b"this is no archive at all, is it?")
        .status(1);
    assert_eq!(env.ok(["images", "-q"]).lines().count(), 1);
}

#[test]
fn nothing_is_left_behind() {
    let env = Env::busybox_alone();
    env.ok(["run", "--name", "cc", "busybox", "sh", "-c", "echo x >/x"]);
    let before = env.snapshot();
    for _ in 0..2 {
        env.ok(["commit", "cc", "made"]);
        env.wherry(["export", "cc"]).ok();
        env.ok(["diff", "cc"]);
        env.ok(["rmi", "-f", "made"]);
    }
    before.assert_same();
}
