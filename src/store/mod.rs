//! Images on disk: an OCI image layout for what was downloaded, and one
//! directory per unpacked layer. Disk only: nothing here talks to a registry.
//!
//! Whatever carries its final name is whole. Everything else is under a
//! temporary name with a flock that dies with its owner; what nobody holds is
//! garbage, taken away by [`Store::collect`].

mod blob;
mod collect;
mod filter;
mod history;
mod image;
mod index;
mod inspect;
mod layer;
mod lookup;
mod make;
mod merged;
mod new_layer;
pub mod pack;
mod remove;
mod staging;
mod steps;
pub mod unpack;
mod whole;

pub use blob::{BlobWriter, NewBlob};
pub use filter::Filters;
pub use history::{LayerUse, Step};
pub use image::Image;
pub use merged::{Listing, Merged, Node, Place};
pub use new_layer::{NewLayer, Source};
pub use remove::{Removal, Use};
pub use steps::{CachedStep, Kept, StepLayer};
pub use whole::{Origin, Part};

use crate::error::{Context, Result};
use crate::fs::lock::{self, Lock};
use crate::fs::private;
use crate::fs::replace::{self, Durability};
use crate::image::digest::Digest;
use crate::paths::Paths;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Space kept aside so that an image can be removed from a full disk.
const RESERVE: i64 = 1 << 20;
const LAYOUT_FILE: &str = "oci-layout";
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// The image store of one user. Holds paths only: every call looks at the disk.
#[derive(Debug, Clone)]
pub struct Store {
    images: PathBuf,
    layers: PathBuf,
    /// Steps of builds that need not be done again.
    steps: PathBuf,
}

/// Keeps blobs and layers that no image refers to yet from being collected.
/// Hold it from the first blob of a pull to [`Store::add_image`], and while
/// a container is made from an image.
#[derive(Debug)]
pub struct Lease(#[allow(dead_code)] Lock);

impl Store {
    /// Cheap: touches nothing; missing directories are made by the first write.
    pub fn open(paths: &Paths) -> Result<Self> {
        Ok(Self {
            images: paths.images(),
            layers: paths.layers(),
            steps: paths.build().join("cache"),
        })
    }

    /// Waits while garbage is being collected, then keeps that from happening.
    pub fn lease(&self) -> Result<Lease> {
        self.prepare()?;
        lock::shared(&self.lease_file()).map(Lease)
    }

    fn lease_file(&self) -> PathBuf {
        self.images.join(".lease")
    }
    fn index_file(&self) -> PathBuf {
        self.images.join("index.json")
    }
    fn index_lock(&self) -> PathBuf {
        self.images.join(".index.lock")
    }
    fn partials(&self) -> PathBuf {
        self.images.join("partial")
    }
    fn blob_path(&self, digest: &Digest) -> PathBuf {
        let mut path = self.images.join("blobs");
        path.push(digest.algorithm().name());
        path.push(digest.hex());
        path
    }
    fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.layers.join(diff_id.hex())
    }

    /// Makes the layout's directories when they are missing.
    fn prepare(&self) -> Result<()> {
        if self.images.join(LAYOUT_FILE).exists() && self.layers.exists() {
            return Ok(());
        }
        let blobs = self.images.join("blobs");
        for dir in [
            blobs.join("sha256"),
            blobs.join("sha512"),
            self.partials(),
            self.layers.clone(),
        ] {
            make_private_dir(&dir)?;
        }
        self.reserve();
        replace::replace(&self.images.join(LAYOUT_FILE), LAYOUT, Durability::Fast)
    }

    fn reserve_file(&self) -> PathBuf {
        self.images.join(".reserve")
    }

    /// Puts the reserve aside. On a disk that is too small there is none.
    fn reserve(&self) {
        let path = self.reserve_file();
        if path.exists() {
            return;
        }
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let made = options
            .open(&path)
            .is_ok_and(|file| nix::fcntl::posix_fallocate(file, 0, RESERVE).is_ok());
        if !made {
            let _ = std::fs::remove_file(&path);
        }
    }

    /// Gives the reserve back to a disk that is full.
    fn use_reserve(&self) {
        let free = nix::sys::statvfs::statvfs(&self.images).map_or(0, |fs| {
            fs.blocks_available().saturating_mul(fs.fragment_size())
        });
        if free < RESERVE as u64 {
            let _ = std::fs::remove_file(self.reserve_file());
        }
    }
}

fn make_private_dir(dir: &Path) -> Result<()> {
    private::dir(dir).context(|| format!("cannot make directory \"{}\"", dir.display()))
}

/// The whole file when it has at most `limit` bytes.
fn read_bounded(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(size.min(limit) as usize + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            format!("larger than the limit of {limit} bytes"),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::image::manifest::{Compression, Descriptor, OCI_CONFIG, OCI_MANIFEST};
    use crate::image::reference::Reference;
    use serde_json::json;

    /// A store of its own, gone at the end of the test.
    pub struct Scratch {
        dir: PathBuf,
        store: Store,
    }

    impl Scratch {
        pub fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("wherry-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            let store = Store::open(&Paths::at(dir.join("data"), dir.join("run"))).unwrap();
            Self { dir, store }
        }
        pub fn store(&self) -> &Store {
            &self.store
        }

        /// An image of one layer with one file of this content.
        pub fn image(&self, name: &str, content: &str) -> Image {
            let manifest = self.unnamed(content);
            let name = Reference::parse(name).unwrap();
            self.store.add_image(&name, &manifest, None).unwrap()
        }

        pub fn unnamed(&self, content: &str) -> Descriptor {
            let layer = tar_of("file", content);
            let diff_id = Digest::of(&layer);
            self.store
                .unpack_layer(&diff_id, &layer[..], Compression::None)
                .unwrap();
            let layer_digest = self.store.write_blob(&layer).unwrap();
            let config =
                json!({"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
                "rootfs": {"type": "layers", "diff_ids": [diff_id]}})
                .to_string();
            let config_digest = self.store.write_blob(config.as_bytes()).unwrap();
            let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
                "config": {"mediaType": OCI_CONFIG, "digest": config_digest, "size": config.len()},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
                            "digest": layer_digest, "size": layer.len()}]})
            .to_string();
            let digest = self.store.write_blob(manifest.as_bytes()).unwrap();
            Descriptor::new(OCI_MANIFEST, digest, manifest.len() as u64)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }

    pub fn tar_of(name: &str, content: &str) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(nix::unistd::geteuid().as_raw().into());
        header.set_gid(nix::unistd::getegid().as_raw().into());
        header.set_mtime(1);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, content.as_bytes()).unwrap();
        builder.into_inner().unwrap()
    }
}
