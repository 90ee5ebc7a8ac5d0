//! Images into one archive: an OCI layout (image-spec, "Image Layout") with
//! Docker's `manifest.json` and `repositories` beside it, as Docker 25 and
//! later write. Blobs go in as they are: nothing is packed anew but what was made
//! here in haste, digests stay.

use super::report::{Report, Reported};
use super::ship::ship;
use crate::error::{Context, Error, Kind, Result};
use crate::image::digest::HashingReader;
use crate::image::manifest::{Descriptor, OCI_INDEX};
use crate::image::{Digest, Platform, Reference};
use crate::output::progress::{Phase, Progress};
use crate::store::pack::{DIRECTORY, Header, REGULAR, unwritten, write_end, write_padding};
use crate::store::{Image, Origin, Store};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};

/// An image, and the tags it is to have in the archive.
pub struct Selected {
    image: Image,
    tags: Vec<Reference>,
    /// The index that it is of, when all of that is kept.
    index: Option<Descriptor>,
}

impl Selected {
    /// An image that need not have any of these tags in the store.
    pub fn new(image: Image, tags: Vec<Reference>) -> Self {
        Self {
            image,
            tags,
            index: None,
        }
    }

    /// The same, with all of the index that it is of.
    pub fn of(index: Descriptor, image: Image, tags: Vec<Reference>) -> Self {
        Self {
            index: Some(index),
            ..Self::new(image, tags)
        }
    }
}

/// What `names` stand for by Docker's rules: a name without a tag is the whole
/// repository, an ID or digest the image without its names. `platforms`: only
/// images of one of these.
pub fn select(store: &Store, names: &[String], platforms: &[Platform]) -> Result<Vec<Selected>> {
    let mut selected: Vec<Selected> = Vec::new();
    for name in names {
        for (image, tag) in named(store, name)? {
            let whole = |(origin, index): (Origin, Descriptor)| origin.whole.then_some(index);
            let (images, index) = match platforms.is_empty() {
                true => {
                    let index = store.index_of(&image, tag.as_ref()).and_then(whole);
                    (vec![image], index)
                }
                false => (of_platforms(store, name, &image, platforms)?, None),
            };
            for image in images {
                match selected.iter_mut().find(|s| s.image.id == image.id) {
                    Some(known) => known
                        .tags
                        .extend(tag.clone().filter(|t| !known.tags.contains(t))),
                    None => selected.push(Selected {
                        image,
                        tags: tag.clone().into_iter().collect(),
                        index: index.clone(),
                    }),
                }
            }
        }
    }
    Ok(selected)
}

/// The image for each of these, as far as it is there for one of them at least.
fn of_platforms(
    store: &Store,
    name: &str,
    image: &Image,
    platforms: &[Platform],
) -> Result<Vec<Image>> {
    let mut found = Vec::new();
    for wanted in platforms {
        found.extend(store.variant(image, wanted)?);
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let wanted: Vec<String> = platforms.iter().map(Platform::to_string).collect();
    Err(Error::not_found(format!(
        "image with reference {name} was found but does not provide the specified platform ({})",
        wanted.join(", ")
    ))
    .hint(format!("it is for {}", store.config(image)?.platform)))
}

fn named(store: &Store, name: &str) -> Result<Vec<(Image, Option<Reference>)>> {
    let parsed = Reference::parse_written(name);
    let bare = parsed.as_ref().is_ok_and(|(_, assumed)| *assumed);
    if let Ok((reference, assumed)) = parsed {
        let images = store.images()?.into_iter();
        let tags = images.flat_map(|image| {
            let tags = image.names.clone();
            tags.into_iter().map(move |tag| (image.clone(), Some(tag)))
        });
        let wanted = |tag: &Reference| match assumed {
            true => tag.name() == reference.name(),
            false => *tag == reference,
        };
        let found: Vec<_> = tags
            .filter(|(_, tag)| tag.as_ref().is_some_and(wanted))
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    match store.resolve(name) {
        // No tag was assumed.
        Err(e) if bare && e.kind() == Kind::NotFound => {
            Err(Error::not_found(format!("No such image: {name}")))
        }
        found => Ok(vec![(found?, None)]),
    }
}

/// Writes the archive. The same images make the same bytes. Whether one of them
/// was packed anew, and there is something to collect.
pub fn save(
    store: &Store,
    selected: &[Selected],
    out: &mut impl Write,
    progress: &dyn Progress,
) -> Result<bool> {
    let _lease = store.lease()?;
    let (mut shipped, mut repacked) = (Vec::new(), false);
    for Selected { image, tags, index } in selected {
        let anew = ship(store, image, progress)?;
        repacked |= anew.is_some();
        shipped.push(Selected {
            // What is packed anew is in no index.
            index: index.clone().filter(|_| anew.is_none()),
            image: anew.unwrap_or_else(|| image.clone()),
            tags: tags.clone(),
        });
    }
    let selected = &shipped;
    let mut archive = Archive {
        out,
        progress,
        blobs: BTreeMap::new(),
    };
    let (mut index, mut items) = (Vec::new(), Vec::new());
    let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for selected in selected {
        let image = &selected.image;
        let (config, manifest) = (store.config(image)?, store.manifest(image)?);
        let own = [&image.manifest, &manifest.config];
        archive.need(own.into_iter().chain(&manifest.layers));
        if let Some(index) = &selected.index {
            archive.need([index].into_iter());
            let parts = store.parts(&index.digest)?;
            for part in parts.iter().filter(|part| part.here) {
                archive.need([&part.descriptor].into_iter().chain(&part.blobs));
            }
        }
        index.extend(entries(selected, &config.platform));
        let layers = manifest.layers.iter().map(|l| place(&l.digest));
        let sources = config.diff_ids.iter().zip(&manifest.layers);
        let sources: Map<String, Value> = sources
            .map(|(id, l)| {
                let source = json!({"mediaType": l.media_type, "size": l.size, "digest": l.digest});
                (id.to_string(), source)
            })
            .collect();
        let tags: Vec<String> = selected.tags.iter().map(Reference::familiar).collect();
        items.push(json!({
            "Config": place(&manifest.config.digest),
            "RepoTags": if tags.is_empty() { Value::Null } else { json!(tags) },
            "Layers": layers.collect::<Vec<_>>(),
            "LayerSources": sources,
        }));
        for tag in &selected.tags {
            let top = manifest
                .layers
                .last()
                .map_or("", |layer| layer.digest.hex());
            let tags = repositories.entry(tag.familiar_name()).or_default();
            tags.insert(tag.tag().unwrap_or_default().to_owned(), top.to_owned());
        }
    }
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": index});
    // First, so that a reader of a stream knows what is to come.
    archive.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    archive.file("index.json", index.to_string().as_bytes())?;
    archive.file("manifest.json", Value::Array(items).to_string().as_bytes())?;
    archive.file("repositories", json!(repositories).to_string().as_bytes())?;
    archive.blobs(store)?;
    write_end(archive.out).map_err(unwritten)?;
    Ok(repacked)
}

/// The image's entries in the archive's index, one for each tag.
fn entries(selected: &Selected, platform: &Platform) -> Vec<Value> {
    let manifest = &selected.image.manifest;
    let of = selected.index.as_ref().unwrap_or(manifest);
    let entry = |annotations: Option<Value>| {
        let mut entry = json!({"mediaType": of.media_type, "digest": of.digest, "size": of.size});
        if selected.index.is_none() {
            entry["platform"] = json!({"architecture": platform.architecture, "os": platform.os});
            if let Some(variant) = &platform.variant {
                entry["platform"]["variant"] = json!(variant);
            }
        }
        if let Some(annotations) = annotations {
            entry["annotations"] = annotations;
        }
        entry
    };
    if selected.tags.is_empty() {
        return vec![entry(None)];
    }
    let annotated = |tag: &Reference| {
        entry(Some(json!({
            "io.containerd.image.name": tag.canonical(),
            "org.opencontainers.image.ref.name": tag.tag(),
        })))
    };
    selected.tags.iter().map(annotated).collect()
}

fn place(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

struct Archive<'a, W> {
    out: &'a mut W,
    progress: &'a dyn Progress,
    /// Each once, by its place.
    blobs: BTreeMap<String, Descriptor>,
}

impl<W: Write> Archive<'_, W> {
    fn need<'d>(&mut self, blobs: impl Iterator<Item = &'d Descriptor>) {
        self.blobs
            .extend(blobs.map(|blob| (place(&blob.digest), blob.clone())));
    }

    /// Some readers give directories that they have to make to root.
    fn directory(&mut self, path: &str) -> Result<()> {
        let header = Header {
            flag: DIRECTORY,
            path: path.as_bytes(),
            mode: 0o755,
            ..Header::default()
        };
        header.write(self.out).map_err(unwritten)
    }

    fn header(&mut self, path: &str, size: u64) -> Result<()> {
        let header = Header {
            flag: REGULAR,
            path: path.as_bytes(),
            mode: 0o644,
            size,
            ..Header::default()
        };
        header.write(self.out).map_err(unwritten)
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.header(path, bytes.len() as u64)?;
        self.out.write_all(bytes).map_err(unwritten)?;
        write_padding(bytes.len() as u64, self.out).map_err(unwritten)
    }

    fn blobs(&mut self, store: &Store) -> Result<()> {
        self.directory("blobs/")?;
        let mut above = String::new();
        for (path, blob) in std::mem::take(&mut self.blobs) {
            let dir = format!("blobs/{}/", blob.digest.algorithm().name());
            if dir != above {
                self.directory(&dir)?;
                above = dir;
            }
            self.header(&path, blob.size)?;
            self.blob(store, &blob)?;
            write_padding(blob.size, self.out).map_err(unwritten)?;
        }
        Ok(())
    }

    fn blob(&mut self, store: &Store, blob: &Descriptor) -> Result<()> {
        let name = blob.digest.short();
        let saving = |current, total| Phase::Saving { current, total };
        let reported = Reported {
            inner: store.open_blob(&blob.digest)?,
            report: Report::new(name, blob.size, self.progress, saving),
        };
        let mut reader = HashingReader::new(reported, blob.digest.algorithm());
        let mut buffer = vec![0; 256 << 10];
        let mut left = blob.size;
        loop {
            let n = reader
                .read(&mut buffer)
                .context(|| format!("cannot read blob {}", blob.digest))?;
            if n == 0 || n as u64 > left {
                break;
            }
            left -= n as u64;
            self.out.write_all(&buffer[..n]).map_err(unwritten)?;
        }
        let (found, ..) = reader.finish();
        if left != 0 || found != blob.digest {
            return Err(Error::invalid(format!(
                "blob {} in the image store is damaged",
                blob.digest
            ))
            .hint("remove the image with `wherry rmi -f` and pull it again"));
        }
        Ok(())
    }
}
