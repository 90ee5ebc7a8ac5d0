//! A layer in the making: `layers/.tmp-…`, locked by its maker.

use super::Store;
use super::blob::is_same_file;
use super::layer::{
    DELETIONS_AS_FILES, DIFF, Meta, OPAQUE_ROOT, lock_dir, open_dir, remove_tree, write_meta,
};
use super::unpack::{self, Options, Privilege, Unpacked};
use crate::error::{Context, Kind, Result};
use crate::fs::replace::{TEMPORARY_PREFIX, temporary_beside};
use crate::image::digest::{Algorithm, Digest};
use crate::image::manifest::Compression;
use crate::sys::procfs;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The directory while it is locked; removed when dropped without commit.
pub(super) struct Staging {
    dir: PathBuf,
    _lock: Flock<File>,
    done: bool,
}

impl Staging {
    /// An empty directory of our own, or `None` when the layer is there.
    pub fn make(store: &Store, diff_id: &Digest) -> Result<Option<Self>> {
        let dir = store
            .layers
            .join(format!("{TEMPORARY_PREFIX}{}", diff_id.hex()));
        let lock = loop {
            make_dir(&dir, 0o700)?;
            let lock = match lock_dir(&dir, FlockArg::LockExclusive) {
                Err(e) if e.kind() == Kind::NotFound => continue,
                other => other?,
            };
            if store.has_layer(diff_id) {
                if lock.as_ref().is_some_and(|lock| is_same_file(lock, &dir)) {
                    remove_tree(&dir)?;
                }
                return Ok(None);
            }
            match lock {
                Some(lock) if is_same_file(&lock, &dir) => break lock,
                _ => {}
            }
        };
        // What a killed process left, and a layer that a power cut has harmed.
        for entry in
            std::fs::read_dir(&dir).context(|| format!("cannot read \"{}\"", dir.display()))?
        {
            let entry = entry.context(|| format!("cannot read \"{}\"", dir.display()))?;
            remove_tree(&entry.path())?;
        }
        remove_tree(&store.layer_path(diff_id))?;
        Ok(Some(Self {
            dir,
            _lock: lock,
            done: false,
        }))
    }

    /// An empty directory for a layer whose content is not known yet.
    pub fn nameless(store: &Store) -> Result<Self> {
        loop {
            let dir = temporary_beside(&store.layers.join("new"));
            make_dir(&dir, 0o700)?;
            let lock = match lock_dir(&dir, FlockArg::LockExclusive) {
                Err(e) if e.kind() == Kind::NotFound => continue,
                other => other?,
            };
            // Taken for garbage before it was locked.
            if let Some(lock) = lock.filter(|lock| is_same_file(lock, &dir)) {
                return Ok(Self {
                    dir,
                    _lock: lock,
                    done: false,
                });
            }
        }
    }

    /// Unpacks a layer into it; its digest when it is not compressed.
    pub fn unpack(
        &self,
        compressed: impl Read,
        compression: Compression,
        algorithm: Algorithm,
    ) -> Result<(Unpacked, Digest)> {
        let options = Options::layer(Privilege::of_this_process());
        let diff = self.dir.join(DIFF);
        make_dir(&diff, 0o755)?;
        let root = open_dir(&diff)?;
        unpack::unpack(root.as_fd(), compressed, compression, algorithm, options)
    }

    /// Takes a directory over as the layer's content; `false` when it lies on
    /// another file system.
    pub fn take(&self, dir: &Path) -> Result<bool> {
        match std::fs::rename(dir, self.dir.join(DIFF)) {
            Err(e) if e.raw_os_error() == Some(Errno::EXDEV as i32) => Ok(false),
            other => other
                .map(|()| true)
                .context(|| format!("cannot move \"{}\"", dir.display())),
        }
    }

    /// Gives a nameless layer its name, unless another of that name is there.
    pub fn commit_as(self, store: &Store, diff_id: &Digest, unpacked: &Unpacked) -> Result<()> {
        let Some(named) = Self::make(store, diff_id)? else {
            return Ok(());
        };
        named.take(&self.dir.join(DIFF))?;
        named.commit(unpacked, &store.layer_path(diff_id))
    }

    pub fn commit(mut self, unpacked: &Unpacked, target: &Path) -> Result<()> {
        for (mark, name) in [
            (unpacked.opaque_root, OPAQUE_ROOT),
            (unpacked.deletions_as_files, DELETIONS_AS_FILES),
        ] {
            if mark {
                File::create(self.dir.join(name)).context(|| "cannot mark the layer")?;
            }
        }
        let boot = procfs::boot_id().context(|| "cannot read the boot id")?;
        let meta = Meta {
            unpacked: unpacked.clone(),
            unsynced: Some(boot),
        };
        write_meta(&self.dir, &meta)?;
        std::fs::rename(&self.dir, target)
            .context(|| format!("cannot store layer \"{}\"", target.display()))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.done {
            // What cannot be removed now is garbage for the next command.
            let _ = remove_tree(&self.dir);
        }
    }
}

fn make_dir(path: &Path, mode: u32) -> Result<()> {
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        // The umask must not show in the root of a container.
        Ok(()) => match std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)) {
            // Taken for garbage before it was locked: who locks it will see.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.context(|| format!("cannot make directory \"{}\"", path.display())),
        },
        Err(e) => Err(e).context(|| format!("cannot make directory \"{}\"", path.display())),
    }
}
