//! Where a build's result goes: archives, and registries.

use super::{Site, cached};
use crate::support::Env;
use crate::support::env::run;
use crate::support::registry::Registry;

const TEXT: &str = "FROM busybox\nRUN echo made > /f\n";

#[test]
fn as_user_archives_are_for_load_and_for_others() {
    let site = Site::new();
    site.dockerfile(TEXT);
    let before = site.env.ok(["images", "-aq"]);
    for kind in ["oci", "docker"] {
        let path = site.env.path(&format!("home/{kind}.tar"));
        let path = path.to_str().unwrap();
        let output = format!("type={kind},name=named:2,dest={path}");
        site.build(&["-t", "t", "-o", &output]).ok();
        // The store has got nothing of it.
        assert_eq!(site.env.ok(["images", "-aq"]), before);
        let mut skopeo = site.env.command("skopeo");
        skopeo.args(["inspect", "--config"]);
        skopeo.arg(match kind {
            "oci" => format!("oci-archive:{path}:1"),
            _ => format!("docker-archive:{path}:named:2"),
        });
        if kind == "oci" {
            let other = format!("type=oci,name=x:1,dest={path}");
            site.build(&["-o", &other]).ok();
        }
        run(skopeo, b"", 30).ok();
        site.build(&["-t", "t", "-o", &output]).ok();
        let loaded = site.env.ok(["load", "-i", path]);
        assert!(
            loaded.contains("t:latest") && loaded.contains("named:2"),
            "{loaded}"
        );
        assert_eq!(site.shows("cat /f"), "made");
        site.env.ok(["rmi", "t", "named:2"]);
    }
    // To standard output, with another output beside it.
    let both = site.build(&["-t", "t", "-q", "-o", "type=docker,dest=-", "-o", "out"]);
    let archive = both.ok().stdout;
    site.env.wherry_with(["load"], &archive).ok();
    assert_eq!(site.shows("cat /f"), "made");
    // A failure leaves nothing where the archive should be.
    let path = site.env.path("home/none.tar");
    let output = format!("type=oci,dest={}", path.display());
    site.dockerfile("FROM busybox\nRUN false\n");
    site.build(&["-o", &output]).status(1);
    assert!(!path.exists());
}

#[test]
fn as_user_a_build_is_pushed() {
    let (site, registry) = (Site::new(), Registry::plain());
    let host = registry.host();
    let (one, two) = (format!("{host}/a/one:1"), format!("{host}/b/two:2"));
    site.env.without_tls(&[&host]);
    site.dockerfile(TEXT);
    let metadata = site.env.path("home/metadata");
    let path = metadata.to_str().unwrap();
    let pushed = site.build(&["--push", "-t", &one, "-t", &two, "--metadata-file", path]);
    let text = std::fs::read_to_string(&metadata).unwrap();
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let digest = told["containerimage.digest"].as_str().unwrap();
    let pushed = pushed.ok().says(&format!("pushed {one}@{digest}"));
    pushed.says(&format!("pushed {two}@{digest}"));
    site.env.ok(["rmi", &one, &two]);
    site.env
        .ok(["pull", "-q", &format!("{host}/b/two@{digest}")]);
    site.env.ok(["pull", "-q", &one]);
    site.env.ok(["tag", &one, "t"]);
    assert_eq!(site.shows("cat /f"), "made");
    // As an output, quietly.
    let output = format!("type=registry,name={host}/c:3");
    let quiet = site.build(&["-q", "-o", &output]).ok();
    assert!(quiet.errors().is_empty(), "{quiet}");
    site.env.ok(["pull", "-q", &format!("{host}/c:3")]);
    // What cannot be pushed is there all the same.
    drop(registry);
    site.build(&["-t", &two, "--push"])
        .status(1)
        .says("the image was built; cannot push");
    site.env.ok(["image", "inspect", &two]);
}

#[test]
fn annotations_of_the_manifest() {
    let site = Site::new();
    site.dockerfile("FROM busybox\nRUN echo x > /f\n");
    let archive = site.env.path("home/out.tar").display().to_string();
    let annotations = [
        "--annotation=org.opencontainers.image.title=a title",
        "--annotation=manifest:b=c=d",
        "--annotation=manifest[linux/s390x]:other=platform",
    ];
    let out = format!("type=oci,dest={archive}");
    site.build(&[&annotations[..], &["-t", "t", "-o", &out]].concat())
        .ok();
    let mut skopeo = site.env.command("skopeo");
    skopeo.args(["inspect", "--raw", &format!("oci-archive:{archive}")]);
    let manifest: serde_json::Value =
        serde_json::from_str(&run(skopeo, b"", 60).ok().text()).unwrap();
    let want = serde_json::json!({"org.opencontainers.image.title": "a title", "b": "c=d"});
    assert_eq!(manifest["annotations"], want);
    // They are of the manifest: the image's ID is that of one without.
    let id = |options: &[&str]| site.build(&[options, &["-q"]].concat()).ok().text();
    assert_eq!(id(&annotations), id(&[]));
}

#[test]
fn layouts_that_are_written_and_built_on() {
    let site = Site::new();
    site.dockerfile(TEXT);
    let dir = site.env.path("home/layout").display().to_string();
    let before = site.env.ok(["images", "-aq"]);
    let out = format!("type=oci,tar=false,dest={dir}");
    site.build(&["-t", "some/app:2", "-o", &out]).ok();
    assert_eq!(site.env.ok(["images", "-aq"]), before);
    let mut skopeo = site.env.command("skopeo");
    let copy = site.env.path("home/copy").display().to_string();
    skopeo.args(["--insecure-policy", "copy", "-q"]);
    skopeo.args([format!("oci:{dir}:2"), format!("dir:{copy}")]);
    run(skopeo, b"", 60).ok();
    // Elsewhere, where nothing of it is known.
    let other = Site::of(Env::new());
    let context = |place: &str| format!("--build-context=base=oci-layout://{place}");
    other.dockerfile("FROM base\nRUN cat /f > /g\nCOPY --from=base /f /h\n");
    let build = |options: &[&str]| other.build(&[options, &["-t", "t"]].concat());
    build(&[&context(&format!("{dir}:2"))]).ok();
    assert_eq!(other.shows("cat /f /g /h"), "made\nmade\nmade");
    assert_eq!(other.env.ok(["images", "-q"]).lines().count(), 1);
    build(&[&context(&dir)])
        .status(1)
        .says("the layout has no latest");
    build(&[&context("/nope:1")]).status(1).says("/nope");
    let wrong = format!("{dir}@sha256:{}", "0".repeat(64));
    build(&[&context(&wrong)])
        .status(1)
        .says("the layout has no sha256:0");
    // No Dockerfile reads the host by itself.
    other.dockerfile(&format!("FROM oci-layout://{dir}:2\n"));
    build(&[]).status(1);
    // What is not what it says is not taken.
    for entry in std::fs::read_dir(format!("{dir}/blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            bytes[20] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }
    }
    let third = Site::of(Env::new());
    third.dockerfile("FROM base\nRUN true\n");
    third.build(&[&context(&format!("{dir}:2"))]).status(1);
    assert_eq!(third.env.ok(["images", "-q"]), "");
}

#[test]
fn into_the_cache_alone() {
    let site = Site::new();
    site.dockerfile(TEXT);
    let before = site.env.ok(["images", "-aq"]);
    site.build(&["-t", "t", "-o", "type=cacheonly"]).ok();
    assert_eq!(site.env.ok(["images", "-aq"]), before);
    assert_eq!(cached(&site.build(&["-t", "t"]).ok()), 1);
}

/// Deletions, and directories that were replaced, also where the base has them.
#[test]
fn squashed_layers_do_the_same() {
    let site = Site::new();
    let text = "FROM busybox AS base\n\
        RUN mkdir -p /gone /kept /was-dir /dir && touch /gone/a /kept/a /was-dir/a /dir/old /file /link\n\
        FROM base\n\
        RUN rm -r /gone /file && mkdir /gone && touch /gone/b /temporary /kept/b\n\
        ENV A=1\n\
        RUN rm /temporary /kept/a && rm -r /was-dir && echo file >/was-dir\n\
        RUN rm -r /dir && touch /dir\n\
        RUN rm /dir && mkdir /dir && touch /dir/new\n\
        RUN ln /kept/b /hard && chown 7:8 /kept/b && chmod 4711 /kept/b\n";
    site.dockerfile(text);
    site.build(&["-t", "t"]).ok();
    site.build(&["--target", "base", "-t", "base"]).ok();
    site.build(&["-q", "--squash", "-t", "squashed"]).ok();
    let layers = |name: &str| {
        let format = "{{len .RootFS.Layers}} {{index .RootFS.Layers 0}} {{index .RootFS.Layers 1}}";
        let told = site.env.ok(["inspect", "-f", format, name]);
        told.trim()
            .split_once(' ')
            .map(|(n, base)| (n.to_owned(), base.to_owned()))
            .unwrap()
    };
    let ((whole, base), (few, same)) = (layers("t"), layers("squashed"));
    assert_eq!((whole.as_str(), few.as_str()), ("7", "3"));
    assert_eq!(base, same);
    let files = |name: &str| {
        site.env.ok(["run", "--rm", "--network", "none", name, "sh", "-c",
            "cd /; find gone kept was-dir dir hard link bin etc | sort | xargs stat -c '%n %a %u:%g %h %s %Y' 2>&1; ls -A /"])
    };
    assert_eq!(files("t"), files("squashed"));
    // Others see it so, too.
    let archive = site.env.path("home/squashed.tar").display().to_string();
    site.env.ok(["save", "-o", &archive, "squashed"]);
    let layout = site.env.path("home/layout").display().to_string();
    let mut skopeo = site.env.command("skopeo");
    skopeo.args([
        "copy",
        "-q",
        &format!("oci-archive:{archive}"),
        &format!("oci:{layout}:t"),
    ]);
    run(skopeo, b"", 60).ok();
    let bundle = site.env.path("home/bundle").display().to_string();
    let mut umoci = site.env.command("umoci");
    umoci.args([
        "unpack",
        "--rootless",
        "--image",
        &format!("{layout}:t"),
        &bundle,
    ]);
    run(umoci, b"", 60).ok();
    let found = |path: &str| {
        std::path::Path::new(&bundle)
            .join("rootfs")
            .join(path)
            .exists()
    };
    let there: Vec<&str> = ["gone/b", "kept/b", "was-dir", "dir/new", "hard", "link"]
        .into_iter()
        .filter(|p| !found(p))
        .collect();
    assert!(there.is_empty(), "{there:?}");
    let gone: Vec<&str> = [
        "gone/a",
        "kept/a",
        "was-dir/a",
        "dir/old",
        "file",
        "temporary",
    ]
    .into_iter()
    .filter(|p| found(p))
    .collect();
    assert!(gone.is_empty(), "{gone:?}");
    let history = site.env.ok(["history", "--no-trunc", "squashed"]);
    assert!(history.contains("merge of 5 layers"), "{history}");
    // The same again, from the cache.
    let id = |name: &str| site.env.ok(["inspect", "-f", "{{.Id}}", name]);
    site.build(&["--squash", "-t", "again"]).ok();
    assert_eq!(id("again"), id("squashed"));
}
