//! Volumes: what is below `volumes/`. A directory per volume, named as it, with
//! `meta.json` (what was asked for; never changes), `_data` (what is mounted)
//! and `lock`.
//!
//! A volume is made under a name that says by whom, and exists from the rename
//! on; its removal begins with another rename.

pub mod chown;
pub mod driver;
pub mod fill;
pub mod users;

use crate::error::{Context, Error, Kind, Result};
use crate::fs::lock::{self, Lock};
use crate::fs::replace::{self, Durability};
use crate::paths::Paths;
use crate::sys::procfs::Process;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The version written into new records; a newer one is refused.
const VERSION: u32 = 1;
const META: &str = "meta.json";
const DATA: &str = "_data";
/// `.new-PID.STARTTIME-…`: on its way in.
const NEW: &str = ".new-";
/// `.gone-PID.STARTTIME-…`: on its way out.
const GONE: &str = ".gone-";
/// Docker's label of volumes that got a name of their own.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// `volumes/NAME/meta.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Volume {
    version: u32,
    pub name: String,
    /// RFC 3339 in local time, whole seconds.
    pub created_at: String,
    pub driver: String,
    pub labels: Option<BTreeMap<String, String>>,
    pub options: Option<BTreeMap<String, String>>,
}

impl Volume {
    pub fn is_anonymous(&self) -> bool {
        self.label(ANONYMOUS).is_some()
    }

    pub fn label(&self, key: &str) -> Option<&String> {
        self.labels.as_ref()?.get(key)
    }
}

/// What a new volume is to be.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub name: String,
    /// Empty is `local`.
    pub driver: String,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
}

impl Request {
    /// One with a name of its own.
    pub fn anonymous() -> Result<Self> {
        Ok(Self {
            name: crate::text::id::random()?,
            labels: BTreeMap::from([(ANONYMOUS.into(), String::new())]),
            ..Self::default()
        })
    }
}

/// Refuses what Docker refuses: anything but `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn check_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    if name.len() == 1 {
        return Err(Error::invalid(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
    if name.len() > 255 {
        return Err(Error::invalid(format!(
            "create {name}: volume name is too long, 255 characters are allowed"
        )));
    }
    Err(Error::invalid(format!(
        "create {name}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    (2..=255).contains(&name.len())
        && bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

/// The volume called so.
pub fn get(paths: &Paths, name: &str) -> Result<Volume> {
    if !is_name(name) {
        return Err(missing(name));
    }
    let path = paths.volume(name).join(META);
    let text = match std::fs::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            // Without its record it can still be removed.
            return match paths.volume(name).is_dir() {
                true => Err(damaged(name, "is missing")),
                false => Err(missing(name)),
            };
        }
        other => other.context(|| format!("cannot read \"{}\"", path.display()))?,
    };
    let volume: Volume =
        serde_json::from_slice(&text).map_err(|e| damaged(name, "is damaged").caused_by(e))?;
    if volume.version > VERSION {
        return Err(Error::unsupported(format!(
            "volume {name} was written by a newer wherry (record version {}, this one knows {VERSION})",
            volume.version
        ))
        .hint("use that version of wherry"));
    }
    Ok(Volume {
        name: name.into(),
        ..volume
    })
}

fn damaged(name: &str, how: &str) -> Error {
    Error::invalid(format!("the record of volume {name} {how}")).hint(format!(
        "`wherry volume rm {name}` removes the volume with its files"
    ))
}

/// Every volume, sorted by name. One whose record cannot be read has nothing
/// but its name.
pub fn all(paths: &Paths) -> Result<Vec<Volume>> {
    let entries = match std::fs::read_dir(paths.volumes()) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.context(|| "cannot read the directory of volumes")?,
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_name(name));
    let mut all = Vec::new();
    for name in names {
        match get(paths, &name) {
            Ok(volume) => all.push(volume),
            Err(e) if e.kind() == Kind::NotFound => {}
            Err(_) => all.push(Volume {
                name,
                driver: driver::LOCAL.into(),
                ..Volume::default()
            }),
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Makes the volume; one that is there already is given as it is, as Docker
/// does it.
pub fn create(paths: &Paths, request: Request, durability: Durability) -> Result<Volume> {
    let name = request.name;
    check_name(&name)?;
    driver::check(&name, &request.driver, &request.options)?;
    match get(paths, &name) {
        Err(e) if e.kind() == Kind::NotFound => {}
        found => return found,
    }
    let labels = request.labels;
    let volume = Volume {
        version: VERSION,
        name,
        created_at: crate::text::time::local_rfc3339(jiff::Timestamp::now()),
        driver: driver::LOCAL.into(),
        labels: (!labels.is_empty()).then_some(labels),
        options: (!request.options.is_empty()).then_some(request.options),
    };
    make(paths, volume, durability)
}

fn make(paths: &Paths, volume: Volume, durability: Durability) -> Result<Volume> {
    let failed = || format!("cannot make volume {}", volume.name);
    make_private(&paths.volumes()).context(failed)?;
    let staging = paths.volumes().join(passing_name(NEW, &volume.name));
    let text = serde_json::to_vec(&volume).context(|| "cannot write the volume's record")?;
    let written = make_private(&staging)
        .and_then(|()| std::fs::DirBuilder::new().create(staging.join(DATA)))
        .and_then(|()| {
            // Whatever the caller's umask.
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(staging.join(DATA), mode)
        })
        .context(failed)
        .and_then(|()| replace::replace(&staging.join(META), &text, durability));
    let place = paths.volume(&volume.name);
    let made = written.and_then(|()| match std::fs::rename(&staging, &place) {
        // Somebody else was faster: that one is it.
        Err(_) if place.is_dir() => get(paths, &volume.name),
        other => other.map(|()| volume.clone()).context(failed),
    });
    let _ = std::fs::remove_dir_all(&staging);
    if made.is_ok() && durability == Durability::Durable {
        replace::sync_parent(&place)?;
    }
    made
}

fn make_private(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
}

fn passing_name(prefix: &str, name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let me = Process::me();
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    // Together no longer than a name may be.
    let name = &name[..name.len().min(100)];
    format!("{prefix}{}.{}-{n}-{name}", me.pid, me.start_time)
}

/// A volume's lock; while it is held, the volume is not removed, and nobody
/// else fills it. Taken before the lock of any container.
#[derive(Debug)]
pub struct Held {
    pub name: String,
    _lock: Lock,
}

/// Waits for the lock of the volume.
pub fn hold(paths: &Paths, name: &str) -> Result<Held> {
    if !is_name(name) {
        return Err(missing(name));
    }
    let path = paths.volume(name).join("lock");
    loop {
        let lock = match lock::exclusive(&path) {
            Err(e) if e.kind() == Kind::NotFound => return Err(missing(name)),
            other => other?,
        };
        // Removed while we waited, and perhaps made anew.
        if lock.is_at(&path) {
            return Ok(Held {
                name: name.into(),
                _lock: lock,
            });
        }
    }
}

/// Makes the volumes that are missing and takes the locks of all of them, in
/// one order for everybody.
pub fn hold_all(
    paths: &Paths,
    mut requests: Vec<Request>,
    durability: Durability,
) -> Result<Vec<Held>> {
    requests.sort_by(|a, b| a.name.cmp(&b.name));
    requests.dedup_by(|a, b| a.name == b.name);
    let mut held = Vec::with_capacity(requests.len());
    for request in requests {
        held.push(loop {
            create(paths, request.clone(), durability)?;
            match hold(paths, &request.name) {
                // Removed in between.
                Err(e) if e.kind() == Kind::NotFound => {}
                other => break other?,
            }
        });
    }
    Ok(held)
}

/// Takes the volume out of sight: the first half of its removal. What is to be
/// given to [`destroy`].
pub fn hide(paths: &Paths, held: &Held) -> Result<PathBuf> {
    let gone = paths.volumes().join(passing_name(GONE, &held.name));
    std::fs::rename(paths.volume(&held.name), &gone)
        .context(|| format!("remove {}: cannot remove the volume", held.name))?;
    Ok(gone)
}

/// Deletes a hidden volume; as root of U, whose ids own the files.
pub fn destroy(gone: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (gone.parent(), gone.file_name()) else {
        return Err(Error::internal("this is no volume"));
    };
    use std::os::unix::ffi::OsStrExt;
    std::fs::File::open(parent)
        .and_then(|dir| {
            crate::fs::rooted::remove_all(dir.as_fd(), name.as_bytes()).map_err(Into::into)
        })
        .context(|| format!("cannot delete \"{}\"", gone.display()))
}

/// Whether all of a hidden volume can be deleted by its owner without U: it
/// was never written by anybody else.
pub fn is_own(gone: &Path) -> bool {
    let mut data = match std::fs::read_dir(gone.join(DATA)) {
        Ok(entries) => entries,
        Err(_) => return false,
    };
    let me = nix::unistd::geteuid();
    me.is_root()
        || (data.next().is_none()
            && std::fs::metadata(gone.join(DATA)).is_ok_and(|meta| meta.uid() == me.as_raw())
            && !fill::is_pending(gone))
}

/// What killed commands have left on its way in or out.
pub fn garbage(paths: &Paths) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(paths.volumes());
    let left = |name: &str| {
        let rest = name.strip_prefix(NEW).or_else(|| name.strip_prefix(GONE));
        rest.is_some_and(|rest| !maker_lives(rest))
    };
    entries
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| left(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

fn maker_lives(rest: &str) -> bool {
    let process = rest
        .split_once('-')
        .and_then(|(maker, _)| maker.split_once('.'))
        .and_then(|(pid, start_time)| {
            Some(Process {
                pid: pid.parse().ok()?,
                start_time: start_time.parse().ok()?,
            })
        });
    process.is_some_and(|process| process.lives())
}
