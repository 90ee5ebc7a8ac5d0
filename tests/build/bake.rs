//! `buildx bake`: builds that files describe.

use super::Site;
use crate::support::env::{Output, run};
use crate::support::registry::Registry;
use serde_json::Value;

const FILE: &str = r#"
variable "TAG" {
  default = "1"
}
group "default" {
  targets = ["app", "files"]
}
target "base" {
  dockerfile-inline = "FROM busybox\nRUN echo base >/base\n"
  tags = ["never:made"]
}
target "_common" {
  args = {
    TAG = TAG
  }
}
target "app" {
  inherits = ["_common"]
  context = "app"
  contexts = {
    base = "target:base"
  }
  dockerfile = "App.Dockerfile"
  target = "last"
  tags = ["app:${TAG}"]
}
target "files" {
  dockerfile-inline = "FROM scratch\nCOPY app/f /copied\n"
  output = ["type=local,dest=out"]
}
target "fails" {
  dockerfile-inline = "FROM busybox\nRUN false\n"
}
"#;

fn site() -> Site {
    let site = Site::new();
    site.file("docker-bake.hcl", FILE).file("app/f", "x").file(
        "app/App.Dockerfile",
        "FROM base AS last\nARG TAG\nRUN echo $TAG >/tag\nCOPY f /f\nFROM base\nRUN false\n",
    );
    site
}

/// In the directory of the files.
fn bake(site: &Site, words: &[&str]) -> Output {
    let mut command = site.env.wherry_command(["buildx", "bake"]);
    command.args(words).current_dir(&site.dir);
    run(command, b"", 120)
}

#[test]
fn targets_are_built_in_their_order() {
    let site = site();
    let metadata = site.env.path("home/metadata");
    let out = bake(&site, &["--metadata-file", metadata.to_str().unwrap()]).ok();
    for target in ["base", "app", "files"] {
        assert!(
            out.errors().contains(&format!("target {target}\n")),
            "{out}"
        );
    }
    let show = [
        "run",
        "--rm",
        "--network",
        "none",
        "app:1",
        "cat",
        "/base",
        "/tag",
        "/f",
    ];
    assert_eq!(site.env.ok(show), "base\n1\nx");
    let copied = std::fs::read_to_string(site.dir.join("out/copied")).unwrap();
    assert_eq!(copied, "x");
    // What was only needed has no name.
    assert!(!site.env.ok(["images"]).contains("never"), "{out}");
    let told: Value = serde_json::from_slice(&std::fs::read(&metadata).unwrap()).unwrap();
    let id = site.env.ok(["inspect", "-f", "{{.Id}}", "app:1"]);
    assert_eq!(told["app"]["containerimage.config.digest"], id.trim());
    assert_eq!(told["app"]["image.name"], "docker.io/library/app:1");
    assert!(told.get("files").is_none(), "{told}");
    // One of them, with values from outside.
    bake(&site, &["app", "--var", "TAG=2", "--set", "app.labels.a=b"]).ok();
    let label = ["inspect", "-f", "{{.Config.Labels.a}}", "app:2"];
    assert_eq!(site.env.ok(label).trim(), "b");
    let mut command = site.env.wherry_command(["buildx", "f", "app"]);
    command.env("TAG", "3").current_dir(&site.dir);
    run(command, b"", 60).ok();
    site.env.ok(["image", "inspect", "app:3"]);
}

#[test]
fn pushed_for_several_platforms() {
    let (site, registry) = (site(), Registry::plain());
    site.env.without_tls(&[&registry.host()]);
    let text = format!(
        "target \"default\" {{\n dockerfile-inline = \"FROM base\\nCOPY app/f /f\\n\"\n contexts = {{ base = \"target:base\" }}\n \
         platforms = [\"linux/s390x\", BAKE_LOCAL_PLATFORM]\n tags = [\"{}/several\"]\n}}\n\
         target \"base\" {{\n dockerfile-inline = \"FROM scratch\\nCOPY app/f /base\\n\"\n platforms = all\n}}\n\
         all = [\"linux/s390x\", BAKE_LOCAL_PLATFORM]\n",
        registry.host()
    );
    site.file("several.hcl", &text);
    bake(&site, &["-f", "several.hcl", "--push"]).ok();
    for platform in ["s390x", std::env::consts::ARCH] {
        let platform = platform
            .replace("x86_64", "amd64")
            .replace("aarch64", "arm64");
        let mut skopeo = site.env.command("skopeo");
        skopeo.args([
            "inspect",
            "--tls-verify=false",
            "--override-arch",
            &platform,
        ]);
        skopeo.args(["--format", "{{len .Layers}} {{.Architecture}}"]);
        skopeo.arg(format!("docker://{}/several", registry.host()));
        assert_eq!(
            run(skopeo, b"", 60).ok().text().trim(),
            format!("2 {platform}")
        );
    }
}

#[test]
fn what_is_printed_and_listed() {
    let site = site();
    let before = site.env.ok(["images", "-aq"]);
    let printed: Value =
        serde_json::from_str(&bake(&site, &["--print", "app"]).ok().text()).unwrap();
    assert_eq!(
        printed["group"]["default"]["targets"],
        serde_json::json!(["app"])
    );
    assert_eq!(
        printed["target"]["app"]["tags"],
        serde_json::json!(["app:1"])
    );
    assert_eq!(printed["target"]["app"]["contexts"]["base"], "target:base");
    let listed = bake(&site, &["--list", "targets"]).ok().text();
    assert!(
        listed.contains("default               app, files\n"),
        "{listed}"
    );
    let listed = bake(&site, &["--list", "variables"]).ok().text();
    assert!(listed.contains("TAG                   1\n"), "{listed}");
    assert_eq!(site.env.ok(["images", "-aq"]), before);
}

#[test]
fn bad_files_and_options_do_nothing() {
    let site = site();
    let before = site.env.ok(["images", "-aq"]);
    for (words, says) in [
        (&["nope"][..], "failed to find target nope"),
        (&["--set", "app"], "expected target.name=value"),
        (
            &["--set", "x*.tags=a"],
            "could not find any target matching 'x*'",
        ),
        (&["--set", "app.tags=A B"], "target \"app\""),
        (
            &["--set", "app.attest=type=sbom"],
            "--attest is not supported",
        ),
        (&["--var", "NOPE=1"], "there is no variable \"NOPE\""),
        (&["-f", "compose.yaml"], "a compose file is not supported"),
        (&["-f", "nope.hcl"], "cannot read \"nope.hcl\""),
        (&["--builder", "other", "app"], "--builder is not supported"),
        (
            &["--set", "*.contexts.base=target:nope", "app"],
            "failed to find target nope",
        ),
    ] {
        let out = bake(&site, words).says(says);
        assert_ne!(out.status, 0, "{out}");
    }
    assert_eq!(site.env.ok(["images", "-aq"]), before);
    site.is_tidy();
    // Of this machine it has what is below its directory, and what is allowed.
    for (set, says) in [
        ("files.context=..", "fs.read="),
        ("files.output=type=local,dest=../out", "fs.write="),
        ("files.output=type=tar,dest=link/x.tar", "fs.write="),
        ("files.output=type=local,dest=no/../../x", "fs.write="),
        (
            "files.secret=id=a,src=/etc/passwd",
            "--allow fs.read=/etc/passwd allows it",
        ),
        ("files.contexts.a=/", "--allow fs.read=/ allows it"),
        (
            "files.contexts.a=oci-layout:///nowhere/layout:1",
            "fs.read=/nowhere/layout",
        ),
        (
            "files.cache-to=type=local,dest=/nowhere/cache",
            "fs.write=/nowhere/cache",
        ),
    ] {
        let _ = std::os::unix::fs::symlink("..", site.dir.join("link"));
        bake(&site, &["files", "--set", set])
            .status(1)
            .says("is not below this directory")
            .says(says);
    }
    for set in ["files.network=host", "files.entitlements=network.host"] {
        bake(&site, &["files", "--set", set])
            .status(1)
            .says("it uses the network of this machine")
            .says("--allow network.host allows it");
    }
    let allowed = [
        "files",
        "--set",
        "files.network=host",
        "--allow",
        "network.host",
    ];
    bake(&site, &allowed).ok();
    std::fs::remove_dir_all(site.dir.join("out")).unwrap();
    let outside = site.env.path("home/outside").display().to_string();
    let set = format!("files.output=type=local,dest={outside}");
    let allow = format!("fs.write={outside}");
    bake(&site, &["files", "--set", &set, "--allow", &allow]).ok();
    assert!(std::path::Path::new(&outside).join("copied").exists());
    // A step that fails ends it, and nothing comes after it.
    bake(&site, &["fails", "files"]).status(1).says("RUN false");
    assert!(!site.dir.join("out").exists());
    std::fs::remove_file(site.dir.join("docker-bake.hcl")).unwrap();
    bake(&site, &[])
        .status(1)
        .says("couldn't find a bake definition");
}
