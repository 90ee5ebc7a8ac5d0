//! `save` and `load`: between stores, and between wherry and other tools.

use super::tool;
use crate::support::env::{Env, Output, run};
use crate::support::image::{Image, Layout, Packing};
use crate::support::registry::Registry;
use crate::support::tree::{Kind, Tree};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn inspected(env: &Env, name: &str) -> Value {
    let text = env.ok(["image", "inspect", name]);
    serde_json::from_str::<Value>(&text).unwrap()[0].take()
}

fn digest(env: &Env, name: &str) -> String {
    inspected(env, name)["Descriptor"]["digest"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Two layers with a file and a deletion.
fn two_layers() -> Image {
    let mut below = Tree::default();
    below.dir("etc", 0o755);
    below.file("etc/one", "1", 0o640).owner(5, 6);
    below.file("etc/gone", "x", 0o644);
    let mut above = Tree::default();
    above.dir("etc", 0o700);
    above.file("etc/.wh.gone", "", 0o644);
    above.file("etc/two", "2", 0o644);
    Image::new().layer(below).layer(above)
}

fn files(env: &Env, image: &str) -> Vec<u8> {
    env.ok(["create", "--name", "look", image, "x"]);
    let tar = env.wherry(["export", "look"]).ok().stdout;
    env.ok(["rm", "look"]);
    tar
}

fn load(env: &Env, archive: &Path) -> String {
    env.ok(["load", "-i", archive.to_str().unwrap()])
}

/// What skopeo writes of a layout in one of its formats.
fn by_skopeo(env: &Env, layout: &Layout, to: &str) -> PathBuf {
    let path = env
        .path("tmp")
        .join(format!("skopeo-{}.tar", to.split(':').next().unwrap()));
    let from = format!("oci:{}", layout.reference());
    let to = to.replace("PATH", path.to_str().unwrap());
    tool(
        env,
        "skopeo",
        &["copy", "--insecure-policy", "-q", &from, &to],
    );
    path
}

#[test]
fn what_is_saved_is_loaded_with_the_same_digests() {
    let registry = Registry::plain();
    let (here, there) = (Env::with(&registry), Env::new());
    for (packing, name) in [
        (Packing::Gzip, "gz"),
        (Packing::Zstd, "zst"),
        (Packing::Plain, "plain"),
    ] {
        registry.push(
            &here,
            &two_layers().packed(packing),
            &format!("library/{name}:1"),
        );
        here.ok(["pull", "-q", &format!("{name}:1")]);
    }
    here.ok(["tag", "gz:1", "quay.io/x/y:z"]);
    let path = here.path("tmp/all.tar");
    here.ok([
        "save",
        "-o",
        path.to_str().unwrap(),
        "gz",
        "quay.io/x/y",
        "zst:1",
        "plain:1",
    ]);
    let said = there
        .wherry_with(["load"], &std::fs::read(&path).unwrap())
        .ok()
        .text();
    let want = "Loaded image: gz:1\nLoaded image: quay.io/x/y:z\nLoaded image: zst:1\nLoaded image: plain:1\n";
    assert_eq!(said, want);
    for name in ["gz:1", "zst:1", "quay.io/x/y:z"] {
        assert_eq!(digest(&here, name), digest(&there, name), "{name}");
    }
    for name in ["gz:1", "zst:1", "plain:1"] {
        assert_eq!(inspected(&here, name)["Id"], inspected(&there, name)["Id"]);
        assert!(files(&here, name) == files(&there, name), "{name}");
    }
    // The same bytes again, and nothing new from loading it again.
    assert!(
        std::fs::read(&path).unwrap()
            == here
                .wherry(["save", "gz", "quay.io/x/y", "zst:1", "plain:1"])
                .ok()
                .stdout
    );
    let count = || {
        std::fs::read_dir(there.path("data/wherry/images/blobs/sha256"))
            .unwrap()
            .count()
    };
    let before = count();
    load(&there, &path);
    assert_eq!(count(), before);
    assert_eq!(there.ok(["images", "-q"]).lines().count(), 4);
}

#[test]
fn other_tools_read_what_is_saved() {
    let registry = Registry::plain();
    let env = Env::with(&registry);
    let layout = registry.push(&env, &two_layers(), "library/two:1");
    env.ok(["pull", "-q", "two:1"]);
    let path = env.path("tmp/two.tar");
    env.ok(["save", "-o", path.to_str().unwrap(), "two:1"]);
    for from in [
        "oci-archive:PATH:1",
        "docker-archive:PATH:two:1",
        "docker-archive:PATH",
    ] {
        let from = from.replace("PATH", path.to_str().unwrap());
        let said = tool(&env, "skopeo", &["inspect", "--raw", &from]);
        let manifest: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 2, "{from}");
        let to = format!("dir:{}", env.path("tmp/dir").display());
        tool(
            &env,
            "skopeo",
            &["copy", "--insecure-policy", "-q", &from, &to],
        );
    }
    let digest = tool(
        &env,
        "skopeo",
        &[
            "inspect",
            "--format",
            "{{.Digest}}",
            &format!("oci-archive:{}:1", path.display()),
        ],
    );
    assert_eq!(digest.trim(), layout.manifest);
    // As Docker before 25 sees it: its own document, and layers in their places.
    let list = tool(
        &env,
        "tar",
        &["-xOf", path.to_str().unwrap(), "manifest.json"],
    );
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list[0]["RepoTags"], json!(["two:1"]));
    let names = tool(&env, "tar", &["-tf", path.to_str().unwrap()]);
    for layer in list[0]["Layers"].as_array().unwrap() {
        assert!(names.contains(layer.as_str().unwrap()));
    }
}

#[test]
fn what_other_tools_write_is_loaded() {
    let env = Env::new();
    let layout = two_layers().write(&env.path("tmp/layout"), "two");
    let id = format!("Loaded image ID: {}", layout.id);
    let docker = by_skopeo(&env, &layout, "docker-archive:PATH:example.org/two:3");
    assert_eq!(load(&env, &docker), "Loaded image: example.org/two:3");
    assert_eq!(
        inspected(&env, "example.org/two:3")["Id"].as_str(),
        Some(&*layout.id)
    );
    let want = files(&env, "example.org/two:3");
    let other = Env::new();
    let oci = by_skopeo(&env, &layout, "oci-archive:PATH:two:4");
    assert_eq!(load(&other, &oci), "Loaded image: two:4");
    assert_eq!(digest(&other, "two:4"), layout.manifest);
    assert!(files(&other, "two:4") == want);
    let bare = by_skopeo(&env, &layout, "oci-archive:PATH");
    assert_eq!(load(&other, &bare), id);
    for program in ["gzip", "zstd", "xz", "bzip2"] {
        let mut pack = env.command(program);
        pack.arg("-c");
        let packed = run(pack, &std::fs::read(&docker).unwrap(), 60).ok().stdout;
        let env = Env::new();
        env.wherry_with(["load", "-q"], &packed).ok();
        assert!(files(&env, "example.org/two:3") == want, "{program}");
    }
    // Packed in haste it is not what leaves: that is packed by gzip, once.
    let blobs = env.path("data/wherry/images/blobs/sha256");
    let manifest = || {
        let manifest = digest(&env, "example.org/two:3");
        std::fs::read_to_string(blobs.join(&manifest[7..])).unwrap()
    };
    assert!(manifest().contains("tar+zstd"), "{}", manifest());
    let save = |name: &str| {
        let path = env.path(name);
        env.ok(["save", "-o", path.to_str().unwrap(), "example.org/two:3"]);
        std::fs::read(path).unwrap()
    };
    let saved = save("saved.tar");
    let text = manifest();
    assert!(
        text.contains("tar+gzip") && !text.contains("zstd"),
        "{text}"
    );
    assert!(save("again.tar") == saved && manifest() == text);
    let document: Value = serde_json::from_str(&text).unwrap();
    let referred = document["layers"].as_array().unwrap().len() + 2;
    assert_eq!(std::fs::read_dir(&blobs).unwrap().count(), referred);
    assert_eq!(
        inspected(&env, "example.org/two:3")["Id"].as_str(),
        Some(&*layout.id)
    );
    assert!(files(&env, "example.org/two:3") == want);
}

/// An archive as Docker before 25 wrote it.
fn old_docker(config: &Value, layer: &[u8], tags: &Value) -> Tree {
    let mut tree = Tree::default();
    tree.dir("aaaa", 0o755);
    tree.file("aaaa/VERSION", "1.0", 0o644);
    tree.file("aaaa/json", "{}", 0o644);
    tree.file("aaaa/layer.tar", layer.to_vec(), 0o644);
    tree.dir("bbbb", 0o755);
    tree.symlink("bbbb/layer.tar", "../aaaa/layer.tar");
    tree.file("c.json", config.to_string(), 0o644);
    let items = json!([{"Config": "c.json", "RepoTags": tags, "Layers": ["aaaa/layer.tar", "bbbb/layer.tar"]}]);
    tree.file("manifest.json", items.to_string(), 0o644);
    tree.file("repositories", "{}", 0o644);
    tree
}

fn config_of(layer: &[u8]) -> Value {
    let id = wherry::image::Digest::of(layer).to_string();
    json!({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["x"]},
        "rootfs": {"type": "layers", "diff_ids": [id, id]}})
}

fn layer() -> Vec<u8> {
    let mut tree = Tree::default();
    tree.file("f", "content", 0o644);
    tree.tar()
}

#[test]
fn a_name_that_moves_is_told() {
    let env = Env::busybox();
    let old = inspected(&env, "busybox")["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    let archive = old_docker(
        &config_of(&layer()),
        &layer(),
        &json!(["busybox:latest", "other:1"]),
    )
    .tar();
    let said = env.wherry_with(["load"], &archive).ok().text();
    let want = format!(
        "The image busybox:latest already exists, renaming the old one with ID {old} to empty string\n\
         Loaded image: busybox:latest\nLoaded image: other:1\n"
    );
    assert_eq!(said, want);
    assert!(env.ok(["images", "-q", "--no-trunc"]).contains(&old));
    assert_eq!(
        env.ok(["run", "--rm", &old, "echo", "still there"]),
        "still there"
    );
}

#[test]
fn hostile_archives_change_nothing() {
    let env = Env::new();
    let canary = env.path("tmp/canary");
    std::fs::write(&canary, "untouched").unwrap();
    let good = || old_docker(&config_of(&layer()), &layer(), &json!(["a:1"]));
    let with = |change: &dyn Fn(&mut Tree)| {
        let mut tree = good();
        change(&mut tree);
        tree.tar()
    };
    let set = |tree: &mut Tree, path: &str, kind: Kind| {
        tree.0.iter_mut().find(|e| e.path == path).unwrap().kind = kind;
    };
    let items = |config: &str, layers: Value| {
        let config = config.to_owned();
        move |tree: &mut Tree| {
            let text =
                json!([{"Config": config, "RepoTags": ["a:1"], "Layers": layers}]).to_string();
            tree.0
                .iter_mut()
                .find(|e| e.path == "manifest.json")
                .unwrap()
                .kind = Kind::File(text.into());
        }
    };
    let at = canary.to_str().unwrap().to_owned();
    let up = "../../../../../../../etc/passwd";
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "config outside",
            with(&items(up, json!([]))),
            "contains \"..\"",
        ),
        (
            "config of the host",
            with(&items(&at, json!([]))),
            "is not in the archive",
        ),
        (
            "layer outside",
            with(&items("c.json", json!([up, up]))),
            "contains \"..\"",
        ),
        (
            "layer missing",
            with(&items("c.json", json!(["x", "y"]))),
            "is not in the archive",
        ),
        (
            "layers too few",
            with(&items("c.json", json!(["aaaa/layer.tar"]))),
            "has 1 layers, its config 2",
        ),
        (
            "link outside",
            with(&|t| set(t, "bbbb/layer.tar", Kind::Symlink("../../../x".into()))),
            "leads out of the archive",
        ),
        (
            "link to the host",
            with(&|t| set(t, "bbbb/layer.tar", Kind::Symlink(at.clone()))),
            "leads out of the archive",
        ),
        (
            "link to itself",
            with(&|t| set(t, "bbbb/layer.tar", Kind::Symlink("layer.tar".into()))),
            "leads nowhere",
        ),
        (
            "config is a layer",
            with(&items("aaaa/layer.tar", json!([]))),
            "a layer stands where",
        ),
        (
            "layer is a document",
            with(&items("c.json", json!(["c.json", "c.json"]))),
            "is no archive",
        ),
        (
            "wrong layer",
            with(&|t| set(t, "aaaa/layer.tar", Kind::File(Tree::busybox().tar()))),
            "wrong content",
        ),
        (
            "broken manifest",
            with(&|t| set(t, "manifest.json", Kind::File(b"[{".to_vec()))),
            "is broken",
        ),
        (
            "bad tag",
            with(&|t| {
                set(t, "manifest.json", Kind::File(json!([{"Config": "c.json", "RepoTags": ["UPPER/../x"], "Layers": ["aaaa/layer.tar", "bbbb/layer.tar"]}]).to_string().into()))
            }),
            "invalid tag",
        ),
        (
            "twice",
            with(&|t| {
                let again = t.0.last().unwrap().clone();
                t.0.push(again);
            }),
            "it is there twice",
        ),
        (
            "a device",
            with(&|t| set(t, "aaaa/VERSION", Kind::Fifo)),
            "neither a file nor a directory",
        ),
        (
            "outside names",
            {
                let mut t = good();
                t.file("../evil", "x", 0o644);
                t.tar()
            },
            "contains \"..\"",
        ),
        (
            "wrong blob",
            {
                let mut t = good();
                t.file(&format!("blobs/sha256/{}", "a".repeat(64)), "{}", 0o644);
                t.tar()
            },
            "another digest",
        ),
        ("no image", layer(), "neither manifest.json nor index.json"),
        (
            "not an archive",
            b"nothing of the kind, only text of some length".to_vec(),
            "archive",
        ),
        ("empty", Vec::new(), "the archive is empty"),
        ("cut", good().tar()[..3000].to_vec(), "archive ends"),
    ];
    for (name, archive, text) in cases {
        for packed in [false, true] {
            let mut gzip = env.command("gzip");
            gzip.arg("-c");
            let bytes = match packed {
                true => run(gzip, &archive, 60).ok().stdout,
                false => archive.clone(),
            };
            let out: Output = env.wherry_with(["load"], &bytes);
            assert!(
                out.status == 1 && (out.errors().contains(text) || (packed && archive.is_empty())),
                "{name}: {out}"
            );
        }
    }
    assert_eq!(env.ok(["images", "-aq"]), "");
    assert_eq!(std::fs::read_to_string(&canary).unwrap(), "untouched");
    assert!(!env.path("tmp/evil").exists() && !env.path("data/evil").exists());
    let partial = env.path("data/wherry/images/partial");
    assert_eq!(std::fs::read_dir(partial).unwrap().count(), 0);
    env.wherry_with(["load"], &good().tar()).ok();
    env.ok(["rmi", "a:1"]);
    for dir in ["layers", "images/blobs/sha256"] {
        assert_eq!(
            std::fs::read_dir(env.path("data/wherry").join(dir))
                .unwrap()
                .count(),
            0,
            "{dir}"
        );
    }
}

#[test]
fn platforms_and_refusals() {
    let env = Env::busybox();
    for (args, text) in [
        (&["save", "nope"][..], "No such image: nope\n"),
        (
            &["save", "--platform", "linux/s390x", "busybox"],
            "does not provide the specified platform",
        ),
        (
            &["save", "--platform", "bad platform", "busybox"],
            "cannot parse platform",
        ),
        (
            &["save", "-o", "/nope/x", "busybox"],
            "failed to save image: invalid output path: directory \"/nope\"",
        ),
        (
            &["save", "-o", "/dev/null", "busybox"],
            "must be a regular file",
        ),
        (
            &["load", "-i", "/nope"],
            "open /nope: no such file or directory",
        ),
    ] {
        let out = env.wherry(args);
        assert!(out.status != 0, "{out}");
        out.says(text);
    }
    let tar = env.wherry(["save", "busybox"]).ok().stdout;
    env.wherry_with(["load", "--platform", "linux/s390x"], &tar)
        .status(1)
        .says("has no image for the specified platform (linux/s390x)");
    let id = inspected(&env, "busybox")["Id"]
        .as_str()
        .unwrap()
        .to_owned();
    let tar = env.wherry(["save", &id]).ok().stdout;
    let other = Env::new();
    assert_eq!(
        other.wherry_with(["load"], &tar).ok().text(),
        format!("Loaded image ID: {id}\n")
    );
}
