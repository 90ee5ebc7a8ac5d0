//! Caches that builds hand on to other machines.

use super::{Site, cached};
use crate::images::tool;
use crate::support::Env;
use crate::support::registry::Registry;
use serde_json::{Value, json};

const TEXT: &str = "FROM busybox AS one\nRUN head -c 20 /dev/urandom | sha256sum > /one; head -c 100000 /dev/zero > /big\n\
    FROM busybox\nWORKDIR /w\nCOPY f /f\nCOPY --from=one /one /w/\nRUN head -c 20 /dev/urandom | sha256sum > /two\n";

/// Another machine with the same context and base image.
fn site(registry: Option<&Registry>) -> Site {
    let site = Site::new();
    if let Some(registry) = registry {
        site.env.without_tls(&[&registry.host()]);
    }
    site.file("f", "content").dockerfile(TEXT);
    site
}

fn layers(site: &Site) -> usize {
    std::fs::read_dir(site.env.path("data/wherry/layers"))
        .unwrap()
        .count()
}

#[test]
fn through_a_registry() {
    let registry = Registry::plain();
    let name = format!("{}/team/cache:1", registry.host());
    let from = format!("--cache-from={name}");
    let first = site(Some(&registry));
    // A pipeline's first run: there is none yet.
    let to = format!("--cache-to=type=registry,ref={name},mode=max");
    let out = first.build(&["-t", "t", &from, &to]).ok();
    assert_eq!(cached(&out), 0);
    assert!(out.errors().contains("importing cache manifest from"));
    assert!(out.errors().contains("exporting cache to"));
    let second = site(Some(&registry));
    let before = layers(&second);
    let out = second.build(&["-t", "t", &from]).ok();
    assert_eq!(cached(&out), 5, "{}", out.errors());
    assert_eq!(second.id(), first.id());
    let both = "cat /w/one /two /f";
    assert_eq!(second.shows(both), first.shows(both));
    // The result's own four, and nothing of the stage that it was made from.
    assert_eq!(layers(&second), before + 4);
    // From now on it knows them by itself.
    assert_eq!(cached(&second.build(&["-t", "t"]).ok()), 5);
    // What has changed is done, and of the other stage only what is needed.
    let third = site(Some(&registry));
    third.dockerfile(&TEXT.replace("COPY f", "COPY --from=one /big /big\nCOPY f"));
    let out = third.build(&["-t", "t", &from]).ok();
    assert_eq!(cached(&out), 2, "{}", out.errors());
    assert_eq!(third.shows("cat /w/one"), first.shows("cat /w/one"));
    let none = site(Some(&registry));
    let out = none.build(&["-t", "t", "--no-cache", &from]).ok();
    assert_eq!(cached(&out), 0);
    assert_ne!(none.shows(both), first.shows(both));
}

#[test]
fn of_the_result_alone() {
    let registry = Registry::plain();
    let name = format!("{}/team/app:1", registry.host());
    let first = site(Some(&registry));
    let to = format!("--cache-to=type=registry,ref={name}-cache");
    first
        .build(&["-t", &name, "--push", "--cache-to=type=inline", &to])
        .ok();
    let shown = |site: &Site| {
        let run = ["run", "--rm", "--network", "none", &name, "cat"];
        site.env.ok([&run[..], &["/w/one", "/two"]].concat())
    };
    for from in [name.clone(), format!("type=registry,ref={name}-cache")] {
        let other = site(Some(&registry));
        let from = format!("--cache-from={from}");
        let out = other.build(&["-t", &name, &from]).ok();
        assert_eq!(cached(&out), 5, "{from}: {}", out.errors());
        assert_eq!(shown(&other), shown(&first));
        // The last step has changed: the stage that is not there is not asked for.
        let other = site(Some(&registry));
        other.dockerfile(&TEXT.replace("> /two", "> /two; touch /three"));
        let out = other.build(&["-t", &name, &from]).ok();
        assert_eq!(cached(&out), 4, "{from}: {}", out.errors());
        // Of the stage: it has to be done again.
        let other = site(Some(&registry));
        other.dockerfile(&TEXT.replace("COPY f", "COPY --from=one /big /big\nCOPY f"));
        let out = other.build(&["-t", &name, &from]).ok();
        assert_eq!(cached(&out), 1, "{from}: {}", out.errors());
    }
}

#[test]
fn through_a_directory() {
    let first = site(None);
    let dir = first.env.path("home/cache").display().to_string();
    let to = format!("--cache-to=type=local,dest={dir},mode=max");
    first.build(&["-t", "t", &to]).ok();
    let config = tool(
        &first.env,
        "skopeo",
        &["inspect", "--config", "--raw", &format!("oci:{dir}:latest")],
    );
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 5);
    // Twice the same, and another tag beside it.
    let index = || std::fs::read_to_string(format!("{dir}/index.json")).unwrap();
    let before = index();
    first.build(&["-t", "t", &to]).ok();
    assert_eq!(index(), before);
    first.build(&["-t", "t", &format!("{to},tag=x")]).ok();
    let second = site(None);
    let copy = second.env.path("home/cache").display().to_string();
    tool(&first.env, "cp", &["-r", &dir, &copy]);
    let from = format!("--cache-from=type=local,src={copy}");
    let out = second.build(&["-t", "t", &format!("{from},tag=x")]).ok();
    assert_eq!(cached(&out), 5, "{}", out.errors());
    assert_eq!(second.id(), first.id());
    // Content that is not what it says is not taken, and done instead.
    let third = site(None);
    let broken = third.env.path("home/cache").display().to_string();
    tool(&first.env, "cp", &["-r", &dir, &broken]);
    let layer = {
        let manifest: Value = serde_json::from_str(&tool(
            &first.env,
            "skopeo",
            &["inspect", "--raw", &format!("oci:{dir}:latest")],
        ))
        .unwrap();
        let last = manifest["layers"].as_array().unwrap().len();
        let digest = |at: usize| manifest["layers"][at]["digest"].as_str().unwrap()[7..].to_owned();
        (0..last).map(digest).collect::<Vec<_>>()
    };
    for digest in &layer {
        let path = format!("{broken}/blobs/sha256/{digest}");
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
    }
    let from = format!("--cache-from=type=local,src={broken}");
    let out = third.build(&["-t", "t", &from]).ok();
    assert_eq!(cached(&out), 0, "{}", out.errors());
    assert_eq!(third.shows("cat /f"), "content");
    // Nothing of it is left to be found by the next build, or to be gone on with.
    assert_eq!(cached(&third.build(&["-t", "t"]).ok()), 5);
}

#[test]
fn places_that_cannot_be_had() {
    let site = site(None);
    let nowhere = "127.0.0.1:1/team/cache:1";
    let out = site
        .build(&[
            "-t",
            "t",
            &format!("--cache-from={nowhere}"),
            "--cache-from=type=local,src=/nope",
        ])
        .ok();
    assert_eq!(out.errors().matches("ERROR").count(), 1, "{}", out.errors());
    let to = format!("--cache-to=type=registry,ref={nowhere}");
    site.build(&["-t", "t", &to])
        .status(1)
        .says("cannot export the build cache to 127.0.0.1:1/team/cache:1");
    // It was built nevertheless.
    assert_eq!(site.shows("cat /f"), "content");
    site.build(&["-t", "t", &format!("{to},ignore-error=true")])
        .ok();
    for (option, says) in [
        (
            "--cache-from=type=gha",
            "--cache-from type=gha is not supported",
        ),
        (
            "--cache-to=type=s3,bucket=b",
            "--cache-to bucket=b is not supported",
        ),
        (
            "--cache-to=type=inline,mode=max",
            "--cache-to mode=max is not supported",
        ),
        ("--cache-to=type=local", "requires dest"),
    ] {
        let out = site.build(&[option]);
        assert_ne!(out.status, 0, "{option}");
        out.says(says);
    }
}

/// A policy that does not take images from a place takes no layers from it.
#[test]
fn a_policy_is_asked() {
    let registry = Registry::plain();
    let name = format!("{}/team/cache:1", registry.host());
    let first = site(Some(&registry));
    let dir = first.env.path("home/layout").display().to_string();
    let to_registry = format!("--cache-to=type=registry,ref={name}");
    let to_layout = format!("--cache-to=type=local,dest={dir}");
    let out = format!("type=oci,tar=false,dest={dir}");
    first
        .build(&["-t", "t:image", &to_registry, &to_layout, "-o", &out])
        .ok();
    let from_registry = format!("--cache-from={name}");
    let from_layout = format!("--cache-from=type=local,src={dir}");
    let allow = |env: &Env, scopes: &Value| {
        env.policy(&json!({"default": [{"type": "reject"}], "transports": scopes}));
    };
    let any = json!([{"type": "insecureAcceptAnything"}]);
    for (from, scopes) in [
        (&from_registry, json!({"docker": {(registry.host()): any}})),
        (&from_layout, json!({"oci": {(dir.clone()): any}})),
        (
            &from_layout,
            json!({"oci": {(format!("{dir}:latest")): any}}),
        ),
    ] {
        let other = site(Some(&registry));
        allow(&other.env, &json!({"docker": {"other.example": any}}));
        let out = other.build(&[from]).ok();
        assert_eq!(cached(&out), 0, "{}", out.errors());
        out.says("rejected by the policy");
        let other = site(Some(&registry));
        allow(&other.env, &scopes);
        let out = other.build(&[from]).ok();
        assert_eq!(cached(&out), 5, "{}", out.errors());
    }
    // The same of images that are built on.
    let other = site(None);
    other.dockerfile("FROM base\n");
    let context = format!("--build-context=base=oci-layout://{dir}:image");
    allow(
        &other.env,
        &json!({"oci": {(format!("{dir}:latest")): any}}),
    );
    other
        .build(&[&context])
        .status(1)
        .says("rejected by the policy");
    allow(&other.env, &json!({"oci": {(dir.clone()): any}}));
    other.build(&[&context]).ok();
}
