//! `manifest`: lists of images for several platforms.

use super::tool;
use crate::support::env::Env;
use crate::support::image::Image;
use crate::support::registry::Registry;
use crate::support::tree::Tree;
use serde_json::Value;

pub fn image(architecture: &str) -> Image {
    let mut tree = Tree::default();
    tree.file("arch", architecture, 0o644);
    let mut image = Image::new().layer(tree);
    image.config["architecture"] = architecture.into();
    image
}

#[test]
fn made_annotated_pushed_and_pulled() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    let name = |what: &str| format!("{host}/{what}");
    let one = registry.push(&env, &image("amd64"), "library/one:1");
    let two = registry.push(&env, &image("arm"), "team/two:1");
    let (list, one_name, two_name) = (
        name("team/all:1"),
        name("library/one:1"),
        name("team/two:1"),
    );
    env.wherry(["manifest", "inspect", &list]).status(1);
    assert_eq!(
        env.ok([
            "manifest",
            "create",
            "--insecure",
            &list,
            &one_name,
            &two_name
        ]),
        format!("Created manifest list {list}")
    );
    env.wherry(["manifest", "create", &list, &one_name])
        .status(1)
        .says("refusing to amend an existing manifest list with no --amend flag");
    env.ok(["manifest", "create", "-a", "--insecure", &list, &one_name]);
    env.ok([
        "manifest",
        "annotate",
        "--variant",
        "v6",
        "--os-features",
        "a,b",
        "--os-version",
        "1.2",
        &list,
        &two_name,
    ]);
    env.wherry([
        "manifest",
        "annotate",
        "--arch",
        "x",
        &list,
        &name("other:1"),
    ])
    .status(1)
    .says("does not exist in");
    let shown: Value = serde_json::from_str(&env.ok(["manifest", "inspect", &list])).unwrap();
    let entries = shown["manifests"].as_array().unwrap();
    assert_eq!(
        (entries.len(), &entries[0]["digest"], &entries[1]["digest"]),
        (
            2,
            &one.manifest.clone().into(),
            &two.manifest.clone().into()
        )
    );
    let platform = &entries[1]["platform"];
    assert_eq!(
        (
            &platform["variant"],
            &platform["os.version"],
            platform["os.features"].as_array().unwrap().len()
        ),
        (&"v6".into(), &"1.2".into(), 2)
    );
    let digest = env.ok(["manifest", "push", "--insecure", "-p", &list]);
    let raw = tool(
        &env,
        "skopeo",
        &[
            "inspect",
            "--tls-verify=false",
            "--raw",
            &format!("docker://{list}"),
        ],
    );
    assert_eq!(
        wherry::image::Digest::of(raw.as_bytes()).to_string(),
        digest
    );
    env.wherry(["manifest", "rm", &list])
        .status(1)
        .says("No such manifest");
    // What was pushed is pulled for each platform.
    env.without_tls(&[&host]);
    env.ok(["pull", "-q", "--platform", "linux/arm/v6", &list]);
    assert_eq!(
        env.ok(["image", "inspect", "-f", "{{.Architecture}}", &list]),
        "arm"
    );
    env.ok(["pull", "-q", "--platform", "linux/amd64", &list]);
    assert_eq!(
        env.ok(["image", "inspect", "-f", "{{.Architecture}}", &list]),
        "amd64"
    );
    let verbose: Value =
        serde_json::from_str(&env.ok(["manifest", "inspect", "-v", &list])).unwrap();
    assert_eq!(verbose[0]["Descriptor"]["digest"], one.manifest.as_str());
    assert!(verbose[0]["OCIManifest"]["layers"].is_array());
}
