//! What a container has changed of its image (`diff`). The rules are Docker's
//! (moby, pkg/archive/changes.go): a file differs by mode, owner, device, size
//! or time, a directory by mode and owner; what lies below something that was
//! added or deleted as a whole is not looked at again as a deletion.

use super::files;
use crate::engine::Engine;
use crate::error::{Context, Result};
use crate::record::containers;
use crate::store::{Listing, Merged, Node, Place};
use crate::sys::xattr;
use crate::userns::task;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Added,
    Changed,
    Deleted,
}

impl Kind {
    /// Docker's letter.
    pub fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Changed => 'C',
            Self::Deleted => 'D',
        }
    }
}

/// Absolute paths of all changes, by path.
pub fn changes(engine: &Engine, wanted: &str) -> Result<Vec<(Kind, Vec<u8>)>> {
    let id = containers::find(&engine.paths, wanted)?;
    let container = containers::config(&engine.paths, &id)?;
    files::need_layer(&container, wanted)?;
    let Some(upper) = files::upper(&engine.paths, &container) else {
        return Ok(Vec::new());
    };
    let store = engine.store()?;
    // JSON has no bytes: each becomes the character of its number.
    let found = task::run(&engine.paths, || {
        let written = files::written(store, &upper, files::layout(&engine.paths, &container))?;
        let original = files::original(engine, &container)?;
        let found = compare(&written, &original)?.into_iter();
        Ok(found
            .map(|(path, kind)| {
                let path: String = path.iter().map(|&b| char::from(b)).collect();
                (kind.letter(), path)
            })
            .collect::<Vec<_>>())
    })?;
    let bytes = |path: String| path.chars().map(|c| c as u8).collect();
    let kind = |letter| match letter {
        'A' => Kind::Added,
        'D' => Kind::Deleted,
        _ => Kind::Changed,
    };
    Ok(found
        .into_iter()
        .map(|(letter, path)| (kind(letter), bytes(path)))
        .collect())
}

fn compare(written: &Merged, original: &Merged) -> Result<BTreeMap<Vec<u8>, Kind>> {
    let mut comparison = Comparison {
        found: BTreeMap::new(),
        waiting: vec![(written.root(), Some(original.root()))],
    };
    while let Some((place, before)) = comparison.waiting.pop() {
        let Some(now) = written.list(&place)? else {
            continue;
        };
        let before = match &before {
            Some(place) => original.list(place)?,
            None => None,
        };
        comparison.directory(&now, before.as_ref())?;
    }
    Ok(comparison.with_parents())
}

struct Comparison {
    found: BTreeMap<Vec<u8>, Kind>,
    /// A directory of the container's layer, and the original one.
    waiting: Vec<(Place, Option<Place>)>,
}

impl Comparison {
    fn directory(&mut self, now: &Listing, before: Option<&Listing>) -> Result<()> {
        let old: BTreeMap<&[u8], &Node> = before
            .iter()
            .flat_map(|listing| &listing.nodes)
            .filter(|node| node.stat.is_some())
            .map(|node| (node.name.as_slice(), node))
            .collect();
        for node in &now.nodes {
            self.node(now, node, before, old.get(node.name.as_slice()).copied())?;
        }
        if now.opaque {
            let kept: BTreeSet<&[u8]> = now.nodes.iter().map(|n| n.name.as_slice()).collect();
            for (name, node) in old {
                if let Some(before) = before.filter(|_| !kept.contains(name)) {
                    self.note(before.path(node), Kind::Deleted);
                }
            }
        }
        Ok(())
    }

    fn node(
        &mut self,
        now: &Listing,
        node: &Node,
        before: Option<&Listing>,
        old: Option<&Node>,
    ) -> Result<()> {
        let path = now.path(node);
        let old = before.zip(old);
        let (Some(stat), Some((listing, old))) = (node.stat, old) else {
            match (node.stat, old) {
                (Some(_), _) => self.note(path, Kind::Added),
                (None, Some(_)) => self.note(path, Kind::Deleted),
                (None, None) => {}
            }
            if node.is_dir() {
                self.waiting.push((now.below(node), None));
            }
            return Ok(());
        };
        if old.stat.is_none_or(|old| differ(&old, &stat))
            || capabilities(now, node)? != capabilities(listing, old)?
        {
            self.note(path, Kind::Changed);
        }
        if node.is_dir() {
            let before = old.is_dir().then(|| listing.below(old));
            self.waiting.push((now.below(node), before));
        }
        Ok(())
    }

    fn note(&mut self, path: Vec<u8>, kind: Kind) {
        self.found.insert([b"/", path.as_slice()].concat(), kind);
    }

    /// A directory with a change in it counts as changed.
    fn with_parents(mut self) -> BTreeMap<Vec<u8>, Kind> {
        let paths: Vec<Vec<u8>> = self.found.keys().cloned().collect();
        for mut path in paths {
            while let Some(slash) = path.iter().rposition(|&b| b == b'/').filter(|at| *at > 0) {
                path.truncate(slash);
                self.found.entry(path.clone()).or_insert(Kind::Changed);
            }
        }
        self.found
    }
}

fn differ(old: &FileStat, new: &FileStat) -> bool {
    let is_dir = new.st_mode & libc::S_IFMT == libc::S_IFDIR;
    let time = |s: &FileStat| (s.st_mtime, s.st_mtime_nsec);
    old.st_mode != new.st_mode
        || (old.st_uid, old.st_gid, old.st_rdev) != (new.st_uid, new.st_gid, new.st_rdev)
        || (!is_dir && (time(old) != time(new) || old.st_size != new.st_size))
}

fn capabilities(listing: &Listing, node: &Node) -> Result<Option<Vec<u8>>> {
    let is_file = |s: FileStat| s.st_mode & libc::S_IFMT == libc::S_IFREG;
    if !node.stat.is_some_and(is_file) {
        return Ok(None);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let found = openat(
        listing.dir(node),
        node.name.as_slice(),
        flags,
        Mode::empty(),
    )
    .and_then(|file| xattr::get(file, c"security.capability"));
    match found {
        Err(nix::Error::ENOENT | nix::Error::ELOOP | nix::Error::ENOTSUP) => Ok(None),
        other => other.context(|| "cannot read a file's capabilities"),
    }
}
