//! Pulls an image: index, manifest, config, then the layers side by side, each
//! unpacked while it comes in. Nothing is visible before all of it is whole;
//! what a killed pull leaves behind is what the next one goes on with.

use super::layer::{Layer, fetch_all};
use super::trust;
use super::variant::MAX_INDEXES;
use crate::config::Policy;
use crate::error::{Error, Result};
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{Descriptor, Digest, Document, ImageConfig, Manifest, Platform, Reference};
use crate::output::progress::Progress;
use crate::registry::Client;
use crate::store::{Image, Store};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone)]
pub struct PullOptions {
    /// `None`: what suits this machine.
    pub platform: Option<Platform>,
    /// A name that stands for an image of another platform already goes on to do
    /// so: the new one is known by its digest.
    pub beside: bool,
    /// How many layers at a time; Docker's default is 3.
    pub parallel: usize,
    /// Whose images are taken; `None`: everybody's.
    pub policy: Option<Policy>,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            platform: None,
            beside: false,
            parallel: 3,
            policy: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Downloaded,
    UpToDate,
}

impl PullOptions {
    /// What was asked for, else what suits this machine.
    pub fn wanted(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host)
    }
}

/// What a pull gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pulled {
    /// The name the image has now.
    pub reference: Reference,
    /// Digest of the image config: Docker's image ID.
    pub image_id: Digest,
    /// What the registry has under the name: the index, if there is one.
    pub digest: Digest,
    pub status: Status,
}

/// Pulls the image that `client` is for. Reports Docker's lines about the
/// whole (`Digest: …`, `Status: …`) and each layer to `progress`.
pub fn pull(
    store: &Store,
    client: &Client,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Pulled> {
    let _lease = store.lease()?;
    pull_one(store, client, client.reference(), options, progress)
}

/// Pulls every tag of the repository that `client` is for.
pub fn pull_all_tags(
    store: &Store,
    client: &Client,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Vec<Pulled>> {
    let _lease = store.lease()?;
    let references = client.tags()?;
    let references = references
        .iter()
        .map(|tag| client.reference().with_tag(tag));
    let references = references.collect::<Result<Vec<_>>>()?;
    references
        .iter()
        .map(|reference| pull_one(store, client, reference, options, progress))
        .collect()
}

fn pull_one(
    store: &Store,
    client: &Client,
    name: &Reference,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Pulled> {
    let platform = options.wanted();
    let accepted = match &options.policy {
        Some(policy) => trust::accept(policy, client, name, &platform)?,
        None => None,
    };
    let puller = Puller {
        store,
        client,
        name,
        options,
        progress,
        accepted,
    };
    let pulled = puller.run()?;
    progress.message(&format!("Digest: {}", pulled.digest));
    progress.message(&match pulled.status {
        Status::Downloaded => format!("Status: Downloaded newer image for {}", name.familiar()),
        Status::UpToDate => format!("Status: Image is up to date for {}", name.familiar()),
    });
    Ok(pulled)
}

struct Puller<'a> {
    store: &'a Store,
    client: &'a Client,
    name: &'a Reference,
    options: &'a PullOptions,
    progress: &'a dyn Progress,
    /// What was found to be signed: nothing else is pulled.
    accepted: Option<Digest>,
}

/// A document that is in the store, and what it is.
struct Stored {
    descriptor: Descriptor,
    document: Document,
}

/// A manifest with everything that was asked of it already checked.
struct Chosen {
    /// What the registry has under the name.
    digest: Digest,
    descriptor: Descriptor,
    manifest: Manifest,
    config: ImageConfig,
}

impl Puller<'_> {
    fn run(&self) -> Result<Pulled> {
        let chosen = self.choose()?;
        let before = self.store.resolve(&self.name.canonical()).ok();
        let name = match &before {
            Some(image) if self.options.beside && self.is_of_another(image) => {
                self.name.with_digest(chosen.descriptor.digest.clone())
            }
            _ => self.name.clone(),
        };
        let same = before.is_some_and(|image| {
            image.manifest.digest == chosen.descriptor.digest
                && image
                    .digests
                    .iter()
                    .any(|d| d.digest() == Some(&chosen.digest))
        });
        let layers = layers_of(&chosen);
        let complete = layers.iter().all(|layer| layer.is_here(self.store));
        if !(same && complete) {
            fetch_all(
                &layers,
                self.store,
                self.client,
                self.options.parallel,
                self.progress,
            )?;
            self.store
                .add_image(&name, &chosen.descriptor, Some(&chosen.digest))?;
        }
        Ok(Pulled {
            reference: name,
            image_id: chosen.manifest.config.digest,
            digest: chosen.digest,
            status: if same {
                Status::UpToDate
            } else {
                Status::Downloaded
            },
        })
    }

    /// From the name to the manifest for the wanted platform and its config.
    fn choose(&self) -> Result<Chosen> {
        let wanted = self.options.platform.as_ref();
        let platform = self.options.wanted();
        let mut stored = self.named_document()?;
        self.announce();
        let digest = stored.descriptor.digest.clone();
        for _ in 0..=MAX_INDEXES {
            let index = match stored.document {
                Document::Index(index) => index,
                Document::Manifest(manifest) => {
                    manifest
                        .ensure_image()
                        .map_err(|e| e.within(self.name.familiar()))?;
                    let config = self.config(&manifest)?;
                    // What an index says of its entries counts, not their configs.
                    if stored.descriptor.platform.is_none() {
                        self.check_platform(wanted, &config)?;
                    }
                    return Ok(Chosen {
                        digest,
                        descriptor: stored.descriptor,
                        manifest,
                        config,
                    });
                }
            };
            let entry = index.choose(&platform)?;
            stored = self.document(&entry.digest, Some(entry))?;
            stored.descriptor.platform.clone_from(&entry.platform);
        }
        Err(Error::invalid(format!(
            "{}: more than {MAX_INDEXES} indexes point to each other",
            self.name.familiar()
        )))
    }

    /// For a platform that is not the wanted one.
    fn is_of_another(&self, image: &Image) -> bool {
        let config = self.store.config(image);
        config.is_ok_and(|config| !self.options.wanted().runs(&config.platform))
    }

    /// Only what the registry has is told.
    fn announce(&self) {
        let digest = self.name.digest().map(Digest::as_str);
        let what = digest.or(self.name.tag()).unwrap_or_default();
        let path = self.name.path();
        self.progress
            .message(&format!("{what}: Pulling from {path}"));
    }

    /// What the name stands for now. A HEAD request is enough when we have it.
    fn named_document(&self) -> Result<Stored> {
        if let Some(digest) = self.name.digest().or(self.accepted.as_ref()) {
            return self.document(digest, None);
        }
        let tag = self.name.tag().unwrap_or("latest");
        if self.store.resolve(&self.name.canonical()).is_ok()
            && let Ok(Some(digest)) = self.client.digest_of_tag(tag)
            && self.store.has_blob(&digest)
        {
            return self.document(&digest, None);
        }
        let fetched = self.client.manifest_by_tag(tag)?;
        self.keep(
            fetched.digest,
            &fetched.bytes,
            fetched.media_type.as_deref(),
        )
    }

    /// A manifest or index by its digest, from the store or the registry.
    /// `entry`: what an index says about it.
    fn document(&self, digest: &Digest, entry: Option<&Descriptor>) -> Result<Stored> {
        let media_type = entry.map(|e| e.media_type.as_str());
        let stored = match self.store.read_blob(digest, MAX_DOCUMENT) {
            // A blob of that digest need not be a document.
            Ok(bytes) => self.keep(digest.clone(), &bytes, media_type),
            Err(_) => {
                let fetched = self.client.manifest_by_digest(digest)?;
                let sent_as = media_type.or(fetched.media_type.as_deref());
                self.keep(fetched.digest, &fetched.bytes, sent_as)
            }
        }?;
        if let Some(size) = entry
            .map(|e| e.size)
            .filter(|s| *s != stored.descriptor.size)
        {
            return Err(Error::invalid(format!(
                "manifest {digest} has {} bytes, its index says {size}",
                stored.descriptor.size
            )));
        }
        Ok(stored)
    }

    /// Reads a document and stores it.
    fn keep(&self, digest: Digest, bytes: &[u8], media_type: Option<&str>) -> Result<Stored> {
        let document =
            Document::parse(bytes, media_type).map_err(|e| e.within(self.name.familiar()))?;
        self.store.write_blob_as(&digest, bytes)?;
        let media_type = match &document {
            Document::Manifest(manifest) => &manifest.media_type,
            Document::Index(index) => &index.media_type,
        };
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        Ok(Stored {
            descriptor,
            document,
        })
    }

    fn config(&self, manifest: &Manifest) -> Result<ImageConfig> {
        let blob = &manifest.config;
        let bytes = match self.store.read_blob(&blob.digest, MAX_DOCUMENT) {
            Ok(bytes) => bytes,
            Err(_) => self.client.small_blob(blob, "image config")?,
        };
        let config = ImageConfig::parse(&bytes).map_err(|e| e.within(self.name.familiar()))?;
        if config.diff_ids.len() != manifest.layers.len() {
            return Err(Error::invalid(format!(
                "{}: the manifest has {} layers, the image config {}",
                self.name.familiar(),
                manifest.layers.len(),
                config.diff_ids.len()
            )));
        }
        self.store.write_blob_as(&blob.digest, &bytes)?;
        Ok(config)
    }

    /// A single manifest is taken for any platform, unless one was asked for.
    fn check_platform(&self, wanted: Option<&Platform>, config: &ImageConfig) -> Result<()> {
        let actual = &config.platform;
        match wanted {
            Some(wanted) if !actual.os.is_empty() && !wanted.runs(actual) => {
                Err(Error::not_found(format!(
                    "image with reference {} was found but does not match the specified platform: wanted {wanted}, actual: {actual}",
                    self.name.familiar()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Each layer once, though an image may repeat it.
fn layers_of(chosen: &Chosen) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for (blob, diff_id) in chosen.manifest.layers.iter().zip(&chosen.config.diff_ids) {
        let known = |l: &&Layer| l.blob.digest == blob.digest && l.diff_id == *diff_id;
        if layers.iter().find(known).is_none() {
            layers.push(Layer {
                blob: blob.clone(),
                diff_id: diff_id.clone(),
            });
        }
    }
    layers
}
