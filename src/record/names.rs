//! `names/`: one file per name. Its content is the ID of the container and who
//! is making that, so that a name left by a crash can be told from one in use.
//! While a container changes its name, both files say `moving`: then the name
//! that its state has is the right one.

use super::containers::{exists, maker, maker_lives, state, write_new};
use crate::error::{Context, Error, Result};
use crate::fs::lock::{self, Lock};
use crate::fs::private;
use crate::fs::replace::{self, Durability};
use crate::paths::Paths;
use std::path::Path;

const MOVING: &str = " moving";

/// What a name's file says.
struct Note {
    id: String,
    maker: String,
    moving: bool,
}

fn read(path: &Path) -> Option<Note> {
    let text = std::fs::read_to_string(path).ok()?;
    let (text, moving) = match text.strip_suffix(MOVING) {
        Some(rest) => (rest, true),
        None => (text.as_str(), false),
    };
    let (id, maker) = text.split_once(' ')?;
    Some(Note {
        id: id.to_string(),
        maker: maker.to_string(),
        moving,
    })
}

/// Takes `name` for the container, which may still be in the making.
pub fn claim(paths: &Paths, id: &str, name: &str) -> Result<()> {
    claim_as(paths, id, name, "")
}

fn claim_as(paths: &Paths, id: &str, name: &str, mark: &str) -> Result<()> {
    private::dir(&paths.names()).context(|| "cannot make the directory of names")?;
    let path = paths.names().join(name);
    // Linked into place with its content: a name is never half there.
    let temporary = replace::temporary_beside(&path);
    let content = format!("{id} {}{mark}", maker());
    let result = write_new(&temporary, content.as_bytes())
        .and_then(|()| link(paths, &temporary, &path, name));
    let _ = std::fs::remove_file(&temporary);
    result
}

fn link(paths: &Paths, temporary: &Path, path: &Path, name: &str) -> Result<()> {
    for _ in 0..3 {
        match std::fs::hard_link(temporary, path) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e).context(|| format!("cannot take the name \"{name}\"")),
        }
        if let Some(owner) = holder(paths, path, name) {
            return Err(taken(name, &owner));
        }
        // Its owner never came to be, or is no more. Looked at again under
        // the lock: somebody may have taken it meanwhile.
        let _lock = names_lock(paths)?;
        if holder(paths, path, name).is_none() {
            let _ = std::fs::remove_file(path);
        }
    }
    Err(taken(name, "another container"))
}

/// Held by whoever takes a name away.
fn names_lock(paths: &Paths) -> Result<Lock> {
    lock::exclusive(&paths.data().join("names.lock"))
}

/// The ID that keeps a name from others: that of a container that exists, or
/// that a living command is making or renaming.
fn holder(paths: &Paths, path: &Path, name: &str) -> Option<String> {
    let note = read(path)?;
    (stands(paths, &note, name) || maker_lives(&note.maker)).then_some(note.id)
}

/// Whether the container exists and has this name.
fn stands(paths: &Paths, note: &Note, name: &str) -> bool {
    exists(paths, &note.id)
        && (!note.moving || state(paths, &note.id).is_ok_and(|state| state.name == name))
}

/// The ID of the existing container that has this name.
pub fn owner(paths: &Paths, name: &str) -> Option<String> {
    let note = read(&paths.names().join(name))?;
    stands(paths, &note, name).then_some(note.id)
}

fn taken(name: &str, owner: &str) -> Error {
    Error::conflict(format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". You have to remove (or rename) that container to be able to reuse that name."
    ))
    .hint(format!("`wherry rm {name}` removes it, `--name` takes another name"))
}

/// Gives the container another name; the caller holds its lock. `commit`
/// writes the new name into its state, which decides: killed before, the
/// container has its old name, killed after, the new one.
pub fn rename(
    paths: &Paths,
    id: &str,
    old: &str,
    new: &str,
    commit: impl FnOnce() -> Result<()>,
) -> Result<()> {
    claim_as(paths, id, new, MOVING)?;
    let done = mark(paths, id, old, MOVING).and_then(|()| commit());
    let (kept, left) = if done.is_ok() { (new, old) } else { (old, new) };
    let marked = mark(paths, id, kept, "");
    release(paths, id, left);
    done.and(marked)
}

fn mark(paths: &Paths, id: &str, name: &str, mark: &str) -> Result<()> {
    let content = format!("{id} {}{mark}", maker());
    let path = paths.names().join(name);
    replace::replace_record(&path, content.as_bytes(), Durability::Fast)
}

/// Gives the name away, if it is the container's.
pub fn release(paths: &Paths, id: &str, name: &str) {
    let path = paths.names().join(name);
    let _lock = names_lock(paths);
    if read(&path).is_some_and(|note| note.id == id) {
        let _ = std::fs::remove_file(path);
    }
}

/// All names that containers have, in no order. One that a crash has left is
/// there until the next command tidies up.
pub fn all(paths: &Paths) -> Result<Vec<String>> {
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

/// The name that the container has by the directory of names: for one whose
/// own record is damaged. Empty when there is none.
pub fn of(paths: &Paths, id: &str) -> String {
    let entries = std::fs::read_dir(paths.names());
    entries
        .into_iter()
        .flatten()
        .flatten()
        .find(|entry| read(&entry.path()).is_some_and(|note| note.id == id))
        .and_then(|entry| entry.file_name().into_string().ok())
        .unwrap_or_default()
}

/// Removes names whose container is no more or has another one, and ends what
/// a killed rename has begun.
pub fn settle(paths: &Paths) {
    let Ok(_lock) = names_lock(paths) else {
        return;
    };
    let entries = std::fs::read_dir(paths.names());
    for entry in entries.into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(pid) = replace::maker_of(&name) {
            if crate::sys::procfs::start_time(pid).is_none() {
                let _ = std::fs::remove_file(path);
            }
        } else if holder(paths, &path, &name).is_none() {
            let _ = std::fs::remove_file(path);
        } else if let Some(note) = read(&path)
            && note.moving
            && !maker_lives(&note.maker)
        {
            let _ = mark(paths, &note.id, &name, "");
        }
    }
}
