//! `containers/`: making, finding, reading and removing records.
//!
//! A container is made under a name that says by whom, and exists from the
//! rename to its ID on. Removal begins with another rename. So readers see all
//! of it or nothing, and what a killed command has left can be told from what
//! a living one is working on.

use super::container::{Container, State, VERSION};
use super::names;
use crate::error::{Context, Error, Kind, Result};
use crate::fs::lock::{self, Lock};
use crate::fs::private;
use crate::fs::replace::{Durability, replace_record};
use crate::paths::Paths;
use crate::sys::procfs::Process;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Directories on their way out.
const GONE: &str = ".gone-";
/// Directories on their way in: `.new-PID.STARTTIME-ID`.
const NEW: &str = ".new-";
/// Locked, shared, in the container's directory by whoever waits for its end
/// and reads its state then.
pub const WAITERS: &str = "waiters";

/// A container being made; dropped before [`New::finish`], it never was.
pub struct New<'a> {
    paths: &'a Paths,
    id: String,
    dir: PathBuf,
    name: Option<String>,
    lock: Option<Lock>,
}

impl<'a> New<'a> {
    /// Makes the directory and takes its lock.
    pub fn begin(paths: &'a Paths, id: &str) -> Result<Self> {
        let dir = paths.containers().join(format!("{NEW}{}-{id}", maker()));
        let make = || std::fs::DirBuilder::new().mode(0o700).create(&dir);
        make()
            .or_else(|e| match e.kind() {
                std::io::ErrorKind::NotFound => {
                    private::dir(&paths.containers())?;
                    make()
                }
                _ => Err(e),
            })
            .context(|| format!("cannot make directory \"{}\"", dir.display()))?;
        let lock = lock::exclusive(&dir.join("lock"))?;
        Ok(Self {
            paths,
            id: id.to_string(),
            dir,
            name: None,
            lock: Some(lock),
        })
    }

    /// Takes `name`, which one container can have at a time.
    pub fn claim(&mut self, name: &str) -> Result<()> {
        names::claim(self.paths, &self.id, name)?;
        self.name = Some(name.to_string());
        Ok(())
    }

    /// Writes both records and gives the directory its name; from then on the
    /// container exists. Its lock is handed on.
    pub fn finish(
        mut self,
        container: &Container,
        state: &State,
        durability: Durability,
    ) -> Result<Lock> {
        let config =
            serde_json::to_vec(container).context(|| "cannot write the container's record")?;
        let state = serde_json::to_vec(state).context(|| "cannot write the container's state")?;
        for (file, text) in [("config.json", config), ("state.json", state)] {
            let path = self.dir.join(file);
            write_new(&path, &text)?;
            if durability == Durability::Durable {
                sync(&path)?;
            }
        }
        let place = self.paths.container(&self.id);
        std::fs::rename(&self.dir, &place)
            .context(|| format!("cannot make container {}", self.id))?;
        if durability == Durability::Durable {
            crate::fs::replace::sync_parent(&place)?;
        }
        self.lock
            .take()
            .ok_or_else(|| Error::internal("the container's lock is gone"))
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        if self.lock.is_none() {
            return;
        }
        if let Some(name) = &self.name {
            names::release(self.paths, &self.id, name);
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// This process, as names of what it makes have it.
pub(super) fn maker() -> String {
    let me = Process::me();
    format!("{}.{}", me.pid, me.start_time)
}

pub(super) fn maker_lives(maker: &str) -> bool {
    let process = maker.split_once('.').and_then(|(pid, start_time)| {
        Some(Process {
            pid: pid.parse().ok()?,
            start_time: start_time.parse().ok()?,
        })
    });
    process.is_some_and(|p| p.lives())
}

pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .context(|| format!("cannot write \"{}\"", path.display()))
}

fn sync(path: &Path) -> Result<()> {
    std::fs::File::open(path)
        .and_then(|file| file.sync_all())
        .context(|| format!("cannot sync \"{}\"", path.display()))
}

/// IDs of all containers that exist, in no order. Half-made ones are not there.
pub fn ids(paths: &Paths) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(paths.containers()) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).context(|| "cannot read the directory of containers"),
    };
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| crate::text::id::is_full(name))
        .collect())
}

/// The full ID of a container by name, ID or unambiguous prefix of an ID.
pub fn find(paths: &Paths, wanted: &str) -> Result<String> {
    let missing = || Error::not_found(format!("No such container: {wanted}"));
    let name = wanted.strip_prefix('/').unwrap_or(wanted);
    let is_id = crate::text::id::is_full(wanted);
    if is_id && exists(paths, wanted) {
        return Ok(wanted.to_string());
    }
    if crate::text::name::check(name).is_ok()
        && let Some(id) = names::owner(paths, name)
    {
        return Ok(id);
    }
    if is_id || !crate::text::id::is_prefix(wanted) {
        return Err(missing());
    }
    let mut matching = ids(paths)?
        .into_iter()
        .filter(|id| id.starts_with(wanted) && exists(paths, id));
    match (matching.next(), matching.next()) {
        (None, _) => Err(missing()),
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => Err(Error::invalid(format!(
            "multiple IDs found with provided prefix: {wanted}"
        ))
        .hint("give more digits of the ID")),
    }
}

pub(super) fn exists(paths: &Paths, id: &str) -> bool {
    crate::text::id::is_full(id) && paths.container(id).exists()
}

/// Reads what was asked for.
pub fn config(paths: &Paths, id: &str) -> Result<Container> {
    let container: Container = read(&paths.container(id).join("config.json"), id)?;
    check_version(container.version, id)?;
    Ok(container)
}

/// Reads what is, as written; see `container::state` for whether it is true.
pub fn state(paths: &Paths, id: &str) -> Result<State> {
    let state: State = read(&paths.container(id).join("state.json"), id)?;
    check_version(state.version, id)?;
    Ok(state)
}

/// Writes what is: for whoever knows that nobody else does, because the
/// container is only starting, or has no monitor and the caller its lock.
pub fn write_state(paths: &Paths, id: &str, state: &State, durability: Durability) -> Result<()> {
    write_state_in(&paths.container(id), state, durability)
}

fn write_state_in(dir: &Path, state: &State, durability: Durability) -> Result<()> {
    let text = serde_json::to_vec(state).context(|| "cannot write the container's state")?;
    replace_record(&dir.join("state.json"), &text, durability)
}

/// Changes the state of a container whatever its monitor or a command changes
/// at the same time; gives what is then. The lock is held for this instant.
pub fn change_state(
    paths: &Paths,
    id: &str,
    durability: Durability,
    change: impl FnOnce(&mut State),
) -> Result<State> {
    let _lock = state_lock(paths, id)?;
    let mut state = state(paths, id)?;
    change(&mut state);
    write_state(paths, id, &state, durability)?;
    Ok(state)
}

/// The same at the end of a container of `--rm`: when `change` says so it goes
/// out of sight, without the detour of a record that it has ended. Gives, then,
/// what [`destroy`] is to delete.
pub fn end_state(
    paths: &Paths,
    id: &str,
    change: impl FnOnce(&mut State) -> bool,
) -> Result<(State, Option<PathBuf>)> {
    let _lock = state_lock(paths, id)?;
    let mut state = state(paths, id)?;
    if !change(&mut state) {
        write_state(paths, id, &state, Durability::Passing)?;
        return Ok((state, None));
    }
    let gone = hide(paths, id, &state.name)?;
    if gone.join(WAITERS).exists() {
        write_state_in(&gone, &state, Durability::Passing)?;
    }
    Ok((state, Some(gone)))
}

fn state_lock(paths: &Paths, id: &str) -> Result<Lock> {
    lock::directory(&paths.container(id))
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, id: &str) -> Result<T> {
    let text = match std::fs::read(path) {
        // A container that is removed vanishes as a whole.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => match path.parent() {
            Some(dir) if dir.exists() => {
                let missing = format!("the record \"{}\" is missing", path.display());
                return Err(removable(Error::invalid(missing), id));
            }
            _ => return Err(Error::not_found(format!("No such container: {id}"))),
        },
        other => other.context(|| format!("cannot read \"{}\"", path.display()))?,
    };
    serde_json::from_slice(&text)
        .context(|| format!("the record \"{}\" is damaged", path.display()))
        .map_err(|e| removable(e, id))
}

fn removable(error: Error, id: &str) -> Error {
    error.hint(format!("`wherry rm -f {id}` removes the container"))
}

fn check_version(version: u32, id: &str) -> Result<()> {
    if version <= VERSION {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "container {id} was written by a newer wherry (record version {version}, this one knows {VERSION})"
    ))
    .hint("use that version of wherry"))
}

/// The container's lock: whoever changes it holds this.
pub fn lock(paths: &Paths, id: &str) -> Result<Lock> {
    match lock::exclusive(&paths.container(id).join("lock")) {
        Err(e) if e.kind() == Kind::NotFound => {
            Err(Error::not_found(format!("No such container: {id}")))
        }
        other => other,
    }
}

/// Takes the container out of sight, its name too: the first half of removal.
/// Returns what [`destroy`] is to delete.
pub fn hide(paths: &Paths, id: &str, name: &str) -> Result<PathBuf> {
    let gone = paths.containers().join(format!("{GONE}{id}"));
    std::fs::rename(paths.container(id), &gone)
        .context(|| format!("cannot remove container {id}"))?;
    names::release(paths, id, name);
    Ok(gone)
}

/// Directory entry that says that the anonymous volumes of a container that is
/// being removed go with it.
const VOLUMES_TOO: &str = "volumes-too";

/// `rm -v`: also for the command that ends a removal that was killed.
pub fn mark_volumes(paths: &Paths, id: &str) -> Result<()> {
    let path = paths.container(id).join(VOLUMES_TOO);
    match write_new(&path, b"") {
        Err(_) if path.exists() => Ok(()),
        other => other,
    }
}

/// The record of a hidden container whose anonymous volumes go with it.
pub fn hidden_with_volumes(gone: &Path) -> Option<Container> {
    let text = std::fs::read(gone.join("config.json")).ok()?;
    let container: Container = serde_json::from_slice(&text).ok()?;
    let go = container.host_config.auto_remove || gone.join(VOLUMES_TOO).exists();
    go.then_some(container)
}

/// The ID of a container that is on its way out, by its directory's name.
pub fn hidden_id(name: &str) -> Option<&str> {
    name.strip_prefix(GONE)
        .filter(|id| crate::text::id::is_full(id))
}

/// Deletes a hidden container; as root of U, whose ids own the files.
pub fn destroy(gone: &Path) -> Result<()> {
    // Somebody who waits for the container's end may still read how it was.
    let waiters = gone.join(WAITERS);
    let _waiting = waiters.exists().then(|| lock::exclusive(&waiters));
    // A command whose start has failed may be opening the last file in it, by
    // the path that it had; nobody can find it any more, so this ends.
    let mut result = std::fs::remove_dir_all(gone);
    for _ in 0..10 {
        match &result {
            Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => {
                result = std::fs::remove_dir_all(gone);
            }
            _ => break,
        }
    }
    match result {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).context(|| format!("cannot delete \"{}\"", gone.display()))
        }
        _ => Ok(()),
    }
}

/// Both halves.
pub fn remove(paths: &Paths, id: &str, name: &str) -> Result<()> {
    destroy(&hide(paths, id, name)?)
}

/// What killed commands have left: directories on their way in whose maker is
/// dead, or out. A monitor that is just deleting one minds no help.
pub fn garbage(paths: &Paths) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(paths.containers()) else {
        return Vec::new();
    };
    let left = |name: &str| match name.strip_prefix(NEW) {
        Some(rest) => !rest
            .split_once('-')
            .is_some_and(|(maker, _)| maker_lives(maker)),
        None => name.starts_with(GONE),
    };
    entries
        .flatten()
        .filter(|entry| left(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}
