//! Volumes and mounts: the commands, what a container has mounted, what the
//! image gives a volume, and whose the files are.

mod commands;
mod fill;
mod ids;
mod mounts;

use crate::support::Env;
use crate::support::image::Image;
use crate::support::registry::Registry;
use crate::support::tree::{Kind, Tree};
use serde_json::json;
use std::path::PathBuf;
use std::sync::OnceLock;

/// A registry with busybox and `filled`: an image that has files of all sorts
/// in /data, and says that it is a volume.
fn registry() -> &'static Registry {
    static SHARED: OnceLock<Registry> = OnceLock::new();
    SHARED.get_or_init(|| {
        let registry = Registry::plain();
        let env = Env::new();
        registry.push(&env, &Image::busybox(), "library/busybox:latest");
        let mut tree = Tree::default();
        tree.dir("data", 0o2750).owner(33, 10);
        tree.file("data/file", "content", 0o640)
            .owner(33, 33)
            .xattr("user.note", b"kept");
        tree.hard("data/again", "data/file").mode = 0o640;
        tree.dir("data/closed", 0o700).owner(1000, 1000);
        tree.file("data/closed/inside", "x", 0o600)
            .owner(1000, 1000);
        tree.symlink("data/link", "/etc/passwd");
        tree.add("data/pipe", Kind::Fifo, 0o600);
        tree.file("data/suid", "x", 0o4755);
        tree.dir("empty", 0o1777).owner(33, 33);
        tree.file("secret", "s", 0o600);
        let image = Image::busybox()
            .layer(tree)
            .set("Volumes", json!({ "/data": {} }));
        registry.push(&env, &image, "library/filled:latest");
        let user = image.set("User", json!("www"));
        registry.push(&env, &user, "library/of-www:latest");
        registry
    })
}

/// A place that has all three images.
fn place() -> Env {
    let env = Env::with(registry());
    for image in ["busybox", "filled", "of-www"] {
        env.ok(["pull", "-q", image]);
    }
    env
}

fn sh(env: &Env, options: &[&str], image: &str, script: &str) -> String {
    let run = ["run", "--rm", "--network", "none"];
    env.ok([&run, options, &[image, "sh", "-c", script]].concat())
}

fn volumes(env: &Env) -> Vec<String> {
    let names = env.ok(["volume", "ls", "-q"]);
    names.lines().map(str::to_owned).collect()
}

/// Where a volume's files are.
fn data(env: &Env, name: &str) -> PathBuf {
    env.path("data/wherry/volumes").join(name).join("_data")
}

/// What is below `volumes/`, passing names as well.
fn on_disk(env: &Env) -> Vec<String> {
    let entries = std::fs::read_dir(env.path("data/wherry/volumes"));
    let names = entries.into_iter().flatten().flatten();
    let mut names: Vec<String> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
