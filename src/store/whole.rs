//! Indexes of several platforms. An image is one of an index's manifests; the
//! index itself stays beside it, so that it can be pushed again as it was. One
//! that was loaded is kept whole, with all that the archive had of it: such
//! manifests are no images until somebody asks for their platform.

use super::Store;
use super::collect::Used;
use super::image::Image;
use super::index::Facts;
use crate::error::{Error, Kind, Result};
use crate::image::config::ImageConfig;
use crate::image::digest::Digest;
use crate::image::manifest::{Descriptor, Document, MAX_DOCUMENT};
use crate::image::platform::Platform;
use crate::image::reference::Reference;
use std::collections::HashSet;

/// How many indexes may point to each other before it is a loop.
const MOST_INDEXES: usize = 3;
/// Manifests of one index, far above any real one.
const MOST_MANIFESTS: usize = 1000;

/// What an image is one manifest of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub index: Digest,
    /// All that is here of it belongs to the image.
    pub whole: bool,
}

/// A document that an index leads to, and what it needs.
#[derive(Debug, Clone)]
pub struct Part {
    pub descriptor: Descriptor,
    /// Config and layers; of an index none.
    pub blobs: Vec<Descriptor>,
    /// All of that is in the store.
    pub here: bool,
}

impl Store {
    /// The index that the image is known by under `name`, with its descriptor;
    /// `None` when it is not of one. `name` of `None`: under any.
    pub fn index_of(
        &self,
        image: &Image,
        name: Option<&Reference>,
    ) -> Option<(Origin, Descriptor)> {
        let (_, origin) = image.origins.iter().find(|(known, _)| match name {
            Some(name) => known.as_ref() == Some(name),
            None => true,
        })?;
        let bytes = self.read_blob(&origin.index, MAX_DOCUMENT).ok()?;
        let Ok(Document::Index(index)) = Document::parse(&bytes, None) else {
            return None;
        };
        let size = bytes.len() as u64;
        let descriptor = Descriptor::new(&index.media_type, origin.index.clone(), size);
        Some((origin.clone(), descriptor))
    }

    /// Everything below an index, what is pointed at first.
    pub fn parts(&self, index: &Digest) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        self.add_parts(index, 0, &mut parts)?;
        Ok(parts)
    }

    fn add_parts(&self, index: &Digest, depth: usize, parts: &mut Vec<Part>) -> Result<()> {
        let bytes = self.read_blob(index, MAX_DOCUMENT)?;
        let Document::Index(document) = Document::parse(&bytes, None)? else {
            return Err(Error::invalid(format!("{index} is not an index")));
        };
        if depth > MOST_INDEXES || document.manifests.len() + parts.len() > MOST_MANIFESTS {
            return Err(Error::invalid(format!(
                "index {index} points to too many others"
            )));
        }
        for descriptor in document.manifests {
            if parts
                .iter()
                .any(|p| p.descriptor.digest == descriptor.digest)
            {
                continue;
            }
            let part = self.part(descriptor)?;
            if part.here && part.descriptor.is_index() {
                self.add_parts(&part.descriptor.digest, depth + 1, parts)?;
            }
            parts.push(part);
        }
        Ok(())
    }

    /// One that cannot be read because it is not there is not here.
    fn part(&self, descriptor: Descriptor) -> Result<Part> {
        let mut part = Part {
            descriptor,
            blobs: Vec::new(),
            here: false,
        };
        let bytes = match self.read_blob(&part.descriptor.digest, MAX_DOCUMENT) {
            Err(e) if e.kind() == Kind::NotFound => return Ok(part),
            other => other?,
        };
        if let Document::Manifest(manifest) =
            Document::parse(&bytes, Some(&part.descriptor.media_type))?
        {
            part.blobs = manifest.layers;
            part.blobs.push(manifest.config);
        }
        part.here = part.blobs.iter().all(|blob| self.has_blob(&blob.digest));
        Ok(part)
    }

    /// The image for another platform, out of the index that `image` is one of;
    /// the image itself when it is for that. `None`: there is no such one here.
    /// Its layers need not be unpacked; its size is theirs as they are packed.
    pub fn variant(&self, image: &Image, wanted: &Platform) -> Result<Option<Image>> {
        if self.config(image)?.platform == *wanted {
            return Ok(Some(image.clone()));
        }
        let Some((origin, _)) = self.index_of(image, None) else {
            return Ok(None);
        };
        for part in self.parts(&origin.index)? {
            let Some((id, parsed)) = self.config_of(&part)? else {
                continue;
            };
            if parsed.platform != *wanted {
                continue;
            }
            let layers = &part.blobs[..part.blobs.len() - 1];
            let facts = Facts {
                id,
                size: layers.iter().map(|layer| layer.size).sum(),
                created: parsed.oci.created().clone(),
            };
            return Ok(Some(Image {
                names: image.names.clone(),
                digests: image.digests.clone(),
                tagged: image.tagged.clone(),
                ..Image::new(part.descriptor, facts)
            }));
        }
        Ok(None)
    }

    /// The digest and the content of its config, if it is an image that is here.
    fn config_of(&self, part: &Part) -> Result<Option<(Digest, ImageConfig)>> {
        let is_image = part.here && !part.descriptor.is_attestation();
        let Some(config) = part.blobs.last().filter(|_| is_image) else {
            return Ok(None);
        };
        let parsed = ImageConfig::parse(&self.read_blob(&config.digest, MAX_DOCUMENT)?).ok();
        Ok(parsed.map(|parsed| (config.digest.clone(), parsed)))
    }

    /// The images of several platforms that `image` is one of, here or not, with
    /// their platforms; none when it is of no index.
    pub fn variants(&self, image: &Image) -> Result<Vec<(Option<Platform>, Part)>> {
        let Some((origin, _)) = self.index_of(image, None) else {
            return Ok(Vec::new());
        };
        let parts = self.parts(&origin.index)?.into_iter();
        let images = parts.filter(|p| !p.descriptor.is_index() && !p.descriptor.is_attestation());
        images
            .map(|part| {
                let platform = match part.descriptor.platform.clone() {
                    None => self.config_of(&part)?.map(|(_, config)| config.platform),
                    stated => stated,
                };
                Ok((platform, part))
            })
            .collect()
    }

    /// Notes what an index needs; of what its other manifests unpack to nothing.
    pub(super) fn use_index(&self, origin: &Origin, used: &mut Used) -> Result<()> {
        used.blobs.insert(self.blob_path(&origin.index));
        if !origin.whole {
            return Ok(());
        }
        let mut seen = HashSet::new();
        let mut waiting = vec![origin.index.clone()];
        while let Some(digest) = waiting.pop() {
            if !seen.insert(digest.clone()) {
                continue;
            }
            used.blobs.insert(self.blob_path(&digest));
            let Some(bytes) = self.read_if_there(&digest)? else {
                continue;
            };
            match Document::parse(&bytes, None) {
                Ok(Document::Index(index)) => {
                    waiting.extend(index.manifests.into_iter().map(|d| d.digest));
                }
                Ok(Document::Manifest(manifest)) => {
                    let blobs = manifest.layers.iter().chain([&manifest.config]);
                    used.blobs.extend(blobs.map(|b| self.blob_path(&b.digest)));
                }
                Err(_) => {}
            }
        }
        Ok(())
    }
}
