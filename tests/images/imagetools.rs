//! `buildx imagetools`: images of several platforms, made and looked at where
//! they are.

use super::listed::image;
use super::{raw, tool};
use crate::support::env::Env;
use crate::support::image::digest;
use crate::support::registry::Registry;
use serde_json::{Value, json};

const TOOLS: [&str; 2] = ["buildx", "imagetools"];

#[test]
fn created_and_inspected() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    let one = registry.push(&env, &image("amd64"), "library/one:1");
    let two = registry.push(&env, &image("arm64"), "team/two:1");
    let three = registry.push(&env, &image("s390x"), "team/all:three");
    let (first, second) = (
        format!("{host}/library/one:1"),
        format!("{host}/team/two:1"),
    );
    let all = format!("{host}/team/all:1");
    let create = |words: &[&str]| env.wherry([&TOOLS[..], &["create"], words].concat());
    let inspect = |words: &[&str]| env.ok([&TOOLS[..], &["inspect"], words].concat());
    create(&["-t", &all, &first, &second]).ok();
    let index: Value = serde_json::from_str(&raw(&env, &all)).unwrap();
    let digests = |index: &Value| -> Vec<String> {
        let entries = index["manifests"].as_array().unwrap().iter();
        entries
            .map(|e| e["digest"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        digests(&index),
        [one.manifest.clone(), two.manifest.clone()]
    );
    // skopeo can copy all of it: the blobs are there.
    let copy = env.path("tmp/copy").display().to_string();
    tool(
        &env,
        "skopeo",
        &[
            "--insecure-policy",
            "copy",
            "-q",
            "--all",
            "--src-tls-verify=false",
            &format!("docker://{all}"),
            &format!("dir:{copy}"),
        ],
    );
    let whole = digest(raw(&env, &all).as_bytes());
    assert_eq!(inspect(&["--raw", &all]), raw(&env, &all));
    for (format, want) in [
        ("{{.Manifest.Digest}}", whole.as_str()),
        ("{{.Name}}", &all),
        (
            "{{range .Manifest.Manifests}}{{.Platform.Architecture}} {{end}}!",
            "amd64 arm64 !",
        ),
        ("{{(index .Image \"linux/arm64\").architecture}}", "arm64"),
    ] {
        assert_eq!(
            inspect(&["--format", format, &all]),
            want.trim_end(),
            "{format}"
        );
    }
    let shown: Value =
        serde_json::from_str(&inspect(&["--format", "{{json .Manifest}}", &all])).unwrap();
    assert_eq!(shown["digest"], whole.as_str());
    assert_eq!(shown["manifests"], index["manifests"]);
    let image: Value =
        serde_json::from_str(&inspect(&["--format", "{{json .Image}}", &first])).unwrap();
    assert_eq!(image["architecture"], "amd64");
    let plain = inspect(&[&all]);
    for line in [
        format!("Name:      {all}"),
        format!("Digest:    {whole}"),
        format!("  Name:        {host}/team/all@{}", two.manifest),
        "  Platform:    linux/arm64".to_owned(),
    ] {
        assert!(plain.lines().any(|l| l == line), "{line}\n{plain}");
    }
    // An index by itself is copied as it is.
    let copied = format!("{host}/other/copied:1");
    create(&["-t", &copied, &all]).ok();
    assert_eq!(raw(&env, &copied), raw(&env, &all));
    let pulled = ["pull", "-q", "--platform", "linux/arm64", &copied];
    env.ok(pulled);
    // More, fewer, and annotated.
    let third = format!("{host}/team/all:three");
    let file = env.path("home/meta.json").display().to_string();
    create(&["-t", &all, "--append", "--metadata-file", &file, &third]).ok();
    let index: Value = serde_json::from_str(&raw(&env, &all)).unwrap();
    assert_eq!(
        digests(&index),
        [&one.manifest, &two.manifest, &three.manifest].map(String::clone)
    );
    let meta: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(
        meta["containerimage.descriptor"]["digest"],
        digest(raw(&env, &all).as_bytes())
    );
    let only = format!("{host}/team/all:only");
    create(&[
        "-t",
        &only,
        "-p",
        "linux/arm64",
        "--annotation",
        "index:a=b",
        "--annotation",
        "manifest-descriptor:c=d",
        &all,
    ])
    .ok();
    let index: Value = serde_json::from_str(&raw(&env, &only)).unwrap();
    assert_eq!(digests(&index), std::slice::from_ref(&two.manifest));
    assert_eq!(index["annotations"], json!({"a": "b"}));
    assert_eq!(index["manifests"][0]["annotations"], json!({"c": "d"}));
    let exact = format!("{host}/library/one:exact");
    create(&["-t", &exact, "--prefer-index=false", &first]).ok();
    assert_eq!(digest(raw(&env, &exact).as_bytes()), one.manifest);
    let dry: Value =
        serde_json::from_str(&create(&["--dry-run", &first, &second]).ok().text()).unwrap();
    assert_eq!(digests(&dry), [one.manifest, two.manifest]);
    for (words, says) in [
        (&["-t", &all][..], "no sources specified"),
        (&[&first], "no tags specified"),
        (
            &["-t", &all, "-p", "linux/riscv64", &first],
            "no source is for these platforms",
        ),
        (&["-t", "127.0.0.1:1/other:1", &first], "different registry"),
        (
            &["-t", &all, "--annotation", "manifest:a=b", &first],
            "not supported",
        ),
        (&["-t", &all, &format!("{host}/none:1")], "none"),
    ] {
        let out = create(words);
        assert_ne!(out.status, 0, "{words:?}");
        out.says(says);
    }
    env.wherry([&TOOLS[..], &["inspect", "--format", "{{.Nope}}", &all]].concat())
        .status(1)
        .says("can't evaluate field Nope");
}
