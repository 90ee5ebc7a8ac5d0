//! Removing a container: out of sight by one rename, then deleted as root of
//! U, whose ids own the files.

use super::{kill, state};
use crate::cgroup::Place;
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::fs::lock::Lock;
use crate::record::container::{Container, State, Status};
use crate::record::{containers, names};
use crate::sys::pidfd;
use crate::text::id::short;
use crate::userns::monitors::{Entry, Role};
use std::path::{Path, PathBuf};

/// Removes the container; with `force` it is killed first. With `volumes` its
/// anonymous volumes go, too, as they always do with `--rm`.
pub fn remove(engine: &Engine, wanted: &str, force: bool, volumes: bool) -> Result<()> {
    super::sweep::sweep(engine);
    remove_alone(engine, wanted, force, volumes)
}

/// The same without a look at what others have left: for the containers of a
/// build, which are not all that the list of monitors is about.
pub fn remove_alone(engine: &Engine, wanted: &str, force: bool, volumes: bool) -> Result<()> {
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
    if force {
        // Started again by somebody; nobody can any more.
        kill_now(engine, &id)?;
    }
    let now = match state::settle(paths, &id) {
        Err(e) if e.kind() == Kind::NotFound && force => return Ok(()),
        // A damaged record is no reason to keep the container.
        Err(e) if e.kind() == Kind::Invalid && force => State {
            name: names::of(paths, &id),
            ..State::default()
        },
        other => other?,
    };
    match now.status {
        Status::Running | Status::Restarting => Err(Error::conflict(format!(
            "cannot remove container \"/{}\": container is {}: stop the container before removing or force remove",
            now.name,
            now.status.word()
        ))
        .hint(format!("`wherry rm -f {}` does both", short(&id)))),
        Status::Paused => Err(Error::conflict(format!(
            "cannot remove container \"/{}\": container is paused and must be unpaused first",
            now.name
        ))),
        _ => discard(engine, &id, &now.name, lock, volumes),
    }
}

/// SIGKILL, and the wait until the end is written down.
fn kill_now(engine: &Engine, id: &str) -> Result<()> {
    let Ok(state) = containers::state(&engine.paths, id) else {
        return Ok(());
    };
    let now = match containers::config(&engine.paths, id) {
        Ok(container) => state::forbid_restart(&engine.paths, id, &container)?,
        Err(_) => state::truth(&state),
    };
    if let Ok(init) = kill::open_init(id, &now) {
        let _ = pidfd::signal(&init, libc::SIGKILL);
        pidfd::wait_end(&init, None).context(|| format!("cannot wait for container {id}"))?;
    }
    // One that hangs, or whose reader does, is not waited for for ever.
    if let Some(monitor) = state::monitor(&state)
        && !state::wait_end(&engine.paths, id, &now)
        && let Some(monitor) = pidfd::open(monitor.pid).ok().filter(|_| monitor.lives())
    {
        let _ = pidfd::signal(&monitor, libc::SIGKILL);
        let _ = pidfd::wait_end(&monitor, None);
    }
    Ok(())
}

/// Both halves of removal; `lock` is the container's. Killed between them, or
/// failing, it leaves a sign for the next command.
pub fn discard(engine: &Engine, id: &str, name: &str, lock: Lock, volumes: bool) -> Result<()> {
    // No sign is no reason to keep the container.
    let sign = Entry::add(&engine.paths.monitors(), Role::Starter).ok();
    let done = hide_and_destroy(engine, id, name, lock, volumes);
    // Removed by its monitor meanwhile is removed.
    if done.as_ref().is_err_and(|e| e.kind() != Kind::NotFound) {
        std::mem::forget(sign);
    }
    done
}

fn hide_and_destroy(
    engine: &Engine,
    id: &str,
    name: &str,
    lock: Lock,
    volumes: bool,
) -> Result<()> {
    if volumes {
        containers::mark_volumes(&engine.paths, id)?;
    }
    let gone = containers::hide(&engine.paths, id, name)?;
    let _ = std::fs::remove_dir_all(engine.paths.run_container(id));
    crate::network::uplink::stop(&gone);
    remove_cgroup(&gone, id);
    drop(lock);
    remove_volumes(engine, &gone)?;
    if nothing_of_others(&gone) && containers::destroy(&gone).is_ok() {
        return Ok(());
    }
    crate::userns::task::run(&engine.paths, || containers::destroy(&gone))
}

/// The anonymous volumes of a hidden container, where they are to go with it.
pub fn remove_volumes(engine: &Engine, gone: &Path) -> Result<()> {
    match containers::hidden_with_volumes(gone) {
        Some(container) => super::volumes::remove_anonymous(engine, &container),
        None => Ok(()),
    }
}

/// A process that was killed at the wrong moment has not removed it, or not
/// even written down that it made it. `gone` is the hidden container.
pub fn remove_cgroup(gone: &Path, id: &str) {
    let text = std::fs::read(gone.join("state.json")).unwrap_or_default();
    let written = serde_json::from_slice::<State>(&text).unwrap_or_default();
    let path = match written.cgroup.as_str() {
        "" => Place::of(id, &cgroup_parent(gone)),
        path => Some(PathBuf::from(path)),
    };
    if let Some(path) = path.filter(|path| path.exists()) {
        crate::cgroup::remove(&path);
    }
}

fn cgroup_parent(gone: &Path) -> String {
    let text = std::fs::read(gone.join("config.json")).unwrap_or_default();
    let container = serde_json::from_slice::<Container>(&text).unwrap_or_default();
    container.host_config.cgroup_parent
}

/// A container that never ran has only files of ours.
fn nothing_of_others(gone: &Path) -> bool {
    nix::unistd::geteuid().is_root() || !gone.join("upper").exists()
}
