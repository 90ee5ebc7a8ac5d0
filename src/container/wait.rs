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

/// Blocks until the container does not run; its exit status. One that never
/// ran gives 0.
pub fn wait(engine: &Engine, wanted: &str) -> Result<i32> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    let dir = paths.container(&id);
    // The directory stays readable through this descriptor when `--rm` moves
    // it away, and is not deleted while the lock below is held.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let held = nix::fcntl::open(&dir, flags, Mode::empty())
        .context(|| format!("cannot open container {id}"))?;
    let _waiting = lock::shared(&dir.join("waiters"))?;
    let now = state::truth(&containers::state(paths, &id)?);
    if let Ok(init) = kill::open_init(&id, &now) {
        pidfd::wait_end(&init, None).context(|| format!("cannot wait for container {id}"))?;
    }
    let ended = recorded(&held, &id)?;
    Ok(ended.exit_code)
}

/// The state once it says that the container has ended. The monitor writes it
/// right after init is gone; a lost monitor never does.
fn recorded(dir: &OwnedFd, id: &str) -> Result<State> {
    loop {
        let state = read_state(dir, id)?;
        let now = state::truth(&state);
        if !matches!(
            now.status,
            Status::Running | Status::Paused | Status::Restarting
        ) {
            return Ok(now);
        }
        std::thread::sleep(Duration::from_millis(1));
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
