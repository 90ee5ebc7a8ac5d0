//! Freezing all processes of a container, and letting them go on.

use super::kill::{not_running, restarting};
use super::state;
use crate::cgroup::freezer;
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::fs::replace::Durability;
use crate::paths::Paths;
use crate::record::container::{State, Status};
use crate::record::containers;
use crate::sys::signal::{self, Watch};
use std::path::Path;

/// What a user ends a command by: held back until the container goes on.
const ENDING: signal::Set =
    signal::set(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT]);

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
    freeze(paths, &id, &now).map_err(|e| match e.kind() {
        Kind::Unsupported => e.within(format!("cannot pause container {wanted}")),
        _ => e,
    })
}

fn freeze(paths: &Paths, id: &str, now: &State) -> Result<()> {
    if now.cgroup.is_empty() {
        return Err(
            Error::unsupported("it has no cgroup, whose freezer would do that")
                .hint(freezer::remedy()),
        );
    }
    // Written first: it is believed only while the cgroup is frozen.
    set(paths, id, Status::Running, Status::Paused)?;
    freezer::freeze(Path::new(&now.cgroup)).inspect_err(|_| {
        let _ = set(paths, id, Status::Paused, Status::Running);
    })
}

/// A running container that stands still while this lives. Signals that would
/// end the command come after that.
pub struct Frozen<'a> {
    paths: &'a Paths,
    id: &'a str,
    now: State,
    watch: Option<Watch>,
}

impl<'a> Frozen<'a> {
    /// The caller holds the container's lock.
    pub fn freeze(paths: &'a Paths, id: &'a str, now: &State) -> Result<Self> {
        let watch = Watch::new(ENDING).context(|| "cannot hold signals back")?;
        freeze(paths, id, now)?;
        Ok(Self {
            paths,
            id,
            now: State {
                status: Status::Paused,
                ..now.clone()
            },
            watch: Some(watch),
        })
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        let _ = resume(self.paths, self.id, &self.now);
        let Some(watch) = self.watch.take() else {
            return;
        };
        let caught = watch.read();
        drop(watch);
        if let Some(caught) = caught {
            signal::suffer(caught.signal);
        }
    }
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
    let changed = containers::change_state(paths, id, Durability::Fast, |state| {
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
