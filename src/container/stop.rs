//! Stopping: the stop signal, patience, SIGKILL, and the record of the end.

use super::kill::{open_init, parse_signal};
use super::state;
use crate::engine::Engine;
use crate::error::{Context, Kind, Result};
use crate::record::container::Status;
use crate::record::containers;
use crate::sys::pidfd;
use std::time::Duration;

/// Docker's patience.
const DEFAULT_TIMEOUT: i64 = 10;

/// What `stop` was told; `None` is the container's own setting.
#[derive(Debug, Clone, Default)]
pub struct StopOptions {
    pub signal: Option<String>,
    /// Seconds; negative waits for ever.
    pub timeout: Option<i64>,
}

/// Stops the container; one that does not run is left as it is.
pub fn stop(engine: &Engine, wanted: &str, options: &StopOptions) -> Result<()> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    let container = containers::config(paths, &id)?;
    let now = state::forbid_restart(paths, &id, &container)?;
    let config = container.config;
    let Ok(init) = open_init(&id, &now) else {
        return settle(engine, &id);
    };
    let named = options
        .signal
        .as_deref()
        .or(config.stop_signal.as_deref())
        .unwrap_or("SIGTERM");
    let signal = parse_signal(named)?;
    let timeout = options
        .timeout
        .or(config.stop_timeout)
        .unwrap_or(DEFAULT_TIMEOUT);
    let limit = u64::try_from(timeout).ok().map(Duration::from_secs);
    // Gone already is stopped as well.
    let _ = pidfd::signal(&init, signal);
    // A frozen process hears nothing but SIGKILL.
    super::pause::resume(paths, &id, &now)?;
    let ended =
        pidfd::wait_end(&init, limit).context(|| format!("cannot wait for container {id}"))?;
    if !ended {
        let _ = pidfd::signal(&init, libc::SIGKILL);
        pidfd::wait_end(&init, None).context(|| format!("cannot wait for container {id}"))?;
    }
    settle(engine, &id)
}

/// Until the end is written down, by the monitor or else by us. One with `--rm`
/// may be removed by its monitor meanwhile.
pub fn settle(engine: &Engine, id: &str) -> Result<()> {
    if let Ok(now) = containers::state(&engine.paths, id) {
        state::wait_end(&engine.paths, id, &now);
    }
    match end(engine, id) {
        Err(e) if e.kind() == Kind::NotFound => Ok(()),
        other => other,
    }
}

fn end(engine: &Engine, id: &str) -> Result<()> {
    let paths = &engine.paths;
    let lock = containers::lock(paths, id)?;
    let now = state::settle(paths, id)?;
    let over = now.status == Status::Exited && !now.manually_restarted;
    if over && containers::config(paths, id)?.host_config.auto_remove {
        return super::remove::discard(engine, id, &now.name, lock, true);
    }
    Ok(())
}
