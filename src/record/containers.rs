//! `containers/` and `names/`: making, finding, reading and removing records.
//!
//! A container exists once `state.json` is in its directory; a directory
//! without one is being made, or garbage when nobody holds its lock. Removal
//! begins by renaming the directory away, so that it is atomic for readers.

use super::container::{Container, State, VERSION};
use crate::error::{Context, Error, Kind, Result};
use crate::fs::lock::{self, Lock};
use crate::fs::replace::{Durability, replace};
use crate::paths::Paths;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Directories on their way out.
const GONE: &str = ".gone-";

/// A container being made; dropped before [`New::finish`], it never was.
pub struct New<'a> {
    paths: &'a Paths,
    id: String,
    name: Option<String>,
    lock: Option<Lock>,
}

impl<'a> New<'a> {
    /// Makes the directory and takes its lock.
    pub fn begin(paths: &'a Paths, id: &str) -> Result<Self> {
        let dir = paths.container(id);
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
        Ok(Self {
            paths,
            id: id.to_string(),
            name: None,
            lock: Some(lock::exclusive(&dir.join("lock"))?),
        })
    }

    /// Takes `name`, which one container can have at a time. The content names
    /// the owner, so that a name left by a crash can be told from one in use.
    pub fn claim(&mut self, name: &str) -> Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.paths.names())
            .context(|| "cannot make the directory of names")?;
        let path = self.paths.names().join(name);
        // Linked into place with its content: a name is never half there.
        let temporary = crate::fs::replace::temporary_beside(&path);
        let result = write_new(&temporary, self.id.as_bytes())
            .and_then(|()| self.link(&temporary, &path, name));
        let _ = std::fs::remove_file(&temporary);
        result?;
        self.name = Some(name.to_string());
        Ok(())
    }

    fn link(&self, temporary: &Path, path: &Path, name: &str) -> Result<()> {
        for _ in 0..2 {
            match std::fs::hard_link(temporary, path) {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e).context(|| format!("cannot take the name \"{name}\"")),
            }
            let owner = std::fs::read_to_string(path).unwrap_or_default();
            if exists_or_begins(self.paths, &owner)? {
                return Err(name_taken(name, &owner));
            }
            // Its owner never came to be.
            let _ = std::fs::remove_file(path);
        }
        Err(name_taken(name, "another container"))
    }

    /// Writes both records; from then on the container exists. Its lock is
    /// handed on.
    pub fn finish(
        mut self,
        container: &Container,
        state: &State,
        durability: Durability,
    ) -> Result<Lock> {
        let dir = self.paths.container(&self.id);
        let text =
            serde_json::to_vec(container).context(|| "cannot write the container's record")?;
        write_new(&dir.join("config.json"), &text)?;
        if durability == Durability::Durable {
            sync(&dir.join("config.json"))?;
        }
        let text = serde_json::to_vec(state).context(|| "cannot write the container's state")?;
        replace(&dir.join("state.json"), &text, durability)?;
        if durability == Durability::Durable {
            crate::fs::replace::sync_parent(&dir)?;
        }
        self.name = None;
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
        let _ = std::fs::remove_dir_all(self.paths.container(&self.id));
    }
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

/// Whether `id` is a container, or somebody is just making it.
fn exists_or_begins(paths: &Paths, id: &str) -> Result<bool> {
    if !crate::text::id::is_full(id) {
        return Ok(false);
    }
    let dir = paths.container(id);
    if dir.join("state.json").exists() {
        return Ok(true);
    }
    Ok(dir.exists() && lock::try_exclusive(&dir.join("lock"))?.is_none())
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

/// The full ID of a container by name, ID or unambiguous prefix of an ID.
pub fn find(paths: &Paths, wanted: &str) -> Result<String> {
    let missing = || Error::not_found(format!("No such container: {wanted}"));
    let name = wanted.strip_prefix('/').unwrap_or(wanted);
    let is_id = crate::text::id::is_full(wanted);
    if is_id && exists(paths, wanted) {
        return Ok(wanted.to_string());
    }
    if crate::text::name::check(name).is_ok()
        && let Ok(id) = std::fs::read_to_string(paths.names().join(name))
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
    crate::text::id::is_full(id) && paths.container(id).join("state.json").exists()
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
    replace(&paths.container(id).join("state.json"), &text, durability)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, id: &str) -> Result<T> {
    let text = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::not_found(format!("No such container: {id}")));
        }
        other => other.context(|| format!("cannot read \"{}\"", path.display()))?,
    };
    serde_json::from_slice(&text)
        .context(|| format!("the record \"{}\" is damaged", path.display()))
        .map_err(|e| e.hint(format!("`wherry rm -f {id}` removes the container")))
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
    if std::fs::read_to_string(&path).is_ok_and(|owner| owner == id) {
        let _ = std::fs::remove_file(path);
    }
    Ok(gone)
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

/// What commands that were killed have left: hidden directories, and new ones
/// that never got a state and that nobody is making any more.
pub fn garbage(paths: &Paths) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(paths.containers()) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(GONE) {
                return true;
            }
            let dir = entry.path();
            !dir.join("state.json").exists()
                && matches!(lock::try_exclusive(&dir.join("lock")), Ok(Some(_)))
                && !dir.join("state.json").exists()
        })
        .map(|entry| entry.path())
        .collect()
}
