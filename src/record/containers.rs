//! `containers/` and `names/`: making, finding, reading and removing records.
//!
//! A container is made under a name that says by whom, and exists from the
//! rename to its ID on. Removal begins with another rename. So readers see all
//! of it or nothing, and what a killed command has left can be told from what
//! a living one is working on.

use super::container::{Container, State, VERSION};
use crate::error::{Context, Error, Kind, Result};
use crate::fs::lock::{self, Lock};
use crate::fs::replace::{self, Durability, replace_record};
use crate::paths::Paths;
use crate::sys::procfs::Process;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Directories on their way out.
const GONE: &str = ".gone-";
/// Directories on their way in: `.new-PID.STARTTIME-ID`.
const NEW: &str = ".new-";

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
                    std::fs::DirBuilder::new()
                        .recursive(true)
                        .mode(0o700)
                        .create(paths.containers())?;
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

    /// Takes `name`, which one container can have at a time. The content says
    /// whose it is and who is making that, so that a name left by a crash can
    /// be told from one in use.
    pub fn claim(&mut self, name: &str) -> Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.paths.names())
            .context(|| "cannot make the directory of names")?;
        let path = self.paths.names().join(name);
        // Linked into place with its content: a name is never half there.
        let temporary = crate::fs::replace::temporary_beside(&path);
        let content = format!("{} {}", self.id, maker());
        let result = write_new(&temporary, content.as_bytes())
            .and_then(|()| self.link(&temporary, &path, name));
        let _ = std::fs::remove_file(&temporary);
        result?;
        self.name = Some(name.to_string());
        Ok(())
    }

    fn link(&self, temporary: &Path, path: &Path, name: &str) -> Result<()> {
        for _ in 0..3 {
            match std::fs::hard_link(temporary, path) {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e).context(|| format!("cannot take the name \"{name}\"")),
            }
            if let Some(owner) = owner_of(self.paths, path) {
                return Err(name_taken(name, &owner));
            }
            // Its owner never came to be, or is no more. Looked at again under
            // the lock: somebody may have taken it meanwhile.
            let _lock = names_lock(self.paths)?;
            if owner_of(self.paths, path).is_none() {
                let _ = std::fs::remove_file(path);
            }
        }
        Err(name_taken(name, "another container"))
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
            let _ = std::fs::remove_file(self.paths.names().join(name));
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Held by whoever takes a name away.
fn names_lock(paths: &Paths) -> Result<Lock> {
    lock::exclusive(&paths.data().join("names.lock"))
}

/// This process, as names of what it makes have it.
fn maker() -> String {
    let me = Process::me();
    format!("{}.{}", me.pid, me.start_time)
}

fn lives(maker: &str) -> bool {
    let process = maker.split_once('.').and_then(|(pid, start_time)| {
        Some(Process {
            pid: pid.parse().ok()?,
            start_time: start_time.parse().ok()?,
        })
    });
    process.is_some_and(|p| p.lives())
}

/// The ID that a name stands for, if that container exists or is being made.
fn owner_of(paths: &Paths, name: &Path) -> Option<String> {
    let text = std::fs::read_to_string(name).ok()?;
    let (id, maker) = text.split_once(' ')?;
    (exists(paths, id) || lives(maker)).then(|| id.to_string())
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
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

fn name_taken(name: &str, owner: &str) -> Error {
    Error::conflict(format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". You have to remove (or rename) that container to be able to reuse that name."
    ))
    .hint(format!("`wherry rm {name}` removes it, `--name` takes another name"))
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

/// All names that containers have, in no order. One that a crash has left is
/// there until the next command tidies up.
pub fn names(paths: &Paths) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(paths.names()) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).context(|| "cannot read the directory of names"),
    };
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| crate::text::name::check(name).is_ok())
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
        && let Some(id) = owner_of(paths, &paths.names().join(name))
        && exists(paths, &id)
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

fn exists(paths: &Paths, id: &str) -> bool {
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

pub fn write_state(paths: &Paths, id: &str, state: &State, durability: Durability) -> Result<()> {
    let text = serde_json::to_vec(state).context(|| "cannot write the container's state")?;
    replace_record(&paths.container(id).join("state.json"), &text, durability)
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

/// The name that the container has by the directory of names: for one whose
/// own record is damaged. Empty when there is none.
pub fn name_of(paths: &Paths, id: &str) -> String {
    let entries = std::fs::read_dir(paths.names());
    entries
        .into_iter()
        .flatten()
        .flatten()
        .find(|entry| {
            let owner = std::fs::read_to_string(entry.path());
            owner.is_ok_and(|owner| owner.split(' ').next() == Some(id))
        })
        .and_then(|entry| entry.file_name().into_string().ok())
        .unwrap_or_default()
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
    let path = paths.names().join(name);
    // Only its own: the name may have gone to another container.
    let _lock = names_lock(paths);
    if std::fs::read_to_string(&path).is_ok_and(|owner| owner.starts_with(id)) {
        let _ = std::fs::remove_file(path);
    }
    Ok(gone)
}

/// The ID of a container that is on its way out, by its directory's name.
pub fn hidden_id(name: &str) -> Option<&str> {
    name.strip_prefix(GONE)
        .filter(|id| crate::text::id::is_full(id))
}

/// Deletes a hidden container; as root of U, whose ids own the files.
pub fn destroy(gone: &Path) -> Result<()> {
    // Somebody who waits for the container's end may still read how it was.
    let waiters = gone.join("waiters");
    let _waiting = waiters.exists().then(|| lock::exclusive(&waiters));
    match std::fs::remove_dir_all(gone) {
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
        Some(rest) => !rest.split_once('-').is_some_and(|(maker, _)| lives(maker)),
        None => name.starts_with(GONE),
    };
    entries
        .flatten()
        .filter(|entry| left(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

/// Removes names whose container is no more.
pub fn free_names(paths: &Paths) {
    let Ok(_lock) = names_lock(paths) else {
        return;
    };
    for entry in std::fs::read_dir(paths.names())
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        let name = entry.file_name();
        let stale = match replace::maker_of(&name.to_string_lossy()) {
            Some(pid) => crate::sys::procfs::start_time(pid).is_none(),
            None => owner_of(paths, &path).is_none(),
        };
        if stale {
            let _ = std::fs::remove_file(path);
        }
    }
}
