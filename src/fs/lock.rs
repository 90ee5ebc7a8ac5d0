//! flock(2) on a file of its own. The kernel drops the lock with its holder,
//! however that one dies; a lock file is never removed while it may be held.

use crate::error::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held until dropped.
#[derive(Debug)]
pub struct Lock(Flock<File>);

impl Lock {
    /// Whether the locked file is still the one at `path`.
    pub fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let same =
            |a: &std::fs::Metadata, b: &std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        match (self.0.metadata(), std::fs::symlink_metadata(path)) {
            (Ok(locked), Ok(there)) => same(&locked, &there),
            _ => false,
        }
    }
}

/// Waits for the exclusive lock on `path`, which is made when missing.
pub fn exclusive(path: &Path) -> Result<Lock> {
    take(path, FlockArg::LockExclusive).map(|lock| lock.expect("a waiting flock returns a lock"))
}

/// Waits for a shared lock on `path`.
pub fn shared(path: &Path) -> Result<Lock> {
    take(path, FlockArg::LockShared).map(|lock| lock.expect("a waiting flock returns a lock"))
}

/// The exclusive lock, or `None` when somebody else holds it.
pub fn try_exclusive(path: &Path) -> Result<Option<Lock>> {
    take(path, FlockArg::LockExclusiveNonblock)
}

/// Waits for the exclusive lock on the directory `path` itself: where a lock
/// file would be litter.
pub fn directory(path: &Path) -> Result<Lock> {
    let dir = File::open(path).context(|| format!("cannot open \"{}\"", path.display()))?;
    let locked = Flock::lock(dir, FlockArg::LockExclusive).map_err(|(_, e)| e);
    locked
        .map(Lock)
        .context(|| format!("cannot lock \"{}\"", path.display()))
}

fn take(path: &Path, how: FlockArg) -> Result<Option<Lock>> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .context(|| format!("cannot open lock \"{}\"", path.display()))?;
    loop {
        match Flock::lock(file, how) {
            Ok(lock) => return Ok(Some(Lock(lock))),
            Err((_, nix::Error::EWOULDBLOCK)) => return Ok(None),
            Err((back, nix::Error::EINTR)) => file = back,
            Err((_, e)) => {
                return Err(e).context(|| format!("cannot lock \"{}\"", path.display()));
            }
        }
    }
}
