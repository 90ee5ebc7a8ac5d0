//! Waiting for a container's end and its status.

use super::{kill, state};
use crate::engine::Engine;
use crate::error::{Context, Result};
use crate::fs::lock;
use crate::record::container::{Process, State, Status};
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
    recorded(&held, &id, now.init)
}

/// The status once the end is written down of the run that was `seen`, or of
/// the next one. The monitor writes it right after init is gone; a lost monitor
/// never does.
fn recorded(dir: &OwnedFd, id: &str, mut seen: Option<Process>) -> Result<i32> {
    loop {
        let now = state::truth(&read_state(dir, id)?);
        match now.status {
            Status::Restarting if seen.is_some() => return Ok(now.exit_code),
            Status::Restarting => std::thread::sleep(Duration::from_millis(20)),
            Status::Running | Status::Paused if seen.is_some() && now.init != seen => {
                // It runs again already.
                return Ok(now.last_exit_code);
            }
            Status::Running | Status::Paused if seen.is_none() => {
                seen = now.init;
                if let Ok(init) = kill::open_init(id, &now) {
                    pidfd::wait_end(&init, None)
                        .context(|| format!("cannot wait for container {id}"))?;
                }
            }
            Status::Running | Status::Paused => std::thread::sleep(Duration::from_millis(1)),
            _ => return Ok(now.exit_code),
        }
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
