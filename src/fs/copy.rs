//! Copies a tree of files with all that belongs to them: owners, modes,
//! extended attributes, times, hard links, links, pipes and sockets. Both sides
//! are descriptors of directories; nothing is followed out of them.

use super::rooted;
use crate::sys::xattr;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{
    FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstat, fstatat, futimens, mkdirat, mknodat,
    utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchown, fchownat, linkat, symlinkat};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Paths longer than this begin anew at directories that are kept open.
const LONGEST: usize = 2048;

/// What could not be copied, and why.
#[derive(Debug)]
pub struct Failure {
    /// Below the copied directory; empty for itself.
    pub path: Vec<u8>,
    pub errno: Errno,
}

/// What the copies of regular files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    Copied,
    /// Nothing: an overlay finds it below, at the same path (overlayfs,
    /// `user.overlay.redirect` of data-only layers).
    Below,
}

/// Gives a file's user and group their place in the copy.
pub type Owners<'a> = &'a dyn Fn(u32, u32) -> (u32, u32);

/// Copies what is in the directory `from` into the empty directory `to`, and
/// gives `to` the attributes of `from`. Device nodes that may not be made are
/// left out, as are attributes that the file system does not take.
pub fn tree(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    owners: Owners<'_>,
    contents: Contents,
) -> Result<(), Failure> {
    let failed = |errno| Failure {
        path: Vec::new(),
        errno,
    };
    let own = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(|_| failed(Errno::EMFILE));
    let mut copy = Copy {
        owners,
        contents,
        waiting: vec![Place {
            from: Rc::new(own(from)?),
            to: Rc::new(own(to)?),
            path: Vec::new(),
            whole: Vec::new(),
        }],
        entered: Vec::new(),
        linked: HashMap::new(),
    };
    while let Some(place) = copy.waiting.pop() {
        copy.enter(place)?;
    }
    // Making files in a directory changes its time, and a mode may forbid it.
    for (place, stat) in std::mem::take(&mut copy.entered).into_iter().rev() {
        copy.finish(&place, &stat)
            .map_err(|errno| place.failure(errno))?;
    }
    Ok(())
}

/// Gives the directory `to` the owner, mode, attributes and times of `from`.
pub fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>, owners: Owners<'_>) -> nix::Result<()> {
    metadata(from, to, &fstat(from)?, owners)
}

/// A directory or file on both sides: `path` beneath `from` and `to`.
#[derive(Clone)]
struct Place {
    from: Rc<OwnedFd>,
    to: Rc<OwnedFd>,
    path: Vec<u8>,
    /// The same from the top on, for messages.
    whole: Vec<u8>,
}

impl Place {
    fn failure(&self, errno: Errno) -> Failure {
        Failure {
            path: self.whole.clone(),
            errno,
        }
    }

    fn below(&self, name: &[u8]) -> Self {
        Self {
            from: Rc::clone(&self.from),
            to: Rc::clone(&self.to),
            path: joined(&self.path, name),
            whole: joined(&self.whole, name),
        }
    }
}

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = path.to_vec();
    if !joined.is_empty() {
        joined.push(b'/');
    }
    joined.extend_from_slice(name);
    joined
}

fn open_dir(root: &OwnedFd, path: &[u8]) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    rooted::open(root.as_fd(), path, flags, Mode::empty())
}

struct Copy<'a> {
    owners: Owners<'a>,
    contents: Contents,
    /// Directories that are there on both sides and still empty on one.
    waiting: Vec<Place>,
    /// Those that have been filled.
    entered: Vec<(Place, FileStat)>,
    /// Files with several names: where in the copy the first is. Nobody else
    /// changes the copy, so its paths lead where they did.
    linked: HashMap<(u64, u64), (Rc<OwnedFd>, Vec<u8>)>,
}

impl Copy<'_> {
    fn enter(&mut self, place: Place) -> Result<(), Failure> {
        let opened = open_dir(&place.from, &place.path)
            .and_then(|from| Ok((from, open_dir(&place.to, &place.path)?)));
        let (from, to) = opened.map_err(|errno| place.failure(errno))?;
        let stat = fstat(&from).map_err(|errno| place.failure(errno))?;
        let at = if place.path.len() < LONGEST {
            place.clone()
        } else {
            let own = |fd: &OwnedFd| fd.try_clone().map(Rc::new).map_err(|_| Errno::EMFILE);
            let both = own(&from).and_then(|from| Ok((from, own(&to)?)));
            let (from, to) = both.map_err(|errno| place.failure(errno))?;
            Place {
                from,
                to,
                path: Vec::new(),
                whole: place.whole.clone(),
            }
        };
        for name in names(&from).map_err(|errno| place.failure(errno))? {
            let below = at.below(name.to_bytes());
            match self.entry(&from, &to, &name, &below) {
                Ok(true) => self.waiting.push(below),
                Ok(false) => {}
                Err(errno) => return Err(below.failure(errno)),
            }
        }
        self.entered.push((place, stat));
        Ok(())
    }

    /// Copies what is called `name`; of a directory only itself, which is true.
    fn entry(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &CStr,
        place: &Place,
    ) -> nix::Result<bool> {
        let stat = fstatat(from, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let kind = stat.st_mode & libc::S_IFMT;
        if kind == libc::S_IFDIR {
            mkdirat(to, name, Mode::S_IRWXU)?;
            return Ok(true);
        }
        if stat.st_nlink > 1 {
            let key = (stat.st_dev, stat.st_ino);
            if let Some((base, first)) = self.linked.get(&key) {
                linkat(&**base, first.as_slice(), to, name, AtFlags::empty())?;
                return Ok(false);
            }
            let first = (Rc::clone(&place.to), place.path.clone());
            self.linked.insert(key, first);
        }
        match kind {
            libc::S_IFREG => {
                let below = match self.contents {
                    Contents::Below if stat.st_size > 0 => Some(place.whole.as_slice()),
                    _ => None,
                };
                regular(from, to, name, &stat, self.owners, below)?;
                return Ok(false);
            }
            libc::S_IFLNK => symlinkat(readlinkat(from, name)?.as_os_str(), to, name)?,
            _ => {
                let mode = Mode::from_bits_truncate(stat.st_mode & 0o7777);
                let made = mknodat(
                    to,
                    name,
                    SFlag::from_bits_truncate(kind),
                    mode,
                    stat.st_rdev,
                );
                match made {
                    Err(Errno::EPERM) if matches!(kind, libc::S_IFCHR | libc::S_IFBLK) => {
                        return Ok(false);
                    }
                    other => other?,
                }
            }
        }
        let (uid, gid) = (self.owners)(stat.st_uid, stat.st_gid);
        fchownat(
            to,
            name,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        )?;
        let (accessed, modified) = times(&stat);
        utimensat(
            to,
            name,
            &accessed,
            &modified,
            UtimensatFlags::NoFollowSymlink,
        )?;
        Ok(false)
    }

    fn finish(&self, place: &Place, stat: &FileStat) -> nix::Result<()> {
        let from = open_dir(&place.from, &place.path)?;
        let to = open_dir(&place.to, &place.path)?;
        metadata(from.as_fd(), to.as_fd(), stat, self.owners)
    }
}

/// Names in a directory, but for itself and its parent.
pub fn names(dir: impl AsFd) -> nix::Result<Vec<CString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut listing = Dir::openat(dir, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn regular(
    from: &OwnedFd,
    to: &OwnedFd,
    name: &CStr,
    stat: &FileStat,
    owners: Owners<'_>,
    below: Option<&[u8]>,
) -> nix::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut source = File::from(openat(from, name, flags, Mode::empty())?);
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut copy = File::from(openat(to, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    let errno = |e: std::io::Error| e.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    match below {
        None => std::io::copy(&mut source, &mut copy)
            .map(drop)
            .map_err(errno)?,
        Some(path) => {
            copy.set_len(source.metadata().map_err(errno)?.len())
                .map_err(errno)?;
            xattr::set(&copy, c"user.overlay.metacopy", b"")?;
            xattr::set(&copy, c"user.overlay.redirect", &[b"/", path].concat())?;
        }
    }
    metadata(source.as_fd(), copy.as_fd(), stat, owners)
}

/// In the order in which none undoes another: a change of the owner takes
/// set-uid bits and capabilities away.
fn metadata(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    stat: &FileStat,
    owners: Owners<'_>,
) -> nix::Result<()> {
    let (uid, gid) = owners(stat.st_uid, stat.st_gid);
    fchown(to, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    let names = match xattr::list(from) {
        Err(Errno::EOPNOTSUPP) => Vec::new(),
        other => other?,
    };
    for name in names.split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        if let Some(value) = xattr::get(from, name)? {
            match xattr::set(to, name, &value) {
                Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::EINVAL) => {}
                other => other?,
            }
        }
    }
    fchmod(to, Mode::from_bits_truncate(stat.st_mode & 0o7777))?;
    let (accessed, modified) = times(stat);
    futimens(to, &accessed, &modified)
}

fn times(stat: &FileStat) -> (TimeSpec, TimeSpec) {
    (
        TimeSpec::new(stat.st_atime, stat.st_atime_nsec),
        TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec),
    )
}
