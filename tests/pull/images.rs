//! What is pulled is right, and nothing is fetched twice.

use super::*;
use crate::support::env::run;
use crate::support::registry::Registry;
use wherry::image::Platform;
use wherry::transfer::pull::{Status, pull_all_tags};

/// The file as the topmost layer that has it shows it.
fn file_of(store: &Store, pulled: &Pulled, path: &str) -> Vec<u8> {
    let image = store.resolve(pulled.image_id.as_str()).unwrap();
    let config = store.config(&image).unwrap();
    let dirs = store.lower_dirs(&config.diff_ids).unwrap();
    let found = dirs.iter().map(|d| d.join(path)).find(|p| p.exists());
    std::fs::read(found.expect(path)).unwrap()
}

#[test]
fn every_packing_from_a_real_registry_in_both_formats() {
    let registry = Registry::plain();
    for packing in [Packing::Gzip, Packing::Zstd, Packing::Plain] {
        for format in ["oci", "v2s2"] {
            if format == "v2s2" && packing == Packing::Zstd {
                // Docker's format has no name for it that skopeo would write.
                continue;
            }
            let env = Env::new();
            let layout = write(&three_layers().packed(packing), &env);
            let name = format!("team/{format}{packing:?}").to_lowercase();
            let options: &[&str] = match format {
                "oci" => &["--preserve-digests"],
                _ => &["--format", format],
            };
            registry.push_layout(&layout, &name, options);
            let (store, told) = (store(&env), Told::default());
            let pulled = pull_from(&registry.host(), &name, &store, &told).unwrap();
            assert_eq!(pulled.status, Status::Downloaded);
            assert_eq!(file_of(&store, &pulled, "etc/name"), b"top");
            assert_eq!(
                file_of(&store, &pulled, "noise"),
                crate::registry::noise(2 << 20)
            );
            assert_eq!(told.count(": Pull complete"), 3, "{:?}", told.0);
            assert_eq!(told.count(&format!("latest: Pulling from {name}")), 1);
            assert_eq!(
                told.count("Status: Downloaded newer image for 127.0.0.1:"),
                1
            );
            if format == "oci" {
                assert_eq!(pulled.image_id.as_str(), layout.id);
                assert_eq!(pulled.digest.as_str(), layout.manifest);
            }
            // skopeo's oci: knows Docker's format in registries only.
            if format != "oci" {
                continue;
            }
            let mut skopeo = env.command("skopeo");
            let images = env.path("data/wherry/images");
            let full = format!("oci:{}:{}/{name}:latest", images.display(), registry.host());
            skopeo
                .args(["--insecure-policy", "copy", "--quiet"])
                .arg(&full);
            skopeo.arg(format!("dir:{}", env.path("tmp/copy").display()));
            run(skopeo, b"", 60).ok();
        }
    }
}

#[test]
fn an_image_changed_by_umoci() {
    let (env, registry) = (Env::new(), Registry::plain());
    let layout = write(&Image::busybox(), &env).changed_by_umoci(&env, |root| {
        std::fs::write(root.join("added"), "by umoci").unwrap();
    });
    registry.push_layout(&layout, "team/app:1", &[]);
    let store = store(&env);
    let pulled = pull_from(&registry.host(), "team/app:1", &store, &Told::default()).unwrap();
    assert_eq!(file_of(&store, &pulled, "added"), b"by umoci");
}

/// In both formats that it writes, pushed by itself and run.
#[test]
fn an_image_made_by_buildah() {
    let registry = Registry::plain();
    let env = Env::with(&registry);
    let place = env.path("tmp/buildah");
    let buildah = |args: &[&str]| {
        let mut command = env.command("buildah");
        for (option, name) in [("--root", "root"), ("--runroot", "runroot")] {
            command.arg(option).arg(place.join(name));
        }
        command.args(["--storage-driver", "vfs"]).args(args);
        run(command, b"", 120).ok().text().trim().to_owned()
    };
    let container = buildah(&["from", "scratch"]);
    buildah(&["copy", &container, "/bin/busybox", "/bin/busybox"]);
    buildah(&[
        "config",
        "--cmd",
        "/bin/busybox id -u",
        "--user",
        "7:8",
        &container,
    ]);
    for format in ["oci", "docker"] {
        let target = format!("docker://{}/library/{format}:latest", registry.host());
        let options = ["commit", "-q", "--tls-verify=false", "--format", format];
        buildah(&[&options[..], &[&container, &target]].concat());
        let printed = env.ok(["run", "--rm", "-q", "--network", "none", format]);
        assert_eq!(printed, "7", "{format}");
    }
    buildah(&["rm", &container]);
}

#[test]
fn a_second_pull_fetches_nothing() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    registry.put_layout("team/app", "latest", &write(&three_layers(), &env));
    let store = store(&env);
    let first = pull_from(&registry.host(), "team/app", &store, &Told::default()).unwrap();
    assert_eq!(registry.asked("/blobs/"), 4);
    registry.clear_log();
    let told = Told::default();
    let second = pull_from(&registry.host(), "team/app", &store, &told).unwrap();
    assert_eq!(
        (second.status, &second.image_id),
        (Status::UpToDate, &first.image_id)
    );
    let log: Vec<_> = registry
        .log()
        .iter()
        .filter(|r| r.path != "/v2/")
        .map(|r| r.method.clone())
        .collect();
    assert_eq!(log, ["HEAD"]);
    assert_eq!(told.count("Status: Image is up to date for"), 1);
}

#[test]
fn only_what_is_missing_is_fetched() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    let (shared, shared_id) = small_layer("shared");
    let (own, own_id) = small_layer("own");
    let architecture = host_architecture();
    let one = manifest(
        &registry,
        "team/app",
        &config(architecture, std::slice::from_ref(&shared_id)),
        std::slice::from_ref(&shared),
    );
    // A layer that occurs twice is fetched once.
    let two = manifest(
        &registry,
        "team/app",
        &config(architecture, &[shared_id.clone(), own_id, shared_id]),
        &[shared.clone(), own, shared],
    );
    put_document(&registry, "one", &one);
    put_document(&registry, "two", &two);
    let store = store(&env);
    pull_from(&registry.host(), "team/app:one", &store, &Told::default()).unwrap();
    registry.clear_log();
    let told = Told::default();
    let pulled = pull_from(&registry.host(), "team/app:two", &store, &told).unwrap();
    assert_eq!(registry.asked("/blobs/"), 2, "its config and its own layer");
    assert_eq!(
        (told.count("Already exists"), told.count("Pull complete")),
        (1, 1)
    );
    assert_eq!(file_of(&store, &pulled, "file"), b"shared");
    let names = store.images().unwrap().into_iter().flat_map(|i| i.names);
    let mut names: Vec<String> = names.map(|n| n.tag().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["one", "two"]);
}

#[test]
fn a_tag_that_moved_is_followed() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    let store = store(&env);
    put_small(&registry, "latest", "old");
    let old = pull_from(&registry.host(), "team/app", &store, &Told::default()).unwrap();
    put_small(&registry, "latest", "new");
    let new = pull_from(&registry.host(), "team/app", &store, &Told::default()).unwrap();
    assert_eq!(new.status, Status::Downloaded);
    assert_ne!(old.image_id, new.image_id);
    let named = store
        .resolve(&format!("{}/team/app:latest", registry.host()))
        .unwrap();
    assert_eq!(named.id, new.image_id);
    let pinned = format!("team/app@{}", old.digest);
    let again = pull_from(&registry.host(), &pinned, &store, &Told::default()).unwrap();
    assert_eq!(again.image_id, old.image_id);
}

#[test]
fn an_index_gives_the_image_for_the_platform() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    let mut entries = Vec::new();
    for (architecture, variant) in [
        ("arm", "v6"),
        ("arm", "v7"),
        ("s390x", ""),
        (host_architecture(), ""),
    ] {
        let (layer, diff_id) = small_layer(&format!("{architecture}{variant}"));
        let mut config = config(architecture, &[diff_id]);
        config["variant"] = json!(variant);
        let document = manifest(&registry, "team/app", &config, &[layer]);
        let digest = put_document(&registry, &format!("{architecture}{variant}"), &document);
        entries.push(
            json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": document.to_string().len(),
            "platform": {"os": "linux", "architecture": architecture, "variant": variant}}),
        );
    }
    let index = json!({"schemaVersion": 2, "manifests": entries});
    let index_digest = put_document(&registry, "latest", &index);
    // One index more on the way, and one that never ends.
    let nested = |digest: &str, size: usize| {
        json!({"schemaVersion": 2, "manifests": [
            {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": size}]})
    };
    put_document(
        &registry,
        "nested",
        &nested(&index_digest, index.to_string().len()),
    );
    let mut inner = nested(&index_digest, index.to_string().len());
    for _ in 0..5 {
        let digest = put_document(&registry, "deep", &inner);
        inner = nested(&digest, inner.to_string().len());
    }
    let store = store(&env);
    let ask = |name: &str, platform: Option<&str>| {
        let options = PullOptions {
            platform: platform.map(|p| Platform::parse(p).unwrap()),
            ..PullOptions::default()
        };
        pull(
            &store,
            &client(&registry.host(), name),
            &options,
            &Told::default(),
        )
    };
    for (platform, expected) in [
        (None, host_architecture()),
        (Some("linux/s390x"), "s390x"),
        (Some("linux/arm/v6"), "armv6"),
        (Some("linux/arm"), "armv7"),
    ] {
        let pulled = ask("team/app", platform).unwrap();
        assert_eq!(file_of(&store, &pulled, "file"), expected.as_bytes());
        assert_eq!(pulled.digest.as_str(), index_digest);
        let image = store.resolve(pulled.image_id.as_str()).unwrap();
        assert!(
            image
                .digests
                .iter()
                .any(|d| d.digest().unwrap().as_str() == index_digest)
        );
    }
    let error = ask("team/app", Some("linux/riscv64")).unwrap_err();
    assert_eq!(
        error.message(),
        "no matching manifest for linux/riscv64 in the manifest list entries"
    );
    assert!(ask("team/app:nested", None).is_ok());
    assert!(
        ask("team/app:deep", None)
            .unwrap_err()
            .message()
            .contains("point to each other")
    );
    let error = ask("team/app:s390x", Some("linux/arm64")).unwrap_err();
    assert!(error.message().contains(
        "does not match the specified platform: wanted linux/arm64, actual: linux/s390x"
    ));
}

#[test]
fn all_tags() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    for tag in ["a", "b"] {
        put_small(&registry, tag, tag);
    }
    registry.put(
        "/v2/team/app/tags/list?n=1000",
        br#"{"tags":["a","b"]}"#,
        "application/json",
    );
    let store = store(&env);
    let client = client(&registry.host(), "team/app");
    let pulled = pull_all_tags(&store, &client, &PullOptions::default(), &Told::default()).unwrap();
    assert_eq!(pulled.len(), 2);
    assert_eq!(store.images().unwrap().len(), 2);
}

#[test]
fn an_image_without_layers() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    let document = manifest(
        &registry,
        "team/app",
        &config(host_architecture(), &[]),
        &[],
    );
    put_document(&registry, "latest", &document);
    let store = store(&env);
    let pulled = pull_from(&registry.host(), "team/app", &store, &Told::default()).unwrap();
    assert!(store.resolve(pulled.image_id.as_str()).is_ok());
}

#[test]
fn pulls_at_the_same_time_fetch_each_blob_once() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    registry.put_layout("team/app", "latest", &write(&three_layers(), &env));
    let store = store(&env);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                pull_from(&registry.host(), "team/app", &store, &Told::default()).unwrap()
            });
        }
    });
    let layers = registry.log();
    let mut blobs: Vec<&str> = layers
        .iter()
        .filter(|r| r.path.contains("/blobs/"))
        .map(|r| r.path.as_str())
        .collect();
    blobs.sort_unstable();
    blobs.dedup();
    assert_eq!(blobs.len(), 4);
    // Configs are small and not locked; layers are.
    assert!(registry.asked("/blobs/") <= 3 + 6);
    assert_eq!(store.images().unwrap().len(), 1);
}
