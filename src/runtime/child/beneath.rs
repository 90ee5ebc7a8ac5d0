//! Opening and making things beneath the new root (openat2(2)). No component
//! leaves the root, and no magic link is followed.

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{Mode, SFlag, mkdirat};
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

const MAX_PATH: usize = 4096;

/// Whether symbolic links on the way (and at the end) are followed, inside the root.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    Follow,
    Refuse,
}

/// Opens `path` below `root`.
pub fn open(root: BorrowedFd<'_>, path: &CStr, flags: OFlag, links: Links) -> nix::Result<OwnedFd> {
    let mut resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    if links == Links::Refuse {
        resolve |= ResolveFlag::RESOLVE_NO_SYMLINKS;
    }
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(resolve);
    loop {
        match openat2(root, path, how) {
            // A rename or mount raced with the walk: look again.
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Opens `path` below `top` as a path alone. A link that leads out of `top` is
/// an error (EXDEV), not taken for one inside.
pub fn open_within(top: BorrowedFd<'_>, path: &CStr) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    loop {
        match openat2(top, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Writes all of `value` to an existing file; nothing else is made or followed.
pub fn write(root: BorrowedFd<'_>, path: &CStr, value: &[u8]) -> nix::Result<()> {
    let fd = open(root, path, OFlag::O_WRONLY, Links::Refuse)?;
    match nix::unistd::write(&fd, value)? {
        n if n == value.len() => Ok(()),
        _ => Err(Errno::EIO),
    }
}

/// The mount point `path`: opened as it is, or made (with its parents) as a
/// directory or an empty file.
pub fn mount_point(
    root: BorrowedFd<'_>,
    path: &CStr,
    directory: bool,
    links: Links,
) -> nix::Result<OwnedFd> {
    match open(root, path, OFlag::O_PATH, links) {
        Err(Errno::ENOENT) => {}
        Ok(fd) => return of_kind(fd, directory),
        Err(e) => return Err(e),
    }
    make(root, path, directory, links)?;
    of_kind(open(root, path, OFlag::O_PATH, links)?, directory)
}

/// A directory goes on a directory and a file on a file.
fn of_kind(fd: OwnedFd, directory: bool) -> nix::Result<OwnedFd> {
    let kind = nix::sys::stat::fstat(&fd)?.st_mode & libc::S_IFMT;
    match (kind == libc::S_IFDIR, directory) {
        (true, false) => Err(Errno::EISDIR),
        (false, true) => Err(Errno::ENOTDIR),
        _ => Ok(fd),
    }
}

/// Makes `path` and its missing parents, one component at a time, each beneath
/// the one before (CVE-2024-45310).
pub fn make(root: BorrowedFd<'_>, path: &CStr, directory: bool, links: Links) -> nix::Result<()> {
    let bytes = path.to_bytes();
    let mut buffer = [0u8; MAX_PATH + 1];
    if bytes.len() > MAX_PATH {
        return Err(Errno::ENAMETOOLONG);
    }
    let mut start = 0;
    while start < bytes.len() {
        let end = bytes[start..]
            .iter()
            .position(|&b| b == b'/')
            .map_or(bytes.len(), |n| start + n);
        if end > start {
            let last = end == bytes.len();
            component(
                root,
                bytes,
                start,
                end,
                !last || directory,
                links,
                &mut buffer,
            )?;
        }
        start = end + 1;
    }
    Ok(())
}

/// Makes the component `bytes[start..end]` in the directory `bytes[..start]`.
fn component(
    root: BorrowedFd<'_>,
    bytes: &[u8],
    start: usize,
    end: usize,
    directory: bool,
    links: Links,
    buffer: &mut [u8; MAX_PATH + 1],
) -> nix::Result<()> {
    let parent = if start == 0 {
        open(root, c".", OFlag::O_PATH | OFlag::O_DIRECTORY, links)?
    } else {
        let path = terminated(&bytes[..start], buffer)?;
        open(root, path, OFlag::O_PATH | OFlag::O_DIRECTORY, links)?
    };
    let name = terminated(&bytes[start..end], buffer)?;
    let made = if directory {
        mkdirat(&parent, name, Mode::from_bits_truncate(0o755))
    } else {
        nix::sys::stat::mknodat(
            &parent,
            name,
            SFlag::S_IFREG,
            Mode::from_bits_truncate(0o644),
            0,
        )
    };
    match made {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

fn terminated<'a>(bytes: &[u8], buffer: &'a mut [u8; MAX_PATH + 1]) -> nix::Result<&'a CStr> {
    buffer[..bytes.len()].copy_from_slice(bytes);
    buffer[bytes.len()] = 0;
    CStr::from_bytes_with_nul(&buffer[..=bytes.len()]).map_err(|_| Errno::EINVAL)
}
