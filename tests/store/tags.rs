//! `tag`, `history`, `image prune`, and what `--platform` asks for.

use super::take;
use crate::support::Env;
use crate::support::image::{Image, Layout};
use crate::support::tree::Tree;
use serde_json::json;

/// An environment with these images in its store.
fn with(images: &[(&str, Image)]) -> (Env, Vec<Layout>) {
    let mut env = Env::new();
    let root = env.path("tmp/store");
    env.set("WHERRY_ROOT", root.join("data").to_str().unwrap());
    env.set("WHERRY_RUNROOT", root.join("run").to_str().unwrap());
    let dir = env.path("tmp/layout");
    let layouts = images.iter().map(|(name, image)| {
        let layout = image.write(&dir, name);
        take(&env, &root, &dir, name).ok();
        layout
    });
    let layouts = layouts.collect();
    (env, layouts)
}

fn file(path: &str, text: &str) -> Tree {
    let mut tree = Tree(Vec::new());
    tree.file(path, text, 0o644);
    tree
}

fn busybox_with(label: &str) -> Image {
    Image::busybox().set("Labels", json!({ "is": label }))
}

#[test]
fn a_tag_is_one_more_name() {
    let (env, layouts) = with(&[("one", busybox_with("one")), ("two", busybox_with("two"))]);
    let id = |name: &str| env.ok(["image", "inspect", "-f", "{{.Id}}", name]);
    assert_eq!(env.ok(["tag", "one", "quay.io/team/app:v1"]), "");
    assert_eq!(id("quay.io/team/app:v1"), layouts[0].id);
    // A name that is taken changes hands.
    env.ok(["image", "tag", "two", "quay.io/team/app:v1"]);
    assert_eq!(id("quay.io/team/app:v1"), layouts[1].id);
    env.ok(["tag", &layouts[0].id[7..19], "again"]);
    assert_eq!(id("again"), layouts[0].id);
    assert_eq!(env.ok(["rmi", "again"]), "Untagged: again:latest");
    for (words, says) in [
        (["nope", "x"], "Error: No such image: nope:latest\n"),
        (
            ["one", "Upper"],
            "Error: Error parsing reference: \"Upper\" is not a valid repository/tag: \
             invalid reference format: repository name (library/Upper) must be lowercase\n",
        ),
        (
            ["one", &format!("x@{}", layouts[0].manifest)],
            "Error: refusing to create a tag with a digest reference\n",
        ),
        (
            ["one", "sha256:abc"],
            "Error: refusing to create an ambiguous tag using digest algorithm as name\n",
        ),
    ] {
        let out = env.wherry([&["tag"], &words[..]].concat()).status(1);
        assert_eq!(out.errors(), says);
    }
    env.wherry(["tag", "one"])
        .status(1)
        .says("'wherry tag' requires 2 arguments");
}

#[test]
fn history_is_newest_first() {
    let mut image = busybox_with("one").layer(file("second", "12345"));
    image.config["history"] = json!([
        {"created": "2026-01-01T00:00:00Z", "created_by": "/bin/sh -c #(nop) ADD file:0123456789abcdef in / "},
        {"created": "2026-01-02T00:00:00Z", "created_by": "ENV\tA=b", "empty_layer": true},
        {"created_by": "COPY second /", "comment": "buildkit"},
    ]);
    let (mut env, layouts) = with(&[("one", image), ("bare", Image::busybox())]);
    env.set("TZ", "UTC");
    let size = env.ok(["history", "--format", "{{.Size}}", "-H=false", "one"]);
    let size = size.lines().last().unwrap();
    let shown = env.ok(["history", "-H=false", "one"]);
    let short = &layouts[0].id[7..19];
    let want = format!(
        "IMAGE          CREATED AT             CREATED BY                                      SIZE      COMMENT\n\
         {short}   N/A                    COPY second /                                   5         buildkit\n\
         <missing>      2026-01-02T00:00:00Z   ENV A=b                                         0         \n\
         <missing>      2026-01-01T00:00:00Z   /bin/sh -c #(nop) ADD file:0123456789abcdef …   {size}   "
    );
    assert_eq!(shown, want);
    let shown = env.ok(["image", "history", "--no-trunc", "--format", "json", "one"]);
    let lines: Vec<serde_json::Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let first = json!({"Comment": "buildkit", "CreatedAt": "N/A", "CreatedBy": "COPY second /",
        "CreatedSince": "N/A", "ID": layouts[0].id, "Size": "5B"});
    assert_eq!(lines[0], first);
    assert_eq!(lines.len(), 3);
    assert!(lines[2]["CreatedBy"].as_str().unwrap().ends_with("in / "));
    assert!(lines[2]["CreatedSince"].as_str().unwrap().ends_with(" ago"));
    assert_eq!(
        env.ok(["history", "-q", "one"]),
        format!("{short}\n<missing>\n<missing>")
    );
    assert_eq!(
        env.ok(["history", "bare"]),
        "IMAGE     CREATED   CREATED BY   SIZE      COMMENT"
    );
    env.wherry(["history", "nope"])
        .status(1)
        .says("Error: No such image: nope:latest\n");
    env.wherry(["history", "--format", "{{.Nope}}", "one"])
        .status(1)
        .says("template parsing error");
}

#[test]
fn platforms_are_told_apart() {
    let mut image = busybox_with("other");
    image.config["architecture"] = json!("s390x");
    let (env, _) = with(&[("other", image)]);
    let refused = "image with reference other was found but does not provide the specified platform (linux/amd64)\nhint: it is for linux/s390x\n";
    let wrong = ["--platform", "linux/amd64", "other"];
    let right = ["--platform", "linux/s390x", "other"];
    for command in [&["image", "inspect"][..], &["history"], &["rmi"]] {
        env.wherry([command, &wrong].concat())
            .status(1)
            .says(refused);
        env.wherry([command, &right].concat()).ok();
    }
    assert_eq!(env.ok(["images", "-q"]), "");
    for command in [&["image", "inspect"][..], &["history"], &["rmi"]] {
        let out = env.wherry([command, &["--platform", "a/b/c/d", "x"]].concat());
        assert!(out.errors().contains("cannot parse platform specifier"));
        assert_ne!(out.status, 0);
    }
}

#[test]
fn prune_removes_what_nobody_needs() {
    let (env, layouts) = with(&[
        ("kept", busybox_with("kept")),
        ("user", busybox_with("user")),
        ("old", busybox_with("old")),
        (
            "new",
            busybox_with("new").layer(file("f", &"x".repeat(1 << 20))),
        ),
    ]);
    let [_, _, old, new] = &layouts[..] else {
        panic!("four images");
    };
    env.ok(["create", "--name", "holder", "user"]);
    // Nobody said yes.
    for answer in [&b""[..], b"n\n", b"yes\n"] {
        let out = env.wherry_with(["image", "prune", "-a"], answer).status(0);
        assert_eq!(
            out.text(),
            "WARNING! This will remove all images without at least one container associated to them.\n\
             Are you sure you want to continue? [y/N] "
        );
    }
    let nothing = env.wherry_with(["image", "prune"], b"y\n").ok().text();
    assert_eq!(
        nothing,
        "WARNING! This will remove all dangling images.\n\
         Are you sure you want to continue? [y/N] Total reclaimed space: 0B\n"
    );
    // `old` loses its name to `new`.
    env.ok(["tag", "new", "old"]);
    assert_eq!(
        env.ok(["images", "-q", "-f", "dangling=true"]),
        old.id[7..19]
    );
    let filtered = env.ok(["image", "prune", "-f", "--filter", "label=is=new"]);
    assert_eq!(filtered, "Total reclaimed space: 0B");
    let filtered = env.ok(["image", "prune", "-f", "--filter", "until=2020-01-01"]);
    assert_eq!(filtered, "Total reclaimed space: 0B");
    let pruned = env.ok(["image", "prune", "-f"]);
    let head = format!(
        "Deleted Images:\ndeleted: {}\n\nTotal reclaimed space: ",
        old.id
    );
    assert!(pruned.starts_with(&head), "{pruned}");
    let pruned = env.ok(["image", "prune", "-af", "--filter", "label!=is=kept"]);
    let head = format!(
        "Deleted Images:\nuntagged: new:latest\nuntagged: old:latest\ndeleted: {}\n\nTotal reclaimed space: 1.",
        new.id
    );
    assert!(pruned.starts_with(&head), "{pruned}");
    assert!(pruned.ends_with("MB"), "{pruned}");
    let left = env.ok(["images", "--format", "{{.Repository}}"]);
    let mut left: Vec<&str> = left.lines().collect();
    left.sort_unstable();
    assert_eq!(left, ["kept", "user"]);
    let pruned = env.ok(["image", "prune", "-f", "--filter", "dangling=false"]);
    assert!(pruned.contains("untagged: kept:latest"), "{pruned}");
    // What the container needs is still there.
    env.ok(["start", "-a", "holder"]);
    for (filter, says) in [
        ("reference=x", "invalid filter 'reference'"),
        ("dangling=x", "invalid filter 'dangling=[x]'"),
        ("until=x", "invalid filter 'until=[x]'"),
    ] {
        env.wherry(["image", "prune", "-f", "--filter", filter])
            .status(1)
            .says(says);
    }
}
