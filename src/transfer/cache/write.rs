//! Where caches go.

use super::{FIELD, Steps};
use crate::config::Source;
use crate::error::{Context, Error, Result};
use crate::fs::replace::{self, Durability};
use crate::image::manifest::{MAX_DOCUMENT, OCI_CONFIG, OCI_INDEX};
use crate::image::{Descriptor, Digest, Draft, Platform, Reference};
use crate::output::progress::Progress;
use crate::registry::Options;
use crate::store::{StepLayer, Store};
use crate::transfer::push::Push;
use serde_json::{Value, json};
use std::path::Path;

const TAG: &str = "org.opencontainers.image.ref.name";

/// A cache whose documents are in the store, until the next collection.
pub struct Packed {
    manifest: Descriptor,
    /// Config and layers.
    blobs: Vec<Descriptor>,
}

/// Of these steps, with these layers. The same make the same.
pub fn pack(store: &Store, steps: &Steps, layers: &[StepLayer]) -> Result<Packed> {
    let mut draft = Draft::new(&Platform::host());
    let last = steps.values().map(|step| step.created.as_str()).max();
    draft.set_created(last.unwrap_or("1970-01-01T00:00:00Z"));
    draft.set_field(FIELD, json!(steps));
    let mut blobs = Vec::new();
    for layer in layers {
        draft.add_layer(&layer.diff_id);
        let media_type = layer.media_type.as_str();
        blobs.push(Descriptor::new(
            media_type,
            layer.blob.clone(),
            layer.blob_size,
        ));
    }
    let config = draft.to_bytes()?;
    if config.len() as u64 > MAX_DOCUMENT {
        return Err(Error::invalid(format!(
            "the build cache is too large: the records of its steps take {} bytes, the limit is {MAX_DOCUMENT}",
            config.len()
        )));
    }
    let manifest = store.write_image(&draft, &blobs)?;
    blobs.push(Descriptor::new(
        OCI_CONFIG,
        Digest::of(&config),
        config.len() as u64,
    ));
    Ok(Packed { manifest, blobs })
}

/// Pushes it under this name.
pub fn into_registry(
    store: &Store,
    packed: &Packed,
    name: &Reference,
    source: Source,
    options: &Options,
    progress: &dyn Progress,
) -> Result<()> {
    Push::to(store, name, source, options, progress)?.unnamed(name, &packed.manifest, &packed.blobs)
}

/// Puts it into an OCI layout, which is made when it is not there, in the place of
/// what has this tag.
pub fn into_layout(store: &Store, packed: &Packed, dir: &Path, tag: &str) -> Result<()> {
    let failed = || format!("cannot write the build cache into \"{}\"", dir.display());
    for blob in packed.blobs.iter().chain([&packed.manifest]) {
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
            let mut to = std::fs::File::create_new(&temporary)?;
            std::io::copy(&mut from, &mut to)?;
            std::fs::rename(&temporary, &place)
        };
        copy()
            .inspect_err(|_| drop(std::fs::remove_file(&temporary)))
            .context(failed)?;
    }
    let layout = json!({"imageLayoutVersion": "1.0.0"}).to_string();
    replace::replace(&dir.join("oci-layout"), layout.as_bytes(), Durability::Fast)?;
    let index = with(dir, packed, tag)?;
    replace::replace(
        &dir.join("index.json"),
        index.to_string().as_bytes(),
        Durability::Fast,
    )
}

/// Its index, with the new entry. Another tool's entries stay.
fn with(dir: &Path, packed: &Packed, tag: &str) -> Result<Value> {
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
        "mediaType": packed.manifest.media_type,
        "digest": packed.manifest.digest,
        "size": packed.manifest.size,
        "annotations": { TAG: tag },
    }));
    Ok(index)
}
