//! Unpacked layers: `layers/HEX/diff` with `meta.json` beside it, named by the
//! DiffID. A layer in the making is `layers/.tmp-HEX`, locked by its maker.

use super::Store;
use super::merged::Merged;
use super::staging::Staging;
use super::unpack::Unpacked;
use crate::error::{Context, Error, Result};
use crate::fs::replace::{self, Durability};
use crate::fs::rooted;
use crate::image::digest::Digest;
use crate::image::manifest::Compression;
use crate::sys::procfs;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

const META_LIMIT: u64 = 64 << 10;
const META: &str = "meta.json";
pub(super) const DIFF: &str = "diff";
/// Empty file beside `diff`: the layers below are hidden as a whole.
pub(super) const OPAQUE_ROOT: &str = "opaque-root";
/// Empty file beside `diff`: what it deletes only fuse-overlayfs sees.
pub(super) const DELETIONS_AS_FILES: &str = "deletions-as-files";

/// `layers/HEX/meta.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Meta {
    #[serde(flatten)]
    pub unpacked: Unpacked,
    /// Boot id under which the layer was unpacked, until it has been synced:
    /// after a power cut such a layer may have holes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsynced: Option<String>,
}

impl Store {
    /// Whether the layer is unpacked and whole.
    pub fn has_layer(&self, diff_id: &Digest) -> bool {
        self.read_meta(diff_id).is_ok_and(|meta| is_whole(&meta))
    }

    /// Bytes of the unpacked layer.
    pub fn layer_size(&self, diff_id: &Digest) -> Result<u64> {
        Ok(self.read_meta(diff_id)?.unpacked.bytes)
    }

    /// Unpacks a layer as it streams in and gives it its name if its content
    /// is that of `diff_id`. Always reads `compressed` to its end, also when
    /// another process has unpacked the layer meanwhile; waits while one does.
    pub fn unpack_layer(
        &self,
        diff_id: &Digest,
        mut compressed: impl Read,
        compression: Compression,
    ) -> Result<Unpacked> {
        self.prepare()?;
        let Some(staging) = Staging::make(self, diff_id)? else {
            std::io::copy(&mut compressed, &mut std::io::sink())
                .context(|| format!("cannot read layer {diff_id}"))?;
            return Ok(self.read_meta(diff_id)?.unpacked);
        };
        let (unpacked, found) = staging
            .unpack(compressed, compression, diff_id.algorithm())
            .map_err(|e| e.within(format!("layer {}", diff_id.short())))?;
        if found != *diff_id {
            return Err(Error::invalid(format!(
                "layer {diff_id} has wrong content: its digest is {found}"
            )));
        }
        staging.commit(&unpacked, &self.layer_path(diff_id))?;
        Ok(unpacked)
    }

    /// The tree that these layers make, read without a mount. Like unpacking,
    /// this is for a process that owns all their files.
    pub fn merged(&self, diff_ids: &[Digest]) -> Result<Merged> {
        let mut tree = Merged::empty();
        self.add_layers(&mut tree, diff_ids)?;
        Ok(tree)
    }

    /// Puts these layers below those that `tree` has.
    pub fn add_layers(&self, tree: &mut Merged, diff_ids: &[Digest]) -> Result<()> {
        for dir in self.lower_dirs(diff_ids)? {
            let by_files = dir.with_file_name(DELETIONS_AS_FILES).exists();
            tree.add(&dir, by_files)?;
        }
        Ok(())
    }

    /// Directories for overlayfs, uppermost first. Stops at a layer that hides
    /// everything below it. An empty image has none.
    pub fn lower_dirs(&self, diff_ids: &[Digest]) -> Result<Vec<PathBuf>> {
        let mut dirs = Vec::with_capacity(diff_ids.len());
        for diff_id in diff_ids.iter().rev() {
            let layer = self.layer_path(diff_id);
            let diff = layer.join(DIFF);
            if !diff.is_dir() {
                return Err(Error::not_found(format!(
                    "layer {diff_id} is missing from the image store"
                ))
                .hint("pull the image again"));
            }
            // A layer may occur twice; the lower one then changes nothing, and
            // overlayfs refuses it.
            if !dirs.contains(&diff) {
                dirs.push(diff);
            }
            if layer.join(OPAQUE_ROOT).exists() {
                break;
            }
        }
        Ok(dirs)
    }

    /// Whether overlayfs would show what some of these layers delete.
    pub fn needs_fuse(&self, diff_ids: &[Digest]) -> bool {
        diff_ids
            .iter()
            .any(|diff_id| self.layer_path(diff_id).join(DELETIONS_AS_FILES).exists())
    }

    /// Puts everything written so far on the disk, and marks the layers so.
    /// Returns their bytes together.
    pub(super) fn settle_layers(&self, diff_ids: &[Digest]) -> Result<u64> {
        let mut metas = Vec::with_capacity(diff_ids.len());
        for diff_id in diff_ids {
            let meta = self.read_meta(diff_id)?;
            if !is_whole(&meta) {
                return Err(Error::not_found(format!("layer {diff_id} is not whole")));
            }
            metas.push((diff_id, meta));
        }
        let total = metas.iter().map(|(_, meta)| meta.unpacked.bytes).sum();
        metas.retain(|(_, meta)| meta.unsynced.is_some());
        // Blobs and layers may lie on different file systems.
        for dir in [&self.images, &self.layers] {
            nix::unistd::syncfs(open_dir(dir)?)
                .context(|| format!("cannot sync \"{}\"", dir.display()))?;
        }
        for (diff_id, mut meta) in metas {
            meta.unsynced = None;
            write_meta(&self.layer_path(diff_id), &meta)?;
        }
        Ok(total)
    }

    fn read_meta(&self, diff_id: &Digest) -> Result<Meta> {
        let path = self.layer_path(diff_id).join(META);
        let bytes = super::read_bounded(&path, META_LIMIT)
            .context(|| format!("cannot read layer {diff_id}"))?;
        serde_json::from_slice(&bytes).context(|| format!("\"{}\" is damaged", path.display()))
    }
}

fn is_whole(meta: &Meta) -> bool {
    match &meta.unsynced {
        None => true,
        Some(boot) => procfs::boot_id().is_ok_and(|now| now == *boot),
    }
}

pub(super) fn write_meta(layer: &Path, meta: &Meta) -> Result<()> {
    let bytes = serde_json::to_vec(meta).context(|| "cannot write layer record")?;
    replace::replace(&layer.join(META), &bytes, Durability::Fast)
}

pub(super) fn open_dir(path: &Path) -> Result<File> {
    File::open(path).context(|| format!("cannot open \"{}\"", path.display()))
}

/// A flock on the directory itself: it goes where the directory goes. `None`
/// when `how` does not wait and somebody holds it.
pub(super) fn lock_dir(path: &Path, how: FlockArg) -> Result<Option<Flock<File>>> {
    let mut dir = open_dir(path)?;
    loop {
        match Flock::lock(dir, how) {
            Ok(lock) => return Ok(Some(lock)),
            Err((_, nix::Error::EWOULDBLOCK)) => return Ok(None),
            Err((back, nix::Error::EINTR)) => dir = back,
            Err((_, e)) => return Err(e).context(|| format!("cannot lock \"{}\"", path.display())),
        }
    }
}

/// Removes a file or tree of the store; a missing one is no error.
pub(super) fn remove_tree(path: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::internal(format!(
            "cannot remove \"{}\"",
            path.display()
        )));
    };
    rooted::remove_all(
        open_dir(parent)?.as_fd(),
        std::os::unix::ffi::OsStrExt::as_bytes(name),
    )
    .context(|| format!("cannot remove \"{}\"", path.display()))
}
