//! Builds for several platforms.

use super::{Site, cached};
use crate::support::Env;
use crate::support::env::run;
use crate::support::image::Image;
use crate::support::registry::Registry;
use crate::support::tree::Tree;
use serde_json::{Value, json};

/// Nothing here can run its programs.
const OTHER: &str = "linux/s390x";

/// The second stage makes on this machine what is for others.
const CROSS: &str = "FROM --platform=$BUILDPLATFORM busybox AS tools\n\
    RUN --mount=type=cache,id=count,target=/c echo x >>/c/n; wc -l </c/n >/times\n\
    FROM --platform=$BUILDPLATFORM tools AS make\n\
    ARG TARGETARCH TARGETPLATFORM\n\
    RUN echo for $TARGETARCH >/out\n\
    FROM scratch\n\
    ARG TARGETPLATFORM\n\
    LABEL for=$TARGETPLATFORM\n\
    COPY --from=make /out /times /\n";

fn host(env: &Env) -> String {
    let architecture = env.ok(["inspect", "-f", "{{.Architecture}}", "busybox"]);
    format!("linux/{}", architecture.trim())
}

/// What others find under a name.
fn found(env: &Env, words: &[&str]) -> Value {
    let mut skopeo = env.command("skopeo");
    skopeo.arg("inspect").args(words);
    serde_json::from_str(&run(skopeo, b"", 60).ok().text()).unwrap()
}

#[test]
fn one_index_for_all_of_them() {
    let (site, registry) = (Site::new(), Registry::plain());
    site.env.without_tls(&[&registry.host()]);
    let own = host(&site.env);
    let name = format!("{}/team/app:1", registry.host());
    site.dockerfile(CROSS);
    let both = format!("{OTHER},{own}");
    let [metadata, iid] = ["metadata", "iid"].map(|f| site.env.path(&format!("home/{f}")));
    let build = |options: &[&str]| {
        let always = ["--platform", &both, "--progress", "plain"];
        site.build(&[&always[..], options].concat())
    };
    let out = build(&[
        "-t",
        &name,
        "--push",
        "--metadata-file",
        metadata.to_str().unwrap(),
        "--iidfile",
        iid.to_str().unwrap(),
        "--annotation",
        "index:about=all",
        "--annotation",
        &format!("manifest-descriptor[{OTHER}]:about=entry"),
        "--annotation",
        "about=manifest",
    ])
    .ok();
    assert!(
        out.errors()
            .contains(&format!("[{OTHER} stage-2 1/1] COPY")),
        "{out}"
    );
    assert!(
        out.errors().contains(&format!("[{own} tools 2/2] RUN")),
        "{out}"
    );

    let place = format!("docker://{name}");
    let index = found(&site.env, &["--raw", "--tls-verify=false", &place]);
    assert_eq!(index["annotations"], json!({"about": "all"}));
    let entries = index["manifests"].as_array().unwrap();
    let platforms: Vec<String> = entries
        .iter()
        .map(|e| format!("linux/{}", e["platform"]["architecture"].as_str().unwrap()))
        .collect();
    assert_eq!(platforms, [OTHER, &own]);
    assert_eq!(entries[0]["annotations"], json!({"about": "entry"}));
    assert_eq!(entries[1].get("annotations"), None);
    let told: Value = serde_json::from_slice(&std::fs::read(&metadata).unwrap()).unwrap();
    let id = std::fs::read_to_string(&iid).unwrap();
    assert_eq!(told["containerimage.digest"], id.as_str());
    assert!(
        out.errors().contains(&format!("pushed {name}@{id}")),
        "{out}"
    );

    // Each of them is for its platform, and the tools were made once.
    for (platform, entry) in platforms.iter().zip(entries) {
        let architecture = platform.strip_prefix("linux/").unwrap();
        let digest = entry["digest"].as_str().unwrap();
        let place = format!("docker://{}/team/app@{digest}", registry.host());
        let manifest = found(&site.env, &["--raw", "--tls-verify=false", &place]);
        assert_eq!(manifest["annotations"], json!({"about": "manifest"}));
        let config = found(&site.env, &["--config", "--tls-verify=false", &place]);
        assert_eq!(config["architecture"], architecture);
        assert_eq!(config["config"]["Labels"]["for"], platform.as_str());
    }
    let dir = site.env.path("home/out");
    build(&["-o", dir.to_str().unwrap()]).ok();
    for platform in &platforms {
        let file = |name: &str| {
            let path = dir.join(platform.replace('/', "_")).join(name);
            std::fs::read_to_string(path).unwrap()
        };
        assert_eq!(file("out"), format!("for {}\n", &platform[6..]));
        assert_eq!(file("times"), "1\n");
    }
    let tar = build(&["-o", "-"]).ok().stdout;
    let mut list = site.env.command("tar");
    list.arg("-tf-");
    let list = run(list, &tar, 60).ok().text();
    for platform in &platforms {
        let dir = platform.replace('/', "_");
        assert!(list.contains(&format!("{dir}/out\n")), "{list}");
    }
    // The ID that it prints is one, with a name or without.
    let id = build(&["-q"]).ok().text();
    assert!(id.starts_with("sha256:"), "{id}");
    let label = [
        "image",
        "inspect",
        "-f",
        "{{.Config.Labels.for}}",
        id.trim(),
    ];
    assert_eq!(site.env.ok(label).trim(), own);
    // In the store it is one image with its index, and nothing of it goes.
    assert_eq!(cached(&build(&["-t", "local"]).ok()), 5);
    site.env.ok(["builder", "prune", "-af"]);
    site.env.ok(["image", "prune", "-f"]);
    let archive = site.env.path("home/all.tar").display().to_string();
    site.env.ok(["save", "-o", &archive, "local"]);
    let saved = found(&site.env, &["--raw", &format!("oci-archive:{archive}")]);
    assert_eq!(saved["manifests"].as_array().unwrap().len(), 2);
    let other = [
        "inspect",
        "-f",
        "{{.Architecture}}",
        "--platform",
        OTHER,
        "local",
    ];
    assert_eq!(
        site.env.ok([&["image"], &other[..]].concat()).trim(),
        "s390x"
    );
}

/// For each platform its own base; this machine's keeps the name.
#[test]
fn bases_of_several_platforms() {
    let (site, registry) = (Site::new(), Registry::plain());
    site.env.without_tls(&[&registry.host()]);
    let own = host(&site.env);
    let name = |what: &str| format!("{}/base:{what}", registry.host());
    let mut tree = Tree::default();
    tree.file("other", "platform", 0o644);
    let mut other = Image::new().layer(tree);
    other.config["architecture"] = "s390x".into();
    let layout = site.env.path("tmp/other");
    other.write(&layout, "b");
    let mut skopeo = site.env.command("skopeo");
    skopeo.args(["copy", "-q", "--dest-tls-verify=false"]);
    skopeo.arg(format!("oci:{}:b", layout.display()));
    skopeo.arg(format!("docker://{}", name("s390x")));
    run(skopeo, b"", 60).ok();
    site.env.ok(["tag", "busybox", &name("own")]);
    site.env.ok(["push", "-q", &name("own")]);
    let all = name("all");
    site.env.ok([
        "buildx",
        "imagetools",
        "create",
        "-t",
        &all,
        &name("s390x"),
        &name("own"),
    ]);
    site.env.ok(["rmi", &name("own")]);

    let text = format!("FROM {all}\nCOPY f /f\n");
    site.file("f", "x").dockerfile(&text);
    let both = format!("{OTHER},{own}");
    let dir = site.env.path("home/out");
    let out = format!("type=local,dest={}", dir.display());
    site.build(&[
        "--platform",
        &both,
        "-t",
        "made",
        "-o",
        &out,
        "-o",
        "type=image",
    ])
    .ok();
    let there =
        |platform: &str, file: &str| dir.join(platform.replace('/', "_")).join(file).exists();
    assert!(there(OTHER, "other") && there(OTHER, "f") && !there(OTHER, "bin"));
    assert!(there(&own, "bin") && there(&own, "f") && !there(&own, "other"));
    let runs = ["run", "--rm", "--network", "none", &all, "echo", "runs"];
    assert_eq!(site.env.ok(runs), "runs");
    // Without the registry: all that is needed is here.
    let before = site.env.ok(["images", "-aq"]);
    drop(registry);
    site.build(&["--platform", &both, "-t", "made"]).ok();
    assert_eq!(site.env.ok(["images", "-aq"]), before);
    // What was made is a base for others, also of the platform that is packed.
    site.dockerfile("FROM made\nCOPY f /g\n");
    site.env.ok(["builder", "prune", "-af"]);
    site.build(&["--platform", OTHER, "-t", "other", "-o", &out])
        .ok();
    assert!(dir.join("other").exists() && dir.join("g").exists());
    let architecture = ["inspect", "-f", "{{.Architecture}}"];
    site.build(&["--platform", OTHER, "-t", "other"]).ok();
    assert_eq!(
        site.env.ok([&architecture[..], &["other"]].concat()).trim(),
        "s390x"
    );
    assert_eq!(
        site.env.ok([&architecture[..], &["made"]].concat()).trim(),
        &own[6..]
    );
}

#[test]
fn programs_of_other_platforms_are_told_of() {
    let site = Site::new();
    let mut image = Image::new().layer({
        let mut tree = Tree::default();
        // An ELF header of a 64-bit big-endian IBM machine.
        let header = b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16\0\0\0\x01".as_slice();
        tree.file("bin/sh", header, 0o755);
        tree
    });
    image.config["architecture"] = "s390x".into();
    let layout = site.env.path("tmp/foreign");
    image.write(&layout, "b");
    let context = format!("foreign=oci-layout://{}:b", layout.display());
    site.dockerfile("FROM foreign\nRUN true\n");
    site.build(&["--platform", OTHER, "--build-context", &context])
        .status(1)
        .says("linux/s390x")
        .says("binfmt");
    site.build(&["--platform", "linux/no such"])
        .says("cannot parse platform");
    site.dockerfile("FROM busybox\n");
    site.build(&["--platform", OTHER]).status(1).says(OTHER);
    site.build(&["--annotation", "index:a=b"])
        .status(1)
        .says("index annotations not supported for single platform export");
}
