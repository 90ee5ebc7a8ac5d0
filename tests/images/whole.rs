//! Indexes of several platforms that stay as they are: loaded, saved, pushed.

use super::{raw, tool};
use crate::support::env::Env;
use crate::support::image::{Image, digest};
use crate::support::registry::Registry;
use crate::support::tree::Tree;
use serde_json::{Value, json};
use std::path::PathBuf;

const OTHER: &str = "linux/s390x";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

struct Made {
    dir: PathBuf,
    /// Of the index, and of the manifests: this machine's, the other's.
    index: String,
    manifests: [String; 2],
}

/// A layout whose one name stands for an index: an image for this machine, one
/// for another, and a statement about the first.
fn layout(env: &Env, name: &str) -> Made {
    let dir = env.path("tmp").join("several");
    let host = Image::busybox();
    let mut tree = Tree::default();
    tree.file("other", "platform", 0o644);
    let mut other = Image::new().layer(tree);
    other.config["architecture"] = "s390x".into();
    let (host_made, other_made) = (host.write(&dir, "a"), other.write(&dir, "b"));
    let put = |bytes: &[u8]| {
        let digest = digest(bytes);
        std::fs::write(dir.join("blobs/sha256").join(&digest[7..]), bytes).unwrap();
        json!({"digest": digest, "size": bytes.len()})
    };
    let described = |media: &str, mut of: Value| {
        of["mediaType"] = media.into();
        of
    };
    let statement = described("application/vnd.in-toto+json", put(b"{\"predicate\":{}}"));
    let config = described(
        "application/vnd.oci.image.config.v1+json",
        put(br#"{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}"#),
    );
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let about = json!({"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [statement]});
    let mut about = described(manifest_type, put(about.to_string().as_bytes()));
    about["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    about["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": host_made.manifest});
    let entry = |made: &crate::support::image::Layout, architecture: &Value| {
        json!({"mediaType": manifest_type, "digest": made.manifest, "size": made.blob(&made.manifest).len(),
            "platform": {"os": "linux", "architecture": architecture}})
    };
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "annotations": {"kept": "as it is"}, "manifests": [
        entry(&other_made, &json!("s390x")), entry(&host_made, &host.config["architecture"]), about]});
    let mut top = described(INDEX, put(index.to_string().as_bytes()));
    let made = top["digest"].as_str().unwrap().to_owned();
    top["annotations"] = json!({"io.containerd.image.name": name});
    let top = json!({"schemaVersion": 2, "manifests": [top]});
    std::fs::write(dir.join("index.json"), top.to_string()).unwrap();
    Made {
        dir,
        index: made,
        manifests: [host_made.manifest, other_made.manifest],
    }
}

fn archive(env: &Env, dir: &std::path::Path) -> String {
    let file = env.path("tmp/several.tar").display().to_string();
    tool(
        env,
        "tar",
        &["-C", &dir.display().to_string(), "-cf", &file, "."],
    );
    file
}

/// The digest of what a registry has under a name.
fn digest_of(env: &Env, name: &str) -> String {
    digest(raw(env, name).as_bytes())
}

fn blobs(env: &Env) -> usize {
    std::fs::read_dir(env.path("data/wherry/images/blobs/sha256"))
        .unwrap()
        .count()
}

#[test]
fn loaded_whole_saved_and_pushed_with_the_same_digest() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    let name = format!("{host}/team/several:1");
    let made = layout(&env, &name);
    env.ok(["load", "-q", "-i", &archive(&env, &made.dir)]);
    assert_eq!(
        env.ok(["run", "--rm", "--network", "none", &name, "echo", "runs"]),
        "runs"
    );
    // A collection takes nothing of it, and more names keep it.
    env.ok(["tag", &name, "again:1"]);
    env.ok(["rmi", &name]);
    env.ok(["tag", "again:1", &name]);
    env.ok(["rmi", "again:1"]);
    let saved = env.path("tmp/saved.tar").display().to_string();
    env.ok(["save", "-o", &saved, &name]);
    let unpacked = env.path("tmp/unpacked");
    std::fs::create_dir_all(&unpacked).unwrap();
    let unpacked = unpacked.display().to_string();
    tool(&env, "tar", &["-C", &unpacked, "-xf", &saved]);
    let index: Value =
        serde_json::from_slice(&std::fs::read(format!("{unpacked}/index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"][0]["digest"], made.index.as_str());
    let copy = format!("docker://{host}/team/copied:1");
    let from = format!("oci:{unpacked}");
    tool(
        &env,
        "skopeo",
        &[
            "--insecure-policy",
            "copy",
            "-q",
            "--all",
            "--dest-tls-verify=false",
            &from,
            &copy,
        ],
    );
    assert_eq!(
        digest_of(&env, &format!("{host}/team/copied:1")),
        made.index
    );
    // What it wrote it reads.
    let second = Env::new();
    second.without_tls(&[&host]);
    second.ok(["load", "-q", "-i", &saved]);
    let pushed = second.ok(["push", &name]);
    assert!(
        pushed.contains(&format!("1: digest: {} size: ", made.index)),
        "{pushed}"
    );
    assert_eq!(digest_of(&env, &name), made.index);
    for env in [&env, &second] {
        env.ok(["rmi", "-f", &name]);
        assert_eq!(blobs(env), 0);
    }
}

#[test]
fn one_platform_of_several() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    let name = format!("{host}/team/several:1");
    let made = layout(&env, &name);
    let file = archive(&env, &made.dir);
    env.ok(["load", "-q", "-i", &file]);
    let architecture = |env: &Env, options: &[&str]| {
        env.ok([
            &["image", "inspect", "-f", "{{.Architecture}}"],
            options,
            &[&name],
        ]
        .concat())
    };
    assert_ne!(architecture(&env, &[]), "s390x");
    assert_eq!(architecture(&env, &["--platform", OTHER]), "s390x");
    env.wherry(["image", "inspect", "--platform", "linux/arm/v5", &name])
        .status(1)
        .says("does not provide the specified platform");
    env.ok(["push", "-q", "--platform", OTHER, &name]);
    assert_eq!(digest_of(&env, &name), made.manifests[1]);
    let saved = env.path("tmp/saved.tar").display().to_string();
    env.ok(["save", "--platform", OTHER, "-o", &saved, &name]);
    let second = Env::new();
    second.ok(["load", "-q", "-i", &saved]);
    assert_eq!(architecture(&second, &[]), "s390x");
    let third = Env::new();
    third.ok(["load", "-q", "--platform", OTHER, "-i", &file]);
    assert_eq!(architecture(&third, &[]), "s390x");
    env.wherry(["rmi", "--platform", OTHER, &name])
        .status(1)
        .says("is not supported");
    assert_ne!(architecture(&env, &[]), "s390x");
}

#[test]
fn pulled_and_pushed_back_it_stays_an_index() {
    let (env, registry) = (Env::new(), Registry::plain());
    let other = Registry::plain();
    let host = registry.host();
    env.without_tls(&[&host, &other.host()]);
    let name = format!("{host}/team/several:1");
    let made = layout(&env, &name);
    env.ok(["load", "-q", "-i", &archive(&env, &made.dir)]);
    env.ok(["push", "-q", &name]);
    env.ok(["rmi", "-f", &name]);
    env.ok(["pull", "-q", &name]);
    // The registry has what is not here.
    let again = format!("{host}/team/several:2");
    env.ok(["tag", &name, &again]);
    let pushed = env.ok(["push", &again]);
    assert!(
        pushed.contains(&format!("2: digest: {} size: ", made.index)),
        "{pushed}"
    );
    assert_eq!(digest_of(&env, &again), made.index);
    // Another one has not: it gets what is here, and one is told.
    let away = format!("{}/team/several:1", other.host());
    env.ok(["tag", &name, &away]);
    let out = env.wherry(["push", &away]).status(0);
    assert!(
        out.errors()
            .contains(&format!("not all of the index {} is here", made.index))
    );
    assert_eq!(digest_of(&env, &away), made.manifests[0]);
    env.ok(["rmi", "-f", &name, &again, &away]);
    assert_eq!(blobs(&env), 0);
}

#[test]
fn the_tree_shows_platforms_layers_and_what_is_shared() {
    let env = Env::new();
    let made = layout(&env, "team/several:1");
    env.ok(["load", "-q", "-i", &archive(&env, &made.dir)]);
    env.ok(["tag", "team/several:1", "team/several:2"]);
    let run = ["run", "--name", "box", "--network", "none"];
    env.ok([&run[..], &["team/several:1", "touch", "/new"]].concat());
    env.ok(["commit", "box", "grown"]);
    let shown = env.ok(["images", "--tree"]);
    // Columns are two spaces or more apart.
    let rows: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| {
            let cells = line.trim_end().split("  ").map(str::trim);
            cells.filter(|cell| !cell.is_empty()).collect()
        })
        .collect();
    let find = |start: &str| {
        let place = rows.iter().position(|row| row[0] == start);
        place.unwrap_or_else(|| panic!("no {start:?} in\n{shown}"))
    };
    assert_eq!(
        rows[0],
        ["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"]
    );
    let several = find("team/several:1");
    assert_eq!(rows[several][4], "in use");
    assert_eq!(rows[several + 1], ["team/several:2"]);
    let other = &rows[several + 2];
    assert_eq!(other[0], "├─ linux/s390x");
    assert_eq!(other[1], &made.manifests[1][7..19]);
    let host = &rows[several + 3];
    assert!(host[0].starts_with("└─ linux/"), "{shown}");
    assert_eq!(host[1], &made.manifests[0][7..19]);
    // Below it its only layer, which the committed image has, too.
    let layer = &rows[several + 4];
    assert_eq!(
        (layer[0], layer[4]),
        ("└─ <none>", "in 2 images"),
        "{shown}"
    );
    let grown = find("grown:latest");
    assert_eq!(rows[grown + 1][1], layer[1]);
    assert_eq!(rows[grown + 2][0], "└─ touch /new");
    assert_eq!(rows[grown + 2].len(), 4, "{shown}");
    let names = env.ok(["images", "--tree", "-f", "reference=grown"]);
    assert!(!names.contains("several") && names.contains("touch /new"));
    for (option, says) in [
        (&["--quiet"][..], "--quiet"),
        (&["--no-trunc"], "--no-trunc"),
        (&["--digests"], "--show-digest"),
        (&["--format", "x"], "--format"),
    ] {
        let out = env.wherry([&["images", "--tree"], option].concat());
        out.status(1)
            .says(&format!("{says} is not yet supported with --tree"));
    }
}
