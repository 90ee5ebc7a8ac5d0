//! The files of one log: found by name, known by inode, since a rotation may
//! rename them at any moment.

use super::{FILE, file_name};
use crate::error::{Context, Error, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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
    pub inode: u64,
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

    /// Files newer than the one with inode `known`, newest first, and whether
    /// that one was met; all files when nothing is known.
    ///
    /// Names are looked at upwards and a rotation moves files upwards, so none
    /// is missed: at worst one is met twice, or a name is missing for a moment.
    pub fn newer_than(&self, known: Option<u64>) -> Result<(Vec<LogFile>, bool)> {
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
            if known == Some(next.inode) {
                return Ok((found, true));
            }
            if found.last().is_none_or(|last| last.inode != next.inode) {
                found.push(next);
            }
        }
        Ok((found, known.is_none()))
    }

    fn open_file(&self, index: u32) -> Result<Option<LogFile>> {
        let name = file_name(index);
        let shown = || format!("cannot read log \"{}\"", self.path.join(&name).display());
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.dir, name.as_str(), flags, Mode::empty()) {
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
        Ok(Some(LogFile {
            inode: meta.ino(),
            file,
        }))
    }
}
