//! Pushes an image: what the registry does not have of its blobs, side by side,
//! then its manifest, and the index that this is of. Blobs go as they are, so digests stay; nothing is packed but
//! what was made here in haste.

use super::ship::ship;
use crate::config::Source;
use crate::error::{Error, Kind, Result};
use crate::image::{Descriptor, Digest, Platform, Reference};
use crate::output::progress::{Phase, Progress};
use crate::registry::{Options, Sent, Uploader, Watch};
use crate::store::{Image, Part, Store};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How many blobs at a time: Docker's default.
const PARALLEL: usize = 5;
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// What a push gave.
#[derive(Debug, Clone)]
pub struct Pushed {
    pub name: Reference,
    /// Of the manifest or index, and its bytes.
    pub digest: Digest,
    pub size: u64,
    /// The index that the manifest is of, not all of which is here or there.
    pub left_out: Option<Digest>,
    /// It was packed anew, and there is something to collect.
    pub repacked: bool,
}

/// A registry that images are pushed to.
pub struct Push<'a> {
    store: &'a Store,
    uploader: Uploader,
    /// Blobs, and other repositories of the registry that should have them.
    elsewhere: HashMap<Digest, String>,
    progress: &'a dyn Progress,
}

impl<'a> Push<'a> {
    /// To the repository of `name`; `source` is its registry.
    pub fn to(
        store: &'a Store,
        name: &Reference,
        source: Source,
        options: &Options,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let elsewhere = elsewhere(store, name)?;
        let mut repositories: Vec<String> = elsewhere.values().cloned().collect();
        repositories.sort();
        repositories.dedup();
        Ok(Self {
            store,
            uploader: Uploader::new(source, &repositories, options),
            elsewhere,
            progress,
        })
    }

    /// Pushes one image under its name: the index that it is of, where the
    /// registry will then have all of that, else its manifest alone. `platform`:
    /// the manifest for that.
    pub fn image(&self, name: &Reference, platform: Option<&Platform>) -> Result<Pushed> {
        let _lease = self.store.lease()?;
        let image = self.store.resolve(&name.canonical())?;
        let image = match platform {
            None => image,
            Some(wanted) => {
                let found = self.store.variant(&image, wanted)?;
                found.ok_or_else(|| self.other_platform(name, &image, wanted))?
            }
        };
        let index = self.store.index_of(&image, Some(name));
        let mut left_out = None;
        if let Some((origin, index)) = index.filter(|_| platform.is_none()) {
            let parts = self.store.parts(&origin.index)?;
            if self.is_complete(&parts)? {
                return self.index(name, index, &parts);
            }
            left_out = Some(index.digest);
        }
        self.manifest(name, &image, left_out)
    }

    fn manifest(
        &self,
        name: &Reference,
        image: &Image,
        left_out: Option<Digest>,
    ) -> Result<Pushed> {
        let shipped = ship(self.store, image, self.progress)?;
        let repacked = shipped.is_some();
        let image = shipped.as_ref().unwrap_or(image);
        let manifest = self.store.manifest(image)?;
        let blobs = manifest.layers.into_iter().chain([manifest.config]);
        self.blobs(&each_once(blobs))?;
        self.document(under(name), &image.manifest)?;
        self.keep(image, name, &image.manifest.digest)?;
        Ok(Pushed {
            name: name.clone(),
            digest: image.manifest.digest.clone(),
            size: image.manifest.size,
            left_out,
            repacked,
        })
    }

    /// Pushes what has no name in the store.
    pub fn unnamed(
        &self,
        name: &Reference,
        manifest: &Descriptor,
        blobs: &[Descriptor],
    ) -> Result<()> {
        self.blobs(&each_once(blobs.iter().cloned()))?;
        self.document(under(name), manifest)
    }

    /// Whether the registry has all that is not here.
    fn is_complete(&self, parts: &[Part]) -> Result<bool> {
        for part in parts.iter().filter(|part| !part.here) {
            if !self.uploader.has_manifest(&part.descriptor)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn index(&self, name: &Reference, index: Descriptor, parts: &[Part]) -> Result<Pushed> {
        let here = || parts.iter().filter(|part| part.here);
        self.blobs(&each_once(here().flat_map(|part| part.blobs.clone())))?;
        for part in here() {
            self.document(part.descriptor.digest.as_str(), &part.descriptor)?;
        }
        self.document(under(name), &index)?;
        let image = self.store.resolve(&name.canonical())?;
        self.keep(&image, name, &index.digest)?;
        Ok(Pushed {
            name: name.clone(),
            digest: index.digest,
            size: index.size,
            left_out: None,
            repacked: false,
        })
    }

    fn document(&self, under: &str, document: &Descriptor) -> Result<()> {
        let bytes = self.store.read_blob(&document.digest, document.size)?;
        self.uploader.manifest(under, &bytes, &document.media_type)
    }

    /// The registry has it under this digest from now on.
    fn keep(&self, image: &Image, name: &Reference, digest: &Digest) -> Result<()> {
        // One that is here for its platform alone has no entry.
        match self.store.by_id(&image.id)? {
            Some(_) => self.store.tag(image, &name.with_digest(digest.clone())),
            None => Ok(()),
        }
    }

    fn other_platform(&self, name: &Reference, image: &Image, wanted: &Platform) -> Error {
        let error = Error::not_found(format!(
            "image with reference {} was found but does not provide the specified platform ({wanted})",
            name.familiar()
        ));
        match self.store.config(image) {
            Ok(config) => error.hint(format!("it is for {}", config.platform)),
            Err(e) => e,
        }
    }

    fn blobs(&self, blobs: &[Descriptor]) -> Result<()> {
        let counters: Vec<Arc<AtomicU64>> = blobs.iter().map(|_| Arc::default()).collect();
        let moving: Vec<AtomicBool> = blobs.iter().map(|_| AtomicBool::new(false)).collect();
        for blob in blobs {
            self.progress.layer(blob.digest.short(), Phase::Preparing);
        }
        let (next, cancelled, over) = (
            AtomicUsize::new(0),
            AtomicBool::new(false),
            AtomicBool::new(false),
        );
        let failed = Mutex::new(None);
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(blob) = blobs.get(at) else { return };
                if cancelled.load(Ordering::Relaxed) {
                    return;
                }
                moving[at].store(true, Ordering::Relaxed);
                let result = self.blob(blob, &counters[at], &cancelled);
                moving[at].store(false, Ordering::Relaxed);
                if let Err(e) = result {
                    // The others fail because of this one.
                    if !cancelled.swap(true, Ordering::Relaxed) {
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
                    }
                    return;
                }
            }
        };
        let report = || {
            while !over.load(Ordering::Relaxed) {
                for ((blob, sent), moves) in blobs.iter().zip(&counters).zip(&moving) {
                    let current = sent.load(Ordering::Relaxed);
                    if moves.load(Ordering::Relaxed) && current > 0 {
                        let total = blob.size;
                        let phase = Phase::Pushing { current, total };
                        self.progress.layer(blob.digest.short(), phase);
                    }
                }
                std::thread::sleep(REPORT_EVERY);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(report);
            let workers: Vec<_> = (0..PARALLEL.min(blobs.len()))
                .map(|_| scope.spawn(work))
                .collect();
            for worker in workers {
                let _ = worker.join();
            }
            over.store(true, Ordering::Relaxed);
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn blob(&self, blob: &Descriptor, sent: &Arc<AtomicU64>, cancelled: &AtomicBool) -> Result<()> {
        let name = blob.digest.short();
        let open = || {
            self.store
                .open_blob(&blob.digest)
                .map_err(|e| match e.kind() {
                    Kind::NotFound => e.hint("pull or load the image again"),
                    _ => e,
                })
        };
        let retrying = |wait: Duration| {
            let seconds = wait.as_millis().div_ceil(1000) as u64;
            self.progress.layer(name, Phase::Retrying { seconds });
        };
        let watch = Watch {
            retrying: &retrying,
            cancelled,
        };
        let from = self.elsewhere.get(&blob.digest).map(String::as_str);
        let how = self.uploader.blob(blob, &open, from, sent, watch)?;
        self.progress.layer(
            name,
            match how {
                Sent::Existed => Phase::LayerExists,
                Sent::Mounted => Phase::Mounted,
                Sent::Uploaded => Phase::Pushed,
            },
        );
        Ok(())
    }
}

fn under(name: &Reference) -> &str {
    match (name.tag(), name.digest()) {
        (Some(tag), _) => tag,
        (None, Some(digest)) => digest.as_str(),
        (None, None) => "latest",
    }
}

fn each_once(all: impl Iterator<Item = Descriptor>) -> Vec<Descriptor> {
    let mut blobs: Vec<Descriptor> = Vec::new();
    for blob in all {
        if !blobs.iter().any(|known| known.digest == blob.digest) {
            blobs.push(blob);
        }
    }
    blobs
}

/// Which blobs of our images came from, or went to, another repository of the
/// registry of `name`.
fn elsewhere(store: &Store, name: &Reference) -> Result<HashMap<Digest, String>> {
    let mut found = HashMap::new();
    for image in store.images()? {
        // A name with a digest is one that the registry has.
        let other = image
            .digests
            .iter()
            .find(|known| known.domain() == name.domain() && known.path() != name.path());
        let (Some(other), Ok(manifest)) = (other, store.manifest(&image)) else {
            continue;
        };
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            found.insert(blob.digest.clone(), other.path().to_owned());
        }
    }
    Ok(found)
}

/// The tags of a repository that we have.
pub fn tags(store: &Store, repository: &Reference) -> Result<Vec<Reference>> {
    let images = store.images()?;
    let names = images.iter().flat_map(|image| &image.names);
    let mut tags: Vec<Reference> = names
        .filter(|name| name.name() == repository.name())
        .cloned()
        .collect();
    tags.sort();
    Ok(tags)
}
