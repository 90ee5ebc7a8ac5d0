//! The files of one log: found by name, known by inode, since a rotation may
//! rename them at any moment.

use super::{FILE, file_name, pack, packed_name};
use crate::error::{Context, Error, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// More looks than a rotation can disturb, unless each record is a file.
const LOOKS: u32 = 20;

/// The directory that holds a log.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    dir: OwnedFd,
}

/// An open file of it. While it is open its inode number stays its own.
#[derive(Debug)]
pub struct LogFile {
    pub file: File,
    pub id: Id,
}

/// Which file it is, for as long as somebody has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id {
    inode: u64,
    pub packed: bool,
    /// Of a packed file: the inode of the one it was made of.
    made_of: Option<u64>,
}

impl Id {
    #[cfg(test)]
    pub fn plain(inode: u64) -> Self {
        Self {
            inode,
            packed: false,
            made_of: None,
        }
    }

    /// It is `earlier`, by now perhaps packed. A packed file was made of one
    /// whose number may have been given away since.
    fn is(self, earlier: Self) -> bool {
        match (earlier.packed, self.packed) {
            (false, true) => self.made_of == Some(earlier.inode),
            _ => earlier.packed == self.packed && earlier.inode == self.inode,
        }
    }
}

impl Files {
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let dir = nix::fcntl::open(path, flags, Mode::empty())
            .context(|| format!("cannot open log directory \"{}\"", path.display()))?;
        Ok(Self {
            path: path.into(),
            dir,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Files newer than `known`, which is open, newest first, and whether
    /// that one was met; all files when nothing is known.
    ///
    /// A rotation renames one file after the other and may do so between two
    /// of our steps: then a file has two names for us, or none. So new files
    /// count when two looks have found the same ones.
    pub fn newer_than(&self, known: Option<Id>) -> Result<(Vec<LogFile>, bool)> {
        let ids = |found: &[LogFile]| found.iter().map(|file| file.id).collect::<Vec<_>>();
        let mut seen = self.look(known)?;
        if seen.0.is_empty() && seen.1 {
            return Ok(seen);
        }
        for _ in 0..LOOKS {
            let again = self.look(known)?;
            let same = again.1 == seen.1 && ids(&again.0) == ids(&seen.0);
            seen = again;
            if same {
                break;
            }
        }
        Ok(seen)
    }

    fn look(&self, known: Option<Id>) -> Result<(Vec<LogFile>, bool)> {
        let mut found: Vec<LogFile> = Vec::new();
        let mut missing = 0;
        for index in 0.. {
            let Some(next) = self.open_file(index)? else {
                missing += 1;
                if missing == 2 {
                    break;
                }
                continue;
            };
            missing = 0;
            if known.is_some_and(|known| next.id.is(known)) {
                return Ok((found, true));
            }
            if found.last().is_none_or(|last| !next.id.is(last.id)) {
                found.push(next);
            }
        }
        Ok((found, known.is_none()))
    }

    /// Packed files are there besides the others for a moment.
    fn open_file(&self, index: u32) -> Result<Option<LogFile>> {
        match self.open_named(&file_name(index), false)? {
            None if index > 0 => self.open_named(&packed_name(index), true),
            found => Ok(found),
        }
    }

    fn open_named(&self, name: &str, packed: bool) -> Result<Option<LogFile>> {
        let shown = || format!("cannot read log \"{}\"", self.path.join(name).display());
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.dir, name, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::ENOENT) => return Ok(None),
            Err(e) => return Err(e).context(shown),
        };
        let meta = file.metadata().context(shown)?;
        if !meta.is_file() {
            return Err(
                Error::invalid(format!("{}: not a regular file", shown())).hint(format!(
                    "wherry did not make it; remove it, and {FILE} begins anew"
                )),
            );
        }
        let id = Id {
            inode: meta.ino(),
            packed,
            made_of: packed.then(|| pack::made_of(&file)).flatten(),
        };
        Ok(Some(LogFile { file, id }))
    }
}
