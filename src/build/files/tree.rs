//! A tree of files that is read: a build context, or the files of an image.

use super::ignore::Ignore;
use super::{join, shown};
use crate::error::{Context, Error, Result};
use crate::fs::rooted;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

pub struct Tree {
    root: OwnedFd,
    ignore: Ignore,
    /// Owners and attributes mean something: they do in an image.
    pub of_image: bool,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Link,
    /// A device or a fifo.
    Node,
    Socket,
}

pub fn kind(stat: &FileStat) -> Kind {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => Kind::File,
        libc::S_IFDIR => Kind::Directory,
        libc::S_IFLNK => Kind::Link,
        libc::S_IFSOCK => Kind::Socket,
        _ => Kind::Node,
    }
}

/// A name in a directory.
pub struct Child {
    pub name: Vec<u8>,
    /// From the root of the tree.
    pub path: Vec<u8>,
    pub stat: FileStat,
}

impl Tree {
    /// A directory of the host.
    pub fn open(path: &Path, ignore: Ignore) -> Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = nix::fcntl::open(path, flags, Mode::empty())
            .context(|| format!("cannot open \"{}\"", path.display()))?;
        Ok(Self {
            root,
            ignore,
            of_image: false,
        })
    }

    /// The files of an image, mounted.
    pub fn of_image(root: OwnedFd) -> Self {
        Self {
            root,
            ignore: Ignore::default(),
            of_image: true,
        }
    }

    /// The topmost paths that are left out.
    pub fn excluded(&self) -> Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        if self.ignore.is_empty() {
            return Ok(found);
        }
        let all = Self {
            root: self
                .root
                .try_clone()
                .context(|| "cannot read the build context")?,
            ignore: Ignore::default(),
            of_image: self.of_image,
        };
        let mut waiting = vec![Vec::new()];
        while let Some(dir) = waiting.pop() {
            for child in all.list(&dir)? {
                let text = String::from_utf8_lossy(&child.path);
                let excluded = self.ignore.excludes(&text);
                let is_dir = kind(&child.stat) == Kind::Directory;
                if excluded && !(is_dir && self.ignore.may_bring_back(&text)) {
                    found.push(child.path);
                } else if is_dir {
                    waiting.push(child.path);
                }
            }
        }
        Ok(found)
    }

    pub fn root(&self) -> &OwnedFd {
        &self.root
    }

    pub fn ignore(&self) -> &Ignore {
        &self.ignore
    }

    /// Whether there is such a file for a build.
    pub fn has(&self, path: &[u8]) -> bool {
        path.is_empty() || !self.ignore.excludes(&String::from_utf8_lossy(path))
    }

    /// The path without links; an error when nothing is there.
    pub fn canonical(&self, path: &[u8]) -> Result<Vec<u8>> {
        let missing = || Error::not_found(format!("\"/{}\": not found", shown(path)));
        let found = match rooted::canonical(self.root.as_fd(), path) {
            Err(Errno::ENOTDIR | Errno::ENOENT) => return Err(missing()),
            other => other.context(|| format!("cannot read \"/{}\"", shown(path)))?,
        };
        let canonical = found.path();
        if !found.missing.is_empty() {
            return Err(missing());
        }
        if !self.has(&canonical)
            && !self
                .ignore
                .may_bring_back(&String::from_utf8_lossy(&canonical))
        {
            return Err(missing().hint("the .dockerignore file leaves it out"));
        }
        Ok(canonical)
    }

    /// A canonical path, opened without following anything.
    fn open_at(&self, path: &[u8], flags: OFlag) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
        let path = if path.is_empty() { b"." } else { path };
        loop {
            match openat2(&self.root, path, how) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                other => return other,
            }
        }
    }

    pub fn stat(&self, path: &[u8]) -> Result<FileStat> {
        self.open_at(path, OFlag::O_PATH)
            .and_then(|fd| fstat(&fd))
            .context(|| format!("cannot read \"/{}\"", shown(path)))
    }

    /// A regular file; never a fifo or a device, which would block or act.
    pub fn file(&self, path: &[u8]) -> Result<File> {
        let open = || format!("cannot open \"/{}\"", shown(path));
        let fd = self
            .open_at(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)
            .context(open)?;
        if kind(&fstat(&fd).context(open)?) != Kind::File {
            return Err(Error::conflict(format!("\"/{}\" has changed", shown(path))));
        }
        Ok(File::from(fd))
    }

    /// The directory that holds the node at `path`, for its link or device.
    pub fn directory(&self, path: &[u8]) -> Result<OwnedFd> {
        self.open_at(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
            .context(|| format!("cannot open \"/{}\"", shown(path)))
    }

    /// What is in a directory, by name. Excluded files are not there, but for
    /// directories below which something may be.
    pub fn list(&self, path: &[u8]) -> Result<Vec<Child>> {
        let read = || format!("cannot read \"/{}\"", shown(path));
        let dir = self.directory(path)?;
        let copy = dir.try_clone().context(read)?;
        let mut listing = Dir::from_fd(copy).context(read)?;
        let mut found = Vec::new();
        for entry in listing.iter() {
            let entry = entry.context(read)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let path = join(path, name);
            let text = String::from_utf8_lossy(&path);
            let excluded = !self.ignore.is_empty() && self.ignore.excludes(&text);
            if excluded && !self.ignore.may_bring_back(&text) {
                continue;
            }
            let stat = match fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(Errno::ENOENT) => continue,
                other => other.context(|| format!("cannot read \"/{}\"", shown(&path)))?,
            };
            if excluded && kind(&stat) != Kind::Directory {
                continue;
            }
            found.push(Child {
                name: name.to_vec(),
                path,
                stat,
            });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}
