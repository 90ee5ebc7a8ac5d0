//! Where caches come from.

use super::{Steps, steps_of};
use crate::config::{Policy, Source};
use crate::error::{Context, Error, Result};
use crate::image::manifest::is_layer;
use crate::image::{Descriptor, Digest, ImageConfig, Manifest, Platform, Reference};
use crate::output::progress::Progress;
use crate::registry::{Client, Options};
use crate::store::{StepLayer, Store};
use crate::transfer::layer::{Layer, fetch_all, from_store};
use crate::transfer::layout::Layout;
use crate::transfer::trust;
use crate::transfer::variant::choose;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Layers at a time.
const PARALLEL: usize = 3;

/// Of a registry: the name, and who is asked for it.
#[derive(Clone)]
pub struct Repository {
    pub name: Reference,
    pub sources: Vec<Source>,
    pub options: Options,
}

impl Repository {
    fn client(&self) -> Client {
        Client::new(&self.name, self.sources.clone(), &self.options)
    }
}

/// A place that has a cache.
#[derive(Clone)]
pub enum Depot {
    Registry(Repository),
    /// An OCI layout: what has this digest there, else this tag.
    Layout {
        dir: PathBuf,
        tag: String,
        digest: Option<Digest>,
    },
}

/// What is in one.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Cache {
    pub steps: Steps,
    /// The layers that the place has; steps may name others.
    pub layers: Vec<StepLayer>,
}

impl Depot {
    /// What messages call it.
    pub fn shown(&self) -> String {
        match self {
            Self::Registry(from) => from.name.familiar(),
            Self::Layout { dir, .. } => dir.display().to_string(),
        }
    }

    /// Reads what is in it, but for the layers, if the policy takes that. The caller
    /// may start threads.
    pub fn read(&self, policy: Option<&Policy>) -> Result<Cache> {
        let (place, bytes, media_type) = self.named(policy)?;
        let document = |entry: &Descriptor| place.document(entry);
        let (manifest, ..) = choose(bytes, media_type.as_deref(), &Platform::host(), &document)?;
        manifest.ensure_image()?;
        let bytes = place.config(&manifest)?;
        let config = ImageConfig::parse(&bytes)?;
        if config.diff_ids.len() != manifest.layers.len() {
            return Err(Error::invalid(
                "the build cache is broken: its manifest does not fit its config",
            ));
        }
        let document = serde_json::from_slice(&bytes).context(|| "cannot read the build cache")?;
        let mut steps = steps_of(&document)?
            .ok_or_else(|| Error::not_found("there is no build cache of wherry in it"))?;
        let layers: Vec<StepLayer> = (config.diff_ids.into_iter().zip(&manifest.layers))
            .map(|(diff_id, blob)| of(diff_id, blob))
            .collect();
        // How a layer is packed is what the manifest says, if that has it.
        for step in steps.values_mut() {
            if let Some(layer) = &mut step.layer
                && let Some(known) = layers.iter().find(|l| l.diff_id == layer.diff_id)
            {
                layer.clone_from(known);
            }
        }
        steps.retain(|_, step| {
            let layer = step.layer.as_ref();
            layer.is_none_or(|layer| is_layer(&layer.media_type))
        });
        Ok(Cache { steps, layers })
    }

    /// Brings these layers into the store; for a process in U. What has come by
    /// then stays, whatever fails.
    pub fn fetch(
        &self,
        store: &Store,
        layers: &[StepLayer],
        progress: &dyn Progress,
    ) -> Result<()> {
        let wanted: Vec<Layer> = layers
            .iter()
            .map(|layer| Layer {
                blob: Descriptor::new(&layer.media_type, layer.blob.clone(), layer.blob_size),
                diff_id: layer.diff_id.clone(),
            })
            .collect();
        match self {
            Self::Registry(from) => fetch_all(&wanted, store, &from.client(), PARALLEL, progress),
            Self::Layout { dir, .. } => {
                let layout = Layout::open(dir)?;
                wanted.iter().try_for_each(|layer| {
                    layout.copy(&layer.blob, store)?;
                    from_store(layer, store, progress)
                })
            }
        }
    }

    /// What it is named by, with its media type, if the policy takes that.
    fn named(&self, policy: Option<&Policy>) -> Result<(Place, Vec<u8>, Option<String>)> {
        match self {
            Self::Registry(from) => {
                let client = from.client();
                let accepted = match policy {
                    Some(policy) => trust::accept(policy, &client, &from.name, &Platform::host())?,
                    None => None,
                };
                let fetched = match &accepted {
                    // What was found to be signed, whatever the tag is by now.
                    Some(digest) => client.manifest_by_digest(digest)?,
                    None => client.named()?,
                };
                Ok((Place::Registry(client), fetched.bytes, fetched.media_type))
            }
            Self::Layout { dir, tag, digest } => {
                trust::takes_layout(policy, dir, tag)?;
                let layout = Layout::open(dir)?;
                let entry = layout.entry(tag, digest.as_ref())?;
                let bytes = layout.document(&entry)?;
                Ok((Place::Layout(layout), bytes, Some(entry.media_type)))
            }
        }
    }
}

fn of(diff_id: Digest, blob: &Descriptor) -> StepLayer {
    StepLayer {
        diff_id,
        media_type: blob.media_type.clone(),
        blob: blob.digest.clone(),
        blob_size: blob.size,
        size: 0,
    }
}

/// Where the rest of it is.
enum Place {
    Registry(Client),
    Layout(Layout),
}

impl Place {
    fn document(&self, entry: &Descriptor) -> Result<Vec<u8>> {
        match self {
            Self::Registry(client) => Ok(client.manifest_by_digest(&entry.digest)?.bytes),
            Self::Layout(layout) => layout.document(entry),
        }
    }

    fn config(&self, manifest: &Manifest) -> Result<Vec<u8>> {
        match self {
            Self::Registry(client) => client.small_blob(&manifest.config, "image config"),
            Self::Layout(layout) => layout.document(&manifest.config),
        }
    }
}
