//! A container's files, read from its layers without entering it: what an
//! image is made of, what is exported, what has changed. All of this is for a
//! process that is root of U.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::digest::Digest;
use crate::paths::Paths;
use crate::record::container::Container;
use crate::runtime::init_layer;
use crate::store::{Merged, Store};
use crate::userns::layout::Layout;
use std::path::{Path, PathBuf};

/// The layer that the container writes to; `None` when it has never run.
pub fn upper(paths: &Paths, container: &Container) -> Option<PathBuf> {
    let upper = paths.container(&container.id).join("upper");
    upper.is_dir().then_some(upper)
}

/// Whose ids the files of that layer have.
pub fn layout(paths: &Paths, container: &Container) -> Layout {
    match paths.owners_by_fuse(&container.id).exists() {
        true => Layout::Same,
        false => container.ids,
    }
}

/// What the container has written, alone.
pub fn written(store: &Store, upper: &Path, layout: Layout) -> Result<Merged> {
    let mut tree = Merged::empty();
    tree.add_of(upper, store.marks_are_files(upper)?, layout)?;
    Ok(tree)
}

/// What the container began with: its image and the engine's mount points.
pub fn original(engine: &Engine, container: &Container) -> Result<Merged> {
    let mut tree = Merged::empty();
    tree.add(&init_layer::path(&engine.paths)?, false)?;
    engine.store()?.add_layers(&mut tree, &layers(container)?)?;
    Ok(tree)
}

/// All of its files as they are now, without mounts.
pub fn all(engine: &Engine, container: &Container) -> Result<Merged> {
    if let Some(rootfs) = &container.rootfs {
        let mut tree = Merged::empty();
        tree.add(rootfs, false)?;
        return Ok(tree);
    }
    let store = engine.store()?;
    let mut tree = match upper(&engine.paths, container) {
        Some(upper) => written(store, &upper, layout(&engine.paths, container))?,
        None => Merged::empty(),
    };
    store.add_layers(&mut tree, &layers(container)?)?;
    Ok(tree)
}

fn layers(container: &Container) -> Result<Vec<Digest>> {
    container
        .layers
        .iter()
        .map(|id| Digest::parse(id))
        .collect()
}

/// Refuses a container that writes into a directory of the host.
pub fn need_layer(container: &Container, wanted: &str) -> Result<()> {
    match &container.rootfs {
        None => Ok(()),
        Some(dir) => Err(Error::unsupported(format!(
            "container {wanted} has no layer of its own: it was made with --rootfs \"{}\"",
            dir.display()
        ))),
    }
}
