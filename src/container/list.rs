//! What `ps` shows: a summary of every container's two records. Only reads,
//! never locks; what vanishes while it is read is not there.

use super::filter::Filters;
use super::ports::{self, Port};
use super::size::{self, Files, Sizes};
use super::state::truth;
use crate::engine::Engine;
use crate::error::Result;
use crate::image::reference::Reference;
use crate::paths::Paths;
use crate::record::container::{Healthcheck, State, Status, VERSION};
use crate::record::health::{self, Health};
use crate::record::mount::Kind;
use crate::record::{containers, names};
use crate::text::{id, time};
use jiff::Timestamp;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::path::PathBuf;

/// The part of a container's config.json that lists need; the rest is skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Asked {
    version: u32,
    pub created: String,
    path: String,
    args: Vec<String>,
    /// Image ID.
    pub image: String,
    pub layers: Vec<String>,
    rootfs: Option<PathBuf>,
    pub platform: String,
    pub config: AskedConfig,
    pub host_config: AskedHost,
    pub mounts: Vec<AskedMount>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AskedMount {
    #[serde(rename = "Type")]
    kind: Kind,
    name: String,
    source: String,
    destination: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AskedConfig {
    /// The image as typed.
    pub image: String,
    pub labels: BTreeMap<String, String>,
    pub exposed_ports: BTreeMap<String, serde::de::IgnoredAny>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AskedHost {
    pub network_mode: String,
}

/// One container.
#[derive(Debug)]
pub struct Summary {
    pub id: String,
    /// As it is, not as it was written.
    pub state: State,
    pub asked: Asked,
    /// The image as lists show it: the name it was created from, or its ID
    /// when that name means another image by now.
    pub image: String,
    /// Nothing unless they were asked for.
    pub sizes: Sizes,
    /// Of one that runs and is checked.
    pub health: Option<health::Status>,
}

/// Which containers.
#[derive(Debug, Default)]
pub struct Which {
    /// Also those that do not run.
    pub all: bool,
    /// The newest so many, in any state.
    pub last: Option<usize>,
    /// With the sizes of their files, which takes a while.
    pub sizes: bool,
    pub filters: Filters,
}

/// The containers asked for, newest first.
pub fn list(engine: &Engine, which: &Which) -> Result<Vec<Summary>> {
    let filters = which.filters.resolve(engine)?;
    let all = which.all || which.last.is_some() || filters.implies_all();
    let mut ids = containers::ids(&engine.paths)?;
    ids.retain(|id| filters.takes_id(id));
    let paths = &engine.paths;
    let mut found = side_by_side(paths, &ids, |records, id| read(records, paths, id, all));
    found.sort_by(|a, b| {
        b.asked
            .created
            .cmp(&a.asked.created)
            .then_with(|| a.id.cmp(&b.id))
    });
    found.retain(|summary| filters.take(summary));
    if let Some(last) = which.last {
        found.truncate(last);
    }
    name_images(engine, &mut found);
    if which.sizes {
        measure(engine, &mut found)?;
    }
    Ok(found)
}

/// The names of all containers, sorted: one look at the directory of names.
pub fn names(engine: &Engine) -> Result<Vec<String>> {
    let mut names = names::all(&engine.paths)?;
    names.sort();
    Ok(names)
}

/// The names of the containers whose status is asked for, sorted.
pub fn names_of(engine: &Engine, wanted: impl Fn(Status) -> bool + Sync) -> Result<Vec<String>> {
    let ids = containers::ids(&engine.paths)?;
    let mut names = side_by_side(&engine.paths, &ids, |records, id| {
        let written = records.parse::<State>(id, "state.json")?;
        let is_wanted = written.version <= VERSION && wanted(truth(&written).status);
        is_wanted.then_some(written.name)
    });
    names.sort();
    Ok(names)
}

/// Fills in the sizes of their files.
pub fn measure(engine: &Engine, found: &mut [Summary]) -> Result<()> {
    let files: Vec<Files<'_>> = found.iter().map(Summary::files).collect();
    let sizes = size::of(engine, &files)?;
    for (summary, sizes) in found.iter_mut().zip(sizes) {
        summary.sizes = sizes;
    }
    Ok(())
}

/// What `read` makes of each container, in order. Many are shared out among
/// threads: most of the time goes to opening files.
fn side_by_side<T: Send>(
    paths: &Paths,
    ids: &[String],
    read: impl Fn(&mut Records, &str) -> Option<T> + Sync,
) -> Vec<T> {
    let part = |ids: &[String]| -> Vec<T> {
        let mut records = Records::new(paths);
        let all = ids.iter();
        all.filter_map(|id| read(&mut records, id)).collect()
    };
    if ids.len() < 2 * SHARE {
        return part(ids);
    }
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = ids.len().div_ceil(threads).max(SHARE);
    std::thread::scope(|scope| {
        let part = &part;
        let parts = ids.chunks(share);
        let parts: Vec<_> = parts.map(|ids| scope.spawn(|| part(ids))).collect();
        let parts = parts.into_iter().map(|thread| thread.join());
        // What panicked there goes on here.
        parts
            .flat_map(|found| found.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// Containers that are worth a thread.
const SHARE: usize = 100;

/// Reads one container; `None` when it is not there (any more), of a newer
/// version, or not running and only running ones are asked for. One that is
/// damaged is shown as dead, with what can still be told.
fn read(records: &mut Records, paths: &Paths, id: &str, all: bool) -> Option<Summary> {
    let exists = || paths.container(id).exists();
    let state = match records.parse::<State>(id, "state.json") {
        Some(written) if written.version <= VERSION => truth(&written),
        Some(_) => return None,
        None if exists() => State {
            status: Status::Dead,
            name: names::of(paths, id),
            ..State::default()
        },
        None => return None,
    };
    if !all
        && !matches!(
            state.status,
            Status::Running | Status::Paused | Status::Restarting
        )
    {
        return None;
    }
    let asked = match records.parse::<Asked>(id, "config.json") {
        Some(asked) => asked,
        None if exists() => Asked::default(),
        None => return None,
    };
    let runs = state.status == Status::Running;
    let checked = runs
        && asked
            .config
            .healthcheck
            .as_ref()
            .is_some_and(Healthcheck::is_some);
    let health = checked.then(|| {
        let health = records.parse::<Health>(id, "health.json");
        health.unwrap_or_default().status
    });
    (asked.version <= VERSION).then(|| Summary {
        health,
        image: asked.config.image.clone(),
        id: id.to_string(),
        state,
        asked,
        sizes: Sizes::default(),
    })
}

/// Reads many small files with one buffer: no call for their size, and no
/// second read when the first has not filled it. That halves the system calls
/// of a list. Their directory is opened once: the way to it is long.
struct Records {
    buffer: Vec<u8>,
    dir: Option<OwnedFd>,
}

impl Records {
    /// Larger records are not ours.
    const MOST: usize = 4 << 20;

    fn new(paths: &Paths) -> Self {
        let dir = std::fs::File::open(paths.containers()).ok();
        Self {
            buffer: vec![0; 32 << 10],
            dir: dir.map(OwnedFd::from),
        }
    }

    /// `file` of the container `id`.
    fn parse<T: for<'de> Deserialize<'de>>(&mut self, id: &str, file: &str) -> Option<T> {
        let name = format!("{id}/{file}");
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd = openat(self.dir.as_ref()?, name.as_str(), flags, Mode::empty()).ok()?;
        let mut file = std::fs::File::from(fd);
        let mut length = 0;
        loop {
            let read = match file.read(&mut self.buffer[length..]) {
                Ok(read) => read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => return None,
            };
            length += read;
            if length < self.buffer.len() {
                return serde_json::from_slice(&self.buffer[..length]).ok();
            }
            if length >= Self::MOST {
                return None;
            }
            self.buffer.resize(length * 2, 0);
        }
    }
}

/// Replaces the names that mean another image by now. A store that cannot be
/// read leaves them as they are: lists go on.
fn name_images(engine: &Engine, found: &mut [Summary]) {
    if found.iter().all(|s| s.asked.image.is_empty()) {
        return;
    }
    let Ok(images) = engine.store().and_then(|store| store.images()) else {
        return;
    };
    let mut means: HashMap<String, String> = HashMap::new();
    for image in &images {
        for name in &image.names {
            means.insert(name.canonical(), image.id.to_string());
        }
    }
    for summary in found {
        let Ok(name) = Reference::parse(&summary.image) else {
            continue;
        };
        let other = means
            .get(&name.canonical())
            .is_some_and(|id| *id != summary.asked.image);
        if other {
            summary.image = id::short(&summary.asked.image).to_string();
        }
    }
}

impl Summary {
    fn files(&self) -> Files<'_> {
        Files {
            id: &self.id,
            layers: &self.asked.layers,
            rootfs: self.asked.rootfs.as_deref(),
        }
    }

    pub fn created(&self) -> Option<Timestamp> {
        time::parse(&self.asked.created)
    }

    /// Program and arguments; one with blanks in single quotes.
    pub fn command(&self) -> String {
        let mut words = vec![self.asked.path.clone()];
        for word in &self.asked.args {
            words.push(if word.contains(' ') {
                format!("'{word}'")
            } else {
                word.clone()
            });
        }
        words.join(" ")
    }

    /// `Up 6 seconds (Paused)`, `Exited (3) 7 seconds ago`, `Created`, …
    pub fn status(&self, now: Timestamp) -> String {
        let since = |text: &str| {
            time::parse(text).map_or_else(
                || "unknown time".into(),
                |then| time::duration(time::seconds_between(then, now)),
            )
        };
        let state = &self.state;
        match state.status {
            Status::Created => "Created".into(),
            Status::Running => {
                let up = format!("Up {}", since(&state.started_at));
                match self.health {
                    None => up,
                    Some(health::Status::Starting) => format!("{up} (health: starting)"),
                    Some(health) => format!("{up} ({})", health.word()),
                }
            }
            Status::Paused => format!("Up {} (Paused)", since(&state.started_at)),
            Status::Restarting => format!(
                "Restarting ({}) {} ago",
                state.exit_code,
                since(&state.finished_at)
            ),
            Status::Removing => "Removal In Progress".into(),
            Status::Exited if state.finished_at.is_empty() => {
                format!("Exited ({})", state.exit_code)
            }
            Status::Exited => format!(
                "Exited ({}) {} ago",
                state.exit_code,
                since(&state.finished_at)
            ),
            Status::Dead => "Dead".into(),
        }
    }

    /// Ports of a container that runs; others have none.
    pub fn ports(&self) -> Vec<Port> {
        if !matches!(self.state.status, Status::Running | Status::Paused) {
            return Vec::new();
        }
        let exposed = self.asked.config.exposed_ports.keys().map(String::as_str);
        ports::all(&self.state.ports, exposed)
    }

    /// What is mounted: its name or path on the host, and where.
    pub fn mounts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.asked.mounts.iter().map(|point| {
            let what = match point.kind {
                Kind::Volume => &point.name,
                _ => &point.source,
            };
            (what.as_str(), point.destination.as_str())
        })
    }

    /// How many volumes it has.
    pub fn volumes(&self) -> usize {
        let kinds = self.asked.mounts.iter().map(|point| point.kind);
        kinds.filter(|kind| *kind == Kind::Volume).count()
    }

    /// The networks it is in, by name.
    pub fn networks(&self) -> Vec<&str> {
        let mode = self.asked.host_config.network_mode.as_str();
        if matches!(mode, "none" | "host") || mode.starts_with("container:") {
            // Who joins another one's is in none by itself, as in Docker.
            return match mode.starts_with("container:") {
                true => Vec::new(),
                false => vec![mode],
            };
        }
        let mut names: Vec<&str> = self
            .state
            .networks
            .iter()
            .map(|e| e.network.as_str())
            .collect();
        names.sort_unstable();
        names
    }
}
