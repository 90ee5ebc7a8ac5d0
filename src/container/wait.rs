//! Waiting for a container's end and its status.

use super::{kill, state};
use crate::engine::Engine;
use crate::error::{Context, Result};
use crate::fs::lock;
use crate::record::container::{State, Status};
use crate::record::containers;
use crate::sys::pidfd;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Blocks until the container has ended, be it to be started again; its exit
/// status. One that never ran gives 0.
pub fn wait(engine: &Engine, wanted: &str) -> Result<i32> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    let dir = paths.container(&id);
    // The directory stays readable through this descriptor when `--rm` moves
    // it away, and is not deleted while the lock below is held.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let held = nix::fcntl::open(&dir, flags, Mode::empty())
        .context(|| format!("cannot open container {id}"))?;
    let _waiting = lock::shared(&dir.join(containers::WAITERS))?;
    let now = state::truth(&containers::state(paths, &id)?);
    if let Ok(init) = kill::open_init(&id, &now) {
        pidfd::wait_end(&init, None).context(|| format!("cannot wait for container {id}"))?;
    }
    recorded(&held, &id, now)
}

/// The status once the end is written down of the run that was `seen`, or of
/// the next one. The monitor writes it right after init is gone; a lost monitor
/// never does.
fn recorded(dir: &OwnedFd, id: &str, mut seen: State) -> Result<i32> {
    loop {
        let now = state::truth(&read_state(dir, id)?);
        if let Some(status) = ended(&seen, &now) {
            return Ok(status);
        }
        match (now.status, seen.init) {
            (Status::Running | Status::Paused, None) => {
                if let Ok(init) = kill::open_init(id, &now) {
                    pidfd::wait_end(&init, None)
                        .context(|| format!("cannot wait for container {id}"))?;
                }
                seen = now;
            }
            (Status::Restarting, None) => std::thread::sleep(Duration::from_millis(20)),
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The exit status of the run that was `seen`, or of one after it, if `now`
/// tells of its end. Between two runs the moment of the last end tells whether
/// there was one since: a short run may have come and gone unseen.
fn ended(seen: &State, now: &State) -> Option<i32> {
    let ran = seen.init.is_some();
    match now.status {
        Status::Restarting if ran || now.finished_at != seen.finished_at => Some(now.exit_code),
        // It runs again already.
        Status::Running | Status::Paused if ran && now.init != seen.init => {
            Some(now.last_exit_code)
        }
        Status::Restarting | Status::Running | Status::Paused => None,
        _ => Some(now.exit_code),
    }
}

fn read_state(dir: &OwnedFd, id: &str) -> Result<State> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let fd = nix::fcntl::openat(dir, "state.json", flags, Mode::empty())
        .context(|| format!("cannot read the state of container {id}"))?;
    let mut text = Vec::new();
    std::fs::File::from(fd)
        .read_to_end(&mut text)
        .context(|| format!("cannot read the state of container {id}"))?;
    serde_json::from_slice(&text).context(|| format!("the state of container {id} is damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::procfs::Process;

    fn state(status: Status, init: Option<i32>, finished_at: &str) -> State {
        State {
            status,
            init: init.map(|pid| Process { pid, start_time: 1 }),
            finished_at: finished_at.to_owned(),
            exit_code: 3,
            last_exit_code: 4,
            ..State::default()
        }
    }

    #[test]
    fn ends_that_were_recorded() {
        use Status::{Exited, Paused, Restarting, Running};
        let running = state(Running, Some(7), "");
        let between = state(Restarting, None, "a");
        for (seen, now, want) in [
            (&running, state(Running, Some(7), ""), None),
            (&running, state(Paused, Some(7), ""), None),
            (&running, state(Running, Some(8), ""), Some(4)),
            (&running, state(Restarting, None, "a"), Some(3)),
            (&running, state(Exited, None, "a"), Some(3)),
            (&between, state(Restarting, None, "a"), None),
            (&between, state(Running, Some(8), ""), None),
            // A whole run between two looks.
            (&between, state(Restarting, None, "b"), Some(3)),
            (&between, state(Exited, None, "a"), Some(3)),
        ] {
            assert_eq!(ended(seen, &now), want, "{seen:?}\n{now:?}");
        }
    }
}
