//! Directories of `RUN --mount=type=cache`: `build/caches/NAME/data`, with a
//! lock that says who uses it. They outlive builds and are in no image.

use crate::build::plan::mount::Sharing;
use crate::error::{Context, Result};
use crate::fs::lock::{self, Lock};
use crate::image::Digest;
use crate::paths::Paths;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// How many private copies one cache may have.
const MOST_PRIVATE: usize = 64;

/// A cache in use while this lives.
pub struct Cache {
    /// Its content; to be made by root of U when it is missing.
    pub data: PathBuf,
    _lock: Lock,
}

pub fn dir(paths: &Paths) -> PathBuf {
    paths.build().join("caches")
}

/// Takes the cache called `id`, in the way that others leave to us.
pub fn take(paths: &Paths, id: &str, sharing: Sharing) -> Result<Cache> {
    // The ID is the user's text: it is no path.
    let name = Digest::of(id.as_bytes()).hex().to_string();
    let taken = |dir: PathBuf, lock: Lock| Cache {
        data: dir.join("data"),
        _lock: lock,
    };
    let first = dir(paths).join(&name);
    match sharing {
        Sharing::Shared => {
            make(&first, id)?;
            let lock = lock::shared(&first.join("lock"))?;
            Ok(taken(first, lock))
        }
        Sharing::Locked => {
            make(&first, id)?;
            let lock = lock::exclusive(&first.join("lock"))?;
            Ok(taken(first, lock))
        }
        Sharing::Private => {
            for number in 0..MOST_PRIVATE {
                let dir = match number {
                    0 => first.clone(),
                    n => first.with_file_name(format!("{name}-{n}")),
                };
                make(&dir, id)?;
                if let Some(lock) = lock::try_exclusive(&dir.join("lock"))? {
                    return Ok(taken(dir, lock));
                }
            }
            let lock = lock::exclusive(&first.join("lock"))?;
            Ok(taken(first, lock))
        }
    }
}

fn make(dir: &Path, id: &str) -> Result<()> {
    if dir.join("id").exists() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .context(|| format!("cannot make directory \"{}\"", dir.display()))?;
    crate::fs::replace::replace(
        &dir.join("id"),
        id.as_bytes(),
        crate::fs::replace::Durability::Fast,
    )
}
