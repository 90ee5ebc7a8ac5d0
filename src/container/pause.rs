//! Freezing all processes of a container, and letting them go on.

use super::kill::{not_running, restarting};
use super::state;
use crate::cgroup::freezer;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::record::container::{State, Status};
use crate::record::containers;
use std::path::Path;

pub fn pause(engine: &Engine, wanted: &str) -> Result<()> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    let _lock = containers::lock(paths, &id)?;
    let now = state::settle(paths, &id)?;
    match now.status {
        Status::Running => {}
        Status::Paused => {
            return Err(Error::conflict(format!("Container {id} is already paused")));
        }
        Status::Restarting => return Err(restarting(&id)),
        _ => return Err(not_running(&id)),
    }
    if now.cgroup.is_empty() {
        return Err(Error::unsupported(format!(
            "cannot pause container {wanted}: it has no cgroup, whose freezer would do that"
        ))
        .hint(freezer::remedy()));
    }
    // Written first: it is believed only while the cgroup is frozen.
    set(paths, &id, Status::Running, Status::Paused)?;
    freezer::freeze(Path::new(&now.cgroup)).inspect_err(|_| {
        let _ = set(paths, &id, Status::Paused, Status::Running);
    })
}

pub fn unpause(engine: &Engine, wanted: &str) -> Result<()> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    let _lock = containers::lock(paths, &id)?;
    let now = state::settle(paths, &id)?;
    if now.status != Status::Paused {
        return Err(Error::conflict(format!("Container {id} is not paused")));
    }
    resume(paths, &id, &now)
}

/// Lets a paused container go on; nothing for any other.
pub fn resume(paths: &Paths, id: &str, now: &State) -> Result<()> {
    if now.status != Status::Paused {
        return Ok(());
    }
    match freezer::thaw(Path::new(&now.cgroup)) {
        // It has just ended.
        Err(e) if e.kind() == crate::error::Kind::NotFound => return Ok(()),
        other => other?,
    }
    set(paths, id, Status::Paused, Status::Running)
}

fn set(paths: &Paths, id: &str, from: Status, to: Status) -> Result<()> {
    let changed = containers::change_state(paths, id, |state| {
        // Its end may have been written meanwhile.
        if state.status == from {
            state.status = to;
        }
    });
    match changed {
        Err(e) if e.kind() == crate::error::Kind::NotFound => Ok(()),
        other => other.map(drop),
    }
}
