//! What builds keep for later ones: steps, and the caches of mounts. How much
//! that is, and what of it goes.

use super::exec::work;
use crate::container::images;
use crate::engine::Engine;
use crate::error::Result;
use crate::fs::lock;
use crate::fs::usage;
use crate::store::{Kept, StepLayer, Store};
use crate::userns::task;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Without another word, a tenth of the disk, and this much at least.
const LEAST_BUDGET: u64 = 2 << 30;

/// A step or a cache that is kept.
#[derive(Debug, Clone)]
pub struct Record {
    /// 64 hexadecimal digits.
    pub id: String,
    /// `regular`, or `exec.cachemount`.
    pub kind: &'static str,
    pub text: String,
    /// Bytes on disk that go with it.
    pub size: u64,
    /// An image has its layer, too.
    pub shared: bool,
    pub used: SystemTime,
    pub created: String,
}

/// All of them, those that were of use last first.
pub fn records(engine: &Engine) -> Result<Vec<Record>> {
    let store = engine.store()?;
    let mut files: HashSet<PathBuf> = HashSet::new();
    for image in store.images()? {
        files.extend(store.files_of(&image)?);
    }
    let mut found: Vec<Record> = store
        .kept_steps()?
        .into_iter()
        .filter(|kept| kept.step.same_as.is_none())
        .map(|kept| of_step(store, kept, &files))
        .collect();
    found.extend(caches(engine)?);
    found.sort_by_key(|kept| std::cmp::Reverse(kept.used));
    Ok(found)
}

fn of_step(store: &Store, kept: Kept, files: &HashSet<PathBuf>) -> Record {
    // That of another machine's step may never have come.
    let layer = kept.step.layer.as_ref();
    let layer = layer.filter(|layer| store.has_layer(&layer.diff_id));
    let shared = |layer: &StepLayer| store.layer_is_among(&layer.diff_id, files);
    Record {
        id: kept.key,
        kind: "regular",
        size: layer.map_or(0, |layer| layer.size + layer.blob_size),
        shared: layer.is_some_and(shared),
        text: kept.step.text,
        used: kept.used,
        created: kept.step.created,
    }
}

fn cache_dir(engine: &Engine) -> PathBuf {
    engine.paths.build().join("caches")
}

fn caches(engine: &Engine) -> Result<Vec<Record>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(cache_dir(engine))
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        let Ok(id) = std::fs::read_to_string(path.join("id")) else {
            continue;
        };
        let used = std::fs::metadata(path.join("data")).and_then(|meta| meta.modified());
        let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
        found.push(Record {
            id: entry.file_name().to_string_lossy().into_owned(),
            kind: "exec.cachemount",
            text: format!("cached mount {id}"),
            size: 0,
            shared: false,
            used,
            created: crate::text::time::rfc3339(
                jiff::Timestamp::try_from(used).unwrap_or(jiff::Timestamp::UNIX_EPOCH),
            ),
        });
    }
    // Their files belong to many users.
    let dirs: Vec<PathBuf> = found
        .iter()
        .map(|record| cache_dir(engine).join(&record.id))
        .collect();
    let measure = || {
        Ok(dirs
            .iter()
            .map(|dir| usage::on_disk(dir).unwrap_or(0))
            .collect::<Vec<u64>>())
    };
    if !dirs.is_empty() {
        let sizes = task::run(&engine.paths, measure)?;
        for (record, size) in found.iter_mut().zip(sizes) {
            record.size = size;
        }
    }
    Ok(found)
}

/// What is to go.
#[derive(Debug, Clone, Default)]
pub struct Pruning {
    /// Also what images have, too.
    pub all: bool,
    /// Only what was of no use for so long.
    pub until: Option<Duration>,
    /// So many bytes may stay, those of use last.
    pub keep: u64,
}

/// Forgets records and frees what nothing else needs: what went, and the bytes.
pub fn prune(engine: &Engine, pruning: &Pruning) -> Result<(Vec<Record>, u64)> {
    work::sweep(engine)?;
    engine.store()?.sweep_steps();
    let now = SystemTime::now();
    let mut kept = 0_u64;
    let mut gone = Vec::new();
    for record in records(engine)? {
        let age = now.duration_since(record.used).unwrap_or_default();
        let young = pruning.until.is_some_and(|until| age < until);
        let shared = record.shared && !pruning.all;
        if young || shared || kept + record.size <= pruning.keep && pruning.keep > 0 {
            kept += record.size;
            continue;
        }
        if forget(engine, &record)? {
            gone.push(record);
        }
    }
    if pruning.until.is_none() && pruning.keep == 0 {
        // They only save time.
        let _ = std::fs::remove_dir_all(engine.paths.build().join("hashes"));
    }
    // What leads to a step that is no more leads nowhere.
    let store = engine.store()?;
    for step in store.kept_steps()? {
        if let Some(same_as) = &step.step.same_as
            && store.cached_step(same_as).is_none()
        {
            store.forget_step(&step.key)?;
        }
    }
    if !gone.is_empty() {
        images::collect(engine)?;
    }
    let freed = gone
        .iter()
        .filter(|record| !record.shared)
        .map(|record| record.size)
        .sum();
    Ok((gone, freed))
}

/// False: a build uses it.
fn forget(engine: &Engine, record: &Record) -> Result<bool> {
    if record.kind == "regular" {
        return engine.store()?.forget_step(&record.id).map(|()| true);
    }
    let dir = cache_dir(engine).join(&record.id);
    let Some(_lock) = lock::try_exclusive(&dir.join("lock"))? else {
        return Ok(false);
    };
    task::run(&engine.paths, || remove(&dir))?;
    Ok(true)
}

fn remove(dir: &Path) -> Result<()> {
    use crate::error::Context;
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStrExt;
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Ok(());
    };
    let parent = std::fs::File::open(parent).context(|| "cannot open the directory of caches")?;
    crate::fs::rooted::remove_all(parent.as_fd(), name.as_bytes())
        .context(|| format!("cannot remove \"{}\"", dir.display()))
}

/// Lets the oldest steps go when there are more than the disk is to bear.
pub fn within_budget(engine: &Engine) -> Result<()> {
    let store = engine.store()?;
    let steps = store.kept_steps()?;
    let size = |kept: &Kept| {
        kept.step
            .layer
            .as_ref()
            .map_or(0, |layer| layer.size + layer.blob_size)
    };
    let total: u64 = steps.iter().map(size).sum();
    if total <= LEAST_BUDGET {
        return Ok(());
    }
    let disk = nix::sys::statvfs::statvfs(engine.paths.data())
        .map_or(0, |fs| fs.blocks().saturating_mul(fs.fragment_size()));
    let budget = (disk / 10).max(LEAST_BUDGET);
    if total <= budget {
        return Ok(());
    }
    let mut steps = steps;
    steps.sort_by_key(|kept| std::cmp::Reverse(kept.used));
    let mut kept = 0;
    for step in &steps {
        kept += size(step);
        if kept > budget {
            store.forget_step(&step.key)?;
        }
    }
    Ok(())
}
