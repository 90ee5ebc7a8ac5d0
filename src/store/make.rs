//! Images made here, of documents and layers that are in the store already.

use super::Store;
use super::image::{Image, entry_of};
use super::index::Entry;
use super::whole::Origin;
use crate::error::{Error, Result};
use crate::image::digest::Digest;
use crate::image::draft::{self, Draft};
use crate::image::manifest::{Descriptor, OCI_MANIFEST};
use crate::image::reference::Reference;
use std::collections::{BTreeMap, HashMap};

impl Store {
    /// Writes config and manifest of an image of these packed layers, lowest
    /// first; gives the manifest's descriptor.
    pub fn write_image(&self, config: &Draft, layers: &[Descriptor]) -> Result<Descriptor> {
        self.write_annotated(config, layers, &BTreeMap::new())
    }

    /// The same, with annotations of the manifest.
    pub fn write_annotated(
        &self,
        config: &Draft,
        layers: &[Descriptor],
        annotations: &BTreeMap<String, String>,
    ) -> Result<Descriptor> {
        let config = config.to_bytes()?;
        let manifest = draft::annotated_manifest(&config, layers, annotations)?;
        self.write_blob(&config)?;
        let digest = self.write_blob(&manifest)?;
        Ok(Descriptor::new(OCI_MANIFEST, digest, manifest.len() as u64))
    }

    /// Makes an image visible, durably, as [`Store::add_image`] does, with a
    /// name or without. What it was called before stays.
    pub fn add_made(&self, name: Option<&Reference>, manifest: &Descriptor) -> Result<Image> {
        self.add_of(name, manifest, None)
    }

    /// The same for a manifest of an index, all of which that is in the store
    /// belongs to the image.
    pub fn add_of(
        &self,
        name: Option<&Reference>,
        manifest: &Descriptor,
        origin: Option<&Origin>,
    ) -> Result<Image> {
        let facts = self.check_complete(manifest)?;
        let mut entry = entry_of(manifest, &facts);
        entry.set_origin(origin);
        let image = self.edit_index(|index| {
            let known = |e: &Entry| {
                e.digest().as_ref() == Some(&manifest.digest)
                    && (origin.is_none() || e.origin().as_ref() == origin)
            };
            match name {
                Some(name) => index.set(name, entry),
                None if index.manifests.iter().any(known) => {}
                None => index.manifests.push(entry),
            }
            Ok(self.group(index).into_iter().find(|i| i.id == facts.id))
        })?;
        image.ok_or_else(|| Error::internal(format!("image {} was not stored", facts.id)))
    }

    /// Puts another manifest with the same config in the place of an image's, durably.
    pub fn put_manifest(&self, image: &Image, bytes: &[u8]) -> Result<Image> {
        let old = &image.manifest;
        let digest = self.write_blob(bytes)?;
        let new = Descriptor::new(&old.media_type, digest, bytes.len() as u64);
        self.check_complete(&new)?;
        let is_old = |entry: &Entry| entry.digest().as_ref() == Some(&old.digest);
        // One that nobody sees has no entries, and one may have been removed.
        if self.read_index()?.manifests.iter().any(is_old) {
            self.edit_index(|index| {
                let entries = index.manifests.iter_mut();
                entries.filter(|e| is_old(e)).for_each(|e| e.point_at(&new));
                Ok(())
            })?;
        }
        let mut image = image.clone();
        for entry in &mut image.entries {
            if *entry == old.digest {
                *entry = new.digest.clone();
            }
        }
        image.manifest = new;
        Ok(image)
    }

    /// An image that is whole and that nobody sees. Hold a lease while it is used.
    pub fn unseen(&self, manifest: &Descriptor) -> Result<Image> {
        Ok(Image::new(manifest.clone(), self.check_complete(manifest)?))
    }

    /// How the layers of all images are packed, by their DiffIDs.
    pub fn packed_layers(&self) -> Result<HashMap<Digest, Descriptor>> {
        let mut packed = HashMap::new();
        for image in self.images()? {
            // What cannot be read is no help, and no harm.
            let (Ok(config), Ok(manifest)) = (self.config(&image), self.manifest(&image)) else {
                continue;
            };
            let layers = config.diff_ids.into_iter().zip(manifest.layers);
            packed.extend(layers.filter(|(_, layer)| self.has_blob(&layer.digest)));
        }
        Ok(packed)
    }

    /// The image with this ID, if it is there.
    pub fn by_id(&self, id: &Digest) -> Result<Option<Image>> {
        Ok(self.images()?.into_iter().find(|image| image.id == *id))
    }
}
