//! Makes the files of one archive beneath a directory descriptor, with *at()
//! calls only: parents are opened inside the root by the kernel, the last
//! component is never followed, metadata goes through descriptors
//! (security rows S34, S39-S42).

use super::name::{self, Role, shown};
use super::tarball::{Entry, Kind, Tarball};
use super::{Options, Owners, Privilege, Unpacked};
use crate::error::{Context, Error, Result};
use crate::fs::rooted;
use crate::host::Need;
use crate::sys::{writeback, xattr};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{
    FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstat, fstatat, futimens, makedev, mkdirat,
    mknodat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Open parent directories that are kept between entries.
const OPEN_DIRS: usize = 64;
/// Above this a file's size is compared with the free space before it is made.
const LARGE_FILE: u64 = 16 << 20;
/// From this on the disk begins to write a file as soon as it is made.
const EARLY: u64 = 256 << 10;

pub struct Tree<'a> {
    root: BorrowedFd<'a>,
    options: Options,
    dirs: HashMap<Vec<u8>, Rc<OwnedFd>>,
    /// Set at the end, because making files in a directory changes its time.
    dir_times: BTreeMap<Vec<u8>, TimeSpec>,
    /// Deletions that the file system cannot have as nodes (it is an overlay
    /// itself); made as files at the end, when it is clear what else is there.
    deletions: BTreeSet<Vec<u8>>,
    /// Devices that were left out; hard links to them are, too.
    skipped: HashSet<Vec<u8>>,
    /// Owner of files that nobody chowns, when that is certain.
    own: Option<(u32, u32)>,
    buffer: Vec<u8>,
    unpacked: Unpacked,
}

impl<'a> Tree<'a> {
    pub fn new(root: BorrowedFd<'a>, options: Options) -> Result<Self> {
        let stat = fstat(root).context(|| "cannot read the directory to unpack into")?;
        let own = (
            nix::unistd::geteuid().as_raw(),
            nix::unistd::getegid().as_raw(),
        );
        // New files take the group of a setgid directory, or of any with bsdgroups.
        let certain = stat.st_mode & libc::S_ISGID == 0 && (stat.st_uid, stat.st_gid) == own;
        Ok(Self {
            root,
            options,
            dirs: HashMap::new(),
            dir_times: BTreeMap::new(),
            deletions: BTreeSet::new(),
            skipped: HashSet::new(),
            own: certain.then_some(own),
            buffer: vec![0; 256 << 10],
            unpacked: Unpacked::default(),
        })
    }

    pub fn unpacked(&self) -> &Unpacked {
        &self.unpacked
    }

    /// Makes one entry; a file's content is read from `data`.
    pub fn add(&mut self, entry: &Entry, data: &mut Tarball<impl Read>) -> Result<()> {
        self.unpacked.entries += 1;
        let path = name::normal(&entry.path)?;
        let role = match self.options.whiteouts {
            true => name::role(&path)?,
            false => Role::Plain,
        };
        let last = name::split(&path).1;
        if self.options.in_use && last.is_empty() {
            // It was there before; only what is put into it is meant.
            return Ok(());
        }
        let path = self.placed(&path);
        let (parent, last) = name::split(&path);
        let made = match role {
            Role::Ignored => Ok(()),
            Role::Opaque => self.make_opaque(parent),
            Role::Whiteout(gone) => self.whiteout(parent, gone),
            Role::Plain if last.is_empty() => self.root_entry(entry),
            Role::Plain => self.plain(entry, &path, data),
        };
        made.map_err(|e| e.within(format!("cannot unpack \"{}\"", shown(&entry.path))))
    }

    /// Where a path of the archive is below the root.
    fn placed(&self, path: &[u8]) -> Vec<u8> {
        match (self.options.prefix.as_slice(), path) {
            (b"", path) => path.to_vec(),
            (prefix, b"") => prefix.to_vec(),
            (prefix, path) => [prefix, b"/", path].concat(),
        }
    }

    /// Gives the directories their times.
    pub fn finish(mut self) -> Result<Unpacked> {
        for path in std::mem::take(&mut self.deletions) {
            self.delete_by_file(&path)
                .map_err(|e| e.within(format!("cannot delete \"{}\"", shown(&path))))?;
        }
        for (path, time) in std::mem::take(&mut self.dir_times) {
            let (parent, last) = name::split(&path);
            let set = if last.is_empty() {
                futimens(self.root, &time, &time)
            } else {
                // Gone when a later entry replaced one of its parents.
                match self.existing_dir(parent) {
                    Ok(dir) => {
                        utimensat(&*dir, last, &time, &time, UtimensatFlags::NoFollowSymlink)
                    }
                    Err(e) => Err(e),
                }
            };
            match set {
                Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(e) => {
                    return Err(e)
                        .context(|| format!("cannot set the time of \"{}\"", shown(&path)));
                }
            }
        }
        Ok(self.unpacked)
    }

    fn root_entry(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            return Err(Error::invalid("the root of an archive must be a directory"));
        }
        fchmod(self.root, Mode::from_bits_truncate(entry.mode & 0o777)).context(|| "mode")?;
        self.dir_metadata(self.root, entry)?;
        self.dir_times.insert(Vec::new(), time_of(entry));
        Ok(())
    }

    fn plain(&mut self, entry: &Entry, path: &[u8], data: &mut Tarball<impl Read>) -> Result<()> {
        let (parent, last) = name::split(path);
        match entry.kind {
            Kind::Directory => return self.directory(entry, path),
            Kind::HardLink => return self.hard_link(entry, path),
            Kind::CharDevice | Kind::BlockDevice if !self.may_make_device(entry) => {
                self.unpacked.devices_skipped += 1;
                self.skipped.insert(path.to_vec());
                return Ok(());
            }
            _ => {}
        }
        let dir = self.dir(parent)?;
        match self.make(entry, &dir, last, data) {
            Err(Failure::Errno(Errno::EEXIST)) => {
                self.clear(&dir, path)?;
                self.make(entry, &dir, last, data)
                    .map_err(Failure::into_error)
            }
            made => made.map_err(Failure::into_error),
        }
    }

    /// Makes anything but directories and hard links; EEXIST comes before any
    /// data is read.
    fn make(
        &mut self,
        entry: &Entry,
        dir: &OwnedFd,
        last: &[u8],
        data: &mut Tarball<impl Read>,
    ) -> Result<(), Failure> {
        let perm = Mode::from_bits_truncate(entry.mode & 0o7777);
        match entry.kind {
            Kind::Regular => return self.regular(entry, dir, last, data),
            Kind::Symlink => {
                if entry.link.is_empty() || entry.link.contains(&0) {
                    return Err(Error::invalid("the target of the link is no path").into());
                }
                symlinkat(entry.link.as_slice(), dir, last)?;
            }
            Kind::Fifo => mknodat(dir, last, SFlag::S_IFIFO, perm, 0)?,
            Kind::CharDevice => mknodat(dir, last, SFlag::S_IFCHR, perm, device(entry))?,
            Kind::BlockDevice => mknodat(dir, last, SFlag::S_IFBLK, perm, device(entry))?,
            Kind::Directory | Kind::HardLink => unreachable!("made elsewhere"),
        }
        self.owner(entry, |uid, gid| {
            fchownat(dir, last, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)
        })?;
        let time = time_of(entry);
        utimensat(dir, last, &time, &time, UtimensatFlags::NoFollowSymlink)?;
        Ok(())
    }

    fn regular(
        &mut self,
        entry: &Entry,
        dir: &OwnedFd,
        last: &[u8],
        data: &mut Tarball<impl Read>,
    ) -> Result<(), Failure> {
        if entry.size > LARGE_FILE {
            self.check_space(entry.size)?;
        }
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(entry.mode & 0o777);
        let mut file = File::from(openat(dir, last, flags, mode)?);
        match &entry.sparse {
            None => self.copy(data, &mut file, entry.size)?,
            Some(map) => {
                for &(offset, length) in map {
                    file.seek(SeekFrom::Start(offset))
                        .context(|| "cannot write")?;
                    self.copy(data, &mut file, length)?;
                }
                file.set_len(entry.size).context(|| "cannot write")?;
            }
        }
        if entry.size >= EARLY {
            writeback::begin(file.as_fd(), 0, entry.size);
        }
        self.unpacked.bytes += entry.size;
        self.fd_metadata(file.as_fd(), entry)?;
        let time = time_of(entry);
        futimens(&file, &time, &time)?;
        Ok(())
    }

    fn copy(&mut self, data: &mut Tarball<impl Read>, file: &mut File, length: u64) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let most = self
                .buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = match data.read(&mut self.buffer[..most]) {
                Ok(0) => return Err(Error::invalid("archive ends inside an entry")),
                Ok(n) => n,
                Err(e) => return Err(Error::invalid(e.to_string())),
            };
            file.write_all(&self.buffer[..n])
                .context(|| "cannot write")?;
            left -= n as u64;
        }
        Ok(())
    }

    fn check_space(&self, size: u64) -> Result<()> {
        match nix::sys::statvfs::fstatvfs(self.root) {
            Ok(fs) if size > fs.blocks_available().saturating_mul(fs.fragment_size()) => {
                Err(Errno::ENOSPC).context(|| format!("the file has {size} bytes"))
            }
            _ => Ok(()),
        }
    }

    fn directory(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        let (parent, last) = name::split(path);
        let dir = self.dir(parent)?;
        let mode = Mode::from_bits_truncate(entry.mode & 0o777);
        let mut opaque = false;
        let fd = match mkdirat(&*dir, last, mode) {
            Ok(()) => rooted::open_child_dir(&dir, last).context(|| "cannot open directory")?,
            Err(Errno::EEXIST) => {
                let there = self.stat(&dir, last)?;
                if is_kind(&there, libc::S_IFDIR) {
                    let fd =
                        rooted::open_child_dir(&dir, last).context(|| "cannot open directory")?;
                    fchmod(&fd, mode).context(|| "cannot set mode")?;
                    fd
                } else {
                    if self.options.in_use {
                        return Err(Error::conflict(format!(
                            "cannot overwrite non-directory \"/{}\" with directory",
                            shown(path)
                        )));
                    }
                    // A deletion and a new directory of that name: nothing of
                    // the layers below may show in it.
                    opaque = self.options.whiteouts && is_whiteout(&there);
                    self.clear(&dir, path)?;
                    mkdirat(&*dir, last, mode).context(|| "cannot make directory")?;
                    rooted::open_child_dir(&dir, last).context(|| "cannot open directory")?
                }
            }
            Err(e) => return Err(e).context(|| "cannot make directory"),
        };
        if opaque {
            self.set_opaque(fd.as_fd())?;
        }
        self.dir_metadata(fd.as_fd(), entry)?;
        self.dir_times.insert(path.to_vec(), time_of(entry));
        self.remember(path, Rc::new(fd));
        Ok(())
    }

    fn hard_link(&mut self, entry: &Entry, path: &[u8]) -> Result<()> {
        let target = self.placed(&name::normal(&entry.link)?);
        if self.skipped.contains(&target) {
            self.unpacked.devices_skipped += 1;
            self.skipped.insert(path.to_vec());
            return Ok(());
        }
        let (from_parent, from) = name::split(&target);
        let (to_parent, to) = name::split(path);
        if from.is_empty() {
            return Err(Error::invalid("a hard link to the root"));
        }
        let failed = |e: Errno| {
            Error::invalid(format!(
                "hard link to \"{}\": {}",
                shown(&target),
                crate::error::reason(&e.into())
            ))
        };
        let from_dir = self.existing_dir(from_parent).map_err(failed)?;
        let there = fstatat(&*from_dir, from, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(failed)?;
        if self.options.whiteouts && is_whiteout(&there) {
            return Err(failed(Errno::ENOENT));
        }
        let to_dir = self.dir(to_parent)?;
        let link = || linkat(&*from_dir, from, &*to_dir, to, AtFlags::empty());
        match link() {
            Err(Errno::EEXIST) => {
                let old = self.stat(&to_dir, to)?;
                if (old.st_dev, old.st_ino) == (there.st_dev, there.st_ino) {
                    return Ok(());
                }
                self.clear(&to_dir, path)?;
                link().map_err(failed)
            }
            other => other.map_err(failed),
        }
    }

    /// `.wh.NAME`. It concerns the layers below only: what this layer itself
    /// has under that name stays, cut off from them.
    fn whiteout(&mut self, parent: &[u8], gone: &[u8]) -> Result<()> {
        let dir = self.dir(parent)?;
        match mknodat(&*dir, gone, SFlag::S_IFCHR, Mode::empty(), 0) {
            Ok(()) => Ok(()),
            Err(Errno::EEXIST) => match rooted::open_child_dir(&dir, gone) {
                Ok(own) => self.set_opaque(own.as_fd()),
                Err(Errno::ENOTDIR | Errno::ELOOP) => Ok(()),
                Err(e) => Err(e).context(|| "cannot open directory"),
            },
            Err(Errno::EPERM) => {
                let separator: &[u8] = if parent.is_empty() { b"" } else { b"/" };
                self.deletions.insert([parent, separator, gone].concat());
                Ok(())
            }
            Err(e) => Err(e).context(|| "cannot record a deletion"),
        }
    }

    /// As [`Self::whiteout`], when everything else has been made.
    fn delete_by_file(&mut self, path: &[u8]) -> Result<()> {
        let (parent, gone) = name::split(path);
        let dir = match self.existing_dir(parent) {
            Ok(dir) => dir,
            // A later entry replaced its parent.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(()),
            Err(e) => return Err(e).context(|| "cannot open directory"),
        };
        match rooted::open_child_dir(&dir, gone) {
            Ok(own) => self.set_opaque(own.as_fd()),
            Err(Errno::ENOTDIR | Errno::ELOOP) => Ok(()),
            Err(Errno::ENOENT) => self.mark_by_file(dir.as_fd(), &[b".wh.", gone].concat()),
            Err(e) => Err(e).context(|| "cannot open directory"),
        }
    }

    fn mark_by_file(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.unpacked.deletions_as_files = true;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(dir, name, flags, Mode::empty())
            .map(drop)
            .context(|| "cannot record a deletion")
    }

    fn make_opaque(&mut self, parent: &[u8]) -> Result<()> {
        if parent.is_empty() {
            // overlayfs does not look for the mark on the root of a layer.
            self.unpacked.opaque_root = true;
            return Ok(());
        }
        let dir = self.dir(parent)?;
        self.set_opaque(dir.as_fd())
    }

    fn set_opaque(&mut self, dir: BorrowedFd<'_>) -> Result<()> {
        let key = match self.options.privilege {
            Privilege::Root => c"trusted.overlay.opaque",
            _ => c"user.overlay.opaque",
        };
        match xattr::set(dir, key, b"y") {
            Err(Errno::EOPNOTSUPP | Errno::EPERM) => self.mark_by_file(dir, b".wh..wh..opq"),
            other => other.context(|| "cannot mark the directory opaque"),
        }
    }

    fn may_make_device(&self, entry: &Entry) -> bool {
        // 0:0 would be a deletion to overlayfs.
        let forged = entry.kind == Kind::CharDevice && entry.device == (0, 0);
        self.options.privilege == Privilege::Root && !forged
    }

    /// The directory `path`, made with everything above it when missing.
    fn dir(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>> {
        match self.existing_dir(path) {
            Ok(dir) => Ok(dir),
            Err(Errno::ENOENT | Errno::ENOTDIR) => self.make_dirs(path),
            Err(e) => Err(e).context(|| format!("cannot open \"{}\"", shown(path))),
        }
    }

    fn existing_dir(&mut self, path: &[u8]) -> nix::Result<Rc<OwnedFd>> {
        if let Some(dir) = self.dirs.get(path) {
            return Ok(Rc::clone(dir));
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let dir = Rc::new(match self.options.in_use {
            true => rooted::open_across(self.root, path, flags, Mode::empty())?,
            false => rooted::open(self.root, path, flags, Mode::empty())?,
        });
        self.remember(path, Rc::clone(&dir));
        Ok(dir)
    }

    fn remember(&mut self, path: &[u8], dir: Rc<OwnedFd>) {
        if self.dirs.len() >= OPEN_DIRS {
            self.dirs.clear();
        }
        self.dirs.insert(path.to_vec(), dir);
    }

    /// From the deepest directory that exists downwards.
    fn make_dirs(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>> {
        let mut there = path;
        let mut dir = loop {
            there = name::split(there).0;
            match self.existing_dir(there) {
                Ok(dir) => break dir,
                Err(Errno::ENOENT | Errno::ENOTDIR) if !there.is_empty() => {}
                Err(e) => return Err(e).context(|| format!("cannot open \"{}\"", shown(there))),
            }
        };
        let missing = &path[there.len()..];
        for component in missing.split(|&b| b == b'/').filter(|c| !c.is_empty()) {
            dir = Rc::new(self.make_dir(&dir, component)?);
        }
        self.remember(path, Rc::clone(&dir));
        Ok(dir)
    }

    /// A directory that the archive needs but does not describe.
    fn make_dir(&mut self, parent: &OwnedFd, last: &[u8]) -> Result<OwnedFd> {
        let mode = Mode::from_bits_truncate(0o755);
        let mut opaque = false;
        match mkdirat(parent, last, mode) {
            Ok(()) => {}
            Err(Errno::EEXIST) => {
                opaque = self.options.whiteouts && is_whiteout(&self.stat(parent, last)?);
                if !opaque {
                    return Err(Error::invalid(format!(
                        "\"{}\" is in the way and is not a directory",
                        shown(last)
                    )));
                }
                unlinkat(parent, last, UnlinkatFlags::NoRemoveDir)
                    .and_then(|()| mkdirat(parent, last, mode))
                    .context(|| "cannot make directory")?;
            }
            Err(e) => return Err(e).context(|| "cannot make directory"),
        }
        let fd = rooted::open_child_dir(parent, last).context(|| "cannot open directory")?;
        if opaque {
            self.set_opaque(fd.as_fd())?;
        }
        Ok(fd)
    }

    /// Takes away what a later entry of the same name replaces.
    fn clear(&mut self, dir: &OwnedFd, path: &[u8]) -> Result<()> {
        let last = name::split(path).1;
        if self.options.in_use && is_kind(&self.stat(dir, last)?, libc::S_IFDIR) {
            return Err(Error::conflict(format!(
                "cannot overwrite directory \"/{}\" with non-directory",
                shown(path)
            )));
        }
        // Open directories may lie beneath it or have been reached through it.
        self.dirs.clear();
        self.dir_times.remove(path);
        rooted::remove_all(dir.as_fd(), name::split(path).1)
            .context(|| "cannot replace an earlier entry")
    }

    fn stat(&self, dir: &OwnedFd, last: &[u8]) -> Result<FileStat> {
        fstatat(dir, last, AtFlags::AT_SYMLINK_NOFOLLOW)
            .context(|| format!("cannot read \"{}\"", shown(last)))
    }

    /// Owner, special bits and attributes, in the order in which the kernel
    /// does not take them away again (chown clears setuid and capabilities).
    fn fd_metadata(&mut self, fd: BorrowedFd<'_>, entry: &Entry) -> Result<()> {
        self.owner(entry, |uid, gid| fchown(fd, uid, gid))?;
        if entry.mode & 0o7000 != 0 {
            fchmod(fd, Mode::from_bits_truncate(entry.mode)).context(|| "cannot set mode")?;
        }
        for (key, value) in &entry.xattrs {
            if let Some(key) = wanted_attribute(key) {
                self.attribute(fd, &key, value)?;
            }
        }
        Ok(())
    }

    fn dir_metadata(&mut self, fd: BorrowedFd<'_>, entry: &Entry) -> Result<()> {
        if entry.mode & libc::S_ISGID != 0 {
            // What is made in it inherits the group, so nothing is certain now.
            self.own = None;
        } else if self.own.is_none() {
            // It may have inherited the bit as well.
            let mode = Mode::from_bits_truncate(entry.mode);
            fchmod(fd, mode).context(|| "cannot set mode")?;
        }
        self.fd_metadata(fd, entry)
    }

    fn owner(
        &mut self,
        entry: &Entry,
        chown: impl Fn(Option<Uid>, Option<Gid>) -> nix::Result<()>,
    ) -> Result<()> {
        let (uid, gid) = match self.options.owners {
            Owners::Archive => (entry.uid, entry.gid),
            Owners::Given(uid, gid) => (uid, gid),
            Owners::Caller => return Ok(()),
        };
        if self.own == Some((uid, gid)) {
            return Ok(());
        }
        match chown(Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))) {
            Ok(()) => Ok(()),
            Err(Errno::EINVAL | Errno::EPERM) if self.options.privilege == Privilege::OneId => {
                self.unpacked.owners_ignored += 1;
                Ok(())
            }
            Err(Errno::EINVAL) => Err(Error::unsupported(format!(
                "its owner {}:{} is outside the ids you may use",
                entry.uid, entry.gid
            ))
            .hint(Need::MoreSubordinateIds.hint())),
            Err(e) => Err(e).context(|| "cannot set owner"),
        }
    }

    fn attribute(&mut self, fd: BorrowedFd<'_>, key: &CStr, value: &[u8]) -> Result<()> {
        let one_id = self.options.privilege == Privilege::OneId;
        match xattr::set(fd, key, value) {
            Ok(()) => Ok(()),
            Err(Errno::ENOTSUP) => {
                self.unpacked.attributes_lost += 1;
                Ok(())
            }
            Err(Errno::EPERM) if one_id => {
                self.unpacked.attributes_lost += 1;
                Ok(())
            }
            Err(e) => Err(e).context(|| format!("cannot set attribute {}", key.to_string_lossy())),
        }
    }
}

/// A failed call, kept apart until EEXIST has been looked at.
enum Failure {
    Errno(Errno),
    Error(Error),
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Self::Error(e) => e,
            Self::Errno(e) => Err::<(), _>(e)
                .context(|| "cannot make it")
                .expect_err("made from an error"),
        }
    }
}

impl From<Errno> for Failure {
    fn from(e: Errno) -> Self {
        Self::Errno(e)
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Error(e)
    }
}

/// Attributes that a layer may bring: the user's own and file capabilities.
/// Those that steer overlayfs would hide or redirect files of other layers.
fn wanted_attribute(key: &[u8]) -> Option<CString> {
    let wanted = key == b"security.capability"
        || (key.starts_with(b"user.") && !key.starts_with(b"user.overlay."));
    wanted.then(|| CString::new(key).ok()).flatten()
}

fn time_of(entry: &Entry) -> TimeSpec {
    TimeSpec::new(entry.mtime.0, i64::from(entry.mtime.1))
}

fn device(entry: &Entry) -> libc::dev_t {
    makedev(entry.device.0, entry.device.1)
}

fn is_kind(stat: &FileStat, kind: libc::mode_t) -> bool {
    stat.st_mode & libc::S_IFMT == kind
}

fn is_whiteout(stat: &FileStat) -> bool {
    is_kind(stat, libc::S_IFCHR) && stat.st_rdev == 0
}
