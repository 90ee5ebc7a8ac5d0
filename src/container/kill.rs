//! Sending a signal to a container's init.

pub use crate::text::signal::parse as parse_signal;

use super::{state, stop};
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::record::container::{Container, State, Status};
use crate::record::containers;
use crate::sys::pidfd;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long SIGKILL may take.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// Sends `signal` to the container's init; after SIGKILL its end is waited for
/// and written down.
pub fn kill(engine: &Engine, wanted: &str, signal: i32) -> Result<()> {
    send(engine, wanted, signal).map_err(|e| match e.kind() {
        Kind::NotFound | Kind::Conflict => e.within(format!("cannot kill container: {wanted}")),
        _ => e,
    })
}

fn send(engine: &Engine, wanted: &str, signal: i32) -> Result<()> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    let mut now = state::truth(&containers::state(paths, &id)?);
    // A damaged record is no reason to let it run.
    let container = containers::config(paths, &id).unwrap_or_default();
    if now.status == Status::Restarting || is_meant_to_end(signal, &container) {
        now = state::forbid_restart(paths, &id, &container)?;
    }
    if now.status == Status::Restarting {
        // There is nobody to hear a signal; that it ends was meant.
        return stop::settle(engine, &id);
    }
    let init = open_init(&id, &now)?;
    match pidfd::signal(&init, signal) {
        Err(nix::Error::ESRCH) => return Err(not_running(&id)),
        other => other.context(|| format!("cannot send a signal to container {id}"))?,
    }
    // As Docker: it goes on, to hear the signal.
    super::pause::resume(paths, &id, &now)?;
    // The next command may rely on it, say `rm`. One that hangs in the kernel
    // is not waited for for ever.
    if signal == libc::SIGKILL && pidfd::wait_end(&init, Some(KILL_LIMIT)) == Ok(true) {
        return stop::settle(engine, &id);
    }
    Ok(())
}

/// Others are for the program to act upon: if it ends of one, that is as an end
/// of its own, and its restart policy counts.
fn is_meant_to_end(signal: i32, container: &Container) -> bool {
    let own = container.config.stop_signal.as_deref().map(parse_signal);
    matches!(
        signal,
        libc::SIGKILL | libc::SIGTERM | libc::SIGINT | libc::SIGQUIT
    ) || own.is_some_and(|own| own.is_ok_and(|own| own == signal))
}

/// A descriptor of the running container's init.
pub fn open_init(id: &str, now: &State) -> Result<OwnedFd> {
    if now.status == Status::Restarting {
        return Err(restarting(id));
    }
    if !matches!(now.status, Status::Running | Status::Paused) {
        return Err(not_running(id));
    }
    let process = now.init.ok_or_else(|| not_running(id))?;
    let fd = pidfd::open(process.pid).map_err(|_| not_running(id))?;
    // Opened first and looked at then: a recycled number shows.
    if process.lives() {
        Ok(fd)
    } else {
        Err(not_running(id))
    }
}

pub fn restarting(id: &str) -> Error {
    Error::conflict(format!(
        "Container {id} is restarting, wait until the container is running"
    ))
}

pub fn not_running(id: &str) -> Error {
    Error::conflict(format!("Container {id} is not running")).hint(format!(
        "`wherry start {}` starts it",
        crate::text::id::short(id)
    ))
}
