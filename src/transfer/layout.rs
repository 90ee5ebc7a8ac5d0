//! OCI layouts (image-spec, "Image Layout") that are directories of the user's:
//! everything is opened beneath them, and believed by its digest alone.

use crate::error::{Context, Error, Result};
use crate::fs::replace::{self, Durability};
use crate::fs::rooted;
use crate::image::manifest::{MAX_DOCUMENT, OCI_INDEX};
use crate::image::{Descriptor, Digest, Document, ImageConfig, Platform};
use crate::output::progress::Silent;
use crate::store::Store;
use crate::transfer::layer::{Layer, from_store};
use crate::transfer::variant::choose;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;

const TAG: &str = "org.opencontainers.image.ref.name";

/// One that is read.
pub struct Layout(File);

impl Layout {
    pub fn open(dir: &Path) -> Result<Self> {
        let file = File::open(dir).context(|| format!("cannot open \"{}\"", dir.display()))?;
        Ok(Self(file))
    }

    fn file(&self, path: &str) -> Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let file = rooted::open(self.0.as_fd(), path.as_bytes(), flags, Mode::empty());
        let file = file.context(|| format!("cannot open \"{path}\" of the layout"))?;
        Ok(file.into())
    }

    fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        self.file(&path)
    }

    /// What has this digest in its index, else this tag.
    pub fn entry(&self, tag: &str, digest: Option<&Digest>) -> Result<Descriptor> {
        let mut text = Vec::new();
        self.file("index.json")?
            .take(MAX_DOCUMENT)
            .read_to_end(&mut text)
            .context(|| "cannot read the index of the layout")?;
        let Document::Index(index) = Document::parse(&text, Some(OCI_INDEX))? else {
            return Err(Error::invalid("index.json of the layout is no index"));
        };
        let wanted = |entry: &&Descriptor| match digest {
            Some(digest) => entry.digest == *digest,
            None => entry.annotations.get(TAG).is_some_and(|known| known == tag),
        };
        let found = index.manifests.iter().find(wanted).cloned();
        found.ok_or_else(|| {
            let what = digest.map_or_else(|| tag.to_owned(), ToString::to_string);
            Error::not_found(format!("the layout has no {what}"))
        })
    }

    /// A small blob.
    pub fn document(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_blob(&blob.digest)?
            .take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .context(|| format!("cannot read blob {}", blob.digest))?;
        match blob.digest.matches(&bytes) {
            true => Ok(bytes),
            false => Err(Error::invalid(format!(
                "blob {} has wrong content",
                blob.digest
            ))),
        }
    }

    /// Copies a blob into the store, unless it is there.
    pub fn copy(&self, blob: &Descriptor, store: &Store) -> Result<()> {
        let Some(mut writer) = store.begin_blob(&blob.digest, blob.size)? else {
            return Ok(());
        };
        // A killed one may have left a part of something else.
        writer.restart()?;
        let mut content = self.open_blob(&blob.digest)?.take(blob.size);
        std::io::copy(&mut content, &mut writer)
            .context(|| format!("cannot copy blob {}", blob.digest))?;
        writer.commit()
    }
}

/// Brings an image into the store, with its layers unpacked, where nobody sees it;
/// for a process in U. `entry` is its manifest, or an index that has one for the
/// platform. Its manifest; hold a lease meanwhile.
pub fn import(
    layout: &Layout,
    entry: Descriptor,
    platform: &Platform,
    store: &Store,
) -> Result<Descriptor> {
    let bytes = layout.document(&entry)?;
    let read = |blob: &Descriptor| layout.document(blob);
    let (manifest, bytes, chosen) = choose(bytes, Some(&entry.media_type), platform, &read)?;
    let entry = chosen.unwrap_or(entry);
    manifest.ensure_image()?;
    let config = layout.document(&manifest.config)?;
    let diff_ids = ImageConfig::parse(&config)?.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        return Err(Error::invalid(
            "the image's manifest does not fit its config",
        ));
    }
    for (blob, diff_id) in manifest.layers.iter().zip(diff_ids) {
        layout.copy(blob, store)?;
        let blob = blob.clone();
        from_store(&Layer { blob, diff_id }, store, &Silent)?;
    }
    store.write_blob_as(&manifest.config.digest, &config)?;
    store.write_blob_as(&entry.digest, &bytes)?;
    let size = bytes.len() as u64;
    Ok(Descriptor::new(manifest.media_type, entry.digest, size))
}

/// Puts a manifest with its blobs, all of which the store has, into a layout,
/// which is made when it is not there, in the place of what has this tag.
pub fn write(
    store: &Store,
    manifest: &Descriptor,
    blobs: &[Descriptor],
    dir: &Path,
    tag: &str,
) -> Result<()> {
    let failed = || format!("cannot write into \"{}\"", dir.display());
    for blob in blobs.iter().chain([manifest]) {
        let digest = &blob.digest;
        let blobs = dir.join("blobs").join(digest.algorithm().name());
        std::fs::create_dir_all(&blobs).context(failed)?;
        let place = blobs.join(digest.hex());
        if place.metadata().is_ok_and(|meta| meta.len() == blob.size) {
            continue;
        }
        let temporary = replace::temporary_beside(&place);
        let copy = || -> std::io::Result<()> {
            let mut from = store.open_blob(digest).map_err(std::io::Error::other)?;
            let mut to = File::create_new(&temporary)?;
            std::io::copy(&mut from, &mut to)?;
            std::fs::rename(&temporary, &place)
        };
        copy()
            .inspect_err(|_| drop(std::fs::remove_file(&temporary)))
            .context(failed)?;
    }
    let layout = json!({"imageLayoutVersion": "1.0.0"}).to_string();
    replace::replace(&dir.join("oci-layout"), layout.as_bytes(), Durability::Fast)?;
    let index = with(dir, manifest, tag)?;
    replace::replace(
        &dir.join("index.json"),
        index.to_string().as_bytes(),
        Durability::Fast,
    )
}

/// Its index, with the new entry. Another tool's entries stay.
fn with(dir: &Path, manifest: &Descriptor, tag: &str) -> Result<Value> {
    let path = dir.join("index.json");
    let mut index: Value = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map_err(|e| Error::invalid(format!("\"{}\" is broken: {e}", path.display())))?,
        Err(_) => json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}),
    };
    let entries = index["manifests"].as_array_mut();
    let entries =
        entries.ok_or_else(|| Error::invalid(format!("\"{}\" is no index", path.display())))?;
    entries.retain(|entry| entry["annotations"][TAG] != tag);
    entries.push(json!({
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.size,
        "annotations": { TAG: tag },
    }));
    Ok(index)
}
