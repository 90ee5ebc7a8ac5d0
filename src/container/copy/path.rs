//! What is meant by the two paths of a copy: Docker's rules about slashes,
//! and where things land (moby, pkg/archive/copy.go).

use super::view::Found;
use crate::error::{Context, Error, Result};
use crate::text::path::plain;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A path in a container, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Plain components joined by slashes; empty: the root.
    pub path: Vec<u8>,
    /// It ends in `/.`: what is in the directory is meant.
    pub content: bool,
    /// It ends in `/`: it has to be a directory.
    pub directory: bool,
}

impl Asked {
    pub fn parse(text: &str) -> Result<Self> {
        if text.contains('\0') {
            return Err(Error::invalid("a path contains a NUL byte"));
        }
        let path = plain(text.as_bytes());
        let content = text == "." || text.ends_with("/.");
        Ok(Self {
            directory: content || text.ends_with('/') || path.is_empty(),
            content: content || path.is_empty(),
            path,
        })
    }

    /// What a copy of it is called, if nothing else is said; empty for what is
    /// in it.
    pub fn base(&self) -> Vec<u8> {
        match self.content {
            true => Vec::new(),
            false => split(&self.path).1.to_vec(),
        }
    }
}

/// Parent and last component.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Where a copy goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// Links of the last component resolved.
    pub path: Vec<u8>,
    pub exists: bool,
    pub is_dir: bool,
    pub parent_exists: bool,
    /// It ends in a slash: it has to be a directory.
    pub asserts_dir: bool,
}

impl Landing {
    /// What a source called `base` is to be called below [`Self::directory`].
    pub fn name(&self, base: &[u8], source_is_dir: bool) -> Result<Vec<u8>> {
        if self.exists && self.is_dir {
            return Ok(base.to_vec());
        }
        if self.exists && source_is_dir {
            return Err(Error::invalid("cannot copy directory"));
        }
        if self.exists && self.asserts_dir {
            return Err(Error::invalid("not a directory"));
        }
        if !self.exists && !source_is_dir && self.asserts_dir {
            return Err(Error::not_found("no such directory"));
        }
        Ok(split(&self.path).1.to_vec())
    }

    /// Below which directory it goes.
    pub fn directory(&self) -> Vec<u8> {
        match self.exists && self.is_dir {
            true => self.path.clone(),
            false => split(&self.path).0.to_vec(),
        }
    }

    pub fn parent_shown(&self) -> String {
        let parent = split(&self.path).0;
        format!("/{}", String::from_utf8_lossy(parent))
    }
}

/// A path on the host.
pub struct Local {
    /// The directory that is unpacked into.
    pub dir: PathBuf,
    pub landing: Landing,
}

impl Local {
    pub fn destination(path: &Path) -> Result<Self> {
        let bytes = path.as_os_str().as_bytes();
        let asserts_dir = bytes.ends_with(b"/") || bytes.ends_with(b"/.") || bytes == b".";
        let bare = match bytes.strip_suffix(b"/.").unwrap_or(bytes) {
            [start @ .., b'/'] if !start.is_empty() => start,
            bare => bare,
        };
        let target = resolved(Path::new(std::ffi::OsStr::from_bytes(bare)));
        let meta = std::fs::metadata(&target);
        let (exists, is_dir) = (meta.is_ok(), meta.is_ok_and(|m| m.is_dir()));
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        if !is_dir && !parent.is_dir() {
            return Err(Error::invalid(format!(
                "invalid output path: directory \"{}\" does not exist",
                parent.display()
            )));
        }
        let name = target.file_name().unwrap_or_default().as_bytes().to_vec();
        Ok(Self {
            dir: if is_dir { target } else { parent },
            landing: Landing {
                path: name,
                exists,
                is_dir,
                parent_exists: true,
                asserts_dir,
            },
        })
    }

    /// Opens what is to be copied; its name too, empty for what is in it.
    pub fn source(path: &Path, follow: bool) -> Result<(Found, Vec<u8>)> {
        let bytes = path.as_os_str().as_bytes();
        let content = bytes.ends_with(b"/.") || bytes == b".";
        let follow = follow || content || bytes.ends_with(b"/");
        let lstat = || format!("lstat {}", path.display());
        let meta = match follow {
            true => std::fs::metadata(path),
            false => std::fs::symlink_metadata(path),
        };
        let meta = meta.context(lstat)?;
        if bytes.ends_with(b"/") && !meta.is_dir() {
            return Err(Error::invalid("not a directory"));
        }
        let base = match content {
            true => Vec::new(),
            // `..` and `/` have names, too.
            false => match path.file_name() {
                Some(name) => name.as_bytes().to_vec(),
                None => {
                    let whole = std::fs::canonicalize(path).context(lstat)?;
                    whole.file_name().unwrap_or_default().as_bytes().to_vec()
                }
            },
        };
        let found = if meta.is_dir() {
            Found::Directory(super::open_dir(path)?)
        } else if meta.is_file() {
            Found::File(File::open(path).context(|| format!("open {}", path.display()))?)
        } else {
            let link = match meta.is_symlink() {
                true => std::fs::read_link(path)
                    .context(lstat)?
                    .into_os_string()
                    .into_vec(),
                false => Vec::new(),
            };
            let stat = match follow {
                true => nix::sys::stat::stat(path),
                false => nix::sys::stat::lstat(path),
            };
            Found::Other(Box::new(stat.context(lstat)?), link)
        };
        Ok((found, base))
    }
}

/// Where a path that may be a link (even to nothing) leads.
fn resolved(path: &Path) -> PathBuf {
    let mut at = path.to_path_buf();
    for _ in 0..40 {
        match std::fs::read_link(&at) {
            Ok(target) => at = at.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_containers() {
        for (text, path, content, directory) in [
            ("/etc/hosts", "etc/hosts", false, false),
            ("etc//./hosts", "etc/hosts", false, false),
            ("/a/../../b", "b", false, false),
            ("/a/", "a", false, true),
            ("/a/.", "a", true, true),
            ("/", "", true, true),
            (".", "", true, true),
            ("a/..", "", true, true),
        ] {
            let asked = Asked::parse(text).unwrap();
            assert_eq!(asked.path, path.as_bytes(), "{text}");
            assert_eq!(
                (asked.content, asked.directory),
                (content, directory),
                "{text}"
            );
        }
    }

    #[test]
    fn landings() {
        let landing = |exists, is_dir, asserts_dir| Landing {
            path: b"x/dst".to_vec(),
            exists,
            is_dir,
            parent_exists: true,
            asserts_dir,
        };
        for (exists, is_dir, slash, source_is_dir, want) in [
            (true, true, false, true, Ok("src")),
            (true, true, true, false, Ok("src")),
            (true, false, false, true, Err("cannot copy directory")),
            (true, false, false, false, Ok("dst")),
            (true, false, true, false, Err("not a directory")),
            (false, false, false, true, Ok("dst")),
            (false, false, true, true, Ok("dst")),
            (false, false, true, false, Err("no such directory")),
            (false, false, false, false, Ok("dst")),
        ] {
            let got = landing(exists, is_dir, slash).name(b"src", source_is_dir);
            match want {
                Ok(name) => assert_eq!(got.unwrap(), name.as_bytes()),
                Err(text) => assert_eq!(got.unwrap_err().message(), text),
            }
        }
    }
}
