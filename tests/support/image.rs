//! Images for tests, as OCI layouts: written here, or by other tools.

use super::env::Env;
use super::tree::Tree;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// An image to be written; layers lowest first.
#[derive(Debug, Clone)]
pub struct Image {
    layers: Vec<Tree>,
    packing: Packing,
    /// The image's configuration document; `rootfs` is filled in.
    pub config: Value,
}

/// What writing one gave.
#[derive(Debug, Clone)]
pub struct Layout {
    pub dir: PathBuf,
    pub tag: String,
    /// `sha256:…` of the manifest.
    pub manifest: String,
    /// `sha256:…` of the configuration: the image ID.
    pub id: String,
}

impl Image {
    pub fn new() -> Self {
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        Self {
            layers: Vec::new(),
            packing: Packing::Gzip,
            config: json!({
                "created": "2026-01-01T00:00:00Z",
                "architecture": arch,
                "os": "linux",
                "config": { "Env": [path], "Cmd": ["sh"] },
                "rootfs": { "type": "layers", "diff_ids": [] },
            }),
        }
    }

    /// One layer, [`Tree::busybox`]; its command is `sh`.
    pub fn busybox() -> Self {
        Self::new().layer(Tree::busybox())
    }

    pub fn layer(mut self, tree: Tree) -> Self {
        self.layers.push(tree);
        self
    }

    pub fn packed(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// Sets a field of `config`: `Cmd`, `Entrypoint`, `User`, `Env`, `Labels`, …
    pub fn set(mut self, field: &str, value: Value) -> Self {
        self.config["config"][field] = value;
        self
    }

    /// Writes the image into the layout at `dir`, which is made when missing.
    pub fn write(&self, dir: &Path, tag: &str) -> Layout {
        let blobs = dir.join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        for tree in &self.layers {
            let tar = tree.tar();
            diff_ids.push(digest(&tar));
            let media = match self.packing {
                Packing::Plain => "application/vnd.oci.image.layer.v1.tar",
                Packing::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
                Packing::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
            };
            layers.push(put(&blobs, media, &pack(self.packing, &tar)));
        }
        let mut config = self.config.clone();
        config["rootfs"]["diff_ids"] = json!(diff_ids);
        let config = put(
            &blobs,
            "application/vnd.oci.image.config.v1+json",
            config.to_string().as_bytes(),
        );
        let media = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media, "config": config, "layers": layers,
        });
        let mut manifest = put(&blobs, media, manifest.to_string().as_bytes());
        let written = Layout {
            dir: dir.to_owned(),
            tag: tag.into(),
            manifest: manifest["digest"].as_str().unwrap().into(),
            id: config["digest"].as_str().unwrap().into(),
        };
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let mut index = std::fs::read(dir.join("index.json"))
            .map(|old| serde_json::from_slice(&old).unwrap())
            .unwrap_or_else(|_| json!({ "schemaVersion": 2, "manifests": [] }));
        index["manifests"].as_array_mut().unwrap().push(manifest);
        std::fs::write(dir.join("index.json"), index.to_string()).unwrap();
        written
    }
}

impl Layout {
    /// As skopeo and umoci name it.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.dir.display(), self.tag)
    }

    pub fn blob(&self, digest: &str) -> Vec<u8> {
        let hex = digest.strip_prefix("sha256:").expect("a sha256 digest");
        std::fs::read(self.dir.join("blobs/sha256").join(hex)).unwrap()
    }

    /// The same image with one more layer that umoci made of `change`.
    pub fn changed_by_umoci(&self, env: &Env, change: impl FnOnce(&Path)) -> Self {
        let bundle = env.path("tmp").join(format!("bundle-{}", self.tag));
        let umoci = |args: &[&str]| {
            let mut command = env.command("umoci");
            command.args(args);
            super::env::run(command, b"", 60).ok();
        };
        let (image, dir) = (self.reference(), bundle.to_str().unwrap());
        let rootless: &[&str] = if super::user::is_root() {
            &[]
        } else {
            &["--rootless"]
        };
        umoci(&[&["unpack", "--image", &image], rootless, &[dir]].concat());
        change(&bundle.join("rootfs"));
        let tag = format!("{}-umoci", self.tag);
        umoci(&[
            "repack",
            "--image",
            &format!("{}:{tag}", self.dir.display()),
            dir,
        ]);
        super::env::remove(&bundle);
        Self::find(&self.dir, &tag)
    }

    /// An image of a layout by its tag.
    pub fn find(dir: &Path, tag: &str) -> Self {
        let index: Value =
            serde_json::from_slice(&std::fs::read(dir.join("index.json")).unwrap()).unwrap();
        let manifest = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .find(|m| m["annotations"]["org.opencontainers.image.ref.name"] == tag)
            .unwrap_or_else(|| panic!("no {tag} in {}", dir.display()));
        let mut found = Self {
            dir: dir.into(),
            tag: tag.into(),
            manifest: manifest["digest"].as_str().unwrap().into(),
            id: String::new(),
        };
        let document: Value = serde_json::from_slice(&found.blob(&found.manifest)).unwrap();
        found.id = document["config"]["digest"].as_str().unwrap().into();
        found
    }
}

/// `sha256:…` of the bytes.
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

pub fn pack(packing: Packing, tar: &[u8]) -> Vec<u8> {
    match packing {
        Packing::Plain => tar.to_vec(),
        Packing::Zstd => zstd::encode_all(tar, 3).unwrap(),
        Packing::Gzip => {
            let level = flate2::Compression::fast();
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), level);
            gzip.write_all(tar).unwrap();
            gzip.finish().unwrap()
        }
    }
}

/// Writes a blob and gives its descriptor.
fn put(blobs: &Path, media: &str, bytes: &[u8]) -> Value {
    let digest = digest(bytes);
    std::fs::write(blobs.join(&digest["sha256:".len()..]), bytes).unwrap();
    json!({ "mediaType": media, "digest": digest, "size": bytes.len() })
}

mod tests {
    use super::*;

    /// Other tools are the judges of what is written here.
    #[test]
    fn skopeo_and_umoci_take_the_layout() {
        let env = Env::new();
        let dir = env.path("tmp/layout");
        for (tag, packing) in [
            ("plain", Packing::Plain),
            ("gzip", Packing::Gzip),
            ("zstd", Packing::Zstd),
        ] {
            let layout = Image::busybox().packed(packing).write(&dir, tag);
            let mut skopeo = env.command("skopeo");
            skopeo.args([
                "inspect",
                "--config",
                &format!("oci:{}", layout.reference()),
            ]);
            let shown = super::super::env::run(skopeo, b"", 60).ok();
            assert!(shown.text().contains("diff_ids"), "{shown}");
        }
        let gzip = Layout::find(&dir, "gzip");
        let more =
            gzip.changed_by_umoci(&env, |root| std::fs::write(root.join("new"), "x").unwrap());
        let manifest: Value = serde_json::from_slice(&more.blob(&more.manifest)).unwrap();
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
    }
}
