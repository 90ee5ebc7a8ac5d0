//! Removing a container: out of sight by one rename, then deleted as root of
//! U, whose ids own the files.

use super::{kill, state};
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::fs::lock::Lock;
use crate::record::container::Status;
use crate::record::containers;
use crate::sys::pidfd;
use crate::text::id::short;

/// Removes the container; with `force` it is killed first.
pub fn remove(engine: &Engine, wanted: &str, force: bool) -> Result<()> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    if force {
        kill_now(engine, &id)?;
    }
    let lock = match containers::lock(paths, &id) {
        // A `--rm` container that we have just killed removes itself.
        Err(e) if e.kind() == Kind::NotFound && force => return Ok(()),
        other => other?,
    };
    let now = match state::settle(paths, &id) {
        Err(e) if e.kind() == Kind::NotFound && force => return Ok(()),
        // A damaged record is no reason to keep the container.
        Err(e) if e.kind() == Kind::Invalid && force => crate::record::container::State::default(),
        other => other?,
    };
    match now.status {
        Status::Running | Status::Restarting => Err(Error::conflict(format!(
            "cannot remove container \"{wanted}\": container is running: stop the container before removing or force remove"
        ))
        .hint(format!("`wherry rm -f {}` does both", short(&id)))),
        Status::Paused => Err(Error::conflict(format!(
            "cannot remove container \"{wanted}\": container is paused and must be unpaused first"
        ))),
        _ => discard(engine, &id, &now.name, lock),
    }
}

/// SIGKILL, and the wait until the end is written down.
fn kill_now(engine: &Engine, id: &str) -> Result<()> {
    let Ok(state) = containers::state(&engine.paths, id) else {
        return Ok(());
    };
    let now = state::truth(&state);
    if let Ok(init) = kill::open_init(id, &now) {
        let _ = pidfd::signal(&init, libc::SIGKILL);
        pidfd::wait_end(&init, None).context(|| format!("cannot wait for container {id}"))?;
    }
    if let Some(monitor) = now.monitor {
        state::wait_process(monitor);
    }
    Ok(())
}

/// Both halves of removal; `lock` is the container's.
pub fn discard(engine: &Engine, id: &str, name: &str, lock: Lock) -> Result<()> {
    let gone = containers::hide(&engine.paths, id, name)?;
    let _ = std::fs::remove_dir_all(engine.paths.run_container(id));
    drop(lock);
    if nothing_of_others(&gone) && containers::destroy(&gone).is_ok() {
        return Ok(());
    }
    crate::userns::task::run(&engine.paths, || containers::destroy(&gone))
}

/// A container that never ran has only files of ours.
fn nothing_of_others(gone: &std::path::Path) -> bool {
    nix::unistd::geteuid().is_root() || !gone.join("upper").exists()
}
