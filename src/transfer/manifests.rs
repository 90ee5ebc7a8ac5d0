//! Lists of manifests in the making (`docker manifest`): which images of
//! registries belong together, kept below `manifests/` until they are pushed.

use crate::config::Source;
use crate::error::{Context, Error, Kind, Result};
use crate::fs::lock;
use crate::fs::replace::{Durability, replace};
use crate::image::manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX};
use crate::image::{Descriptor, Digest, Document, ImageConfig, Manifest, Reference};
use crate::paths::Paths;
use crate::registry::{Client, Fetched, Options, Uploader, Watch};
use crate::store::Store;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

/// What an entry of the list runs on (OCI image-spec, "platform").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Platform {
    pub architecture: String,
    pub os: String,
    #[serde(rename = "os.version", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// A manifest of a registry, as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    /// Where it is; what is in its repository is mounted from there.
    pub reference: Reference,
    pub media_type: String,
    pub platform: Platform,
    /// The document, byte for byte.
    pub manifest: String,
    /// Of its descriptor.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// `manifests/NAME.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct List {
    pub version: u32,
    pub name: Reference,
    pub entries: Vec<Entry>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Platform {
    /// `os/architecture[/variant]`.
    pub fn shown(&self) -> String {
        let parts = [&self.os, &self.architecture, &self.variant];
        let parts: Vec<&str> = parts.into_iter().map(String::as_str).collect();
        parts.join("/").trim_end_matches('/').to_owned()
    }
}

const VERSION: u32 = 1;

impl Entry {
    pub fn digest(&self) -> Digest {
        Digest::of(self.manifest.as_bytes())
    }

    /// As a list has it.
    pub fn descriptor(&self) -> Value {
        let mut descriptor = json!({
            "mediaType": self.media_type,
            "size": self.manifest.len(),
            "digest": self.digest(),
            "platform": self.platform,
        });
        if !self.annotations.is_empty() {
            descriptor["annotations"] = json!(self.annotations);
        }
        descriptor
    }
}

impl List {
    /// The document: Docker's list when all of it is Docker's, else an index.
    pub fn document(&self) -> (Value, &'static str) {
        let docker = self.annotations.is_empty()
            && self.entries.iter().all(|e| e.media_type == DOCKER_MANIFEST);
        let media_type = if docker { DOCKER_LIST } else { OCI_INDEX };
        let entries: Vec<Value> = self.entries.iter().map(Entry::descriptor).collect();
        let mut document =
            json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        if !self.annotations.is_empty() {
            document["annotations"] = json!(self.annotations);
        }
        (document, media_type)
    }

    /// Puts an entry in, in the place of one of the same image.
    pub fn put(&mut self, entry: Entry) {
        match self
            .entries
            .iter_mut()
            .find(|e| e.reference == entry.reference)
        {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
    }
}

/// All lists of this user.
pub struct Lists {
    dir: PathBuf,
}

impl Lists {
    pub fn new(paths: &Paths) -> Self {
        Self {
            dir: paths.data().join("manifests"),
        }
    }

    fn path(&self, name: &Reference) -> PathBuf {
        // Names have neither `%` nor anything else that a file name has not.
        self.dir
            .join(format!("{}.json", name.canonical().replace('/', "%2F")))
    }

    /// `NotFound`, in Docker's words, when there is none of this name.
    pub fn find(&self, name: &Reference) -> Result<List> {
        let path = self.path(name);
        let bytes = std::fs::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::not_found(format!("No such manifest: {}", name.familiar()))
            }
            _ => Error::internal(format!("cannot read \"{}\": {e}", path.display())),
        })?;
        let list: List = serde_json::from_slice(&bytes)
            .context(|| format!("\"{}\" is damaged", path.display()))
            .map_err(|e| {
                e.hint(format!(
                    "`wherry manifest rm {}` removes it",
                    name.familiar()
                ))
            })?;
        if list.version > VERSION {
            return Err(Error::unsupported(format!(
                "manifest list {} was written by a newer wherry",
                name.familiar()
            )));
        }
        Ok(list)
    }

    /// Changes a list, or makes it, when nobody else does.
    pub fn change(
        &self,
        name: &Reference,
        change: impl FnOnce(Option<List>) -> Result<List>,
    ) -> Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .context(|| format!("cannot make \"{}\"", self.dir.display()))?;
        let _lock = lock::exclusive(&self.dir.join(".lock"))?;
        let before = match self.find(name) {
            Err(e) if e.kind() == Kind::NotFound => None,
            found => Some(found?),
        };
        let list = change(before)?;
        let bytes = serde_json::to_vec(&list).context(|| "cannot write the manifest list")?;
        replace(&self.path(name), &bytes, Durability::Durable)
    }

    pub fn remove(&self, name: &Reference) -> Result<()> {
        std::fs::remove_file(self.path(name)).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::not_found(format!("No such manifest: {}", name.familiar()))
            }
            _ => Error::internal(format!("cannot remove the manifest list: {e}")),
        })
    }
}

pub fn new_list(name: &Reference) -> List {
    List {
        version: VERSION,
        name: name.clone(),
        entries: Vec::new(),
        annotations: BTreeMap::new(),
    }
}

/// A document of a registry.
pub fn fetch(client: &Client) -> Result<(Fetched, Document)> {
    let fetched = client.named()?;
    let document = Document::parse(&fetched.bytes, fetched.media_type.as_deref())?;
    Ok((fetched, document))
}

/// An image of a registry as an entry; its config says what it runs on.
pub fn entry(client: &Client) -> Result<Entry> {
    let reference = client.reference().clone();
    let (fetched, document) = fetch(client)?;
    let Document::Manifest(manifest) = document else {
        return Err(Error::invalid(format!(
            "{} is a manifest list: only images can be put into one",
            reference.familiar()
        )));
    };
    let platform = platform(client, &manifest)?;
    Ok(Entry {
        manifest: text(&reference, fetched.bytes)?,
        reference,
        media_type: manifest.media_type,
        platform,
        annotations: BTreeMap::new(),
    })
}

fn text(name: &Reference, manifest: Vec<u8>) -> Result<String> {
    String::from_utf8(manifest)
        .map_err(|_| Error::invalid(format!("{}: the manifest is no text", name.familiar())))
}

/// An image as an entry, or all entries of an index, by their digests; `part` talks
/// to the repository for one of them.
pub fn entries(
    client: &Client,
    fetched: &Fetched,
    document: &Document,
    part: &dyn Fn(&Digest) -> Result<Client>,
) -> Result<Vec<Entry>> {
    let name = client.reference();
    let of_image = |digest: &Digest, bytes: &[u8], media_type: &str, platform| -> Result<Entry> {
        Ok(Entry {
            reference: name.with_digest(digest.clone()),
            media_type: media_type.to_owned(),
            platform,
            manifest: text(name, bytes.to_vec())?,
            annotations: BTreeMap::new(),
        })
    };
    if let Document::Manifest(manifest) = document {
        let platform = platform(client, manifest)?;
        let entry = of_image(
            &fetched.digest,
            &fetched.bytes,
            &manifest.media_type,
            platform,
        )?;
        return Ok(vec![entry]);
    }
    let raw: Value = serde_json::from_slice(&fetched.bytes).context(|| "the index is no JSON")?;
    let listed: Vec<Listed> =
        serde_json::from_value(raw["manifests"].clone()).context(|| "the index is broken")?;
    let mut all = Vec::new();
    for one in listed {
        let client = part(&one.digest)?;
        let (fetched, document) = fetch(&client)?;
        let Document::Manifest(manifest) = document else {
            return Err(Error::unsupported(format!(
                "{}: an index in an index is not supported",
                name.familiar()
            )));
        };
        let platform = match one.platform {
            Some(stated) => stated,
            None => platform(&client, &manifest)?,
        };
        let entry = of_image(&one.digest, &fetched.bytes, &manifest.media_type, platform)?;
        all.push(Entry {
            annotations: one.annotations,
            ..entry
        });
    }
    Ok(all)
}

/// What an index says of an entry.
#[derive(Deserialize)]
struct Listed {
    digest: Digest,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn platform(client: &Client, manifest: &Manifest) -> Result<Platform> {
    let config = ImageConfig::parse(&client.small_blob(&manifest.config, "image config")?)?;
    Ok(Platform {
        architecture: config.platform.architecture.clone(),
        os: config.platform.os.clone(),
        variant: config.platform.variant.clone().unwrap_or_default(),
        os_version: config.oci.os_version().clone().unwrap_or_default(),
        os_features: config.oci.os_features().clone().unwrap_or_default(),
    })
}

/// An image's config.
pub fn config(client: &Client, manifest: &Manifest) -> Result<Value> {
    let bytes = client.small_blob(&manifest.config, "image config")?;
    serde_json::from_slice(&bytes).context(|| "the image's config is no JSON")
}

/// Pushes a list to the registry that its name begins with; all of its images
/// have to be there. The digest of the list.
pub fn push(store: &Store, list: &List, source: Source, options: &Options) -> Result<Digest> {
    let (document, media_type) = list.document();
    let bytes = document.to_string().into_bytes();
    push_as(store, list, (&bytes, media_type), source, options)
}

/// The same, with this document and media type for the list.
pub fn push_as(
    store: &Store,
    list: &List,
    (bytes, media_type): (&[u8], &str),
    source: Source,
    options: &Options,
) -> Result<Digest> {
    if list.entries.is_empty() {
        return Err(Error::invalid(format!(
            "{} is an empty manifest list",
            list.name.familiar()
        )));
    }
    for entry in &list.entries {
        if entry.reference.domain() != list.name.domain() {
            return Err(Error::invalid(format!(
                "cannot use source images from a different registry than the target image: {} != {}",
                entry.reference.domain(),
                list.name.domain()
            )));
        }
    }
    let others: Vec<String> = list
        .entries
        .iter()
        .map(|entry| entry.reference.path().to_owned())
        .filter(|path| path != list.name.path())
        .collect();
    let uploader = Uploader::new(source, &others, options);
    for entry in &list.entries {
        if entry.reference.path() != list.name.path() {
            blobs(store, &uploader, entry)?;
        }
        uploader.manifest(
            entry.digest().as_str(),
            entry.manifest.as_bytes(),
            &entry.media_type,
        )?;
    }
    uploader.manifest(list.name.tag().unwrap_or("latest"), bytes, media_type)?;
    Ok(Digest::of(bytes))
}

fn blobs(store: &Store, uploader: &Uploader, entry: &Entry) -> Result<()> {
    let document = Document::parse(entry.manifest.as_bytes(), Some(&entry.media_type))?;
    let Document::Manifest(manifest) = document else {
        return Err(Error::invalid("an entry of a manifest list is no image"));
    };
    let blobs: Vec<Descriptor> = manifest
        .layers
        .into_iter()
        .chain([manifest.config])
        .collect();
    for blob in &blobs {
        let open = || {
            store.open_blob(&blob.digest).map_err(|_| {
                Error::not_found(format!(
                    "the registry does not let blob {} be mounted from {}, and it is not here",
                    blob.digest,
                    entry.reference.familiar_name()
                ))
                .hint("pull that image first")
            })
        };
        let from = Some(entry.reference.path());
        uploader.blob(blob, &open, from, &Arc::default(), Watch::nobody())?;
    }
    Ok(())
}
