//! `images`, `rmi` and `image inspect`, with containers that use the images.

use super::take;
use crate::support::env::Env;
use crate::support::image::{Image, Layout};
use serde_json::{Value, json};

/// Two images, `one` and `two`, in the store that the environment's wherry uses.
fn stocked() -> (Env, [Layout; 2]) {
    let mut env = Env::new();
    let root = env.path("tmp/store");
    env.set("WHERRY_ROOT", root.join("data").to_str().unwrap());
    env.set("WHERRY_RUNROOT", root.join("run").to_str().unwrap());
    let dir = env.path("tmp/layout");
    let one = Image::busybox()
        .set("Labels", json!({"a": "b"}))
        .write(&dir, "one");
    let two = Image::busybox()
        .set("User", json!("alice"))
        .write(&dir, "two");
    for layout in [&one, &two] {
        take(&env, &root, &dir, &layout.tag).ok();
    }
    (env, [one, two])
}

fn short(layout: &Layout) -> &str {
    &layout.id["sha256:".len()..][..12]
}

#[test]
fn images_are_listed() {
    let (env, [one, two]) = stocked();
    let format = "{{.Repository}}:{{.Tag}} {{.ID}}";
    let listed = env.ok(["images", "--format", format]);
    let mut lines: Vec<&str> = listed.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            format!("one:latest {}", short(&one)),
            format!("two:latest {}", short(&two))
        ]
    );
    assert_eq!(env.ok(["images", "-q", "--no-trunc", "two"]), two.id);
    assert_eq!(
        env.ok([
            "image",
            "ls",
            "--filter",
            "label=a=b",
            "--format",
            "{{.Repository}}"
        ]),
        "one"
    );
    let table = env.ok(["images", "o*"]);
    assert!(
        table.starts_with("REPOSITORY   TAG       IMAGE ID       CREATED"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 2, "{table}");
    env.wherry(["images", "ls"])
        .status(0)
        .says("did you mean \"wherry image ls\"?");
    env.wherry(["images", "--filter", "nope=1"])
        .status(1)
        .says("invalid filter 'nope'");
    env.wherry(["images", "--filter", "nope"]).status(125);
}

#[test]
fn images_are_inspected() {
    let (env, [one, two]) = stocked();
    let shown = env.ok(["image", "inspect", "one", short(&two)]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown[0]["Id"], one.id.as_str());
    assert_eq!(shown[0]["Config"]["Labels"], json!({"a": "b"}));
    assert_eq!(shown[1]["Config"]["User"], "alice");
    let format = "{{.Id}} {{index .RepoTags 0}}";
    assert_eq!(
        env.ok(["image", "inspect", "-f", format, "two"]),
        format!("{} two:latest", two.id)
    );
    let missing = env
        .wherry(["image", "inspect", "nope"])
        .status(1)
        .says("No such image: nope:latest");
    assert_eq!(missing.text().trim(), "[]");
    env.wherry(["image", "inspect", "-f", "{{.Id", "one"])
        .status(64);
    env.wherry(["image", "inspect", "-f", "{{.Nope}}", "one"])
        .status(1)
        .says("map has no entry for key \"Nope\"");
}

#[test]
fn images_in_use_are_kept() {
    let (env, [one, two]) = stocked();
    let id = env.ok(["create", "--name", "user", "one"]);
    let container = &id[..12];
    let used = format!(
        "container {container} is using its referenced image {}",
        short(&one)
    );
    env.wherry(["rmi", "one"]).status(1).says(&used);
    env.wherry(["rmi", short(&one)]).status(1).says(&format!(
        "conflict: unable to delete {} (must be forced) - image is being used by stopped container {container}",
        short(&one)
    ));
    let removed = env.ok(["rmi", "-f", "one"]);
    assert_eq!(
        removed,
        format!("Untagged: one:latest\nDeleted: {}", one.id)
    );
    // Both images and the container share the layer.
    let layers = || super::layers(&env.path("tmp/store")).len();
    assert_eq!(
        env.ok(["rmi", "two"]),
        format!("Untagged: two:latest\nDeleted: {}", two.id)
    );
    assert_eq!(layers(), 1);
    env.ok(["rm", "user"]);
    env.wherry(["rmi", "-f", "nope"])
        .status(0)
        .says("No such image: nope:latest");
    assert_eq!(layers(), 0);
    let blobs = std::fs::read_dir(env.path("tmp/store/data/images/blobs/sha256")).unwrap();
    assert_eq!(blobs.count(), 0);
    env.wherry(["rmi", "nope"])
        .status(1)
        .says("No such image: nope:latest");
    env.wherry(["rmi"]).status(1);
}
