//! The short way to an image by its exact name: `run` takes it each time, and
//! a long index must not cost it more than one pass without copies.

use super::Store;
use super::index::{Entry, Facts, Index};
use super::whole::Origin;
use crate::error::Result;
use crate::image::digest::Digest;
use crate::image::reference::Reference;
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
struct View<'a> {
    #[serde(borrow)]
    manifests: Vec<EntryView<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryView<'a> {
    #[serde(borrow)]
    media_type: Cow<'a, str>,
    #[serde(borrow)]
    digest: Cow<'a, str>,
    size: u64,
    #[serde(borrow, default)]
    annotations: Notes<'a>,
}

/// The annotations of `index` that matter here.
#[derive(Deserialize, Default)]
struct Notes<'a> {
    #[serde(borrow, rename = "org.opencontainers.image.ref.name")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "wherry.image.id")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "wherry.image.size")]
    size: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "wherry.image.created")]
    created: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "wherry.image.tagged")]
    tagged: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "wherry.image.index")]
    index: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "wherry.image.index.whole")]
    whole: Option<Cow<'a, str>>,
}

impl Store {
    /// The entries of the image that is called exactly so; `None` says nothing
    /// yet, because a name can be written in other ways.
    pub(super) fn entries_of(&self, name: &Reference) -> Result<Option<Index>> {
        let bytes = self.read_index_file()?;
        let Ok(view) = serde_json::from_slice::<View>(&bytes) else {
            // The long way says what is wrong with it.
            return Ok(None);
        };
        let wanted = match name.digest() {
            Some(digest) => name.with_digest(digest.clone()).canonical(),
            None => name.canonical(),
        };
        let called = |e: &&EntryView| e.annotations.name.as_deref() == Some(&*wanted);
        let Some(id) = view
            .manifests
            .iter()
            .find(called)
            .and_then(|e| e.annotations.id.clone())
        else {
            return Ok(None);
        };
        let its = view
            .manifests
            .iter()
            .filter(|e| e.annotations.id.as_ref() == Some(&id));
        let entries: Option<Vec<Entry>> = its.map(EntryView::to_entry).collect();
        Ok(entries.map(Index::of))
    }
}

impl EntryView<'_> {
    fn to_entry(&self) -> Option<Entry> {
        let notes = &self.annotations;
        let facts = Facts {
            id: Digest::parse(notes.id.as_deref()?).ok()?,
            size: notes.size.as_deref()?.parse().ok()?,
            created: notes.created.as_deref().map(str::to_owned),
        };
        let digest = Digest::parse(&self.digest).ok()?;
        let mut entry = Entry::new(&self.media_type, &digest, self.size, &facts);
        let name = notes.name.as_deref().map(Reference::parse).transpose();
        entry.set_name(name.ok()?.as_ref());
        if let Some(tagged) = &notes.tagged {
            entry.set_tagged(tagged.clone().into_owned());
        }
        if let Some(index) = &notes.index {
            entry.set_origin(Some(&Origin {
                index: Digest::parse(index).ok()?,
                whole: notes.whole.as_deref() == Some("true"),
            }));
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Scratch;

    #[test]
    fn finds_what_the_long_way_finds() {
        let scratch = Scratch::new("lookup");
        let store = scratch.store();
        scratch.image("other", "other");
        let pulled = Digest::of(b"index");
        let manifest = scratch.unnamed("one");
        for name in ["alpine", "quay.io/x/y:1"] {
            let name = Reference::parse(name).unwrap();
            store.add_image(&name, &manifest, Some(&pulled)).unwrap();
        }
        let all = store.images().unwrap();
        let long = all
            .iter()
            .find(|i| i.manifest.digest == manifest.digest)
            .unwrap();
        for name in ["alpine", "quay.io/x/y:1", &format!("alpine:any@{pulled}")] {
            let name = Reference::parse(name).unwrap();
            let entries = store.entries_of(&name).unwrap().unwrap();
            let short = &store.group(&entries)[0];
            assert_eq!(format!("{short:?}"), format!("{long:?}"));
        }
        for name in ["alpine:2", "one", &format!("other@{pulled}")] {
            let name = Reference::parse(name).unwrap();
            assert!(store.entries_of(&name).unwrap().is_none());
        }
        assert!(
            Scratch::new("lookup-empty")
                .store()
                .entries_of(&Reference::parse("a").unwrap())
                .unwrap()
                .is_none()
        );
    }
}
