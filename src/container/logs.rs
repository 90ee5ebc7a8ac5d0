//! The output of a container, as its log has it.

use super::state;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::logs::{self, Driver, Each, Filter};
use crate::paths::Paths;
use crate::record::container::Status;
use crate::record::containers;
use crate::sys::pidfd;
use std::os::fd::{AsFd, OwnedFd};

/// Gives what `filter` wants of the log of the container named `wanted`; with
/// `follow` goes on for as long as it runs.
pub fn logs(
    engine: &Engine,
    wanted: &str,
    follow: bool,
    filter: &Filter,
    each: &mut Each<'_>,
) -> Result<()> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    let driver = containers::config(paths, &id)?
        .host_config
        .log_config
        .driver;
    let driver = Driver::named(&driver)?;
    if driver == Driver::None {
        return Err(
            Error::unsupported("configured logging driver does not support reading").hint(format!(
                "container {wanted} was made with the log driver \"none\""
            )),
        );
    }
    let dir = paths.container(&id);
    let monitor = if follow {
        open_monitor(paths, &id)
    } else {
        None
    };
    if driver == Driver::Journald {
        return super::journal::read(&id, filter, monitor, each);
    }
    let Some(monitor) = monitor else {
        return logs::read(&dir, filter, each);
    };
    let mut writing = || open_monitor(paths, &id).is_some();
    logs::follow(&dir, filter, Some(monitor.as_fd()), &mut writing, each)
}

/// The process that writes the log, while the container runs.
fn open_monitor(paths: &Paths, id: &str) -> Option<OwnedFd> {
    let now = state::truth(&containers::state(paths, id).ok()?);
    let active = matches!(
        now.status,
        Status::Running | Status::Paused | Status::Restarting
    );
    let monitor = now.monitor.filter(|_| active)?;
    let fd = pidfd::open(monitor.pid).ok()?;
    // Looked at again: the descriptor may be that of a later process.
    monitor.lives().then_some(fd)
}
