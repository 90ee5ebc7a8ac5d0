//! Where caches come from.

use super::{Steps, steps_of};
use crate::config::Source;
use crate::error::{Context, Error, Result};
use crate::fs::rooted;
use crate::image::manifest::{MAX_DOCUMENT, OCI_INDEX, is_layer};
use crate::image::{Descriptor, Digest, Document, ImageConfig, Manifest, Platform, Reference};
use crate::output::progress::Progress;
use crate::registry::{Client, Options, Watch};
use crate::store::{StepLayer, Store};
use crate::transfer::layer::{Layer, fetch_all, from_store};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
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

    /// Reads what is in it, but for the layers. The caller may start threads.
    pub fn read(&self) -> Result<Cache> {
        let (client, layout) = self.open()?;
        let place = Place {
            client: client.as_ref(),
            layout: layout.as_ref(),
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
                if let Some(mut writer) = store.begin_blob(&layer.blob.digest, layer.blob.size)? {
                    // A killed one may have left a part of something else.
                    writer.restart()?;
                    let mut blob = open_blob(&layout, &layer.blob.digest)?.take(layer.blob.size);
                    std::io::copy(&mut blob, &mut writer)
                        .context(|| format!("cannot copy blob {}", layer.blob.digest))?;
                    writer.commit()?;
                }
                from_store(layer, store, progress)
            }),
            (None, None) => Ok(()),
        }
    }

    fn open(&self) -> Result<(Option<Client>, Option<File>)> {
        match self {
            Self::Registry {
                name,
                sources,
                options,
            } => Ok((Some(Client::new(name, sources.clone(), options)), None)),
            Self::Layout { dir, .. } => {
                let file =
                    File::open(dir).context(|| format!("cannot open \"{}\"", dir.display()))?;
                Ok((None, Some(file)))
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

struct Place<'a> {
    client: Option<&'a Client>,
    layout: Option<&'a File>,
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
                let fetched = match name.digest() {
                    Some(digest) => client.manifest_by_digest(digest)?,
                    None => client.manifest_by_tag(name.tag().unwrap_or("latest"))?,
                };
                Ok((fetched.bytes, fetched.media_type))
            }
            (Depot::Layout { tag, digest, .. }, _, Some(layout)) => {
                let entry = entry_of(layout, tag, digest.as_ref())?;
                Ok((self.document(&entry)?, Some(entry.media_type)))
            }
            _ => Err(Error::internal("a build cache is nowhere")),
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
        let mut bytes = Vec::new();
        let failed = || format!("cannot read blob {}", blob.digest);
        match (self.client, self.layout) {
            (Some(client), _) => {
                let mut reader = client.blob(blob, 0, Watch::nobody());
                let read = reader
                    .by_ref()
                    .take(MAX_DOCUMENT + 1)
                    .read_to_end(&mut bytes);
                if let Some(failure) = reader.failure() {
                    return Err(failure);
                }
                read.context(failed)?;
            }
            (None, Some(layout)) => {
                let file = open_blob(layout, &blob.digest)?;
                file.take(MAX_DOCUMENT + 1)
                    .read_to_end(&mut bytes)
                    .context(failed)?;
            }
            (None, None) => {}
        }
        match blob.digest.matches(&bytes) {
            true => Ok(bytes),
            false => Err(Error::invalid(format!(
                "blob {} has wrong content",
                blob.digest
            ))),
        }
    }
}

fn open_file(layout: &File, path: &str) -> Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let file = rooted::open(layout.as_fd(), path.as_bytes(), flags, Mode::empty());
    let file = file.context(|| format!("cannot open \"{path}\" of the layout"))?;
    Ok(file.into())
}

fn open_blob(layout: &File, digest: &Digest) -> Result<File> {
    let path = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
    open_file(layout, &path)
}

/// The entry of a layout's index.
fn entry_of(layout: &File, tag: &str, digest: Option<&Digest>) -> Result<Descriptor> {
    const TAG: &str = "org.opencontainers.image.ref.name";
    let mut text = Vec::new();
    open_file(layout, "index.json")?
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
