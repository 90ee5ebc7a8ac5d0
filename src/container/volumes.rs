//! Volumes as commands see them: which there are, what they take, who uses
//! them, and removing them.

use super::mounts;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::fs::replace::Durability;
use crate::fs::usage;
use crate::record::container::Container;
use crate::userns::monitors::{Entry, Role};
use crate::userns::task;
use crate::volume::users::{self, Users, has_label};
use crate::volume::{self, Request, Volume};
use nix::errno::Errno;
use regex_lite::Regex;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Makes a volume; without a name it gets one of its own.
pub fn create(engine: &Engine, request: Request) -> Result<Volume> {
    super::sweep::sweep(engine);
    volume::create(&engine.paths, request, Durability::Durable)
}

/// As `volume inspect` shows it: Docker's document, its members sorted.
pub fn document(engine: &Engine, volume: &Volume) -> Value {
    json!({
        "CreatedAt": volume.created_at,
        "Driver": volume.driver,
        "Labels": volume.labels,
        "Mountpoint": engine.paths.volume_data(&volume.name),
        "Name": volume.name,
        "Options": volume.options,
        "Scope": "local",
    })
}

/// `volume ls --filter`: values of one key are joined by or (labels by and),
/// keys by and.
#[derive(Debug, Default)]
pub struct Filters {
    dangling: Option<bool>,
    drivers: Vec<String>,
    names: Vec<(String, Option<Regex>)>,
    labels: Labels,
}

/// Key, value, and whether it is to be there.
#[derive(Debug, Default)]
struct Labels(Vec<(String, Option<String>, bool)>);

impl Labels {
    fn add(&mut self, text: &str, wanted: bool) {
        self.0.push(match text.split_once('=') {
            Some((key, value)) => (key.into(), Some(value.into()), wanted),
            None => (text.into(), None, wanted),
        });
    }

    fn take(&self, volume: &Volume) -> bool {
        self.0
            .iter()
            .all(|(key, value, wanted)| has_label(volume, key, value.as_deref()) == *wanted)
    }
}

impl Filters {
    pub fn parse(list: &[(String, String)]) -> Result<Self> {
        let mut filters = Self::default();
        for (key, value) in list {
            match key.as_str() {
                "dangling" => filters.dangling = Some(truth(key, value)?),
                "driver" => filters.drivers.push(value.clone()),
                "name" => filters.names.push((value.clone(), Regex::new(value).ok())),
                "label" => filters.labels.add(value, true),
                _ => {
                    return Err(Error::invalid(format!("invalid filter '{key}'"))
                        .hint("dangling, driver, label and name are known"));
                }
            }
        }
        Ok(filters)
    }

    fn take(&self, volume: &Volume, users: Option<&Users>) -> bool {
        let named = |(text, pattern): &(String, Option<Regex>)| {
            volume.name == *text || pattern.as_ref().is_some_and(|p| p.is_match(&volume.name))
        };
        let dangling = users.is_none_or(|users| users.of(&volume.name).is_empty());
        self.dangling.is_none_or(|wanted| wanted == dangling)
            && (self.drivers.is_empty() || self.drivers.contains(&volume.driver))
            && (self.names.is_empty() || self.names.iter().any(named))
            && self.labels.take(volume)
    }
}

fn truth(key: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => {
            Err(Error::invalid(format!("invalid filter '{key}={value}'"))
                .hint("give true or false"))
        }
    }
}

/// The volumes asked for, sorted by name.
pub fn list(engine: &Engine, filters: &Filters) -> Result<Vec<Volume>> {
    let users = match filters.dangling {
        Some(_) => Some(Users::read(&engine.paths)?),
        None => None,
    };
    let mut all = volume::all(&engine.paths)?;
    all.retain(|volume| filters.take(volume, users.as_ref()));
    Ok(all)
}

/// Removes a volume that no container has.
pub fn remove(engine: &Engine, name: &str) -> Result<()> {
    super::sweep::sweep(engine);
    remove_unused(engine, name, &mut Users::default())
}

fn remove_unused(engine: &Engine, name: &str, users: &mut Users) -> Result<()> {
    let held = volume::hold(&engine.paths, name)?;
    let sign = Entry::add(&engine.paths.monitors(), Role::Starter).ok();
    let gone = users::hide_unused(&engine.paths, &held, users)?;
    drop(held);
    let done = destroy(engine, &[gone]);
    if done.is_err() {
        // For the next command to see.
        std::mem::forget(sign);
    }
    done
}

/// Deletes volumes that are out of sight.
fn destroy(engine: &Engine, gone: &[PathBuf]) -> Result<()> {
    let (own, others): (Vec<&PathBuf>, Vec<&PathBuf>) =
        gone.iter().partition(|dir| volume::is_own(dir));
    own.into_iter().try_for_each(|dir| volume::destroy(dir))?;
    if others.is_empty() {
        return Ok(());
    }
    task::run(&engine.paths, || {
        others.into_iter().try_for_each(|dir| volume::destroy(dir))
    })
}

/// Removes the anonymous volumes of a container that is gone.
pub fn remove_anonymous(engine: &Engine, container: &Container) -> Result<()> {
    destroy(engine, &users::hide_anonymous(&engine.paths, container))
}

/// Deletes what killed commands have left.
pub fn sweep(engine: &Engine) -> Result<()> {
    destroy(engine, &volume::garbage(&engine.paths))
}

/// `volume prune --filter`.
#[derive(Debug, Default)]
pub struct PruneFilters {
    all: bool,
    labels: Labels,
}

impl PruneFilters {
    pub fn parse(all: bool, list: &[(String, String)]) -> Result<Self> {
        let mut filters = Self {
            all,
            ..Self::default()
        };
        for (key, value) in list {
            match key.as_str() {
                "label" => filters.labels.add(value, true),
                "label!" => filters.labels.add(value, false),
                "all" => filters.all |= truth(key, value)?,
                _ => {
                    return Err(Error::invalid(format!("invalid filter '{key}'"))
                        .hint("all, label and label! are known"));
                }
            }
        }
        Ok(filters)
    }
}

/// What went.
#[derive(Debug, Default)]
pub struct Pruned {
    pub names: Vec<String>,
    /// Bytes of the volumes' files.
    pub reclaimed: u64,
    /// Those that could not be removed.
    pub failures: Vec<Error>,
}

/// Removes the volumes that no container has: the anonymous ones, or all.
pub fn prune(engine: &Engine, filters: &PruneFilters) -> Result<Pruned> {
    super::sweep::sweep(engine);
    let mut users = Users::read(&engine.paths)?;
    if let Some(damaged) = users.damaged.take() {
        return Err(damaged.within("cannot tell which volumes are used"));
    }
    let mut unused = volume::all(&engine.paths)?;
    unused.retain(|volume| {
        users.of(&volume.name).is_empty()
            && (filters.all || volume.is_anonymous())
            && filters.labels.take(volume)
    });
    let sizes = measure(engine, &unused)?;
    let mut pruned = Pruned::default();
    for (Volume { name, .. }, bytes) in unused.into_iter().zip(sizes) {
        match remove_unused(engine, &name, &mut users) {
            Ok(()) => {
                pruned.reclaimed += bytes;
                pruned.names.push(name);
            }
            // Used or removed by somebody else meanwhile.
            Err(e) if matches!(e.kind(), Kind::Conflict | Kind::NotFound) => {}
            Err(e) => pruned.failures.push(e),
        }
    }
    Ok(pruned)
}

/// Bytes of the files of each, in their order. The caller must have one
/// thread: what he may not read is counted by a child in the user's namespace.
pub fn measure(engine: &Engine, volumes: &[Volume]) -> Result<Vec<u64>> {
    let dirs = volumes
        .iter()
        .map(|volume| engine.paths.volume_data(&volume.name));
    let dirs: Vec<PathBuf> = dirs.collect();
    let count = |dir: &PathBuf| match usage::bytes(dir) {
        // Removed meanwhile.
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(0),
        other => other,
    };
    let mine: Result<Vec<u64>, Errno> = dirs.iter().map(count).collect();
    if let Ok(sizes) = mine {
        return Ok(sizes);
    }
    task::run(&engine.paths, || {
        Ok(dirs
            .iter()
            .map(|dir| count(dir).unwrap_or(0))
            .collect::<Vec<u64>>())
    })
}

/// The request of `volume create` without a name.
pub fn anonymous() -> Result<Request> {
    Request::anonymous()
}

/// Whether the container has volumes that are to be made and filled yet.
pub fn has_any(container: &Container) -> bool {
    let (named, anonymous) = mounts::volumes(container);
    !(named.is_empty() && anonymous.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn filters() {
        let volume = |name: &str| {
            let mut volume = Volume::default();
            volume.name = name.into();
            volume.driver = "local".into();
            volume.labels = Some([("a".to_string(), "b".to_string())].into());
            volume
        };
        for (list, name, want) in [
            (&[("name", "dat")][..], "data", true),
            (&[("name", "^ata")], "data", false),
            (&[("name", "x"), ("name", "data")], "data", true),
            (&[("label", "a"), ("label", "a=b")], "data", true),
            (&[("label", "a=c")], "data", false),
            (&[("driver", "local")], "data", true),
            (&[("driver", "nfs")], "data", false),
        ] {
            let filters = Filters::parse(&pairs(list)).unwrap();
            assert_eq!(filters.take(&volume(name), None), want, "{list:?}");
        }
        for bad in [&[("dangling", "maybe")][..], &[("foo", "1")]] {
            assert!(Filters::parse(&pairs(bad)).is_err(), "{bad:?}");
        }
        assert!(PruneFilters::parse(false, &pairs(&[("until", "1h")])).is_err());
    }
}
