//! Putting right what killed processes have left: the next command that comes
//! past does it, so there is no repair command. Costs the reading of one small
//! directory while nothing has happened.

use super::state;
use crate::engine::Engine;
use crate::error::Result;
use crate::fs::lock;
use crate::record::container::{State, Status};
use crate::record::containers;
use crate::userns::monitors;
use std::path::PathBuf;

/// Never fails: what cannot be mended now is tried again by the next command.
pub fn sweep(engine: &Engine) {
    let list = engine.paths.monitors();
    let dead = monitors::dead(&list);
    if dead.as_ref().is_some_and(Vec::is_empty) {
        return;
    }
    let _ = mend(engine, dead.unwrap_or_default());
}

fn mend(engine: &Engine, dead: Vec<PathBuf>) -> Result<()> {
    // Another command is at it: that will do.
    let Some(_only_one) = lock::try_exclusive(&engine.paths.run().join("sweep.lock"))? else {
        return Ok(());
    };
    for id in containers::ids(&engine.paths)? {
        let _ = look_after(engine, &id);
    }
    let garbage = containers::garbage(&engine.paths);
    if !garbage.is_empty() {
        crate::userns::task::run(&engine.paths, || {
            garbage.iter().try_for_each(|dir| containers::destroy(dir))
        })?;
    }
    containers::free_names(&engine.paths);
    clear_run_directories(engine);
    // Only now: killed before, we leave the signs for the next command.
    let _ = monitors::make_list(&engine.paths.monitors());
    for entry in dead {
        let _ = std::fs::remove_file(entry);
    }
    Ok(())
}

/// Volatile files, and helpers, of containers that are no more.
fn clear_run_directories(engine: &Engine) {
    let Ok(entries) = std::fs::read_dir(engine.paths.run().join("containers")) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !engine.paths.containers().join(&name).exists() {
            crate::network::uplink::stop(&entry.path());
            crate::runtime::fuse::stop(&entry.path());
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes down the end that nobody saw; removes what was to be removed.
fn look_after(engine: &Engine, id: &str) -> Result<()> {
    let paths = &engine.paths;
    let now = state::truth(&containers::state(paths, id)?);
    if now.status != Status::Exited && !abandoned(&now) {
        return Ok(());
    }
    // Held by somebody who is changing it: his business.
    let Some(lock) = lock::try_exclusive(&paths.container(id).join("lock"))? else {
        return Ok(());
    };
    let now = state::settle(paths, id)?;
    let over = now.status == Status::Exited || abandoned(&now);
    if over && containers::config(paths, id)?.host_config.auto_remove {
        super::remove::discard(engine, id, &now.name, lock)?;
    }
    Ok(())
}

/// `run` made it and was killed before it ran.
fn abandoned(state: &State) -> bool {
    state.status == Status::Created && state.starter.is_some_and(|p| !p.lives())
}
