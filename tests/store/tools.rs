//! Other tools are the judges: skopeo reads the store as a layout, and what
//! umoci unpacks is what containers see of our layers.

use super::{store_at, take};
use crate::support::env::{Env, Output, run};
use crate::support::image::{Image, Layout, Packing};
use crate::support::tree::{Kind, Tree};
use crate::support::user;
use std::path::Path;
use wherry::image::digest::Digest;

fn tool(env: &Env, program: &str, args: &[&str]) -> Output {
    let mut command = env.command(program);
    command.args(args);
    run(command, b"", 60).ok()
}

/// A tree with everything that a layer may carry but devices.
fn rich() -> Tree {
    let mut tree = Tree::busybox();
    tree.dir("d", 0o2775).owner(1000, 33);
    tree.dir("d/plain", 0o755);
    tree.file("d/setuid", "x", 0o4711).owner(0, 0);
    tree.file("d/setgid", "x", 0o2755).owner(7, 1000);
    tree.file("d/closed", "secret", 0o000).owner(65535, 65535);
    tree.file("d/attributes", "x", 0o644)
        .xattr("user.mine", b"value\nwith a line\n");
    tree.dir("d/sticky", 0o1777);
    tree.file("d/sticky/f", vec![7; 300_000], 0o640);
    tree.hard("d/again", "d/sticky/f");
    tree.symlink("d/link", "/etc/passwd").owner(1000, 1000);
    tree.add("d/fifo", Kind::Fifo, 0o622);
    tree.dir("gone", 0o755);
    tree.file("gone/f", "x", 0o644);
    tree.dir("replaced", 0o755);
    tree.file("replaced/old", "x", 0o644);
    tree.dir("kept", 0o700);
    tree.file("kept/a", "a", 0o644);
    tree.file("kept/b", "b", 0o644);
    tree
}

fn change(root: &Path) {
    std::fs::remove_dir_all(root.join("gone")).unwrap();
    std::fs::remove_file(root.join("kept/a")).unwrap();
    std::fs::write(root.join("kept/c"), "c").unwrap();
    std::fs::remove_dir_all(root.join("replaced")).unwrap();
    std::fs::create_dir(root.join("replaced")).unwrap();
    std::fs::write(root.join("replaced/new"), "new").unwrap();
    std::fs::remove_file(root.join("d/link")).unwrap();
    std::fs::create_dir(root.join("d/link")).unwrap();
}

/// The image in `packing`, and a second one on top of it that umoci made.
fn images(env: &Env, packing: Packing) -> (Layout, Layout) {
    let dir = env.path("tmp/layout");
    let base = Image::new()
        .layer(rich())
        .packed(packing)
        .write(&dir, "base");
    let changed = base.changed_by_umoci(env, change);
    (base, changed)
}

#[test]
fn skopeo_reads_the_store() {
    let env = Env::new();
    let (root, copy) = (env.path("tmp/store"), env.path("tmp/copy"));
    let (base, changed) = images(&env, Packing::Gzip);
    for layout in [&base, &changed] {
        take(&env, &root, &layout.dir, &layout.tag).ok();
    }
    let ours = root.join("data/images");
    for layout in [&base, &changed] {
        let name = format!("docker.io/library/{}:latest", layout.tag);
        let from = format!("oci:{}:{name}", ours.display());
        let to = format!("oci:{}:{}", copy.display(), layout.tag);
        tool(
            &env,
            "skopeo",
            &["copy", "--insecure-policy", "-q", &from, &to],
        );
        assert_eq!(Layout::find(&copy, &layout.tag).manifest, layout.manifest);
    }
    // And what skopeo writes into the store is seen.
    let to = format!("oci:{}:quay.io/other/tool:1", ours.display());
    tool(
        &env,
        "skopeo",
        &[
            "copy",
            "--insecure-policy",
            "-q",
            &format!("oci:{}", base.reference()),
            &to,
        ],
    );
    let store = store_at(&root);
    assert_eq!(
        store.resolve("quay.io/other/tool:1").unwrap().id.as_str(),
        base.id
    );
    assert_eq!(store.images().unwrap().len(), 2);
}

/// Lists a tree as root of the ids that the layers were unpacked with.
const LISTING: &str = r#"cd "$1" && find . -printf '%p %y %m %U:%G %s %T@ %n %l\n' |
    sed -E 's/^(\S+) d (\S+) (\S+) [0-9]+ (\S+) [0-9]+/\1 d \2 \3 \4/' | sort
    find . -type f -print0 | sort -z | xargs -0 sha256sum; getfattr -h -R -d -m ^user.mine ."#;

fn inside(env: &Env, script: &str, args: &[&str]) -> String {
    let mut command = env.command("unshare");
    if !user::is_root() {
        command.args(["--map-root-user", "--map-auto"]);
    }
    command
        .args(["--mount", "sh", "-ec", script, "sh"])
        .args(args);
    run(command, b"", 60).ok().text()
}

#[test]
fn umoci_unpacks_the_same() {
    // umoci before 0.5 does not know zstd; the DiffID shows that it is the same.
    for packing in [Packing::Gzip, Packing::Plain] {
        let env = Env::new();
        let root = env.path("tmp/store");
        let (base, changed) = images(&env, packing);
        for layout in [&base, &changed] {
            take(&env, &root, &layout.dir, &layout.tag).ok();
            let store = store_at(&root);
            let image = store.resolve(&layout.tag).unwrap();
            let ids: Vec<Digest> = store.config(&image).unwrap().diff_ids;
            let lower: Vec<String> = store
                .lower_dirs(&ids)
                .unwrap()
                .iter()
                .map(|dir| dir.display().to_string())
                .collect();
            // overlayfs wants two layers when there is no upper one.
            let empty = env.path("tmp/empty");
            std::fs::create_dir_all(&empty).unwrap();
            let option = match user::is_root() {
                true => String::new(),
                false => ",userxattr".into(),
            };
            let lower = format!("lowerdir={}:{}{option}", lower.join(":"), empty.display());
            let mount = format!("mkdir -p m; mount -t overlay overlay -o {lower} m; {LISTING}");
            let ours = inside(&env, &mount, &["m"]);
            let bundle = env.path("tmp").join(&layout.tag);
            let unpack = format!(
                "umoci unpack --image {} {}; {LISTING}",
                layout.reference(),
                bundle.display()
            );
            let theirs = inside(&env, &unpack, &[bundle.join("rootfs").to_str().unwrap()]);
            assert!(theirs.lines().count() > 500, "{theirs}");
            let theirs: Vec<&str> = theirs.lines().filter(|l| !is_umocis_own(l)).collect();
            let ours: Vec<&str> = ours.lines().filter(|l| !is_umocis_own(l)).collect();
            let different: Vec<_> = theirs
                .iter()
                .filter(|l| !ours.contains(l))
                .map(|l| format!("umoci {l}"))
                .chain(
                    ours.iter()
                        .filter(|l| !theirs.contains(l))
                        .map(|l| format!("ours  {l}")),
                )
                .collect();
            assert!(
                different.is_empty(),
                "{packing:?} {}:\n{}",
                layout.tag,
                different.join("\n")
            );
            super::super::support::env::remove(&bundle);
        }
    }
}

/// The root itself: the layers do not describe it.
fn is_umocis_own(line: &str) -> bool {
    line.starts_with(". d ")
}
