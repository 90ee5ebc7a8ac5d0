//! Images from one archive (`load`): what `docker save` writes and has written
//! since 1.10 (`manifest.json`), OCI layouts, and archives that are both.
//!
//! The archive is read once, from first to last byte: layers are unpacked as
//! they come. What it calls its files is only ever looked up among the files
//! that it has, never on the host (security row S49), and nothing is believed
//! before its digest has been taken.

mod files;
mod layout;

use crate::config::policy::Transport;
use crate::error::{Error, Result};
use crate::image::{
    Compression, Descriptor, Digest, Document, ImageConfig, Manifest, Platform, Reference, draft,
};
use crate::output::progress::Progress;
use crate::store::{Origin, Store, unpack};
use files::{Content, Files};
use serde::{Deserialize, Serialize};
use std::io::Read;

/// What came out of an archive, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    pub id: Digest,
    pub name: Option<Reference>,
    /// The image that had the name before.
    pub replaced: Option<Digest>,
}

/// An image that the archive says it has.
struct Item {
    /// What it is called in errors.
    shown: String,
    config: Vec<u8>,
    layers: Vec<Content>,
    tags: Vec<Reference>,
    /// Its own manifest, where it has one.
    manifest: Option<(Vec<u8>, Manifest)>,
    /// The index that this is of, and whatever else the archive has of it.
    index: Option<Vec<Content>>,
}

/// Loads the images of an archive, as root of U; `platforms`: only those of one
/// of these; `takes` says which sorts of archives are taken, and why not.
pub fn load(
    store: &Store,
    archive: impl Read + Send,
    platforms: &[Platform],
    takes: impl Fn(Transport) -> Result<()>,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>> {
    if let (Err(e), Err(_)) = (
        takes(Transport::DockerArchive),
        takes(Transport::OciArchive),
    ) {
        return Err(e);
    }
    let _lease = store.lease()?;
    let mut archive = archive;
    let mut start = Vec::with_capacity(8);
    let broken = |e: std::io::Error| {
        Error::invalid(format!(
            "cannot read the archive: {}",
            crate::error::reason(&e)
        ))
    };
    archive
        .by_ref()
        .take(6)
        .read_to_end(&mut start)
        .map_err(broken)?;
    if start.is_empty() {
        return Err(Error::invalid("the archive is empty"));
    }
    let compression = Compression::detect(&start);
    let archive = start.as_slice().chain(archive);
    let files = unpack::read_archive(archive, compression, |tarball| {
        Files::read(store, tarball, progress)
    })?;
    // What both is and is not taken has unpacked layers by now, which nobody has.
    takes(match files.document("manifest.json")? {
        Some(_) => Transport::DockerArchive,
        None => Transport::OciArchive,
    })?;
    let items = layout::items(&files, store, platforms)?;
    let mut loaded = Vec::new();
    for item in items {
        let shown = item.shown.clone();
        loaded.extend(add(store, item).map_err(|e| e.within(format!("cannot load {shown}")))?);
    }
    Ok(loaded)
}

fn add(store: &Store, item: Item) -> Result<Vec<Loaded>> {
    let config = ImageConfig::parse(&item.config)?;
    if config.diff_ids.len() != item.layers.len() {
        return Err(Error::invalid(format!(
            "it has {} layers, its config {}",
            item.layers.len(),
            config.diff_ids.len()
        )));
    }
    let layers = item.layers.iter().zip(&config.diff_ids);
    let layers: Vec<Descriptor> = layers
        .map(|(content, diff_id)| content.as_layer(store, diff_id))
        .collect::<Result<_>>()?;
    let id = store.write_blob(&item.config)?;
    let manifest = manifest(store, &item, &layers)?;
    let origin = origin(store, &item, &manifest)?;
    let before = |name: &Reference| store.resolve(&name.canonical()).ok().map(|image| image.id);
    if item.tags.is_empty() {
        store.add_of(None, &manifest, origin.as_ref())?;
        return Ok(vec![Loaded {
            id,
            name: None,
            replaced: None,
        }]);
    }
    let tag = |name: Reference| {
        let replaced = before(&name).filter(|old| *old != id);
        store.add_of(Some(&name), &manifest, origin.as_ref())?;
        Ok(Loaded {
            id: id.clone(),
            name: Some(name),
            replaced,
        })
    };
    item.tags.iter().cloned().map(tag).collect()
}

/// The index that the image is of, with all that the archive has of it in the
/// store; `None` when its manifest is not the one that the index names.
fn origin(store: &Store, item: &Item, manifest: &Descriptor) -> Result<Option<Origin>> {
    let Some((own, _)) = &item.manifest else {
        return Ok(None);
    };
    let Some((index, rest)) = item.index.as_ref().and_then(|all| all.split_first()) else {
        return Ok(None);
    };
    if !manifest.digest.matches(own) {
        return Ok(None);
    }
    let keep = |content: &Content| match content {
        Content::Document(bytes) => store.write_blob(bytes),
        Content::Blob(digest) => Ok(digest.clone()),
        _ => Err(Error::internal("a document of an index is none")),
    };
    for document in rest {
        keep(document)?;
    }
    Ok(Some(Origin {
        index: keep(index)?,
        whole: true,
    }))
}

/// The archive's own manifest when all of its blobs are here as they are, so
/// that digests stay; else a new one.
fn manifest(store: &Store, item: &Item, layers: &[Descriptor]) -> Result<Descriptor> {
    if let Some((bytes, own)) = &item.manifest
        && own.layers.len() == layers.len()
        && own
            .layers
            .iter()
            .zip(layers)
            .all(|(a, b)| a.digest == b.digest)
    {
        let digest = store.write_blob(bytes)?;
        return Ok(Descriptor::new(&own.media_type, digest, bytes.len() as u64));
    }
    let bytes = draft::manifest(&item.config, layers)?;
    let digest = store.write_blob(&bytes)?;
    let Document::Manifest(made) = Document::parse(&bytes, None)? else {
        return Err(Error::internal("a manifest that was made is none"));
    };
    Ok(Descriptor::new(made.media_type, digest, bytes.len() as u64))
}
