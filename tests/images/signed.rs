//! `image verify` and policy.json: signatures as cosign makes them, by openssl.

use super::tool;
use crate::support::env::{Env, run};
use crate::support::image::{Image, Layout, digest};
use crate::support::registry::Registry;
use crate::support::tree::Tree;
use base64::Engine;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

struct Signer<'a> {
    env: &'a Env,
    key: PathBuf,
    public: PathBuf,
}

impl<'a> Signer<'a> {
    fn new(env: &'a Env, name: &str) -> Self {
        let (key, public) = (env.path(name), env.path(&format!("{name}.pub")));
        let at = |path: &Path| path.to_str().unwrap().to_owned();
        tool(
            env,
            "openssl",
            &[
                "ecparam",
                "-name",
                "prime256v1",
                "-genkey",
                "-noout",
                "-out",
                &at(&key),
            ],
        );
        tool(
            env,
            "openssl",
            &["pkey", "-in", &at(&key), "-pubout", "-out", &at(&public)],
        );
        Self { env, key, public }
    }

    fn public(&self) -> &str {
        self.public.to_str().unwrap()
    }

    fn sign(&self, payload: &[u8]) -> String {
        let mut openssl = self.env.command("openssl");
        openssl.args(["dgst", "-sha256", "-sign"]).arg(&self.key);
        let signature = run(openssl, payload, 20).ok().stdout;
        base64::engine::general_purpose::STANDARD.encode(signature)
    }
}

fn payload(reference: &str, manifest: &str) -> Vec<u8> {
    let critical = json!({"identity": {"docker-reference": reference},
        "image": {"docker-manifest-digest": manifest}, "type": "cosign container image signature"});
    json!({"critical": critical, "optional": null})
        .to_string()
        .into_bytes()
}

/// Puts these documents with their signatures where cosign puts those of `manifest`.
fn attach(
    env: &Env,
    registry: &Registry,
    repository: &str,
    manifest: &str,
    signed: &[(Vec<u8>, String)],
) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = env.path("tmp").join(format!("signed-{next}"));
    let blobs = dir.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |media: &str, bytes: &[u8]| -> Value {
        let digest = digest(bytes);
        std::fs::write(blobs.join(&digest[7..]), bytes).unwrap();
        json!({"mediaType": media, "digest": digest, "size": bytes.len()})
    };
    let layers: Vec<Value> = signed
        .iter()
        .map(|(payload, signature)| {
            let mut layer = put(SIMPLE_SIGNING, payload);
            layer["annotations"] = json!({ SIGNATURE: signature });
            layer
        })
        .collect();
    let ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
    let config = json!({"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}});
    let config = put(
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let media = "application/vnd.oci.image.manifest.v1+json";
    let document =
        json!({"schemaVersion": 2, "mediaType": media, "config": config, "layers": layers});
    let mut entry = put(media, document.to_string().as_bytes());
    let layout = Layout {
        dir: dir.clone(),
        tag: "sig".into(),
        manifest: entry["digest"].as_str().unwrap().into(),
        id: config["digest"].as_str().unwrap().into(),
    };
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "sig"});
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    std::fs::write(dir.join("index.json"), index.to_string()).unwrap();
    let tag = format!("{repository}:{}.sig", manifest.replace(':', "-"));
    registry.push_layout(&layout, &tag, &[]);
}

/// What the store has: nothing may be left of what was refused.
fn stored(env: &Env) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![
        env.path("data/wherry/images"),
        env.path("data/wherry/layers"),
    ];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => waiting.push(path),
                // What every use of a store makes.
                false if path.file_name().unwrap().to_string_lossy().starts_with('.') => {}
                false if path.ends_with("oci-layout") => {}
                false => found.push(path),
            }
        }
    }
    found
}

#[test]
fn signatures_by_the_key_count_and_no_others() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    let layout = registry.push(&env, &Image::busybox(), "team/app:1");
    let mut tree = Tree::busybox();
    tree.file("other", "x", 0o644);
    let other = registry.push(&env, &Image::new().layer(tree), "team/app:2");
    let (signer, stranger) = (Signer::new(&env, "key"), Signer::new(&env, "stranger"));
    let (name, repository) = (format!("{host}/team/app:1"), format!("{host}/team/app"));
    let verify = |key: &str| env.wherry(["image", "verify", "--key", key, &name]);
    let own = payload(&repository, &layout.manifest);
    let with = |signed: &[(Vec<u8>, String)]| {
        attach(&env, &registry, "team/app", &layout.manifest, signed)
    };

    verify(signer.public())
        .status(1)
        .says(&format!("there is no signature of {}", layout.manifest));
    let refused: [(Vec<u8>, String, &str); 7] = [
        (
            own.clone(),
            stranger.sign(&own),
            "was not made with the key",
        ),
        (own.clone(), "AAAA".into(), "was not made with the key"),
        (own.clone(), "%".into(), "not base64"),
        {
            let of_other = payload(&repository, &other.manifest);
            let signature = signer.sign(&of_other);
            (of_other, signature, "it is one of sha256:")
        },
        {
            let elsewhere = payload("example.org/team/app", &layout.manifest);
            let signature = signer.sign(&elsewhere);
            (elsewhere, signature, "it is for \"example.org/team/app\"")
        },
        {
            let broken = b"{\"critical\":{}}".to_vec();
            let signature = signer.sign(&broken);
            (broken, signature, "its document is broken")
        },
        {
            let huge = vec![b' '; (1 << 20) + 1];
            let signature = signer.sign(&huge);
            (huge, signature, "more than the limit")
        },
    ];
    for (payload, signature, says) in refused {
        with(&[(payload, signature)]);
        verify(signer.public()).status(1).says(says);
    }
    assert!(stored(&env).is_empty(), "{:?}", stored(&env));
    // Of several, one is enough; a name may have a tag.
    with(&[
        (own.clone(), stranger.sign(&own)),
        (own.clone(), signer.sign(&own)),
    ]);
    let said = verify(signer.public()).ok().text();
    assert_eq!(
        said.trim(),
        format!("{repository}@{}: signed as {repository}", layout.manifest)
    );
    verify(stranger.public()).ok();
    let third = Signer::new(&env, "third");
    verify(third.public())
        .status(1)
        .says("was not made with the key");
    env.ok([
        "image",
        "verify",
        "-q",
        "--key",
        third.public(),
        "--key",
        signer.public(),
        &name,
    ]);
    // By digest, by what is in the store, by its ID; not what has the tag by now.
    env.ok([
        "image",
        "verify",
        "--key",
        signer.public(),
        &format!("{repository}@{}", layout.manifest),
    ]);
    env.ok(["pull", "-q", &name]);
    registry.push_layout(&other, "team/app:1", &[]);
    env.ok(["image", "verify", "--key", signer.public(), &name]);
    env.ok(["image", "verify", "--key", signer.public(), &layout.id]);
    env.ok(["rmi", &name]);
    verify(signer.public())
        .status(1)
        .says(&format!("there is no signature of {}", other.manifest));
}

#[test]
fn signatures_in_files_and_under_other_names() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    let layout = registry.push(&env, &Image::busybox(), "mirror/app:1");
    let signer = Signer::new(&env, "key");
    let name = format!("{host}/mirror/app:1");
    env.ok(["pull", "-q", &name]);
    drop(registry);
    let document = payload("example.org/app:1", &layout.manifest);
    let (file, signature) = (env.path("payload"), env.path("signature"));
    std::fs::write(&file, &document).unwrap();
    std::fs::write(&signature, signer.sign(&document) + "\n").unwrap();
    let (file, signature) = (file.to_str().unwrap(), signature.to_str().unwrap());
    let verify = |more: &[&str]| {
        let args = [
            "image",
            "verify",
            "--key",
            signer.public(),
            "--payload",
            file,
            "--signature",
            signature,
        ];
        env.wherry([&args[..], more].concat())
    };
    verify(&[&name])
        .status(1)
        .says("it is for \"example.org/app:1\"");
    for identity in ["example.org/app", "example.org/app:1"] {
        verify(&["--identity", identity, &name]).ok();
    }
    verify(&["--identity", "example.org/app:2", &name])
        .status(1)
        .says("it is for");
    verify(&["--identity", "example.org/app", "nothing:here"])
        .status(1)
        .says("no such image here");
    for (args, says) in [
        (
            vec!["--key", "/nowhere", &name],
            "\"/nowhere\" does not exist",
        ),
        (vec!["--key", file, &name], "it is no public key"),
        (vec![&name], "there is nothing to verify by"),
        (
            vec!["--key", signer.public(), "--signature", signature, &name],
            "--payload",
        ),
    ] {
        let out = env.wherry([&["image", "verify"][..], &args].concat());
        assert!(out.status != 0 && out.errors().contains(says), "{out:?}");
    }
}

#[test]
fn a_policy_decides_what_is_pulled() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    let layout = registry.push(&env, &Image::busybox(), "team/app:1");
    let signer = Signer::new(&env, "key");
    let (name, repository) = (format!("{host}/team/app:1"), format!("{host}/team/app"));
    let signed_by = |identity: Value| json!([{"type": "sigstoreSigned", "keyPath": signer.public(), "signedIdentity": identity}]);
    let of_repository = signed_by(json!({"type": "matchRepository"}));
    let refuses = |rules: Value, says: &str| {
        env.policy(&rules);
        for command in [["pull", "-q"], ["run", "--rm"]] {
            let out = env.wherry([&command[..], &[&name]].concat());
            assert!(
                out.status != 0 && out.errors().contains(says),
                "{rules} {out:?}"
            );
        }
        assert!(stored(&env).is_empty(), "{:?}", stored(&env));
    };
    let rejected = "is rejected by the policy in";
    let no = json!([{"type": "reject"}]);
    refuses(json!({"default": no}), rejected);
    refuses(
        json!({"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}]}),
        "GPG",
    );
    refuses(json!({"default": [{"type": "sometimes"}]}), "is broken");
    refuses(json!({"default": of_repository}), "there is no signature");
    let document = payload(&repository, &layout.manifest);
    let stranger = Signer::new(&env, "stranger");
    attach(
        &env,
        &registry,
        "team/app",
        &layout.manifest,
        &[(document.clone(), stranger.sign(&document))],
    );
    refuses(
        json!({"default": of_repository}),
        "was not made with the key",
    );
    attach(
        &env,
        &registry,
        "team/app",
        &layout.manifest,
        &[(document.clone(), signer.sign(&document))],
    );
    refuses(
        json!({"default": signed_by(json!({"type": "matchExact"}))}),
        "it is for",
    );
    let both = [
        of_repository.as_array().unwrap().clone(),
        no.as_array().unwrap().clone(),
    ]
    .concat();
    refuses(json!({"default": both}), rejected);

    env.policy(&json!({"default": no, "transports": {"docker": {&repository: of_repository}}}));
    env.ok(["image", "verify", &name]);
    assert_eq!(env.ok(["run", "--rm", &name, "echo", "taken"]), "taken");
    env.ok(["pull", "-q", &name]);
    // The tag is another image's now: the old one stays as it is.
    let mut tree = Tree::busybox();
    tree.file("other", "x", 0o644);
    let other = Image::new()
        .layer(tree)
        .write(&env.path("tmp/replaced"), "image");
    registry.push_layout(&other, "team/app:1", &[]);
    let before = stored(&env);
    env.wherry(["pull", "-q", &name])
        .status(1)
        .says(&format!("there is no signature of {}", other.manifest));
    assert_eq!(stored(&env), before);
    assert_eq!(env.ok(["images", "-q", "--no-trunc"]), layout.id);
}

/// Which policies are files that can be read, and what they say of one image:
/// skopeo is the judge.
#[test]
fn policies_mean_what_they_mean_to_skopeo() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    registry.push(&env, &Image::busybox(), "team/app:1");
    let name = format!("{host}/team/app:1");
    let (any, no) = (
        r#"[{"type":"insecureAcceptAnything"}]"#,
        r#"[{"type":"reject"}]"#,
    );
    let scoped = |scopes: &str| format!(r#"{{"default":{no},"transports":{{"docker":{scopes}}}}}"#);
    let taken = |scope: &str| scoped(&format!(r#"{{"{scope}":{any}}}"#));
    let elsewhere =
        |what: &str| format!(r#"{{"default":{any},"transports":{{"docker":{{"x/y":{what}}}}}}}"#);
    let mut policies = vec![
        format!(r#"{{"default":{any}}}"#),
        format!(r#"{{"default":{no}}}"#),
        "{}".into(),
        "[]".into(),
        String::new(),
        format!(r#"{{"default":{any}}} x"#),
        r#"{"default":[]}"#.into(),
        r#"{"default":[{}]}"#.into(),
        r#"{"default":[{"type":"insecureAcceptAnything","x":1}]}"#.into(),
        r#"{"default":[{"type":"reject","type":"insecureAcceptAnything"}]}"#.into(),
        format!(r#"{{"default":{any},"default":{any}}}"#),
        format!(r#"{{"default":{any},"x":1}}"#),
        format!(r#"{{"default":{any},"transports":{{}}}}"#),
        scoped(&format!(r#"{{"{host}":{any},"{host}":{any}}}"#)),
        scoped(&format!(r#"{{"*.0.0.1":{any},"{host}":{no}}}"#)),
        scoped(&format!(
            r#"{{"{host}":[{{"type":"insecureAcceptAnything"}},{{"type":"reject"}}]}}"#
        )),
        elsewhere("[]"),
        elsewhere(r#"[{"type":"signedBy"}]"#),
        elsewhere(r#"[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}]"#),
        elsewhere(r#"[{"type":"signedBy","keyType":"foo","keyPath":"/k"}]"#),
        elsewhere(r#"[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k","keyData":"AA=="}]"#),
    ];
    for scope in [
        "",
        "/team",
        "/tea",
        "/team/app",
        "/team/app:1",
        "/team/app:2",
        "/",
    ] {
        policies.push(taken(&format!("{host}{scope}")));
    }
    for scope in ["", "127.0.0.1", "*.0.0.1", "*.0.1", "*.1"] {
        policies.push(taken(scope));
    }
    for identity in [
        r#"{"type":"matchExact"}"#,
        r#"{"type":"matchExact","x":1}"#,
        r#"{"type":"exactReference"}"#,
        r#"{"type":"exactReference","dockerReference":"a.b/c"}"#,
        r#"{"type":"exactReference","dockerReference":"a.b/c:1"}"#,
        r#"{"type":"exactReference","dockerReference":"A B"}"#,
        r#"{"type":"exactRepository","dockerRepository":"a.b/c"}"#,
        r#"{"type":"exactRepository","dockerRepository":"A!"}"#,
        r#"{"type":"remapIdentity","prefix":"a.b:5/c","signedPrefix":"d.e"}"#,
        r#"{"type":"remapIdentity","prefix":"","signedPrefix":"d.e"}"#,
        r#"{"type":"remapIdentity","prefix":"a.b/c:1","signedPrefix":"d.e"}"#,
        r#"{"type":"remapIdentity","prefix":"a.b/c/","signedPrefix":"d.e"}"#,
        r#"{"type":"remapIdentity","prefix":"busybox","signedPrefix":"a.b/C"}"#,
        "{}",
        "null",
    ] {
        policies.push(elsewhere(&format!(
            r#"[{{"type":"sigstoreSigned","keyPath":"/k","signedIdentity":{identity}}}]"#
        )));
    }
    let file = env.path("policy.json");
    for text in policies {
        std::fs::write(&file, &text).unwrap();
        let out = env.path("tmp/out");
        let mut skopeo = env.command("skopeo");
        skopeo
            .arg("--policy")
            .arg(&file)
            .args(["copy", "-q", "--src-tls-verify=false"]);
        skopeo
            .arg(format!("docker://{name}"))
            .arg(format!("dir:{}", out.display()));
        let judged = run(skopeo, b"", 60);
        let _ = std::fs::remove_dir_all(&out);
        let dir = env.path("home/.config/containers");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("policy.json"), &text).unwrap();
        let pulled = env.wherry(["pull", "-q", &name]);
        assert_eq!(
            pulled.status == 0,
            judged.status == 0,
            "{text}\n{judged:?}\n{pulled:?}"
        );
        if pulled.status == 0 {
            env.ok(["rmi", &name]);
        }
    }
}

#[test]
fn a_signed_index_vouches_for_its_images() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    let layout = registry.push(&env, &Image::busybox(), "team/app:one");
    let signer = Signer::new(&env, "key");
    let (list, repository) = (format!("{host}/team/app:list"), format!("{host}/team/app"));
    env.ok([
        "manifest",
        "create",
        "--insecure",
        &list,
        &format!("{repository}:one"),
    ]);
    let index = env.ok(["manifest", "push", "--insecure", &list]);
    let index = index.lines().last().unwrap().trim().to_owned();
    assert!(
        index.starts_with("sha256:") && index != layout.manifest,
        "{index}"
    );
    let rules = json!({"default": [{"type": "sigstoreSigned", "keyPath": signer.public(),
        "signedIdentity": {"type": "matchRepository"}}]});
    env.policy(&rules);
    env.wherry(["pull", "-q", &list])
        .status(1)
        .says("there is no signature");
    let document = payload(&repository, &index);
    attach(
        &env,
        &registry,
        "team/app",
        &index,
        &[(document.clone(), signer.sign(&document))],
    );
    env.ok(["pull", "-q", &list]);
    env.ok(["image", "verify", &list]);
    // The image alone is not what was signed.
    env.wherry(["pull", "-q", &format!("{repository}:one")])
        .status(1)
        .says("there is no signature");
}

#[test]
fn archives_are_taken_by_their_transport() {
    let env = Env::busybox();
    let archive = env.path("saved.tar");
    let archive = archive.to_str().unwrap();
    env.ok(["save", "-o", archive, "busybox"]);
    env.ok(["rmi", "-f", "busybox"]);
    let no = json!([{"type": "reject"}]);
    let any = json!([{"type": "insecureAcceptAnything"}]);
    let key = json!([{"type": "sigstoreSigned", "keyPath": "/nowhere"}]);
    let empty = stored(&env);
    for rules in [
        json!({"default": no}),
        json!({"default": any, "transports": {"docker-archive": {"": no}}}),
        json!({"default": no, "transports": {"oci-archive": {"": any}}}),
    ] {
        env.policy(&rules);
        env.wherry(["load", "-i", archive])
            .status(1)
            .says("images of docker-archive are rejected");
        assert_eq!(stored(&env), empty, "{rules}");
    }
    env.policy(&json!({"default": key}));
    env.wherry(["load", "-i", archive]).status(1);
    env.policy(&json!({"default": no, "transports": {"docker-archive": {"": any}}}));
    env.ok(["load", "-i", archive]);
    env.wherry(["import", archive])
        .status(1)
        .says("images of tarball are rejected");
}
