//! Where an archive goes: a file that is there as a whole or not at all, or
//! standard output when that is no terminal.

use crate::error::{Context, Error, Result};
use crate::fs::replace::temporary_beside;
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub struct OutputFile {
    file: File,
    /// Where it is written, and what it is to be called.
    names: Option<(PathBuf, PathBuf)>,
}

impl OutputFile {
    /// `path` is `-o`; empty: standard output.
    pub fn open(path: &str) -> Result<Self> {
        if path.is_empty() {
            let out = std::io::stdout();
            if out.is_terminal() {
                return Err(Error::invalid(
                    "cowardly refusing to save to a terminal. Use the -o flag or redirect",
                ));
            }
            let file = out.as_fd().try_clone_to_owned();
            return Ok(Self {
                file: file.context(|| "cannot use standard output")?.into(),
                names: None,
            });
        }
        let path = PathBuf::from(path);
        check(&path)?;
        let temporary = temporary_beside(&path);
        let mut options = File::options();
        options.write(true).create_new(true).mode(0o600);
        let file = options
            .open(&temporary)
            .context(|| format!("cannot write \"{}\"", path.display()))?;
        Ok(Self {
            file,
            names: Some((temporary, path)),
        })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name: all of it has been written.
    pub fn finish(mut self) -> Result<()> {
        let Some((temporary, path)) = self.names.take() else {
            return Ok(());
        };
        std::fs::rename(&temporary, &path)
            .inspect_err(|_| drop(std::fs::remove_file(&temporary)))
            .context(|| format!("cannot write \"{}\"", path.display()))
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some((temporary, _)) = &self.names {
            let _ = std::fs::remove_file(temporary);
        }
    }
}

/// Docker's words.
fn check(path: &Path) -> Result<()> {
    let bad = |why: String| Err(Error::invalid(format!("invalid output path: {why}")));
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
        return bad(format!("directory \"{}\" does not exist", parent.display()));
    }
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => bad(format!("\"{}\" is a directory", path.display())),
        Ok(meta) if !meta.is_file() => {
            bad(format!("\"{}\" must be a regular file", path.display()))
        }
        _ => Ok(()),
    }
}
