//! What is not collected: everything that an image with a name needs.

use crate::support::Env;
use crate::support::image::Image;
use crate::support::registry::Registry;
use serde_json::json;

#[test]
fn an_image_pulled_as_a_single_manifest_outlives_the_removal_of_another() {
    let registry = Registry::plain();
    let env = Env::with(&registry);
    registry.push(&env, &Image::busybox(), "library/kept:latest");
    let other = Image::busybox().set("Labels", json!({"a": "b"}));
    registry.push(&env, &other, "library/gone:latest");
    env.ok(["pull", "-q", "kept"]);
    env.ok(["pull", "-q", "gone"]);
    let blobs = || {
        std::fs::read_dir(env.path("data/wherry/images/blobs/sha256"))
            .unwrap()
            .count()
    };
    env.ok(["rmi", "gone"]);
    // Manifest, settings and the packed layer.
    assert_eq!(blobs(), 3);
    env.ok(["run", "--rm", "--network", "none", "kept", "true"]);
}
