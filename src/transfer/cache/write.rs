//! Where caches go.

use super::{FIELD, Steps};
use crate::config::Source;
use crate::error::{Error, Result};
use crate::image::manifest::{MAX_DOCUMENT, OCI_CONFIG};
use crate::image::{Descriptor, Digest, Draft, Platform, Reference};
use crate::output::progress::Progress;
use crate::registry::Options;
use crate::store::{StepLayer, Store};
use crate::transfer::layout;
use crate::transfer::push::Push;
use serde_json::json;
use std::path::Path;

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

/// Puts it into an OCI layout, in the place of what has this tag.
pub fn into_layout(store: &Store, packed: &Packed, dir: &Path, tag: &str) -> Result<()> {
    layout::write(store, &packed.manifest, &packed.blobs, dir, tag)
}
