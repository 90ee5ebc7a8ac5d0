//! Stopping and starting again.

use super::start::{Started, start};
use super::stop::{StopOptions, stop};
use crate::engine::Engine;
use crate::error::Result;
use crate::fs::replace::Durability;
use crate::monitor::protocol::Attach;
use crate::record::containers;

/// Starts one that does not run as well. What the user is to be told.
pub fn restart(engine: &Engine, wanted: &str, options: &StopOptions) -> Result<Vec<String>> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    if containers::config(paths, &id)?.host_config.auto_remove {
        containers::change_state(paths, &id, Durability::Fast, |state| {
            state.manually_restarted = true
        })?;
    }
    stop(engine, &id, options)?;
    match start(engine, &id, (0, 0), Attach::NONE)? {
        Started::Now(launched) => Ok(launched.warnings),
        Started::Before => Ok(Vec::new()),
    }
}
