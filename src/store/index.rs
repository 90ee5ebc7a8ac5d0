//! `index.json` of the layout: one entry per name of an image.
//!
//! An entry's name is a full reference with a tag or with a digest (what the
//! image was pulled as), or missing: an untagged image. Entries and fields of
//! other tools are kept as they are. Changes go through [`Store::edit_index`].

use super::Store;
use super::whole::Origin;
use crate::error::{Context, Error, Kind, Result};
use crate::fs::lock;
use crate::fs::replace::{self, Durability};
use crate::image::digest::Digest;
use crate::image::manifest::{Descriptor, Document, MAX_DOCUMENT, OCI_INDEX};
use crate::image::reference::Reference;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const LIMIT: u64 = 64 << 20;

/// OCI image-spec, "Pre-Defined Annotation Keys": how tools find an entry.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The same for containerd and what imports from it.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// What `images` and `run` need to know without opening the manifest.
const ID: &str = "wherry.image.id";
const SIZE: &str = "wherry.image.size";
const CREATED: &str = "wherry.image.created";
const TAGGED: &str = "wherry.image.tagged";
/// The index that the manifest was chosen from.
const INDEX: &str = "wherry.image.index";
/// `true`: all that is here of that index belongs to the image.
const WHOLE: &str = "wherry.image.index.whole";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u32,
    media_type: Option<String>,
    pub manifests: Vec<Entry>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            schema_version: 2,
            media_type: Some(OCI_INDEX.into()),
            manifests: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }
}

/// A descriptor as in the file. `digest` is text because another tool's entry
/// may use an algorithm that we do not know.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub media_type: String,
    digest: String,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    urls: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<Value>,
}

/// Facts about an image that are kept beside its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub id: Digest,
    /// Bytes of the unpacked layers.
    pub size: u64,
    /// RFC 3339, from the image's config.
    pub created: Option<String>,
}

impl Entry {
    pub fn new(media_type: &str, digest: &Digest, size: u64, facts: &Facts) -> Self {
        let mut entry = Self {
            media_type: media_type.into(),
            digest: digest.to_string(),
            size,
            ..Self::default()
        };
        let mut note = |key: &str, value: String| entry.annotations.insert(key.into(), value);
        note(ID, facts.id.to_string());
        note(SIZE, facts.size.to_string());
        if let Some(created) = &facts.created {
            note(CREATED, created.clone());
        }
        entry
    }

    pub fn digest(&self) -> Option<Digest> {
        Digest::parse(&self.digest).ok()
    }

    pub fn point_at(&mut self, manifest: &Descriptor) {
        self.media_type.clone_from(&manifest.media_type);
        self.digest = manifest.digest.to_string();
        self.size = manifest.size;
        // No index knows this one.
        self.set_origin(None);
    }

    /// What index it is of.
    pub fn origin(&self) -> Option<Origin> {
        Some(Origin {
            index: Digest::parse(self.annotations.get(INDEX)?).ok()?,
            whole: self.annotations.get(WHOLE).is_some_and(|v| v == "true"),
        })
    }

    pub fn set_origin(&mut self, origin: Option<&Origin>) {
        self.annotations.remove(INDEX);
        self.annotations.remove(WHOLE);
        if let Some(Origin { index, whole }) = origin {
            self.annotations.insert(INDEX.into(), index.to_string());
            if *whole {
                self.annotations.insert(WHOLE.into(), "true".into());
            }
        }
    }

    /// `None` for an untagged image, and for a name that we cannot read.
    pub fn name(&self) -> Option<Reference> {
        Reference::parse(self.annotations.get(REF_NAME)?).ok()
    }

    pub fn is_named(&self, name: &Reference) -> bool {
        // The text first: parsing every name of a long index takes longer.
        let written = self.annotations.get(REF_NAME);
        written.is_some_and(|text| {
            *text == name.canonical() || Reference::parse(text).is_ok_and(|r| r == *name)
        })
    }

    pub fn set_name(&mut self, name: Option<&Reference>) {
        match name {
            Some(name) => {
                for key in [REF_NAME, CONTAINERD_NAME] {
                    self.annotations.insert(key.into(), name.canonical());
                }
            }
            None => {
                for key in [REF_NAME, CONTAINERD_NAME, TAGGED] {
                    self.annotations.remove(key);
                }
            }
        }
    }

    /// `None` for entries that another tool has written.
    pub fn facts(&self) -> Option<Facts> {
        Some(Facts {
            id: Digest::parse(self.annotations.get(ID)?).ok()?,
            size: self.annotations.get(SIZE)?.parse().ok()?,
            created: self.annotations.get(CREATED).cloned(),
        })
    }

    /// When the name was last given, RFC 3339.
    pub fn tagged(&self) -> Option<&str> {
        self.annotations.get(TAGGED).map(String::as_str)
    }
    pub fn set_tagged(&mut self, time: String) {
        self.annotations.insert(TAGGED.into(), time);
    }
}

impl Index {
    pub fn of(manifests: Vec<Entry>) -> Self {
        Self {
            manifests,
            ..Self::default()
        }
    }

    /// Gives `name` to the image of `entry`, taking it from another one. An
    /// image that loses its last name stays, nameless.
    pub fn set(&mut self, name: &Reference, mut entry: Entry) {
        self.unset(name);
        // The nameless entry has done its duty once the image has a name.
        self.manifests
            .retain(|e| e.digest != entry.digest || e.annotations.contains_key(REF_NAME));
        entry.set_name(Some(name));
        self.manifests.push(entry);
    }

    /// Takes `name` away; `false` when nothing has it.
    pub fn unset(&mut self, name: &Reference) -> bool {
        let Some(at) = self.manifests.iter().position(|e| e.is_named(name)) else {
            return false;
        };
        // A container may still need the image: that is decided elsewhere.
        let mut old = self.manifests.remove(at);
        if !self.manifests.iter().any(|e| e.digest == old.digest) {
            old.set_name(None);
            self.manifests.push(old);
        }
        true
    }

    /// Drops all entries that point at one of `digests`.
    pub fn forget(&mut self, digests: &[Digest]) {
        self.manifests
            .retain(|entry| entry.digest().is_none_or(|d| !digests.contains(&d)));
    }
}

impl Store {
    /// The index as it is now; empty when there is none. Takes no lock.
    pub(super) fn read_index(&self) -> Result<Index> {
        let path = self.index_file();
        if !path.exists() {
            return Ok(Index::default());
        }
        let bytes = self.read_index_file()?;
        let index: Index = serde_json::from_slice(&bytes)
            .context(|| format!("image index \"{}\" is damaged", path.display()))
            .map_err(|e| e.hint("pulling any image mends it: the others stay, without names"))?;
        if index.schema_version != 2 {
            return Err(Error::unsupported(format!(
                "image index \"{}\" has version {}, only 2 is known",
                path.display(),
                index.schema_version
            )));
        }
        Ok(index)
    }

    /// The index as it is written; of no length when there is none.
    pub(super) fn read_index_file(&self) -> Result<Vec<u8>> {
        let path = self.index_file();
        match super::read_bounded(&path, LIMIT) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read.context(|| format!("cannot read \"{}\"", path.display())),
        }
    }

    /// The index from the manifests that are there, for one that is damaged.
    /// Images whose layers are not all there are left out, and names are lost.
    fn rebuild_index(&self) -> Result<Index> {
        let mut index = Index::default();
        for algorithm in ["sha256", "sha512"] {
            for path in super::collect::list(&self.images.join("blobs").join(algorithm))? {
                index.manifests.extend(self.rebuild_entry(algorithm, &path));
            }
        }
        Ok(index)
    }

    fn rebuild_entry(&self, algorithm: &str, path: &Path) -> Option<Entry> {
        let hex = path.file_name()?.to_str()?;
        let digest = Digest::parse(&format!("{algorithm}:{hex}")).ok()?;
        let bytes = self.read_blob(&digest, MAX_DOCUMENT).ok()?;
        let Ok(Document::Manifest(manifest)) = Document::parse(&bytes, None) else {
            return None;
        };
        let size = bytes.len() as u64;
        let descriptor = Descriptor::new(&manifest.media_type, digest.clone(), size);
        let facts = self.check_complete(&descriptor).ok()?;
        Some(Entry::new(&manifest.media_type, &digest, size, &facts))
    }

    /// Changes the index under its lock. Nothing is written when `change`
    /// fails; what it returns is durable once this returns.
    pub(super) fn edit_index<T>(&self, change: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
        self.prepare()?;
        let _lock = lock::exclusive(&self.index_lock())?;
        let mut index = match self.read_index() {
            Err(e) if e.kind() == Kind::Invalid => self.rebuild_index()?,
            other => other?,
        };
        let out = change(&mut index)?;
        let mut bytes = serde_json::to_vec(&index).context(|| "cannot write the image index")?;
        bytes.push(b'\n');
        replace::replace(&self.index_file(), &bytes, Durability::Durable)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Scratch;

    fn entry(content: &str) -> Entry {
        let facts = Facts {
            id: Digest::of(format!("config of {content}").as_bytes()),
            size: 5,
            created: None,
        };
        let digest = Digest::of(content.as_bytes());
        Entry::new("application/x", &digest, 7, &facts)
    }

    fn name(text: &str) -> Reference {
        Reference::parse(text).unwrap()
    }

    #[test]
    fn names_move_and_leave_nameless_images() {
        let mut index = Index::default();
        index.set(&name("a"), entry("one"));
        index.set(&name("b"), entry("one"));
        index.set(&name("a"), entry("two"));
        assert_eq!(index.manifests.len(), 2);
        index.set(&name("b"), entry("two"));
        let nameless: Vec<_> = index
            .manifests
            .iter()
            .filter(|e| e.name().is_none())
            .collect();
        assert_eq!(nameless.len(), 1);
        assert_eq!(nameless[0].digest(), Some(Digest::of(b"one")));
        index.set(&name("c"), entry("one"));
        assert!(index.manifests.iter().all(|e| e.name().is_some()));
        assert!(!index.unset(&name("d")));
    }

    #[test]
    fn entries_of_other_tools_survive() {
        let scratch = Scratch::new("index-foreign");
        let store = scratch.store();
        store.prepare().unwrap();
        let foreign = r#"{"schemaVersion":2,"manifests":[{"mediaType":"m/x","digest":"sha384:00","size":1,"artifactType":"a/b","annotations":{"org.opencontainers.image.ref.name":"plain name!"}}]}"#;
        std::fs::write(store.index_file(), foreign).unwrap();
        store
            .edit_index(|index| {
                index.set(&name("a"), entry("one"));
                Ok(())
            })
            .unwrap();
        let text = std::fs::read_to_string(store.index_file()).unwrap();
        for part in [
            "sha384:00",
            "a/b",
            "plain name!",
            "docker.io/library/a:latest",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let index = store.read_index().unwrap();
        assert_eq!(index.manifests[0].digest(), None);
        assert_eq!(index.manifests[1].facts(), entry("one").facts());
    }

    #[test]
    fn a_damaged_index_is_told_and_made_anew_by_the_next_change() {
        let scratch = Scratch::new("index-damaged");
        let store = scratch.store();
        let image = scratch.image("a", "one");
        for bytes in [&b"{"[..], b"", b"[]", b"\0\0\0"] {
            std::fs::write(store.index_file(), bytes).unwrap();
            let error = store.images().unwrap_err();
            assert!(error.message().contains("is damaged"), "{error}");
            store.edit_index(|_| Ok(())).unwrap();
            let images = store.images().unwrap();
            assert_eq!((images.len(), &images[0].id), (1, &image.id));
            assert!(images[0].names.is_empty());
        }
    }

    #[test]
    fn a_newer_index_is_not_overwritten() {
        let scratch = Scratch::new("index-newer");
        let store = scratch.store();
        store.prepare().unwrap();
        let newer = br#"{"schemaVersion":3,"manifests":[]}"#;
        std::fs::write(store.index_file(), newer).unwrap();
        assert!(store.edit_index(|_| Ok(())).is_err());
        assert_eq!(std::fs::read(store.index_file()).unwrap(), newer);
    }
}
