//! Images as the user sees them: names, IDs, and finding one by either.

use super::Store;
use super::index::{Entry, Facts, Index};
use super::whole::Origin;
use crate::error::{Error, Result};
use crate::image::config::ImageConfig;
use crate::image::digest::Digest;
use crate::image::manifest::{Descriptor, Document, MAX_DOCUMENT, Manifest};
use crate::image::platform::Platform;
use crate::image::reference::Reference;
use crate::text::time;
use std::collections::HashMap;

/// One image of one platform with all its names.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of the image config: Docker's image ID.
    pub id: Digest,
    pub manifest: Descriptor,
    /// Names with a tag, in the order they were given.
    pub names: Vec<Reference>,
    /// Names with a digest: what it was pulled as.
    pub digests: Vec<Reference>,
    /// Bytes of the unpacked layers.
    pub size: u64,
    /// RFC 3339, as the image's config says.
    pub created: Option<String>,
    /// When a name was last given, RFC 3339.
    pub tagged: Option<String>,
    /// What its entries in the index point at: its manifest, or an index that
    /// another tool has stored.
    pub(super) entries: Vec<Digest>,
    /// The indexes that it is of, by the name it has from there.
    pub(super) origins: Vec<(Option<Reference>, Origin)>,
}

impl Image {
    pub(super) fn new(manifest: Descriptor, facts: Facts) -> Self {
        Self {
            id: facts.id,
            manifest,
            names: Vec::new(),
            digests: Vec::new(),
            size: facts.size,
            created: facts.created,
            tagged: None,
            entries: Vec::new(),
            origins: Vec::new(),
        }
    }
}

impl Store {
    /// All images, in the order they came. Entries of the index that are no
    /// image of ours (other tools may write there) are left out.
    pub fn images(&self) -> Result<Vec<Image>> {
        Ok(self.group(&self.read_index()?))
    }

    /// Finds an image by name (`latest` is assumed), `name@digest`, image ID
    /// or manifest digest, or an unambiguous prefix of one, with or without
    /// `sha256:`.
    pub fn resolve(&self, text: &str) -> Result<Image> {
        if let Ok(name) = Reference::parse(text)
            && let Some(entries) = self.entries_of(&name)?
            && let Some(image) = self.group(&entries).pop()
        {
            return Ok(image);
        }
        let images = self.images()?;
        find(&images, text).cloned()
    }

    /// The image's config: what to run, and the DiffIDs.
    pub fn config(&self, image: &Image) -> Result<ImageConfig> {
        ImageConfig::parse(&self.read_blob(&image.id, MAX_DOCUMENT)?)
            .map_err(|e| e.within(format!("image {}", image.id.short())))
    }

    pub fn manifest(&self, image: &Image) -> Result<Manifest> {
        self.read_manifest(&image.manifest.digest, Some(&image.manifest.media_type))
    }

    /// Makes a pulled image visible under `name`, durably: its blobs and
    /// layers, which must all be here, reach the disk first. `pulled_as` is
    /// the digest the registry gave for the name (that of the index when
    /// there is one). A name with a digest is kept without its tag.
    pub fn add_image(
        &self,
        name: &Reference,
        manifest: &Descriptor,
        pulled_as: Option<&Digest>,
    ) -> Result<Image> {
        let facts = self.check_complete(manifest)?;
        let mut entry = entry_of(manifest, &facts);
        if let Some(index) = pulled_as.filter(|digest| **digest != manifest.digest) {
            let (index, whole) = (index.clone(), false);
            entry.set_origin(Some(&Origin { index, whole }));
        }
        let image = self.edit_index(|index| {
            if let Some(digest) = name.digest().or(pulled_as) {
                index.set(&name.with_digest(digest.clone()), entry.clone());
            }
            if name.digest().is_none() {
                index.set(name, entry);
            }
            Ok(self.group(index).into_iter().find(|i| i.id == facts.id))
        })?;
        image.ok_or_else(|| Error::internal(format!("image {name} was not stored")))
    }

    /// Gives `image` one more name.
    pub fn tag(&self, image: &Image, name: &Reference) -> Result<()> {
        self.edit_index(|index| {
            let is_its = |e: &&Entry| e.digest().is_some_and(|d| image.entries.contains(&d));
            let of_index = |e: &&Entry| is_its(e) && e.origin().is_some();
            let mut all = index.manifests.iter();
            let found = all.clone().find(of_index).or_else(|| all.find(is_its));
            let mut entry = found.cloned().ok_or_else(|| no_such_image(name))?;
            entry.set_tagged(time::now());
            index.set(name, entry);
            Ok(())
        })
    }

    /// Reads config and layers of an image that is about to become visible,
    /// and puts all of it on the disk.
    pub(super) fn check_complete(&self, manifest: &Descriptor) -> Result<Facts> {
        let document = self.read_manifest(&manifest.digest, Some(&manifest.media_type))?;
        let id = document.config.digest.clone();
        let config = ImageConfig::parse(&self.read_blob(&id, MAX_DOCUMENT)?)?;
        if config.diff_ids.len() != document.layers.len() {
            return Err(Error::invalid(format!(
                "manifest {} has {} layers, its config {}",
                manifest.digest,
                document.layers.len(),
                config.diff_ids.len()
            )));
        }
        let size = self.settle_layers(&config.diff_ids)?;
        Ok(Facts {
            id,
            size,
            created: config.oci.created().clone(),
        })
    }

    pub(super) fn read_manifest(
        &self,
        digest: &Digest,
        media_type: Option<&str>,
    ) -> Result<Manifest> {
        let bytes = self.read_blob(digest, MAX_DOCUMENT)?;
        match Document::parse(&bytes, media_type)? {
            Document::Manifest(manifest) => Ok(manifest),
            Document::Index(_) => Err(Error::invalid(format!("{digest} is not a manifest"))),
        }
    }

    /// Entries of the same config are names of the same image.
    pub(super) fn group(&self, index: &Index) -> Vec<Image> {
        let mut images: Vec<Image> = Vec::new();
        let mut places: HashMap<Digest, usize> = HashMap::new();
        for entry in &index.manifests {
            let Some((manifest, facts)) = self.entry_image(entry) else {
                continue;
            };
            let at = *places.entry(facts.id.clone()).or_insert(images.len());
            if at == images.len() {
                images.push(Image::new(manifest, facts));
            }
            let image = &mut images[at];
            image.entries.extend(entry.digest());
            let name = entry.name();
            if let Some(origin) = entry.origin() {
                image.origins.push((name.clone(), origin));
            }
            match name {
                Some(name) if name.digest().is_some() => image.digests.push(name),
                Some(name) => image.names.push(name),
                None => {}
            }
            if image.tagged.as_deref() < entry.tagged() {
                image.tagged = entry.tagged().map(str::to_owned);
            }
        }
        images
    }

    fn entry_image(&self, entry: &Entry) -> Option<(Descriptor, Facts)> {
        let digest = entry.digest()?;
        if let Some(facts) = entry.facts() {
            return Some((
                Descriptor::new(&entry.media_type, digest, entry.size),
                facts,
            ));
        }
        self.foreign_image(&digest, entry)
    }

    /// An entry without our notes: the manifest, or the one of an index that
    /// suits this host, says what they would say.
    fn foreign_image(&self, digest: &Digest, entry: &Entry) -> Option<(Descriptor, Facts)> {
        let bytes = self.read_blob(digest, MAX_DOCUMENT).ok()?;
        let (descriptor, manifest) = match Document::parse(&bytes, Some(&entry.media_type)).ok()? {
            Document::Manifest(m) => (
                Descriptor::new(&entry.media_type, digest.clone(), entry.size),
                m,
            ),
            Document::Index(index) => {
                let chosen = index.choose(&Platform::host()).ok()?.clone();
                let manifest = self
                    .read_manifest(&chosen.digest, Some(&chosen.media_type))
                    .ok()?;
                (chosen, manifest)
            }
        };
        let config = self.read_blob(&manifest.config.digest, MAX_DOCUMENT).ok()?;
        let config = ImageConfig::parse(&config).ok()?;
        let facts = Facts {
            id: manifest.config.digest,
            size: config
                .diff_ids
                .iter()
                .filter_map(|id| self.layer_size(id).ok())
                .sum(),
            created: config.oci.created().clone(),
        };
        Some((descriptor, facts))
    }
}

/// An entry without a name, given now.
pub(super) fn entry_of(manifest: &Descriptor, facts: &Facts) -> Entry {
    let Descriptor {
        media_type,
        digest,
        size,
        ..
    } = manifest;
    let mut entry = Entry::new(media_type, digest, *size, facts);
    entry.set_tagged(time::now());
    entry
}

/// Docker's sentence, with the tag that was assumed.
pub(super) fn no_such_image(name: &Reference) -> Error {
    Error::not_found(format!("No such image: {}", name.familiar()))
}

/// Name first, then ID: an image called `abc` hides an ID that starts so.
pub(super) fn find<'a>(images: &'a [Image], text: &str) -> Result<&'a Image> {
    let name = match Reference::parse(text) {
        Ok(name) => name,
        Err(e) => {
            // A full ID is no name, and Docker takes it for an ID.
            let hex = text.strip_prefix("sha256:").unwrap_or(text);
            if !crate::text::id::is_full(hex) {
                return Err(e);
            }
            return by_prefix(images, text)?
                .ok_or_else(|| Error::not_found(format!("No such image: {text}")));
        }
    };
    if let Some(image) = images.iter().find(|i| has_name(i, &name)) {
        return Ok(image);
    }
    by_prefix(images, text)?.ok_or_else(|| no_such_image(&name))
}

fn has_name(image: &Image, name: &Reference) -> bool {
    let Some(digest) = name.digest() else {
        return image.names.contains(name);
    };
    let repository = name.name();
    let same = |known: &&Reference| known.name() == repository;
    image
        .digests
        .iter()
        .filter(same)
        .any(|known| known.digest() == Some(digest))
        || (image.manifest.digest == *digest
            && image
                .digests
                .iter()
                .chain(&image.names)
                .any(|known| same(&known)))
}

/// Whether `text` is an ID or the start of one rather than a name.
pub(super) fn is_id_of(image: &Image, text: &str) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    // An index that is here as a whole is known by its own ID, too: a build for
    // several platforms has no other.
    let whole = image.origins.iter().filter(|(_, origin)| origin.whole);
    let mut digests = [&image.id, &image.manifest.digest]
        .into_iter()
        .chain(whole.map(|(_, origin)| &origin.index));
    !hex.is_empty() && digests.any(|digest| digest.hex().starts_with(hex))
}

fn by_prefix<'a>(images: &'a [Image], text: &str) -> Result<Option<&'a Image>> {
    let mut found = images.iter().filter(|i| is_id_of(i, text));
    match (found.next(), found.next()) {
        (Some(_), Some(_)) => Err(Error::conflict(format!(
            "multiple IDs found with provided prefix: {text}"
        ))),
        (one, _) => Ok(one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::store::tests::Scratch;

    #[test]
    fn resolves_every_spelling() {
        let scratch = Scratch::new("image-resolve");
        let store = scratch.store();
        let one = scratch.image("alpine", "one");
        let two = scratch.image("quay.io/x/y:v1", "two");
        let pulled = Digest::of(b"the index");
        let name = Reference::parse("alpine").unwrap();
        let one = store
            .add_image(&name, &one.manifest, Some(&pulled))
            .unwrap();
        let manifest = one.manifest.digest.to_string();
        for text in [
            "alpine".to_owned(),
            "docker.io/library/alpine:latest".into(),
            format!("alpine@{pulled}"),
            format!("alpine@{manifest}"),
            format!("alpine:other@{pulled}"),
            one.id.to_string(),
            one.id.hex().to_owned(),
            one.id.short().to_owned(),
            format!("sha256:{}", one.id.short()),
            manifest[7..20].to_owned(),
        ] {
            assert_eq!(store.resolve(&text).unwrap().id, one.id, "{text}");
        }
        assert_eq!(store.resolve("quay.io/x/y:v1").unwrap().id, two.id);
        for (text, message) in [
            ("nope", "No such image: nope:latest"),
            ("alpine:v2", "No such image: alpine:v2"),
            ("quay.io/x/y", "No such image: quay.io/x/y:latest"),
        ] {
            let error = store.resolve(text).unwrap_err();
            assert_eq!((error.message(), error.kind()), (message, Kind::NotFound));
        }
        assert!(
            store
                .resolve("BAD")
                .unwrap_err()
                .message()
                .contains("must be lowercase")
        );
        assert!(store.resolve(&format!("other@{pulled}")).is_err());
        assert!(store.resolve("").is_err());
    }

    #[test]
    fn images_of_other_tools_are_seen() {
        use serde_json::json;
        let scratch = Scratch::new("image-foreign");
        let store = scratch.store();
        let image = scratch.unnamed("one");
        let host = Platform::host();
        let index = json!({"schemaVersion": 2, "mediaType": crate::image::manifest::OCI_INDEX, "manifests": [
            {"mediaType": image.media_type, "digest": image.digest, "size": image.size,
             "platform": {"os": host.os, "architecture": host.architecture}}]})
        .to_string();
        let digest = store.write_blob(index.as_bytes()).unwrap();
        let layout = json!({"schemaVersion": 2, "manifests": [
            {"mediaType": crate::image::manifest::OCI_INDEX, "digest": digest, "size": index.len(),
             "annotations": {"org.opencontainers.image.ref.name": "quay.io/x/y:1"}}]});
        std::fs::write(store.index_file(), layout.to_string()).unwrap();
        let found = store.resolve("quay.io/x/y:1").unwrap();
        assert_eq!((&found.manifest.digest, found.size), (&image.digest, 3));
        store
            .tag(&found, &Reference::parse("again").unwrap())
            .unwrap();
        assert_eq!(store.resolve("again").unwrap().id, found.id);
        store
            .remove(found.id.short(), true, || Ok(Vec::new()))
            .unwrap();
        assert!(store.images().unwrap().is_empty());
    }

    #[test]
    fn ambiguous_prefixes_are_refused() {
        let scratch = Scratch::new("image-ambiguous");
        let mut first = std::collections::HashMap::new();
        for n in 0.. {
            let image = scratch.image(&format!("i{n}"), &format!("content {n}"));
            let digit = image.id.hex()[..1].to_owned();
            if first.insert(digit.clone(), n).is_some() {
                let error = scratch.store().resolve(&digit).unwrap_err();
                assert_eq!(
                    error.message(),
                    format!("multiple IDs found with provided prefix: {digit}")
                );
                return;
            }
        }
    }

    #[test]
    fn incomplete_images_stay_invisible() {
        let scratch = Scratch::new("image-incomplete");
        let store = scratch.store();
        let image = scratch.image("a", "one");
        let config = store.config(&image).unwrap();
        std::fs::remove_dir_all(store.layer_path(&config.diff_ids[0])).unwrap();
        let name = Reference::parse("other").unwrap();
        assert!(store.add_image(&name, &image.manifest, None).is_err());
        assert!(store.resolve("other").is_err());
    }
}
