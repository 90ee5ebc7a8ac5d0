//! Takes away what nothing refers to: blobs, layers, and what killed
//! processes have left under temporary names.

use super::Store;
use super::blob::{is_same_file, remove_if_there};
use super::image::Image;
use super::layer::{lock_dir, remove_tree};
use crate::error::{Context, Kind, Result};
use crate::fs::lock;
use crate::fs::replace::{TEMPORARY_PREFIX, temporary_beside};
use crate::fs::usage;
use crate::image::config::ImageConfig;
use crate::image::digest::Digest;
use crate::image::manifest::{Document, MAX_DOCUMENT, Manifest};
use crate::image::reference::Reference;
use nix::fcntl::FlockArg;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long an interrupted download waits to be continued.
const PARTIAL_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// File names of everything that is referred to.
#[derive(Default)]
pub(super) struct Used {
    pub blobs: HashSet<PathBuf>,
    pub layers: HashSet<PathBuf>,
}

impl Store {
    /// Removes unused blobs and gives unused layers temporary names, for
    /// [`Store::sweep`]. Does nothing while somebody holds a lease: whoever
    /// comes next collects. `in_use` are the layers of all containers, asked
    /// for when no new container can appear. Gives the bytes on disk that the
    /// blobs took.
    pub fn collect(&self, in_use: impl FnOnce() -> Result<Vec<Digest>>) -> Result<u64> {
        if !self.images.exists() {
            return Ok(0);
        }
        self.prepare()?;
        let Some(_lease) = lock::try_exclusive(&self.lease_file())? else {
            return Ok(0);
        };
        let mut freed = 0;
        let mut used = self.used()?;
        used.layers
            .extend(in_use()?.iter().map(|id| self.layer_path(id)));
        for algorithm in ["sha256", "sha512"] {
            for path in list(&self.images.join("blobs").join(algorithm))? {
                if !used.blobs.contains(&path) {
                    freed += usage::on_disk(&path).unwrap_or(0);
                    remove_if_there(&path)?;
                }
            }
        }
        for path in list(&self.layers)? {
            if !is_temporary(&path) && !used.layers.contains(&path) {
                retire(&path)?;
            }
        }
        self.drop_old_partials()?;
        self.drop_index_leftovers()?;
        self.reserve();
        Ok(freed)
    }

    /// Removes layers under temporary names that nobody is making. Their files
    /// belong to many users: call this where those are yours (as root, or in
    /// the user namespace that unpacked them).
    pub fn sweep(&self) -> Result<()> {
        self.sweep_each(|_| ())
    }

    /// The same, and gives the bytes on disk that they took.
    pub fn sweep_counting(&self) -> Result<u64> {
        let mut freed = 0;
        self.sweep_each(|path| freed += usage::on_disk(path).unwrap_or(0))?;
        Ok(freed)
    }

    fn sweep_each(&self, mut before: impl FnMut(&Path)) -> Result<()> {
        for path in list(&self.layers)? {
            if !is_temporary(&path) {
                continue;
            }
            let lock = match lock_dir(&path, FlockArg::LockExclusiveNonblock) {
                Err(e) if e.kind() == Kind::NotFound => continue,
                other => other?,
            };
            if lock.is_some_and(|lock| is_same_file(&lock, &path)) {
                before(&path);
                remove_tree(&path)?;
            }
        }
        Ok(())
    }

    /// Whether there is anything for [`Store::sweep`] to look at.
    pub fn has_garbage(&self) -> Result<bool> {
        Ok(list(&self.layers)?.iter().any(|path| is_temporary(path)))
    }

    /// The blobs and layers that an image needs, whoever else does.
    pub fn files_of(&self, image: &Image) -> Result<HashSet<PathBuf>> {
        let mut used = Used::default();
        for digest in &image.entries {
            self.use_document(digest, &mut used)?;
        }
        for (_, origin) in &image.origins {
            self.use_index(origin, &mut used)?;
        }
        let names = image.digests.iter().filter_map(Reference::digest);
        used.blobs.extend(names.map(|index| self.blob_path(index)));
        used.blobs.extend(used.layers);
        Ok(used.blobs)
    }

    fn used(&self) -> Result<Used> {
        let mut used = Used::default();
        // What it was pulled as: last, because it may be the manifest itself,
        // and what is noted already is not looked into.
        let (mut pulled_as, mut origins) = (Vec::new(), Vec::new());
        for entry in &self.read_index()?.manifests {
            origins.extend(entry.origin());
            let named = entry.name().and_then(|name| name.digest().cloned());
            pulled_as.extend(named.map(|index| self.blob_path(&index)));
            if let Some(digest) = entry.digest() {
                self.use_document(&digest, &mut used)?;
            }
        }
        used.blobs.extend(pulled_as);
        for origin in &origins {
            self.use_index(origin, &mut used)?;
        }
        for layer in self
            .kept_steps()?
            .into_iter()
            .filter_map(|kept| kept.step.layer)
        {
            used.blobs.insert(self.blob_path(&layer.blob));
            used.layers.insert(self.layer_path(&layer.diff_id));
        }
        Ok(used)
    }

    /// What cannot be read because it is damaged ends the collection: what
    /// belongs to it is not known.
    fn use_document(&self, digest: &Digest, used: &mut Used) -> Result<()> {
        if !used.blobs.insert(self.blob_path(digest)) {
            return Ok(());
        }
        let Some(bytes) = self.read_if_there(digest)? else {
            return Ok(());
        };
        match Document::parse(&bytes, None) {
            Ok(Document::Manifest(manifest)) => self.use_manifest(&manifest, used),
            Ok(Document::Index(index)) => index
                .manifests
                .iter()
                .try_for_each(|child| self.use_document(&child.digest, used)),
            // Not an image: another tool's artifact of one blob.
            Err(_) => Ok(()),
        }
    }

    fn use_manifest(&self, manifest: &Manifest, used: &mut Used) -> Result<()> {
        let blobs = manifest.layers.iter().chain([&manifest.config]);
        used.blobs.extend(blobs.map(|b| self.blob_path(&b.digest)));
        let Some(bytes) = self.read_if_there(&manifest.config.digest)? else {
            return Ok(());
        };
        if let Ok(config) = ImageConfig::parse(&bytes) {
            used.layers
                .extend(config.diff_ids.iter().map(|id| self.layer_path(id)));
        }
        Ok(())
    }

    pub(super) fn read_if_there(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        match self.read_blob(digest, MAX_DOCUMENT) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == Kind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn drop_old_partials(&self) -> Result<()> {
        let now = SystemTime::now();
        for path in list(&self.partials())? {
            let age = std::fs::symlink_metadata(&path)
                .and_then(|meta| meta.modified())
                .ok()
                .and_then(|then| now.duration_since(then).ok());
            // Nobody writes to it: writers hold a lease. Without a digest
            // nobody can go on with it either.
            if is_temporary(&path) || age.is_some_and(|age| age > PARTIAL_LIFE) {
                remove_if_there(&path)?;
            }
        }
        Ok(())
    }

    fn drop_index_leftovers(&self) -> Result<()> {
        let _lock = lock::exclusive(&self.index_lock())?;
        for path in list(&self.images)? {
            if is_temporary(&path) && path.to_string_lossy().ends_with("index.json") {
                remove_if_there(&path)?;
            }
        }
        Ok(())
    }
}

pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.context(|| format!("cannot read \"{}\"", dir.display()))?,
    };
    entries
        .map(|entry| entry.map(|e| e.path()))
        .collect::<std::io::Result<_>>()
        .context(|| format!("cannot read \"{}\"", dir.display()))
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        name.as_encoded_bytes()
            .starts_with(TEMPORARY_PREFIX.as_bytes())
    })
}

/// Renames a layer out of sight, to a name that nobody else uses: a rename takes
/// the place of a directory that is being removed and just empty, and both would
/// then be removed under one name.
fn retire(layer: &Path) -> Result<()> {
    for _ in 0..1000 {
        match std::fs::rename(layer, temporary_beside(layer)) {
            Err(e) if is_taken(&e) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => return other.context(|| format!("cannot remove \"{}\"", layer.display())),
        }
    }
    // Leaving it is harmless: the next collection tries again.
    Ok(())
}

fn is_taken(e: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(
        e.kind(),
        K::AlreadyExists | K::DirectoryNotEmpty | K::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Scratch;
    use std::fs::File;

    #[test]
    fn only_the_unused_goes() {
        let scratch = Scratch::new("collect");
        let store = scratch.store();
        let kept = scratch.image("kept", "one");
        let gone = scratch.image("gone", "two");
        let with_container = scratch.image("used", "three");
        let layer = |image| store.config(image).unwrap().diff_ids[0].clone();
        let (kept_layer, gone_layer, used_layer) =
            (layer(&kept), layer(&gone), layer(&with_container));
        let index = store.write_blob(b"{\"the\":\"index\"}").unwrap();
        let name = crate::image::reference::Reference::parse("kept").unwrap();
        store
            .add_image(&name, &kept.manifest, Some(&index))
            .unwrap();
        let stray = store.write_blob(b"stray").unwrap();
        store.remove("gone", false, || Ok(Vec::new())).unwrap();
        store.remove("used", false, || Ok(Vec::new())).unwrap();
        let in_use = || Ok(vec![used_layer.clone()]);

        let lease = store.lease().unwrap();
        store.collect(in_use).unwrap();
        assert!(store.has_blob(&stray) && store.has_layer(&gone_layer));
        drop(lease);
        store.collect(in_use).unwrap();
        assert!(store.has_garbage().unwrap());
        store.sweep().unwrap();
        assert!(!store.has_garbage().unwrap());
        for digest in [
            &stray,
            &gone.id,
            &gone.manifest.digest,
            &gone_layer,
            &with_container.id,
        ] {
            assert!(!store.has_blob(digest), "{digest}");
        }
        for digest in [&kept.id, &kept.manifest.digest, &kept_layer, &index] {
            assert!(store.has_blob(digest), "{digest}");
        }
        assert!(store.has_layer(&kept_layer) && store.has_layer(&used_layer));
        assert!(!store.has_layer(&gone_layer));
        assert_eq!(list(&store.layers).unwrap().len(), 2);
    }

    #[test]
    fn leftovers_of_killed_processes_go_and_those_of_living_ones_stay() {
        let scratch = Scratch::new("collect-leftovers");
        let store = scratch.store();
        scratch.image("kept", "one");
        let dead = store.layers.join(".tmp-dead");
        let living = store.layers.join(".tmp-living");
        for dir in [&dead, &living] {
            std::fs::create_dir_all(dir.join("diff/x")).unwrap();
        }
        let lock = lock_dir(&living, FlockArg::LockExclusive).unwrap();
        let index = store.images.join(".tmp-1-0-index.json");
        let partial = store.partials().join("sha256-old");
        for file in [&index, &partial] {
            std::fs::write(file, "x").unwrap();
        }
        let old = SystemTime::now() - PARTIAL_LIFE - Duration::from_secs(60);
        File::options()
            .write(true)
            .open(&partial)
            .unwrap()
            .set_modified(old)
            .unwrap();
        store.collect(|| Ok(Vec::new())).unwrap();
        store.sweep().unwrap();
        let there = [&dead, &living, &index, &partial].map(|p| p.exists());
        assert_eq!(there, [false, true, false, false]);
        drop(lock);
        store.sweep().unwrap();
        assert!(!living.exists());
    }

    #[test]
    fn a_damaged_manifest_costs_nothing_else() {
        let scratch = Scratch::new("collect-damaged");
        let store = scratch.store();
        let image = scratch.image("a", "one");
        let stray = store.write_blob(b"stray").unwrap();
        std::fs::write(store.blob_path(&image.manifest.digest), "{}").unwrap();
        assert!(store.collect(|| Ok(Vec::new())).is_err());
        assert!(store.has_blob(&image.id) && store.has_blob(&stray));
        store.remove("a", false, || Ok(Vec::new())).unwrap();
        store.collect(|| Ok(Vec::new())).unwrap();
        assert!(!store.has_blob(&image.id));
    }
}
