//! Images and the containers that use them: what may be removed, and what can
//! be collected.

use super::state;
use crate::engine::Engine;
use crate::error::{Kind, Result};
use crate::image::digest::Digest;
use crate::record::container::Status;
use crate::record::containers;
use crate::store::{Removal, Use};
use crate::userns::task;

/// Removes a name or an image by Docker's rules; see [`crate::store::Store::remove`].
/// Call [`collect`] when all removals of a command are done.
pub fn remove(engine: &Engine, name: &str, force: bool) -> Result<Vec<Removal>> {
    engine.store()?.remove(name, force, &uses(engine)?)
}

/// Frees what no image and no container needs any more. The caller must be
/// single-threaded: files of layers are removed by a child in the user's
/// namespace.
pub fn collect(engine: &Engine) -> Result<()> {
    let store = engine.store()?;
    match store.collect(|| layers_in_use(engine)) {
        // What a damaged image or container needs is not known: nothing is
        // freed before it is mended or removed.
        Err(e) if e.kind() == Kind::Invalid => return Ok(()),
        other => other?,
    }
    if !store.has_garbage()? {
        return Ok(());
    }
    match nix::unistd::geteuid().is_root() {
        true => store.sweep(),
        false => task::run(&engine.paths, || store.sweep()),
    }
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
                for layer in config?.layers {
                    layers.push(Digest::parse(&layer)?);
                }
            }
        }
    }
    Ok(layers)
}
