//! Putting right what killed processes have left: the next command that comes
//! past does it, so there is no repair command. Costs the reading of one small
//! directory while nothing has happened.

use super::state;
use crate::engine::Engine;
use crate::error::Result;
use crate::fs::lock;
use crate::network::register::Register;
use crate::record::container::{State, Status};
use crate::record::{containers, names};
use crate::sys::procfs::Process;
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
    let mut needed = Vec::new();
    for id in containers::ids(&engine.paths)? {
        needed.extend(look_after(engine, &id).ok().flatten());
    }
    let garbage = containers::garbage(&engine.paths);
    for dir in &garbage {
        let id = dir.file_name().and_then(|name| name.to_str());
        if let Some(id) = id.and_then(containers::hidden_id) {
            crate::network::uplink::stop(dir);
            super::remove::remove_cgroup(dir, id);
            super::remove::remove_volumes(engine, dir)?;
        }
    }
    if !garbage.is_empty() {
        crate::userns::task::run(&engine.paths, || {
            garbage.iter().try_for_each(|dir| containers::destroy(dir))
        })?;
    }
    super::volumes::sweep(engine)?;
    names::settle(&engine.paths);
    crate::network::namespace::sweep(&engine.paths);
    clear_networks(engine);
    clear_run_directories(engine);
    // Only now: killed before, we leave the signs for the next command.
    monitors::restore(&engine.paths.monitors(), dead, &needed)
}

/// Addresses and names of containers that are no more.
pub fn clear_networks(engine: &Engine) {
    let Ok(entries) = std::fs::read_dir(engine.paths.run().join("networks")) else {
        return;
    };
    for entry in entries.flatten() {
        let id = entry.file_name();
        let register = Register::of(&engine.paths, &id.to_string_lossy());
        register.sweep(&|owner| super::network::members::uses(&engine.paths, owner));
    }
}

/// Volatile files of containers that are no more.
fn clear_run_directories(engine: &Engine) {
    let Ok(entries) = std::fs::read_dir(engine.paths.run().join("containers")) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !engine.paths.containers().join(&name).exists() {
            crate::runtime::fuse::stop(&entry.path());
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes down the end that nobody saw; removes what was to be removed. The
/// monitor whose end is to be looked into again: that of a container that
/// runs, or that somebody is changing right now.
fn look_after(engine: &Engine, id: &str) -> Result<Option<Process>> {
    let paths = &engine.paths;
    let written = containers::state(paths, id)?;
    let now = state::truth(&written);
    if now.status != Status::Exited && !abandoned(&now) {
        return Ok(now.monitor);
    }
    let Some(lock) = lock::try_exclusive(&paths.container(id).join("lock"))? else {
        return Ok(written.monitor);
    };
    let now = state::settle(paths, id)?;
    let over = now.status == Status::Exited || abandoned(&now);
    if over && !now.manually_restarted && containers::config(paths, id)?.host_config.auto_remove {
        super::remove::discard(engine, id, &now.name, lock, true)?;
    }
    Ok(None)
}

/// `run` made it and was killed before it ran.
fn abandoned(state: &State) -> bool {
    state.status == Status::Created && state.starter.is_some_and(|p| !p.lives())
}
