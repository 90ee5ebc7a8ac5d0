//! `image referrers`: what a registry has about an image.

use crate::support::env::Env;
use crate::support::fault_registry::{Act, FaultRegistry};
use crate::support::image::{Image, Layout, digest};
use crate::support::registry::Registry;
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// An artifact with one file; its blobs, manifest and descriptor.
struct Artifact {
    blobs: [Vec<u8>; 2],
    manifest: Vec<u8>,
    entry: Value,
}

fn artifact(subject: &Layout, kind: &str, title: &str, content: &str) -> Artifact {
    let blobs = [b"{}".to_vec(), content.as_bytes().to_vec()];
    let about = |media: &str, bytes: &[u8]| json!({"mediaType": media, "digest": digest(bytes), "size": bytes.len()});
    let mut layer = about("text/plain", &blobs[1]);
    layer["annotations"] = json!({"org.opencontainers.image.title": title});
    let of = about(MANIFEST, &subject.blob(&subject.manifest));
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
        "config": about(EMPTY, &blobs[0]), "layers": [layer], "subject": of});
    let manifest = manifest.to_string().into_bytes();
    let mut entry = about(MANIFEST, &manifest);
    entry["artifactType"] = kind.into();
    Artifact {
        blobs,
        manifest,
        entry,
    }
}

/// A layout with these documents under one tag, for skopeo.
fn layout(env: &Env, name: &str, blobs: &[&[u8]], entry: &Value) -> Layout {
    let dir = env.path("tmp").join(name);
    std::fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    for blob in blobs {
        std::fs::write(dir.join("blobs/sha256").join(&digest(blob)[7..]), blob).unwrap();
    }
    let mut entry = entry.clone();
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "a"});
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    std::fs::write(dir.join("index.json"), index.to_string()).unwrap();
    Layout {
        dir,
        tag: "a".into(),
        manifest: entry["digest"].as_str().unwrap().into(),
        id: String::new(),
    }
}

/// Debian's registry has no list: the tag stands in for it, and cosign has tags.
#[test]
fn by_tags_where_the_registry_has_no_list() {
    let (env, registry) = (Env::new(), Registry::plain());
    let image = registry.push(&env, &Image::busybox(), "team/web:1");
    env.without_tls(&[&registry.host()]);
    let name = format!("{}/team/web:1", registry.host());
    assert_eq!(env.ok(["image", "referrers", "-q", &name]), "");
    let sbom = artifact(&image, "application/spdx+json", "sbom.json", "{\"sbom\":1}");
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [sbom.entry]});
    let index = index.to_string().into_bytes();
    let entry = json!({"mediaType": INDEX, "digest": digest(&index), "size": index.len()});
    let blobs = [&sbom.blobs[0][..], &sbom.blobs[1], &sbom.manifest, &index];
    let tag = format!("team/web:sha256-{}", &image.manifest[7..]);
    registry.push_layout(&layout(&env, "list", &blobs, &entry), &tag, &["--all"]);
    let signature = artifact(&image, "application/x.signature", "../../escape", "signed");
    let blobs = [
        &signature.blobs[0][..],
        &signature.blobs[1],
        &signature.manifest,
    ];
    let one = layout(&env, "sig", &blobs, &signature.entry);
    registry.push_layout(&one, &format!("{tag}.sig"), &[]);
    let shown = env.ok([
        "image",
        "referrers",
        "--no-trunc",
        "--format",
        "json",
        &name,
    ]);
    let rows: Vec<Value> = shown
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(rows.len(), 2, "{shown}");
    assert_eq!(rows[0]["Digest"], digest(&sbom.manifest));
    assert_eq!(rows[0]["ArtifactType"], "application/spdx+json");
    assert_eq!(rows[0]["Subject"], image.manifest.as_str());
    assert_eq!(
        rows[1]["Tag"],
        format!("sha256-{}.sig", &image.manifest[7..])
    );
    let only = [
        "image",
        "referrers",
        "-q",
        "--artifact-type",
        "application/x.signature",
        &name,
    ];
    assert_eq!(env.ok(only), digest(&signature.manifest));
    // Fetched, under names that lead nowhere else.
    let out = env.path("home/found");
    let out = out.to_str().unwrap();
    env.ok(["image", "referrers", "-o", out, &name]);
    let at = |manifest: &[u8], file: &str| format!("{out}/{}/{file}", &digest(manifest)[7..]);
    let read = |path: String| std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!(read(at(&sbom.manifest, "sbom.json")), b"{\"sbom\":1}");
    assert_eq!(read(at(&sbom.manifest, "manifest.json")), sbom.manifest);
    assert_eq!(
        read(at(&signature.manifest, &digest(b"signed")[7..])),
        b"signed"
    );
    assert!(!env.path("home/escape").exists());
    env.wherry(["image", "referrers", "-o", out, &name])
        .status(1)
        .says("is there already");
    // What is no image is not run.
    env.wherry(["run", "--rm", &format!("{name}@{}", digest(&sbom.manifest))])
        .status(125);
}

#[test]
fn by_the_list_of_the_registry_and_its_pages() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    env.without_tls(&[&registry.host()]);
    let image = Image::busybox().write(&env.path("tmp/web"), "1");
    registry.put_layout("team/web", "1", &image);
    let name = format!("{}/team/web:1", registry.host());
    let (first, second) = (
        artifact(&image, "a/one", "one", "1"),
        artifact(&image, "a/two", "two", "2"),
    );
    let path = format!("/v2/team/web/referrers/{}", image.manifest);
    let list = |entries: &[&Value]| {
        json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string()
    };
    registry.put(&path, list(&[&first.entry]).as_bytes(), INDEX);
    let (more, kind) = (
        format!("{path}?last=1"),
        format!("{path}?artifactType=a%2Ftwo"),
    );
    registry.put(&more, list(&[&second.entry]).as_bytes(), INDEX);
    registry.put(
        &kind,
        list(&[&first.entry, &second.entry]).as_bytes(),
        INDEX,
    );
    // The host in a link is not followed.
    let link = format!("<http://192.0.2.1{more}>; rel=\"next\"");
    registry.fault("/referrers/", 0..1, Act::Header("Link", link));
    for one in [&first, &second] {
        for blob in &one.blobs {
            registry.put_blob("team/web", blob);
        }
        let at = format!("/v2/team/web/manifests/{}", digest(&one.manifest));
        registry.put(&at, &one.manifest, MANIFEST);
    }
    let all = format!("{}\n{}", digest(&first.manifest), digest(&second.manifest));
    assert_eq!(env.ok(["image", "referrers", "-q", &name]), all);
    // From here on in one page.
    registry.clear_faults();
    let both = list(&[&first.entry, &second.entry]);
    registry.put(&path, both.as_bytes(), INDEX);
    // A registry need not choose.
    let only = [
        "image",
        "referrers",
        "-q",
        "--artifact-type",
        "a/two",
        &name,
    ];
    assert_eq!(env.ok(only), digest(&second.manifest));
    let out = env.path("home/found").display().to_string();
    env.ok(["image", "referrers", "-o", &out, &name]);
    // Wrong content leaves nothing behind.
    let wrong = env.path("home/wrong").display().to_string();
    registry.put(
        &format!("/v2/team/web/blobs/{}", digest(b"2")),
        b"3",
        "text/plain",
    );
    env.wherry(["image", "referrers", "-o", &wrong, &name])
        .status(1)
        .says("wrong content");
    let left: Vec<_> = std::fs::read_dir(&wrong)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    for (list, says) in [
        ("{", "broken"),
        (
            r#"{"schemaVersion":2,"manifests":[{"mediaType":"a","digest":"sha256:../../x","size":1}]}"#,
            "Invalid encoded value",
        ),
    ] {
        registry.put(&path, list.as_bytes(), INDEX);
        env.wherry(["image", "referrers", &name])
            .status(1)
            .says(says);
    }
    registry.put(&path, list(&[]).as_bytes(), INDEX);
    let query = format!("<{path}?last=1>; rel=\"next\"");
    registry.fault("/referrers/", 0.., Act::Header("Link", query));
    env.wherry(["image", "referrers", &name])
        .status(1)
        .says("more than 1000");
    registry.clear_faults();
    let many: Vec<&Value> = std::iter::repeat_n(&first.entry, 1001).collect();
    registry.put(&path, list(&many).as_bytes(), INDEX);
    env.wherry(["image", "referrers", &name])
        .status(1)
        .says("more than 1000");
}
