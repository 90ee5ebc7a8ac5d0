//! The first use of a volume: what the image has in its place is copied into
//! an empty one.
//!
//! Killed at any instant, the next one does it over or goes on, and never takes
//! a part for the whole: the copy is made beside the volume's files under a
//! temporary name, gets its final name when it is complete, and only then are
//! its files moved in. So a volume keeps the directory that others may have
//! mounted already, and files that they have made meanwhile stay theirs.

use super::DATA;
use crate::error::{Context, Error, Result};
use crate::fs::copy::{self, Contents, Failure, Owners, names};
use crate::fs::rooted;
use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{Mode, mkdirat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A copy in the making.
const MAKING: &str = ".tmp-filled";
/// A whole copy whose files are being moved into the volume.
const WHOLE: &str = "filled";

/// Whether a copy into the volume at `dir` was begun and is not done.
pub fn is_pending(dir: &Path) -> bool {
    dir.join(WHOLE).exists() || dir.join(MAKING).exists()
}

/// Whether [`fill`] has to look at the volume at `dir`. One that its owner may
/// not even read has been given to others by a copy.
pub fn may_want(dir: &Path) -> bool {
    is_pending(dir)
        || std::fs::read_dir(dir.join(DATA)).is_ok_and(|mut entries| entries.next().is_none())
}

/// Copies the directory `from` into the volume at `dir` if that is empty; what
/// was begun before is ended first. As root of U, with the volume held.
pub fn fill(dir: &Path, from: Option<BorrowedFd<'_>>, owners: Owners<'_>) -> Result<()> {
    let failed = || format!("cannot fill the volume at \"{}\"", dir.display());
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let volume = nix::fcntl::open(dir, flags, Mode::empty()).context(failed)?;
    let data = openat(&volume, DATA, flags, Mode::empty()).context(failed)?;
    move_in(&volume, &data).context(failed)?;
    rooted::remove_all(volume.as_fd(), MAKING.as_bytes()).context(failed)?;
    let Some(from) = from else { return Ok(()) };
    if !names(&data).context(failed)?.is_empty() {
        return Ok(());
    }
    if names(from).context(failed)?.is_empty() {
        return copy::attributes(from, data.as_fd(), owners).context(failed);
    }
    mkdirat(&volume, MAKING, Mode::S_IRWXU).context(failed)?;
    let making = openat(&volume, MAKING, flags, Mode::empty()).context(failed)?;
    if let Err(Failure { path, errno }) = copy::tree(from, making.as_fd(), owners, Contents::Copied)
    {
        let file = String::from_utf8_lossy(&path);
        return Err(errno)
            .context(|| format!("cannot copy \"{file}\""))
            .map_err(|e: Error| e.within(failed()));
    }
    renameat(&volume, MAKING, &volume, WHOLE).context(failed)?;
    move_in(&volume, &data).context(failed)
}

/// Moves the files of a whole copy into the volume.
fn move_in(volume: &OwnedFd, data: &OwnedFd) -> nix::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let whole = match openat(volume, WHOLE, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    for name in names(&whole)? {
        let name = name.as_c_str();
        match renameat2(&whole, name, data, name, RenameFlags::RENAME_NOREPLACE) {
            // Made meanwhile by somebody who uses the volume.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e),
        }
    }
    // The copy has its owners already.
    copy::attributes(whole.as_fd(), data.as_fd(), &|uid, gid| (uid, gid))?;
    rooted::remove_all(volume.as_fd(), WHOLE.as_bytes())
}

/// Gives the directory of an empty volume to `owner`.
pub fn give_empty(dir: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    let failed = || format!("cannot give the volume at \"{}\" away", dir.display());
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let data = nix::fcntl::open(&dir.join(DATA), flags, Mode::empty()).context(failed)?;
    if names(&data).context(failed)?.is_empty() {
        nix::unistd::fchown(&data, Some(uid.into()), Some(gid.into())).context(failed)?;
    }
    Ok(())
}
