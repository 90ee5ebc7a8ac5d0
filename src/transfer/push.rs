//! Pushes an image: what the registry does not have of its blobs, side by side,
//! then its manifest. Blobs go as they are, so digests stay; nothing is packed but
//! what was made here in haste.

use super::ship::ship;
use crate::config::Source;
use crate::error::{Error, Kind, Result};
use crate::image::{Descriptor, Digest, Platform, Reference};
use crate::output::progress::{Phase, Progress};
use crate::registry::{Options, Sent, Uploader, Watch};
use crate::store::{Image, Store};
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
    /// Of the manifest, and its bytes.
    pub digest: Digest,
    pub size: u64,
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

    /// Pushes one image under its name. `platform`: it has to be for that.
    pub fn image(&self, name: &Reference, platform: Option<&Platform>) -> Result<Pushed> {
        let _lease = self.store.lease()?;
        let image = self.store.resolve(&name.canonical())?;
        self.check_platform(name, &image, platform)?;
        let shipped = ship(self.store, &image, self.progress)?;
        let repacked = shipped.is_some();
        let image = shipped.unwrap_or(image);
        let manifest = self.store.manifest(&image)?;
        let mut blobs: Vec<Descriptor> = Vec::new();
        for blob in manifest.layers.into_iter().chain([manifest.config]) {
            if !blobs.iter().any(|known| known.digest == blob.digest) {
                blobs.push(blob);
            }
        }
        self.blobs(&blobs)?;
        let Descriptor {
            digest,
            media_type,
            size,
            ..
        } = &image.manifest;
        let bytes = self.store.read_blob(digest, *size)?;
        let under = match (name.tag(), name.digest()) {
            (Some(tag), _) => tag,
            (None, Some(digest)) => digest.as_str(),
            (None, None) => "latest",
        };
        self.uploader.manifest(under, &bytes, media_type)?;
        self.store.tag(&image, &name.with_digest(digest.clone()))?;
        Ok(Pushed {
            name: name.clone(),
            digest: digest.clone(),
            size: *size,
            repacked,
        })
    }

    fn check_platform(
        &self,
        name: &Reference,
        image: &Image,
        platform: Option<&Platform>,
    ) -> Result<()> {
        let Some(wanted) = platform else {
            return Ok(());
        };
        let actual = self.store.config(image)?.platform;
        if *wanted == actual {
            return Ok(());
        }
        Err(Error::not_found(format!(
            "image with reference {} was found but does not provide the specified platform ({wanted})",
            name.familiar()
        ))
        .hint(format!("it is for {actual}")))
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
