//! Whether what a record says is still true. Nothing watches all containers,
//! so every command asks: the boot, the process and its start time.

use crate::cgroup::freezer;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::fs::replace::Durability;
use crate::paths::Paths;
use crate::record::container::{Container, State, Status};
use crate::record::containers;
use crate::sys::{pidfd, procfs};
use std::path::Path;
use std::time::Duration;

/// How long a start may take before others give up: a helper for the network
/// may be slow.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How long a monitor may take to write an end down and go.
const END_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Docker's status for an end that nobody saw.
pub const UNKNOWN_EXIT: i32 = 255;

/// The state as it is now. A container whose init is gone while its monitor
/// still works counts as running: the monitor is about to write the end.
pub fn truth(state: &State) -> State {
    if !is_active(state.status) {
        return state.clone();
    }
    let mut now = state.clone();
    let same_boot = procfs::boot_id().is_ok_and(|id| id == state.boot_id);
    let lives = |p: &Option<procfs::Process>| same_boot && p.is_some_and(|p| p.lives());
    if lives(&state.init) {
        now.monitor_lost = !lives(&state.monitor);
        // Written before it is frozen, and thawed before that is written.
        if state.status == Status::Paused && freezer::is_thawed(Path::new(&state.cgroup)) {
            now.status = Status::Running;
        }
    } else if !lives(&state.monitor) {
        // One between two runs has had its end written down.
        if state.status != Status::Restarting {
            now.exit_code = UNKNOWN_EXIT;
            now.finished_at = crate::text::time::now();
        }
        now.status = Status::Exited;
        now.monitor_lost = true;
        now.init = None;
        now.monitor = None;
    }
    now
}

/// The true state, for a command that is about to change something: waits for
/// a monitor that is just finishing, and writes down the end of a container
/// that nobody saw end. The caller holds the container's lock.
pub fn settle(paths: &Paths, id: &str) -> Result<State> {
    let mut state = containers::state(paths, id)?;
    if state.init.is_some_and(|p| !p.lives()) && monitor(&state).is_some() {
        wait_end(paths, id, &state);
        state = containers::state(paths, id)?;
    }
    let now = truth(&state);
    if now.status == Status::Exited && state.status != Status::Exited {
        // Written last: killed before, the next command does it all again.
        if !now.cgroup.is_empty() {
            crate::cgroup::remove(Path::new(&now.cgroup));
        }
        crate::network::uplink::stop(&paths.container(id));
        super::network::members::forget(paths, id, &now.networks);
        let run_dir = paths.run_container(id);
        crate::runtime::fuse::stop(&run_dir);
        let _ = std::fs::remove_dir_all(run_dir);
        containers::write_state(paths, id, &now, Durability::Fast)?;
    }
    Ok(now)
}

/// The state once the container's own program runs. Before, its init is half
/// way between the host's file system and its own. A monitor that is gone took
/// an init that had not got that far with it.
pub fn started(engine: &Engine, id: &str) -> Result<State> {
    for _ in 0..START_LIMIT.as_millis() {
        let now = truth(&containers::state(&engine.paths, id)?);
        let runs = || now.init.is_some_and(|init| init.has_executed());
        if now.status != Status::Running || now.monitor_lost || runs() {
            return Ok(now);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(Error::conflict(format!("container {id} is still starting")).hint("try again"))
}

/// The monitor of a container that was started since the last boot: before
/// it, the numbers were those of somebody else.
pub fn monitor(state: &State) -> Option<procfs::Process> {
    let same_boot = procfs::boot_id().is_ok_and(|id| id == state.boot_id);
    state.monitor.filter(|_| same_boot)
}

/// Waits until the monitor is done with the run that `seen` tells of: it ends
/// itself, having little left to do, or goes on to the next run. False: it has
/// done neither after 10 s.
pub fn wait_end(paths: &Paths, id: &str, seen: &State) -> bool {
    let Some(monitor) = monitor(seen) else {
        return true;
    };
    let Some(fd) = pidfd::open(monitor.pid).ok().filter(|_| monitor.lives()) else {
        return true;
    };
    for _ in 0..END_LIMIT.as_millis() / LOOK_EVERY.as_millis() {
        if pidfd::wait_end(&fd, Some(LOOK_EVERY)).unwrap_or(true) {
            return true;
        }
        let goes_on = |now: &State| now.monitor == seen.monitor && now.init != seen.init;
        if containers::state(paths, id).is_ok_and(|now| goes_on(&now)) {
            return true;
        }
    }
    false
}

/// Has the monitor not start the container again, whatever its restart policy,
/// and wakes one that is about to. The state as it was then.
pub fn forbid_restart(paths: &Paths, id: &str, container: &Container) -> Result<State> {
    let written = containers::state(paths, id)?;
    let updated = written.restart_policy.as_ref();
    let policy = updated.unwrap_or(&container.host_config.restart_policy);
    if policy.is_none() {
        return Ok(truth(&written));
    }
    let written = containers::change_state(paths, id, Durability::Fast, |state| {
        if is_active(state.status) {
            state.manually_stopped = true;
        }
    })?;
    let now = truth(&written);
    if now.status == Status::Restarting
        && let Some(monitor) = monitor(&now)
        && let Ok(fd) = pidfd::open(monitor.pid)
        && monitor.lives()
    {
        let _ = pidfd::signal(&fd, libc::SIGHUP);
    }
    Ok(now)
}

fn is_active(status: Status) -> bool {
    matches!(
        status,
        Status::Running | Status::Paused | Status::Restarting
    )
}
