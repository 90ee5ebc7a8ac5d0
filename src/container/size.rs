//! How large a container's files are: what it has written, and that together
//! with its image.

use crate::engine::Engine;
use crate::error::{Context, Result};
use crate::fs::usage;
use crate::image::digest::Digest;
use nix::errno::Errno;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Docker's `SizeRw` and `SizeRootFs`, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    pub writable: u64,
    pub total: u64,
}

/// What tells where a container's files are.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    pub id: &'a str,
    /// DiffIDs.
    pub layers: &'a [String],
    /// `--rootfs`.
    pub rootfs: Option<&'a Path>,
}

/// The sizes of these containers, in their order. One that is gone, or never
/// ran, has written nothing.
pub fn of(engine: &Engine, all: &[Files<'_>]) -> Result<Vec<Sizes>> {
    let dirs: Vec<PathBuf> = all
        .iter()
        .map(|files| match files.rootfs {
            Some(dir) => dir.to_path_buf(),
            None => engine.paths.container(files.id).join("upper"),
        })
        .collect();
    let mut read: Vec<Option<u64>> = Vec::with_capacity(dirs.len());
    for dir in &dirs {
        read.push(count(dir)?);
    }
    // Other users of the container may have closed directories to its root.
    if read.contains(&None) {
        let rest: Vec<&PathBuf> = dirs
            .iter()
            .zip(&read)
            .filter_map(|(dir, bytes)| bytes.is_none().then_some(dir))
            .collect();
        let counted = crate::userns::task::run(&engine.paths, || {
            rest.iter()
                .map(|dir| count(dir).map(Option::unwrap_or_default))
                .collect::<Result<Vec<u64>>>()
        })?;
        let mut counted = counted.into_iter();
        for bytes in read.iter_mut().filter(|bytes| bytes.is_none()) {
            *bytes = counted.next();
        }
    }
    let mut layers = Layers::default();
    Ok(all
        .iter()
        .zip(read)
        .map(|(files, bytes)| {
            let bytes = bytes.unwrap_or_default();
            // With `--rootfs` there is no layer of the container's own.
            Sizes {
                writable: if files.rootfs.is_some() { 0 } else { bytes },
                total: bytes + layers.bytes(engine, files.layers),
            }
        })
        .collect())
}

/// `None`: the caller may not read all of it.
fn count(dir: &Path) -> Result<Option<u64>> {
    match usage::bytes(dir) {
        Err(Errno::EACCES) => Ok(None),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(Some(0)),
        other => other
            .map(Some)
            .context(|| format!("cannot tell the size of \"{}\"", dir.display())),
    }
}

/// Sizes of layers, each asked for once.
#[derive(Default)]
struct Layers(HashMap<String, u64>);

impl Layers {
    fn bytes(&mut self, engine: &Engine, layers: &[String]) -> u64 {
        layers
            .iter()
            .map(|layer| {
                if let Some(bytes) = self.0.get(layer) {
                    return *bytes;
                }
                // One that is damaged counts nothing: lists go on.
                let bytes = Digest::parse(layer)
                    .and_then(|id| engine.store()?.layer_size(&id))
                    .unwrap_or(0);
                self.0.insert(layer.clone(), bytes);
                bytes
            })
            .sum()
    }
}
