//! What a selection of files is worth to the cache: a digest over names, modes,
//! owners and contents. Times are not in it, as with BuildKit.

use super::hashes::Hashes;
use super::select::Selection;
use super::tree::{Child, Kind, Tree, kind};
use super::{join, shown};
use crate::error::{Context, Result};
use crate::image::digest::{Algorithm, Digest, Hasher};
use crate::sys::xattr;
use nix::sys::stat::FileStat;
use std::ffi::CStr;
use std::os::fd::AsFd;

/// The digest of everything that is selected.
pub fn digest(tree: &Tree, selection: &Selection, hashes: &mut Hashes) -> Result<Digest> {
    let mut digester = Digester {
        tree,
        selection,
        hashes,
        hasher: Hasher::new(Algorithm::Sha256),
    };
    for one in &selection.selected {
        let stat = tree.stat(&one.path)?;
        let top = Child {
            name: one.name.clone(),
            path: one.path.clone(),
            stat,
        };
        digester.text(b"source", &[&one.name, &one.parents]);
        digester.node(&top, b"")?;
    }
    Ok(digester.hasher.finish())
}

struct Digester<'a> {
    tree: &'a Tree,
    selection: &'a Selection,
    hashes: &'a mut Hashes,
    hasher: Hasher,
}

impl Digester<'_> {
    /// Lengths keep fields apart.
    fn text(&mut self, what: &[u8], fields: &[&[u8]]) {
        for field in std::iter::once(&what).chain(fields) {
            self.hasher.update(&(field.len() as u64).to_le_bytes());
            self.hasher.update(field);
        }
    }

    /// `below`: the path from the source on, which is empty.
    fn node(&mut self, child: &Child, below: &[u8]) -> Result<()> {
        let owner = owner_of(self.tree, &child.stat);
        let mode = (child.stat.st_mode & 0o7777).to_le_bytes();
        match kind(&child.stat) {
            Kind::Directory => {
                self.text(b"dir", &[below, &mode, &owner]);
                for next in self.tree.list(&child.path)? {
                    let path = join(below, &next.name);
                    if !self.selection.excludes(&path) {
                        self.node(&next, &path)?;
                    }
                }
                Ok(())
            }
            Kind::File => {
                let digest = self.content(child)?;
                let attributes = attributes(self.tree, &child.path)?;
                self.text(
                    b"file",
                    &[
                        below,
                        &mode,
                        &owner,
                        digest.as_str().as_bytes(),
                        &attributes,
                    ],
                );
                Ok(())
            }
            Kind::Link => {
                let target = read_link(self.tree, &child.path)?;
                self.text(b"link", &[below, &owner, &target]);
                Ok(())
            }
            Kind::Node => {
                let device = child.stat.st_rdev.to_le_bytes();
                let mode = child.stat.st_mode.to_le_bytes();
                self.text(b"node", &[below, &mode, &owner, &device]);
                Ok(())
            }
            // No image can have one.
            Kind::Socket => Ok(()),
        }
    }

    fn content(&mut self, child: &Child) -> Result<Digest> {
        let tree = self.tree;
        self.hashes
            .of(&child.path, &child.stat, || tree.file(&child.path))
    }
}

/// Files of a context belong to root, whoever has them on the host.
fn owner_of(tree: &Tree, stat: &FileStat) -> [u8; 8] {
    let mut owner = [0; 8];
    if tree.of_image {
        owner[..4].copy_from_slice(&stat.st_uid.to_le_bytes());
        owner[4..].copy_from_slice(&stat.st_gid.to_le_bytes());
    }
    owner
}

pub fn read_link(tree: &Tree, path: &[u8]) -> Result<Vec<u8>> {
    let (parent, name) = split(path);
    let dir = tree.directory(parent)?;
    let target = nix::fcntl::readlinkat(&dir, name)
        .context(|| format!("cannot read the link \"/{}\"", shown(path)))?;
    Ok(std::os::unix::ffi::OsStringExt::into_vec(target))
}

pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&path[..0], path),
    }
}

/// Names and values of the attributes that go along: those of an image's files
/// but for overlayfs' own.
pub fn wanted_attributes(fd: impl AsFd) -> nix::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let names = xattr::list(&fd)?;
    let mut found = Vec::new();
    for name in names.split_inclusive(|&b| b == 0) {
        let plain = &name[..name.len() - 1];
        let wanted = plain == b"security.capability"
            || (plain.starts_with(b"user.") && !plain.starts_with(b"user.overlay."));
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        if wanted && let Some(value) = xattr::get(&fd, name)? {
            found.push((plain.to_vec(), value));
        }
    }
    found.sort();
    Ok(found)
}

fn attributes(tree: &Tree, path: &[u8]) -> Result<Vec<u8>> {
    if !tree.of_image {
        return Ok(Vec::new());
    }
    let file = tree.file(path)?;
    let found = match wanted_attributes(&file) {
        Err(nix::Error::ENOTSUP) => Vec::new(),
        other => other.context(|| format!("cannot read the attributes of \"/{}\"", shown(path)))?,
    };
    let mut out = Vec::new();
    for (name, value) in found {
        for field in [name, value] {
            out.extend((field.len() as u64).to_le_bytes());
            out.extend(field);
        }
    }
    Ok(out)
}
