//! What images and containers take of the disk: blocks, of everything below
//! the data root.

use super::list::{self, Summary, Which};
use super::volumes;
use crate::engine::Engine;
use crate::error::{Context, Kind, Result};
use crate::fs::usage;
use crate::image::digest::Digest;
use crate::record::container::Status;
use crate::store::{Filters, Image};
use crate::userns::task;
use crate::volume::users::Users;
use crate::volume::{self, Volume};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// An image and its bytes on disk: packed and unpacked.
#[derive(Debug)]
pub struct ImageUse {
    pub image: Image,
    /// Of files that other images have, too.
    pub shared: u64,
    /// Of files that no other image has.
    pub unique: u64,
    /// How many containers were made from it.
    pub containers: usize,
}

/// A container and its bytes on disk: its layer, its logs, its records.
#[derive(Debug)]
pub struct ContainerUse {
    pub summary: Summary,
    pub bytes: u64,
}

/// A volume and the bytes of its files.
#[derive(Debug)]
pub struct VolumeUse {
    pub volume: Volume,
    pub bytes: u64,
    /// How many containers have it.
    pub users: usize,
}

#[derive(Debug)]
pub struct DiskUse {
    pub images: Vec<ImageUse>,
    /// All of the store, with what no image needs.
    pub images_bytes: u64,
    /// What `image prune -a` would free.
    pub images_reclaimable: u64,
    pub containers: Vec<ContainerUse>,
    pub containers_bytes: u64,
    /// What removing the containers that do not run would free.
    pub containers_reclaimable: u64,
    pub volumes: Vec<VolumeUse>,
}

/// Counts everything. The caller must have one thread: files of other users
/// are counted by a child in the user's namespace.
pub fn measure(engine: &Engine) -> Result<DiskUse> {
    let store = engine.store()?;
    let all = Which {
        all: true,
        ..Which::default()
    };
    let summaries = list::list(engine, &all)?;
    let images = store.list(&Filters::default())?;
    let images_dir = engine.paths.images();
    let layers = below(engine, &engine.paths.layers())?;
    let mut containers = below(engine, &engine.paths.containers())?;
    let mut files: HashMap<PathBuf, u64> = HashMap::new();
    for algorithm in ["sha256", "sha512"] {
        for (path, bytes) in children(&images_dir.join("blobs").join(algorithm))? {
            files.insert(path, bytes);
        }
    }
    let shifted = below(engine, &engine.paths.shifted())?;
    let images_bytes = disk(&images_dir)?
        + dir_and(&engine.paths.layers(), &layers)
        + dir_and(&engine.paths.shifted(), &shifted);
    let containers_bytes =
        dir_and(&engine.paths.containers(), &containers) + disk(&engine.paths.names())?;
    files.extend(layers);

    let used_images: HashSet<&str> = summaries.iter().map(|s| s.asked.image.as_str()).collect();
    let sets: Vec<HashSet<PathBuf>> = images
        .iter()
        .map(|image| store.files_of(image))
        .collect::<Result<_>>()?;
    let mut needed: HashSet<PathBuf> = layers_of(engine, &summaries)?;
    let mut users: HashMap<&PathBuf, usize> = HashMap::new();
    for (image, set) in images.iter().zip(&sets) {
        if used_images.contains(image.id.as_str()) {
            needed.extend(set.iter().cloned());
        }
        for path in set {
            *users.entry(path).or_default() += 1;
        }
    }
    let sum = |set: &HashSet<PathBuf>, wanted: &dyn Fn(&PathBuf) -> bool| {
        let wanted = set.iter().filter(|path| wanted(path));
        wanted.filter_map(|path| files.get(path)).sum::<u64>()
    };
    let unused = files.iter().filter(|(path, _)| !needed.contains(*path));
    let images_reclaimable = unused.map(|(_, bytes)| bytes).sum();
    let images = images
        .iter()
        .zip(&sets)
        .map(|(image, set)| ImageUse {
            shared: sum(set, &|path| users[path] > 1),
            unique: sum(set, &|path| users[path] == 1),
            containers: summaries
                .iter()
                .filter(|s| s.asked.image == image.id.as_str())
                .count(),
            image: image.clone(),
        })
        .collect();
    let containers: Vec<ContainerUse> = summaries
        .into_iter()
        .map(|summary| ContainerUse {
            bytes: containers
                .remove(&engine.paths.container(&summary.id))
                .unwrap_or_default(),
            summary,
        })
        .collect();
    let stopped = containers.iter().filter(|c| !c.is_active());
    Ok(DiskUse {
        images,
        images_bytes,
        images_reclaimable,
        containers_reclaimable: stopped.map(|c| c.bytes).sum(),
        containers,
        containers_bytes,
        volumes: volumes(engine)?,
    })
}

fn volumes(engine: &Engine) -> Result<Vec<VolumeUse>> {
    let all = volume::all(&engine.paths)?;
    let sizes = volumes::measure(engine, &all)?;
    let users = Users::read(&engine.paths)?;
    Ok(all
        .into_iter()
        .zip(sizes)
        .map(|(volume, bytes)| VolumeUse {
            users: users.of(&volume.name).len(),
            volume,
            bytes,
        })
        .collect())
}

impl ContainerUse {
    pub fn is_active(&self) -> bool {
        matches!(
            self.summary.state.status,
            Status::Running | Status::Paused | Status::Restarting
        )
    }
}

/// Layers of containers whose image may be gone.
fn layers_of(engine: &Engine, summaries: &[Summary]) -> Result<HashSet<PathBuf>> {
    let layers = summaries.iter().flat_map(|s| &s.asked.layers);
    layers
        .map(|layer| Ok(engine.paths.layers().join(Digest::parse(layer)?.hex())))
        .collect()
}

/// Each entry of a directory with its bytes. Nothing when there is none.
fn children(dir: &Path) -> Result<HashMap<PathBuf, u64>> {
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        other => other.context(|| format!("cannot read \"{}\"", dir.display()))?,
    };
    let mut found = HashMap::new();
    for entry in entries.flatten() {
        let bytes = disk(&entry.path())?;
        found.insert(entry.path(), bytes);
    }
    Ok(found)
}

/// The same where files may belong to other users: as the caller when he may
/// read all of it, else as root of U.
fn below(engine: &Engine, dir: &Path) -> Result<HashMap<PathBuf, u64>> {
    match children(dir) {
        Err(e) if e.kind() == Kind::Denied => {
            let found = task::run(&engine.paths, || {
                let found = children(dir)?.into_iter();
                Ok(found
                    .map(|(path, bytes)| (path.to_string_lossy().into_owned(), bytes))
                    .collect::<Vec<_>>())
            })?;
            let found = found.into_iter();
            Ok(found
                .map(|(path, bytes)| (PathBuf::from(path), bytes))
                .collect())
        }
        other => other,
    }
}

/// The bytes of a directory itself and of what is in it.
fn dir_and(dir: &Path, entries: &HashMap<PathBuf, u64>) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let own = std::fs::symlink_metadata(dir).map_or(0, |meta| meta.blocks() * 512);
    own + entries.values().sum::<u64>()
}

fn disk(path: &Path) -> Result<u64> {
    usage::on_disk(path).context(|| format!("cannot tell the size of \"{}\"", path.display()))
}
