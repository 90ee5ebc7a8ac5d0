//! Where caches come from.

use super::{Steps, steps_of};
use crate::config::{Policy, Source};
use crate::error::{Context, Error, Result};
use crate::image::manifest::{MAX_DOCUMENT, is_layer};
use crate::image::{Descriptor, Digest, Document, ImageConfig, Manifest, Platform, Reference};
use crate::output::progress::Progress;
use crate::registry::{Client, Options, Watch};
use crate::store::{StepLayer, Store};
use crate::transfer::layer::{Layer, fetch_all, from_store};
use crate::transfer::layout::Layout;
use crate::transfer::trust;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::PathBuf;

/// How many indexes may point to each other before it is a loop.
const MAX_INDEXES: usize = 3;
/// Layers at a time.
const PARALLEL: usize = 3;

/// A place that has a cache.
#[derive(Clone)]
pub enum Depot {
    Registry {
        name: Reference,
        sources: Vec<Source>,
        options: Options,
    },
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
            Self::Registry { name, .. } => name.familiar(),
            Self::Layout { dir, .. } => dir.display().to_string(),
        }
    }

    /// Reads what is in it, but for the layers, if the policy takes that. The caller
    /// may start threads.
    pub fn read(&self, policy: Option<&Policy>) -> Result<Cache> {
        let (client, layout) = self.open()?;
        let accepted = match (self, &client, policy) {
            (Self::Registry { name, .. }, Some(client), Some(policy)) => {
                trust::accept(policy, client, name, &Platform::host())?
            }
            (Self::Layout { dir, tag, .. }, _, policy) => {
                trust::takes_layout(policy, dir, tag)?;
                None
            }
            _ => None,
        };
        let place = Place {
            client: client.as_ref(),
            layout: layout.as_ref(),
            accepted,
        };
        let manifest = place.manifest(self)?;
        manifest.ensure_image()?;
        let bytes = place.blob(&manifest.config)?;
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
        match self.open()? {
            (Some(client), _) => fetch_all(&wanted, store, &client, PARALLEL, progress),
            (None, Some(layout)) => wanted.iter().try_for_each(|layer| {
                layout.copy(&layer.blob, store)?;
                from_store(layer, store, progress)
            }),
            (None, None) => Ok(()),
        }
    }

    fn open(&self) -> Result<(Option<Client>, Option<Layout>)> {
        match self {
            Self::Registry {
                name,
                sources,
                options,
            } => Ok((Some(Client::new(name, sources.clone(), options)), None)),
            Self::Layout { dir, .. } => Ok((None, Some(Layout::open(dir)?))),
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

struct Place<'a> {
    client: Option<&'a Client>,
    layout: Option<&'a Layout>,
    /// What was found to be signed: nothing else is read.
    accepted: Option<Digest>,
}

impl Place<'_> {
    /// That of this machine's platform, where there are several.
    fn manifest(&self, from: &Depot) -> Result<Manifest> {
        let mut found = self.named(from)?;
        for _ in 0..=MAX_INDEXES {
            let (bytes, media_type) = found;
            match Document::parse(&bytes, media_type.as_deref())? {
                Document::Manifest(manifest) => return Ok(manifest),
                Document::Index(index) => {
                    let entry = index.choose(&Platform::host())?;
                    found = (self.document(entry)?, Some(entry.media_type.clone()));
                }
            }
        }
        Err(Error::invalid(format!(
            "more than {MAX_INDEXES} indexes point to each other"
        )))
    }

    fn named(&self, from: &Depot) -> Result<(Vec<u8>, Option<String>)> {
        match (from, self.client, self.layout) {
            (Depot::Registry { name, .. }, Some(client), _) => {
                let fetched = match self.accepted.as_ref().or(name.digest()) {
                    Some(digest) => client.manifest_by_digest(digest)?,
                    None => client.manifest_by_tag(name.tag().unwrap_or("latest"))?,
                };
                Ok((fetched.bytes, fetched.media_type))
            }
            (Depot::Layout { tag, digest, .. }, _, Some(layout)) => {
                let entry = layout.entry(tag, digest.as_ref())?;
                Ok((self.document(&entry)?, Some(entry.media_type)))
            }
            _ => Err(nowhere()),
        }
    }

    fn document(&self, entry: &Descriptor) -> Result<Vec<u8>> {
        match self.client {
            Some(client) => Ok(client.manifest_by_digest(&entry.digest)?.bytes),
            None => self.blob(entry),
        }
    }

    /// A small one.
    fn blob(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        let Some(client) = self.client else {
            let layout = self.layout.ok_or_else(nowhere)?;
            return layout.document(blob);
        };
        let mut bytes = Vec::new();
        let mut reader = client.blob(blob, 0, Watch::nobody());
        let read = reader
            .by_ref()
            .take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes);
        if let Some(failure) = reader.failure() {
            return Err(failure);
        }
        read.context(|| format!("cannot read blob {}", blob.digest))?;
        match blob.digest.matches(&bytes) {
            true => Ok(bytes),
            false => Err(Error::invalid(format!(
                "blob {} has wrong content",
                blob.digest
            ))),
        }
    }
}

fn nowhere() -> Error {
    Error::internal("a build cache is nowhere")
}
