//! Steps of builds that need not be done again: `build/cache/KEY.json`, one
//! small file each, so that a build whose steps are all there reads these and
//! nothing else. The key says all that the step depends on; the record says
//! what came of it. What a record names is not collected.

use super::Store;
use crate::error::{Context, Result};
use crate::fs::replace::{self, Durability};
use crate::image::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::SystemTime;

const LIMIT: u64 = 1 << 20;

/// A layer that a step has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLayer {
    pub diff_id: Digest,
    pub media_type: String,
    pub blob: Digest,
    pub blob_size: u64,
    /// Bytes of its files.
    pub size: u64,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedStep {
    /// `None`: nothing has changed.
    pub layer: Option<StepLayer>,
    /// RFC 3339.
    pub created: String,
    /// As people know it: `RUN make`.
    pub text: String,
    /// The key of what stands for this one; then the rest says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
}

/// A record, and when it was last of use.
#[derive(Debug, Clone)]
pub struct Kept {
    pub key: String,
    pub step: CachedStep,
    pub used: SystemTime,
}

impl Store {
    fn step_file(&self, key: &str) -> PathBuf {
        self.steps.join(format!("{key}.json"))
    }

    /// What came of the step with this key, if all of it is here.
    pub fn cached_step(&self, key: &str) -> Option<CachedStep> {
        self.known_step(key).filter(|step| {
            let layer = step.layer.as_ref();
            layer.is_none_or(|layer| self.has_layer(&layer.diff_id) && self.has_blob(&layer.blob))
        })
    }

    /// The same; the layer of one that another machine has done may be missing.
    pub fn known_step(&self, key: &str) -> Option<CachedStep> {
        let path = self.step_file(key);
        let bytes = super::read_bounded(&path, LIMIT).ok()?;
        let step: CachedStep = serde_json::from_slice(&bytes).ok()?;
        // For whoever looks for what can go; that it cannot be noted is no harm.
        let _ = File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(SystemTime::now()));
        Some(step)
    }

    /// Keeps it for later builds.
    pub fn keep_step(&self, key: &str, step: &CachedStep) -> Result<()> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.steps)
            .context(|| format!("cannot make directory \"{}\"", self.steps.display()))?;
        let bytes = serde_json::to_vec(step).context(|| "cannot write a step of a build")?;
        replace::replace(&self.step_file(key), &bytes, Durability::Fast)
    }

    /// Removes what killed builds have left of writing them.
    pub fn sweep_steps(&self) {
        replace::sweep_dir(&self.steps);
    }

    /// All of them; what cannot be read is as if it was not there.
    pub fn kept_steps(&self) -> Result<Vec<Kept>> {
        let mut found = Vec::new();
        for path in super::collect::list(&self.steps)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(key) = name.and_then(|name| name.strip_suffix(".json")) else {
                continue;
            };
            let used = std::fs::metadata(&path).and_then(|meta| meta.modified());
            let step = super::read_bounded(&path, LIMIT)
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok());
            if let (Some(step), Ok(used), false) = (step, used, key.starts_with('.')) {
                found.push(Kept {
                    key: key.to_string(),
                    step,
                    used,
                });
            }
        }
        Ok(found)
    }

    /// Whether a layer's files are among those of some images.
    pub fn layer_is_among(&self, diff_id: &Digest, files: &HashSet<PathBuf>) -> bool {
        files.contains(&self.layer_path(diff_id))
    }

    /// Forgets one; its layer goes with the next collection, unless an image
    /// or another step has it, too.
    pub fn forget_step(&self, key: &str) -> Result<()> {
        super::blob::remove_if_there(&self.step_file(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::manifest::Compression;
    use crate::store::tests::{Scratch, tar_of};

    #[test]
    fn a_step_keeps_its_layer() {
        let scratch = Scratch::new("steps");
        let store = scratch.store();
        let tar = tar_of("f", "one");
        let diff_id = Digest::of(&tar);
        store
            .unpack_layer(&diff_id, &tar[..], Compression::None)
            .unwrap();
        let blob = store.write_blob(&tar).unwrap();
        let step = CachedStep {
            layer: Some(StepLayer {
                diff_id: diff_id.clone(),
                media_type: "x".into(),
                blob: blob.clone(),
                blob_size: tar.len() as u64,
                size: 3,
            }),
            created: "2026-01-01T00:00:00Z".into(),
            text: "RUN x".into(),
            same_as: None,
        };
        assert_eq!(store.cached_step("aa"), None);
        store.keep_step("aa", &step).unwrap();
        store.collect(|| Ok(Vec::new())).unwrap();
        assert_eq!(store.cached_step("aa"), Some(step));
        std::fs::write(store.step_file("bad"), "{").unwrap();
        assert_eq!(store.kept_steps().unwrap().len(), 1);
        store.forget_step("aa").unwrap();
        store.forget_step("aa").unwrap();
        store.collect(|| Ok(Vec::new())).unwrap();
        assert!(!store.has_blob(&blob) && !store.has_layer(&diff_id));
    }

    #[test]
    fn records_that_killed_builds_were_writing_go() {
        let scratch = Scratch::new("steps-sweep");
        let store = scratch.store();
        std::fs::create_dir_all(&store.steps).unwrap();
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let of = |pid: u32| {
            let name = format!("{}{pid}-1-key.json", replace::TEMPORARY_PREFIX);
            store.steps.join(name)
        };
        let (dead, living) = (of(ended.id()), of(std::process::id()));
        for path in [&dead, &living] {
            std::fs::write(path, "").unwrap();
        }
        store.sweep_steps();
        assert!(!dead.exists() && living.exists());
    }
}
