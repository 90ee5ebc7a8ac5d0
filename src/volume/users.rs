//! Which containers use a volume, and removing one that none does.

use super::{Held, Volume};
use crate::error::{Error, Kind, Result};
use crate::paths::Paths;
use crate::record::container::{Container, MountPoint};
use crate::record::{containers, mount};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// The IDs of the containers that have a volume, running or not, by its name.
#[derive(Debug, Default)]
pub struct Users {
    by_name: HashMap<String, Vec<String>>,
    /// The containers that have been read: what one has never changes.
    known: HashSet<String>,
    /// A container whose record cannot be read: what it has is not known.
    pub damaged: Option<Error>,
}

impl Users {
    /// Reads the records of all containers.
    pub fn read(paths: &Paths) -> Result<Self> {
        let mut users = Self::default();
        users.refresh(paths)?;
        Ok(users)
    }

    /// Adds the containers that have come since.
    pub fn refresh(&mut self, paths: &Paths) -> Result<()> {
        for id in containers::ids(paths)? {
            if self.known.contains(&id) {
                continue;
            }
            match containers::config(paths, &id) {
                Err(e) if e.kind() == Kind::NotFound => {}
                Err(e) => self.damaged = Some(e),
                Ok(container) => {
                    for name in names(&container) {
                        self.by_name.entry(name).or_default().push(id.clone());
                    }
                    self.known.insert(id);
                }
            }
        }
        Ok(())
    }

    pub fn of(&self, name: &str) -> &[String] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The names of a container's volumes, each once.
pub fn names(container: &Container) -> Vec<String> {
    of(container, |_| true)
}

fn of(container: &Container, wanted: impl Fn(&MountPoint) -> bool) -> Vec<String> {
    let points = container
        .mounts
        .iter()
        .filter(|point| point.kind == mount::Kind::Volume && wanted(point));
    let mut names: Vec<String> = points.map(|point| point.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Takes the volume out of sight if nobody uses it. What is to be given to
/// [`super::destroy`].
pub fn hide_unused(paths: &Paths, held: &Held, users: &mut Users) -> Result<PathBuf> {
    // Who came before the volume was held is there, who comes now waits for it.
    users.refresh(paths)?;
    match users.of(&held.name) {
        [] => super::hide(paths, held),
        ids => Err(Error::conflict(format!(
            "remove {}: volume is in use - [{}]",
            held.name,
            ids.join(", ")
        ))),
    }
}

/// Takes the anonymous volumes of a container that is gone out of sight; those
/// that others use as well stay. Never fails: what stays is dangling, and
/// `volume prune` removes it.
pub fn hide_anonymous(paths: &Paths, container: &Container) -> Vec<PathBuf> {
    let names = of(container, |point| point.anonymous);
    let mut users = Users::default();
    let hidden = names.into_iter().filter_map(|name| {
        let held = super::hold(paths, &name).ok()?;
        hide_unused(paths, &held, &mut users).ok()
    });
    hidden.collect()
}

/// Whether a filter's label is on the volume: a key, or key and value.
pub fn has_label(volume: &Volume, key: &str, value: Option<&str>) -> bool {
    volume
        .label(key)
        .is_some_and(|found| value.is_none_or(|wanted| wanted == found))
}
