//! Images and the containers that use them: what may be removed, and what can
//! be collected.

use super::state;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::image::digest::Digest;
use crate::image::platform::Platform;
use crate::record::container::Status;
use crate::record::containers;
use crate::store::{Filters, Image, Removal, Store, Use};
use crate::userns::task;
use std::collections::HashSet;

/// The image called so, which must be for one of `platforms` when there are any.
pub fn find(engine: &Engine, name: &str, platforms: &[Platform]) -> Result<Image> {
    let store = engine.store()?;
    let image = store.resolve(name)?;
    if platforms.is_empty() {
        return Ok(image);
    }
    for wanted in platforms {
        if let Some(image) = store.variant(&image, wanted)? {
            return Ok(image);
        }
    }
    let actual = store.config(&image)?.platform;
    let wanted: Vec<String> = platforms.iter().map(Platform::to_string).collect();
    Err(Error::not_found(format!(
        "image with reference {name} was found but does not provide the specified platform ({})",
        wanted.join(", ")
    ))
    .hint(format!("it is for {actual}")))
}

/// Removes a name or an image by Docker's rules; see [`crate::store::Store::remove`].
/// Call [`collect`] when all removals of a command are done.
pub fn remove(engine: &Engine, name: &str, force: bool) -> Result<Vec<Removal>> {
    engine.store()?.remove(name, force, || uses(engine))
}

/// What a prune did.
#[derive(Debug, Default)]
pub struct Pruned {
    pub removed: Vec<Removal>,
    /// Bytes on disk.
    pub freed: u64,
}

/// Removes the images that no container uses: those without a tag, or with
/// `all` every one. `filters` are `--filter` as given.
pub fn prune(engine: &Engine, all: bool, filters: Vec<(String, String)>) -> Result<Pruned> {
    let (filters, dangling) = Filters::of_prune(filters)?;
    let only_dangling = dangling.unwrap_or(!all);
    let store = engine.store()?;
    // The index is not written for those that stay; the others are looked at
    // again.
    let used: HashSet<String> = uses(engine)?.into_iter().map(|u| u.image_id).collect();
    let mut removed = Vec::new();
    for image in store.list(&filters)? {
        let stays = only_dangling && !image.names.is_empty();
        if !stays && !used.contains(image.id.as_str()) {
            removed.extend(store.remove_unused(&image.id, only_dangling, || uses(engine))?);
        }
    }
    let freed = free(engine, Store::sweep_counting)?;
    Ok(Pruned { removed, freed })
}

/// Frees what no image and no container needs any more. The caller must be
/// single-threaded: files of layers are removed by a child in the user's
/// namespace.
pub fn collect(engine: &Engine) -> Result<()> {
    free(engine, |store| store.sweep().map(|()| 0)).map(drop)
}

/// `sweep` removes the layers that are out of sight and says what they took.
fn free(engine: &Engine, sweep: fn(&Store) -> Result<u64>) -> Result<u64> {
    let store = engine.store()?;
    let blobs = match store.collect(|| layers_in_use(engine)) {
        // What a damaged image or container needs is not known: nothing is
        // freed before it is mended or removed.
        Err(e) if e.kind() == Kind::Invalid => return Ok(0),
        other => other?,
    };
    if !store.has_garbage()? {
        return Ok(blobs);
    }
    let layers = match nix::unistd::geteuid().is_root() {
        true => sweep(store)?,
        false => task::run(&engine.paths, || sweep(store))?,
    };
    crate::runtime::shift::sweep(&engine.paths);
    Ok(blobs + layers)
}

fn uses(engine: &Engine) -> Result<Vec<Use>> {
    let mut uses = Vec::new();
    for id in containers::ids(&engine.paths)? {
        let records = containers::config(&engine.paths, &id)
            .and_then(|config| Ok((config, containers::state(&engine.paths, &id)?)));
        let (config, state) = match records {
            // Removed meanwhile, or damaged: no reason to keep any image.
            Err(e) if matches!(e.kind(), Kind::NotFound | Kind::Invalid) => continue,
            other => other?,
        };
        let status = state::truth(&state).status;
        uses.push(Use {
            container_id: id,
            image_id: config.image,
            running: matches!(
                status,
                Status::Running | Status::Paused | Status::Restarting
            ),
        });
    }
    Ok(uses)
}

fn layers_in_use(engine: &Engine) -> Result<Vec<Digest>> {
    let mut layers = Vec::new();
    for id in containers::ids(&engine.paths)? {
        match containers::config(&engine.paths, &id) {
            Err(e) if e.kind() == Kind::NotFound => {}
            config => {
                let config = config?;
                let mounted = config.mounts.iter().flat_map(|point| &point.layers);
                for layer in config.layers.iter().chain(mounted) {
                    layers.push(Digest::parse(layer)?);
                }
            }
        }
    }
    Ok(layers)
}
