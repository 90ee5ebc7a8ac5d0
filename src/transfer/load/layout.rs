//! Which images an archive has: by Docker's `manifest.json`, else by the
//! `index.json` of an OCI layout.

use super::Item;
use super::files::{Content, Files};
use crate::error::{Error, Kind, Result};
use crate::image::{
    Descriptor, Digest, Document, ImageConfig, Index, Manifest, Platform, Reference,
};
use crate::store::Store;
use serde::Deserialize;
use std::collections::HashSet;

/// How many indexes may point to each other before it is a loop.
const MOST_INDEXES: usize = 3;

/// An entry of `manifest.json` (moby, image/tarexport).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerItem {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

pub fn items(files: &Files, store: &Store, platforms: &[Platform]) -> Result<Vec<Item>> {
    let layout = Layout {
        files,
        store,
        platforms,
        index: match files.document("index.json")? {
            Some(bytes) => match Document::parse(bytes, None)? {
                Document::Index(index) => Some(index),
                Document::Manifest(_) => {
                    return Err(Error::invalid("index.json of the archive is no index"));
                }
            },
            None => None,
        },
    };
    let items = match (files.document("manifest.json")?, &layout.index) {
        (Some(bytes), _) => layout.docker(bytes)?,
        (None, Some(index)) => layout.oci(index)?,
        (None, None) if files.document("repositories")?.is_some() => {
            return Err(Error::unsupported(
                "the archive was written by a Docker before 1.10, which is not supported",
            ));
        }
        (None, None) => {
            return Err(Error::invalid(
                "the archive is no image: it has neither manifest.json nor index.json",
            )
            .hint("files that are to become an image are taken by `import`"));
        }
    };
    if items.is_empty() && !platforms.is_empty() {
        let wanted: Vec<String> = platforms.iter().map(Platform::to_string).collect();
        return Err(Error::not_found(format!(
            "the archive has no image for the specified platform ({})",
            wanted.join(", ")
        )));
    }
    Ok(items)
}

struct Layout<'a> {
    files: &'a Files,
    store: &'a Store,
    platforms: &'a [Platform],
    index: Option<Index>,
}

impl Layout<'_> {
    fn docker(&self, bytes: &[u8]) -> Result<Vec<Item>> {
        let items: Vec<DockerItem> = serde_json::from_slice(bytes)
            .map_err(|e| Error::invalid(format!("manifest.json of the archive is broken: {e}")))?;
        let mut out = Vec::new();
        for item in items {
            let config = self.files.get(&item.config)?.as_document(self.store)?;
            let parsed = ImageConfig::parse(&config)?;
            if !self.is_wanted(&parsed.platform) {
                continue;
            }
            let layers = item.layers.unwrap_or_default();
            let layers = layers.iter().map(|path| self.files.get(path).cloned());
            let tags = item.repo_tags.unwrap_or_default();
            let tags: Vec<Reference> = tags
                .iter()
                .map(|tag| {
                    Reference::parse(tag)
                        .map_err(|e| e.within(format!("invalid tag \"{}\"", tag.escape_debug())))
                })
                .collect::<Result<_>>()?;
            let found = self.manifest_of(&Digest::of(&config));
            let (manifest, index) = match found {
                Some((bytes, manifest, entry)) => (Some((bytes, manifest)), self.of_index(&entry)?),
                None => (None, None),
            };
            out.push(Item {
                shown: tags.first().map_or(item.config, Reference::familiar),
                layers: layers.collect::<Result<_>>()?,
                manifest,
                config,
                tags,
                index,
            });
        }
        Ok(out)
    }

    fn is_wanted(&self, platform: &Platform) -> bool {
        self.platforms.is_empty() || self.platforms.iter().any(|wanted| wanted.runs(platform))
    }

    /// A manifest of the layout over this config, and the layout's entry that
    /// leads to it.
    fn manifest_of(&self, config: &Digest) -> Option<(Vec<u8>, Manifest, Descriptor)> {
        let entries = self.index.as_ref()?.manifests.iter();
        let mut waiting: Vec<_> = entries.map(|entry| (entry.clone(), entry)).collect();
        for _ in 0..10_000 {
            let (descriptor, entry) = waiting.pop()?;
            match self.document(&descriptor) {
                Ok((bytes, Document::Manifest(manifest)))
                    if manifest.config.digest == *config && manifest.ensure_image().is_ok() =>
                {
                    return Some((bytes, manifest, entry.clone()));
                }
                Ok((_, Document::Index(index))) => {
                    waiting.extend(index.manifests.into_iter().map(|below| (below, entry)));
                }
                _ => {}
            }
        }
        None
    }

    /// When `entry` is an index: that, and all documents that the archive has of
    /// it. Nothing when one platform was asked for.
    fn of_index(&self, entry: &Descriptor) -> Result<Option<Vec<Content>>> {
        if !self.platforms.is_empty() || !entry.is_index() {
            return Ok(None);
        }
        let (mut found, mut waiting) = (Vec::new(), vec![entry.clone()]);
        let mut seen = HashSet::new();
        while let Some(descriptor) = waiting.pop() {
            let Ok(content) = self.files.blob(&descriptor.digest) else {
                continue;
            };
            if !seen.insert(descriptor.digest.clone()) {
                continue;
            }
            // Layers are in the store by now.
            if matches!(content, Content::Document(_) | Content::Blob(_)) {
                found.push(content.clone());
            }
            if !descriptor.is_manifest() && !descriptor.is_index() {
                continue;
            }
            match self.document(&descriptor)?.1 {
                Document::Index(index) => waiting.extend(index.manifests),
                Document::Manifest(manifest) => {
                    waiting.extend(manifest.layers);
                    waiting.push(manifest.config);
                }
            }
        }
        Ok(Some(found))
    }

    fn document(&self, descriptor: &Descriptor) -> Result<(Vec<u8>, Document)> {
        let bytes = self
            .files
            .blob(&descriptor.digest)?
            .as_document(self.store)?;
        if bytes.len() as u64 != descriptor.size {
            return Err(Error::invalid(format!(
                "manifest {} has {} bytes, its index says {}",
                descriptor.digest,
                bytes.len(),
                descriptor.size
            )));
        }
        let document = Document::parse(&bytes, Some(&descriptor.media_type))?;
        Ok((bytes, document))
    }

    fn oci(&self, index: &Index) -> Result<Vec<Item>> {
        let mut items: Vec<Item> = Vec::new();
        let mut other = None;
        for descriptor in &index.manifests {
            let tag = name_of(descriptor);
            match self.image(descriptor) {
                Ok(mut item) => {
                    item.tags.extend(tag.clone());
                    item.shown = tag.map_or(item.shown, |tag| tag.familiar());
                    // Several names of one image are several entries.
                    match items.iter_mut().find(|known| known.config == item.config) {
                        Some(known) => known.tags.extend(item.tags),
                        None => items.push(item),
                    }
                }
                // A signature or a chart beside the images, another platform.
                Err(e) if matches!(e.kind(), Kind::Unsupported | Kind::NotFound) => {
                    other = Some(e);
                }
                Err(e) => return Err(e),
            }
        }
        match other {
            Some(e) if items.is_empty() => Err(e),
            _ => Ok(items),
        }
    }

    fn image(&self, entry: &Descriptor) -> Result<Item> {
        let mut descriptor = entry.clone();
        for _ in 0..=MOST_INDEXES {
            let (bytes, document) = self.document(&descriptor)?;
            let manifest = match document {
                Document::Manifest(manifest) => manifest,
                Document::Index(index) => {
                    descriptor = self.choose(&index)?;
                    continue;
                }
            };
            manifest.ensure_image()?;
            let config = self.files.blob(&manifest.config.digest)?;
            let config = config.as_document(self.store)?;
            let platform = ImageConfig::parse(&config)?.platform;
            if !self.is_wanted(&platform) {
                return Err(Error::not_found(format!("the image is for {platform}")));
            }
            let layers = manifest.layers.iter();
            let layers: Vec<Content> = layers
                .map(|layer| self.files.blob(&layer.digest).cloned())
                .collect::<Result<_>>()?;
            return Ok(Item {
                shown: descriptor.digest.to_string(),
                config,
                layers,
                tags: Vec::new(),
                manifest: Some((bytes, manifest)),
                index: self.of_index(entry)?,
            });
        }
        Err(Error::invalid(format!(
            "more than {MOST_INDEXES} indexes point to each other"
        )))
    }

    /// Of what an index offers, that which suits and is in the archive.
    fn choose(&self, index: &Index) -> Result<Descriptor> {
        let there = Index {
            media_type: index.media_type.clone(),
            manifests: index
                .manifests
                .iter()
                .filter(|d| self.files.blob(&d.digest).is_ok())
                .cloned()
                .collect(),
        };
        let host = [Platform::host()];
        let wanted = match self.platforms.is_empty() {
            true => &host[..],
            false => self.platforms,
        };
        let found = wanted.iter().find_map(|p| there.choose(p).ok());
        match (found, &there.manifests[..]) {
            (Some(found), _) => Ok(found.clone()),
            // Nothing else is there, and nothing was asked for.
            (None, [only]) if self.platforms.is_empty() => Ok(only.clone()),
            _ => there.choose(&wanted[0]).cloned(),
        }
    }
}

/// What an entry of an index is called: by containerd's annotation, or by the
/// OCI's when that is more than a tag.
fn name_of(descriptor: &Descriptor) -> Option<Reference> {
    let note = |key: &str| descriptor.annotations.get(key);
    if let Some(name) = note("io.containerd.image.name") {
        return Reference::parse(name).ok();
    }
    let name = note("org.opencontainers.image.ref.name")?;
    name.contains(['/', ':'])
        .then(|| Reference::parse(name).ok())
        .flatten()
}
