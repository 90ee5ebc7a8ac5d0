//! flock(2) on a file of its own. The kernel drops the lock with its holder,
//! however that one dies; a lock file is never removed while it may be held.

use crate::error::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
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

/// One of as many locks as there are numbers, all in one file: an open file
/// description lock (fcntl(2)) on the byte at that offset. Held until dropped.
#[derive(Debug)]
pub struct Numbered {
    file: File,
    number: i64,
}

impl Numbered {
    /// None is held yet.
    pub fn new(path: &Path, number: u32) -> Result<Self> {
        Ok(Self {
            file: open(path)?,
            number: number.into(),
        })
    }

    fn region(&self, kind: libc::c_int) -> libc::flock {
        libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: self.number,
            l_len: 1,
            l_pid: 0,
        }
    }

    /// False: somebody else holds it.
    pub fn try_take(&self) -> Result<bool> {
        let region = self.region(libc::F_WRLCK);
        match fcntl(&self.file, FcntlArg::F_OFD_SETLK(&region)) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(e) => Err(e).context(|| "cannot take a lock"),
        }
    }

    /// Waits for it.
    pub fn take(&self) -> Result<()> {
        let region = self.region(libc::F_WRLCK);
        loop {
            match fcntl(&self.file, FcntlArg::F_OFD_SETLKW(&region)) {
                Err(Errno::EINTR) => {}
                other => return other.map(drop).context(|| "cannot wait for a lock"),
            }
        }
    }
}

impl Drop for Numbered {
    /// A child that was forked meanwhile may have the file open still.
    fn drop(&mut self) {
        let region = self.region(libc::F_UNLCK);
        let _ = fcntl(&self.file, FcntlArg::F_OFD_SETLK(&region));
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .context(|| format!("cannot open lock \"{}\"", path.display()))
}

fn take(path: &Path, how: FlockArg) -> Result<Option<Lock>> {
    let mut file = open(path)?;
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
