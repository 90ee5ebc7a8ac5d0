//! Pulls into a store, from a registry that misbehaves to a script and from
//! Debian's docker-registry with images that other tools made.

mod faults;
mod images;
mod kills;

use crate::support::Env;
use crate::support::fault_registry::FaultRegistry;
use crate::support::image::{Image, Layout, digest, pack};
use crate::support::tree::Tree;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;
use wherry::config::{Logins, Registries, Source};
use wherry::error::Result;
use wherry::image::Reference;
use wherry::output::progress::{Phase, Progress};
use wherry::paths::Paths;
use wherry::registry::{Client, Options};
use wherry::store::Store;
use wherry::transfer::pull::{PullOptions, Pulled, pull};

pub use crate::support::image::Packing;

/// A store of its own in the place of a test.
pub fn store(env: &Env) -> Store {
    Store::open(&Paths::at(
        env.path("data/wherry"),
        env.run_dir().join("wherry"),
    ))
    .unwrap()
}

pub fn options() -> Options {
    Options {
        tries: 3,
        first_wait: Duration::from_millis(10),
        longest_wait: Duration::from_secs(1),
        stall: Duration::from_millis(500),
        ..Options::default()
    }
}

/// What was told about a pull, in words.
#[derive(Default)]
pub struct Told(pub Mutex<Vec<String>>);

impl Progress for Told {
    fn message(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
    fn layer(&self, id: &str, phase: Phase) {
        self.0
            .lock()
            .unwrap()
            .push(format!("{id}: {}", phase.words()));
    }
}

impl Told {
    pub fn count(&self, words: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|l| l.contains(words))
            .count()
    }
}

pub fn client(host: &str, name: &str) -> Client {
    let reference = Reference::parse(&format!("{host}/{name}")).unwrap();
    let sources = Source::find(&Registries::default(), &Logins::default(), &reference).unwrap();
    Client::new(&reference, sources, &options())
}

pub fn pull_from(host: &str, name: &str, store: &Store, told: &Told) -> Result<Pulled> {
    pull(store, &client(host, name), &PullOptions::default(), told)
}

/// Three layers, 2 MB of noise in the middle one, and something to look for.
pub fn three_layers() -> Image {
    let mut base = Tree::default();
    base.dir("etc", 0o755);
    base.file("etc/name", "base", 0o644);
    let mut big = Tree::default();
    big.file("noise", crate::registry::noise(2 << 20), 0o600);
    let mut top = Tree::default();
    top.file("etc/name", "top", 0o640);
    Image::new().layer(base).layer(big).layer(top)
}

/// A manifest document over blobs that are put beside it.
pub fn manifest(
    registry: &FaultRegistry,
    repository: &str,
    config: &Value,
    layers: &[Vec<u8>],
) -> Value {
    let config = config.to_string().into_bytes();
    let describe = |media_type: &str, bytes: &[u8]| {
        let digest = registry.put_blob(repository, bytes);
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    let layers: Vec<Value> = layers
        .iter()
        .map(|l| describe("application/vnd.oci.image.layer.v1.tar+gzip", l))
        .collect();
    json!({"schemaVersion": 2, "config": describe("application/vnd.oci.image.config.v1+json", &config), "layers": layers})
}

pub fn config(architecture: &str, diff_ids: &[String]) -> Value {
    json!({"architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"]},
           "rootfs": {"type": "layers", "diff_ids": diff_ids}})
}

/// A packed layer with one file, and its DiffID.
pub fn small_layer(content: &str) -> (Vec<u8>, String) {
    let mut tree = Tree::default();
    tree.file("file", content, 0o644);
    let tar = tree.tar();
    (pack(Packing::Gzip, &tar), digest(&tar))
}

/// An image of one small layer under `team/app:TAG`.
pub fn put_small(registry: &FaultRegistry, tag: &str, content: &str) -> String {
    let (layer, diff_id) = small_layer(content);
    let manifest = manifest(
        registry,
        "team/app",
        &config(host_architecture(), &[diff_id]),
        &[layer],
    );
    put_document(registry, tag, &manifest)
}

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub fn put_document(registry: &FaultRegistry, tag: &str, document: &Value) -> String {
    let media_type = match document.get("manifests") {
        Some(_) => "application/vnd.oci.image.index.v1+json",
        None => OCI_MANIFEST,
    };
    registry.put_manifest("team/app", tag, document.to_string().as_bytes(), media_type)
}

pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub fn write(image: &Image, env: &Env) -> Layout {
    image.write(&env.path("tmp/layout"), "latest")
}
