//! Copies a selection into the files of an image, by BuildKit's rules: a
//! directory's content goes into the target, a file into it when it is a
//! directory or written with a slash. The target's path is followed inside the
//! image; below it nothing is followed.

use super::hash::{read_link, split, wanted_attributes};
use super::hashes::Hashes;
use super::select::{Selected, Selection};
use super::tree::{Child, Kind, Tree, kind};
use super::{join, shown};
use crate::error::{Context, Error, Result};
use crate::fs::rooted;
use crate::sys::xattr;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, copy_file_range, openat2};
use nix::sys::stat::{
    FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstat, fstatat, futimens, mkdirat, mknodat,
    utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat};
use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How files arrive.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// `--chown`: of everything that is made.
    pub owner: Option<(u32, u32)>,
    /// `--chmod`.
    pub chmod: Option<Chmod>,
    /// Seconds since 1970 that everything gets; `None`: as it was.
    pub time: Option<i64>,
    pub parents: bool,
}

/// New permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chmod(u32);

impl Chmod {
    pub fn parse(text: &str) -> Result<Self> {
        let octal =
            !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        match u32::from_str_radix(text, 8) {
            Ok(mode @ 0..=0o7777) if octal => Ok(Self(mode)),
            _ => Err(Error::invalid(format!(
                "invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777"
            ))),
        }
    }
}

/// The root of an image's files, to be written to.
pub struct Target<'a> {
    pub root: BorrowedFd<'a>,
    pub manner: &'a Manner,
}

/// A directory in the target that is there, by its canonical path.
type Path = Vec<u8>;

impl Target<'_> {
    fn open(&self, path: &[u8], flags: OFlag) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let path = if path.is_empty() { b"." } else { path };
        loop {
            match openat2(self.root, path, how) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                other => return other,
            }
        }
    }

    fn directory(&self, path: &[u8]) -> Result<OwnedFd> {
        self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
            .context(|| format!("cannot open \"/{}\"", shown(path)))
    }

    /// Follows links inside the image.
    fn canonical(&self, path: &str) -> Result<rooted::Canonical> {
        rooted::canonical(self.root, path.as_bytes()).map_err(|e| match e {
            Errno::ENOTDIR => not_a_directory(path.as_bytes()),
            e => Err::<(), _>(e)
                .context(|| format!("cannot read \"{path}\""))
                .expect_err("made from an error"),
        })
    }

    /// The directory at `path`, made with everything above it when missing.
    pub fn make_directories(&self, path: &str) -> Result<Path> {
        let found = self.canonical(path)?;
        let mut at = found.found.join(&b'/');
        if !found.missing.is_empty() {
            for name in &found.missing {
                let parent = self.directory(&at)?;
                self.make_directory(&parent, name).context(|| {
                    format!("cannot make directory \"/{}\"", shown(&join(&at, name)))
                })?;
                at = join(&at, name);
            }
            return Ok(at);
        }
        match self.open(&at, OFlag::O_PATH | OFlag::O_DIRECTORY) {
            Ok(_) => Ok(at),
            Err(Errno::ENOTDIR) => Err(not_a_directory(&at)),
            Err(e) => Err(e).context(|| format!("cannot open \"/{}\"", shown(&at))),
        }
    }

    /// One that COPY needs and nobody describes.
    fn make_directory(&self, parent: &OwnedFd, name: &[u8]) -> nix::Result<()> {
        mkdirat(parent, name, Mode::from_bits_truncate(0o755))?;
        let dir = rooted::open_child_dir(parent, name)?;
        fchmod(&dir, Mode::from_bits_truncate(0o755))?;
        if let Some((uid, gid)) = self.manner.owner {
            fchown(&dir, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        if let Some(seconds) = self.manner.time {
            let time = TimeSpec::new(seconds, 0);
            futimens(&dir, &time, &time)?;
        }
        Ok(())
    }

    /// Where a file called `name` goes: parent and name.
    fn place(&self, target: &str, name: &[u8]) -> Result<(Path, Vec<u8>)> {
        if target.ends_with('/') {
            return Ok((self.make_directories(target)?, name.to_vec()));
        }
        let found = self.canonical(target)?;
        let path = found.path();
        if found.missing.is_empty() && self.open(&path, OFlag::O_PATH | OFlag::O_DIRECTORY).is_ok()
        {
            return Ok((path, name.to_vec()));
        }
        let (parent, name) = split(&path);
        let parent = String::from_utf8_lossy(parent).into_owned();
        Ok((self.make_directories(&format!("/{parent}"))?, name.to_vec()))
    }

    /// Puts a file of this content into the image.
    pub fn write(
        &self,
        target: &str,
        name: &str,
        content: &mut dyn Read,
        mode: u32,
        time: TimeSpec,
    ) -> Result<()> {
        let (parent, name) = self.place(target, name.as_bytes())?;
        let dir = self.directory(&parent)?;
        let path = join(&parent, &name);
        self.clear(&dir, &name, &path)?;
        let mut file =
            new_file(&dir, &name).context(|| format!("cannot make \"/{}\"", shown(&path)))?;
        std::io::copy(content, &mut file)
            .context(|| format!("cannot write \"/{}\"", shown(&path)))?;
        let (uid, gid) = self.manner.owner.unwrap_or((0, 0));
        let done = self.describe(file.as_fd(), (uid, gid), mode, time);
        owned(done, || {
            format!("cannot set the owner of \"/{}\"", shown(&path))
        })
    }

    /// Takes away a file that a new one replaces.
    fn clear(&self, dir: &OwnedFd, name: &[u8], path: &[u8]) -> Result<()> {
        match unlinkat(dir, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR | Errno::EPERM) => Err(Error::conflict(format!(
                "cannot replace to directory /{} with file",
                shown(path)
            ))),
            Err(e) => Err(e).context(|| format!("cannot replace \"/{}\"", shown(path))),
        }
    }

    fn describe(
        &self,
        fd: BorrowedFd<'_>,
        owner: (u32, u32),
        mode: u32,
        time: TimeSpec,
    ) -> nix::Result<()> {
        let (uid, gid) = self.manner.owner.unwrap_or(owner);
        fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        let mode = self.manner.chmod.as_ref().map_or(mode, |chmod| chmod.0);
        fchmod(fd, Mode::from_bits_truncate(mode & 0o7777))?;
        let time = self
            .manner
            .time
            .map_or(time, |seconds| TimeSpec::new(seconds, 0));
        futimens(fd, &time, &time)
    }
}

fn not_a_directory(path: &[u8]) -> Error {
    Error::conflict(format!(
        "cannot copy to non-directory: /{}",
        shown(path).trim_start_matches('/')
    ))
}

fn new_file(dir: &OwnedFd, name: &[u8]) -> nix::Result<File> {
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::openat(dir, name, flags, Mode::from_bits_truncate(0o600)).map(File::from)
}

/// Copies all that is selected. `hashes` knows how the files looked when the
/// step's key was made of them: one that has changed since is an error.
pub fn copy(
    tree: &Tree,
    selection: &Selection,
    target: &str,
    to: &Target<'_>,
    hashes: &Hashes,
) -> Result<()> {
    let mut copier = Copier {
        tree,
        selection,
        to,
        hashes,
        links: HashMap::new(),
    };
    for one in &selection.selected {
        copier.source(one, target)?;
    }
    Ok(())
}

struct Copier<'a> {
    tree: &'a Tree,
    selection: &'a Selection,
    to: &'a Target<'a>,
    hashes: &'a Hashes,
    /// Files of an image with several names, and where the first copy is.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl Copier<'_> {
    fn source(&mut self, one: &Selected, target: &str) -> Result<()> {
        // Names are of one file only within one source, as with BuildKit.
        self.links.clear();
        let target = match self.to.manner.parents {
            true => self.with_parents(one, target)?,
            false => target.to_string(),
        };
        if one.is_dir {
            let known = self.to.canonical(&target)?;
            let made = !known.missing.is_empty();
            let into = self.to.make_directories(&target)?;
            self.content(&one.path, b"", &into)?;
            if made {
                let stat = self.tree.stat(&one.path)?;
                self.finish_directory(&stat, &into, &one.path)?;
            }
            return Ok(());
        }
        let (parent, name) = self.to.place(&target, &one.name)?;
        let child = Child {
            name: name.clone(),
            path: one.path.clone(),
            stat: self.tree.stat(&one.path)?,
        };
        self.node(&child, b"", &parent, &name)
    }

    /// The directories above a source, as they are there.
    fn with_parents(&mut self, one: &Selected, target: &str) -> Result<String> {
        let mut path = self.to.make_directories(target)?;
        let above = match one.path.len() >= one.parents.len() {
            true => &one.path[..],
            false => &one.parents[..],
        };
        // What stands above the parents in the source.
        let depth = |path: &[u8]| path.split(|&b| b == b'/').filter(|c| !c.is_empty()).count();
        let dirs = if one.is_dir {
            depth(above)
        } else {
            depth(split(above).0)
        };
        let skipped = dirs - depth(&one.parents).min(dirs);
        let mut from: Vec<u8> = above
            .split(|&b| b == b'/')
            .take(skipped)
            .collect::<Vec<_>>()
            .join(&b'/');
        for name in one.parents.split(|&b| b == b'/').filter(|c| !c.is_empty()) {
            from = join(&from, name);
            let next = join(&path, name);
            let dir = self.to.directory(&path)?;
            match mkdirat(&dir, name, Mode::from_bits_truncate(0o755)) {
                Ok(()) => {
                    if let Ok(stat) = self.tree.stat(&from) {
                        self.finish_directory(&stat, &next, &from)?;
                    }
                }
                Err(Errno::EEXIST) => {}
                Err(e) => {
                    return Err(e)
                        .context(|| format!("cannot make directory \"/{}\"", shown(&next)));
                }
            }
            path = next;
        }
        Ok(format!("/{}/", String::from_utf8_lossy(&path)))
    }

    /// What is in the directory `from`, into the directory `into`.
    fn content(&mut self, from: &[u8], below: &[u8], into: &[u8]) -> Result<()> {
        for child in self.tree.list(from)? {
            let path = join(below, &child.name);
            if !self.selection.excludes(&path) {
                let name = child.name.clone();
                self.node(&child, &path, into, &name)?;
            }
        }
        Ok(())
    }

    fn node(&mut self, child: &Child, below: &[u8], parent: &[u8], name: &[u8]) -> Result<()> {
        let path = join(parent, name);
        let told = |e: Error| e.within(format!("cannot copy \"/{}\"", shown(&child.path)));
        match kind(&child.stat) {
            Kind::Directory => self.subdirectory(child, below, parent, name),
            Kind::File => self.file(child, parent, name).map_err(told),
            Kind::Link => self.link(child, parent, name).map_err(told),
            Kind::Node if self.tree.of_image => self.special(child, parent, name).map_err(told),
            // A fifo or device of the host is not for images.
            Kind::Node => Err(Error::unsupported(format!(
                "cannot copy \"/{}\" to \"/{}\": it is a device or a fifo",
                shown(&child.path),
                shown(&path)
            ))),
            Kind::Socket => Ok(()),
        }
    }

    fn subdirectory(
        &mut self,
        child: &Child,
        below: &[u8],
        parent: &[u8],
        name: &[u8],
    ) -> Result<()> {
        let path = join(parent, name);
        let dir = self.to.directory(parent)?;
        match mkdirat(&dir, name, Mode::from_bits_truncate(0o700)) {
            Ok(()) => {}
            Err(Errno::EEXIST) => {
                let stat = fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
                    .context(|| format!("cannot read \"/{}\"", shown(&path)))?;
                if kind(&stat) != Kind::Directory {
                    return Err(not_a_directory(&path));
                }
            }
            Err(e) => {
                return Err(e).context(|| format!("cannot make directory \"/{}\"", shown(&path)));
            }
        }
        drop(dir);
        self.content(&child.path, below, &path)?;
        self.finish_directory(&child.stat, &path, &child.path)
    }

    /// Owner, mode and time, once nothing in it changes any more.
    fn finish_directory(&self, stat: &FileStat, path: &[u8], from: &[u8]) -> Result<()> {
        let dir = self.to.directory(path)?;
        if self.tree.of_image {
            let source = self.tree.directory(from)?;
            self.attributes(source.as_fd(), dir.as_fd())?;
        }
        let done = self
            .to
            .describe(dir.as_fd(), self.owner(stat), stat.st_mode, mtime(stat));
        owned(done, || {
            format!("cannot set the owner of \"/{}\"", shown(path))
        })
    }

    /// Of a context root's, of an image its own.
    fn owner(&self, stat: &FileStat) -> (u32, u32) {
        match self.tree.of_image {
            true => (stat.st_uid, stat.st_gid),
            false => (0, 0),
        }
    }

    fn file(&mut self, child: &Child, parent: &[u8], name: &[u8]) -> Result<()> {
        let path = join(parent, name);
        let dir = self.to.directory(parent)?;
        self.to.clear(&dir, name, &path)?;
        let several = self.tree.of_image && child.stat.st_nlink > 1;
        let inode = (child.stat.st_dev, child.stat.st_ino);
        if several && let Some(first) = self.links.get(&inode) {
            let (above, base) = split(first);
            let from = self.to.directory(above)?;
            return linkat(&from, base, &dir, name, AtFlags::empty()).context(|| "cannot link");
        }
        let mut source = self.tree.file(&child.path)?;
        let stat = fstat(&source).context(|| "cannot read it")?;
        if !self.hashes.still(&child.path, &stat) {
            return Err(
                Error::conflict("it has changed while the build was running").hint("build again"),
            );
        }
        let mut file =
            new_file(&dir, name).context(|| format!("cannot make \"/{}\"", shown(&path)))?;
        copy_content(&mut source, &mut file, stat.st_size)?;
        let done = self
            .to
            .describe(file.as_fd(), self.owner(&stat), stat.st_mode, mtime(&stat));
        owned(done, || "cannot set its owner".into())?;
        if self.tree.of_image {
            // After the owner, whose change takes capabilities away.
            self.attributes(source.as_fd(), file.as_fd())?;
        }
        if several {
            self.links.insert(inode, path);
        }
        Ok(())
    }

    fn attributes(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
        let found = match wanted_attributes(from) {
            Err(Errno::ENOTSUP) => return Ok(()),
            other => other.context(|| "cannot read its attributes")?,
        };
        for (name, value) in found {
            let name = CString::new(name).unwrap_or_default();
            match xattr::set(to, &name, &value) {
                Ok(()) | Err(Errno::ENOTSUP | Errno::EPERM) => {}
                Err(e) => {
                    return Err(e)
                        .context(|| format!("cannot set attribute {}", name.to_string_lossy()));
                }
            }
        }
        Ok(())
    }

    fn link(&mut self, child: &Child, parent: &[u8], name: &[u8]) -> Result<()> {
        let dir = self.to.directory(parent)?;
        self.to.clear(&dir, name, &join(parent, name))?;
        let target = read_link(self.tree, &child.path)?;
        symlinkat(target.as_slice(), &dir, name).context(|| "cannot make the link")?;
        self.describe_node(child, &dir, name)
    }

    fn special(&mut self, child: &Child, parent: &[u8], name: &[u8]) -> Result<()> {
        let dir = self.to.directory(parent)?;
        self.to.clear(&dir, name, &join(parent, name))?;
        let kind = SFlag::from_bits_truncate(child.stat.st_mode & libc::S_IFMT);
        let mode = Mode::from_bits_truncate(child.stat.st_mode & 0o7777);
        mknodat(&dir, name, kind, mode, child.stat.st_rdev).context(|| "cannot make the node")?;
        self.describe_node(child, &dir, name)
    }

    fn describe_node(&self, child: &Child, dir: &OwnedFd, name: &[u8]) -> Result<()> {
        let (uid, gid) = self
            .to
            .manner
            .owner
            .unwrap_or_else(|| self.owner(&child.stat));
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        let done = fchownat(dir, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW);
        owned(done, || "cannot set its owner".into())?;
        let time = self
            .to
            .manner
            .time
            .map_or(mtime(&child.stat), |s| TimeSpec::new(s, 0));
        utimensat(dir, name, &time, &time, UtimensatFlags::NoFollowSymlink)
            .context(|| "cannot set its time")
    }
}

/// An error with what helps when an owner is outside of this user's ids.
fn owned(result: nix::Result<()>, what: impl FnOnce() -> String) -> Result<()> {
    let outside = matches!(result, Err(Errno::EINVAL));
    result.context(what).map_err(|e| match outside {
        true => e.hint(crate::host::Need::MoreSubordinateIds.hint()),
        false => e,
    })
}

pub fn mtime(stat: &FileStat) -> TimeSpec {
    TimeSpec::new(stat.st_mtime, stat.st_mtime_nsec)
}

/// In the kernel where it can (reflinks, too), else by hand.
fn copy_content(from: &mut File, to: &mut File, size: i64) -> Result<()> {
    let mut left = usize::try_from(size).unwrap_or(0);
    while left > 0 {
        match copy_file_range(from.as_fd(), None, to.as_fd(), None, left) {
            Ok(0) => break,
            Ok(n) => left -= n.min(left),
            Err(Errno::EINTR) => {}
            Err(
                Errno::EXDEV | Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP | Errno::EPERM,
            ) => {
                return by_hand(from, to);
            }
            Err(e) => return Err(e).context(|| "cannot copy its content"),
        }
    }
    // What was appended meanwhile is not part of what was hashed.
    Ok(())
}

fn by_hand(from: &mut File, to: &mut File) -> Result<()> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        let n = match from.read(&mut buffer) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other.context(|| "cannot read its content")?,
        };
        if n == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..n])
            .context(|| "cannot write its content")?;
    }
}
