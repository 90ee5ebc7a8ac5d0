//! Where in the hierarchy a container's cgroup goes.

use crate::error::{Context, Result};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub(super) const BASE: &str = "wherry";

/// A directory of the cgroup v2 hierarchy below which we may make cgroups.
#[derive(Debug, Clone)]
pub struct Place {
    /// Ours: `…/wherry`.
    base: PathBuf,
    /// Controllers that can be used there.
    pub controllers: Vec<String>,
}

impl Place {
    /// The topmost cgroup above the caller's own that is delegated to him
    /// (root: the hierarchy's root). `None`: there is none.
    ///
    /// The containers' cgroups are in one of ours there, or in `below` when the
    /// user names one (`--cgroup-parent`, checked by [`is_path`]).
    pub fn find(below: &str) -> Option<Self> {
        let parent = parent()?;
        let base = base(&parent, below);
        std::fs::create_dir_all(&base).ok()?;
        let above: Vec<_> = base.ancestors().skip(1).collect();
        for dir in above
            .into_iter()
            .rev()
            .filter(|dir| dir.starts_with(&parent))
        {
            hand_down(dir);
        }
        let controllers = read_words(&base.join("cgroup.controllers"));
        Some(Self { base, controllers })
    }

    /// Where the cgroup of container `id` would be.
    pub fn of(id: &str, below: &str) -> Option<PathBuf> {
        Some(base(&parent()?, below).join(id))
    }

    /// Makes the cgroup of a container and opens it for CLONE_INTO_CGROUP.
    pub fn make(&self, id: &str) -> Result<(PathBuf, OwnedFd)> {
        let dir = self.base.join(id);
        // With its parent: the last container to end takes that away.
        std::fs::create_dir_all(&dir)
            .context(|| format!("cannot make cgroup \"{}\"", dir.display()))?;
        hand_down(&self.base);
        let fd = std::fs::File::open(&dir)
            .context(|| format!("cannot open cgroup \"{}\"", dir.display()))?;
        Ok((dir, fd.into()))
    }
}

/// The controllers that the caller's containers could have, without making
/// anything. `None`: no cgroup is his.
pub fn controllers() -> Option<Vec<String>> {
    Some(read_words(&parent()?.join("cgroup.controllers")))
}

/// Whether the controllers are those of version 1 (all of them, or on a hybrid
/// host).
pub fn is_version1() -> bool {
    v2_mount().is_none_or(|mount| mount.ends_with("unified"))
}

/// A path that leads nowhere else: what `--cgroup-parent` may be.
pub fn is_path(text: &str) -> bool {
    let plain = |word: &str| word != "." && word != ".." && !word.bytes().any(|b| b < b' ');
    text.split('/').all(plain)
}

fn base(parent: &Path, below: &str) -> PathBuf {
    match below.trim_matches('/') {
        "" => parent.join(BASE),
        below => parent.join(below),
    }
}

fn parent() -> Option<PathBuf> {
    let mount = v2_mount()?;
    if nix::unistd::geteuid().is_root() && !in_user_namespace() {
        return Some(mount);
    }
    // From the top down: the first that is ours holds the most.
    let mut dir = mount;
    Path::new(&own_cgroup()?)
        .components()
        .skip(1)
        .find_map(|component| {
            dir.push(component);
            delegated(&dir).then(|| dir.clone())
        })
}

/// Gives the children of `dir` all its controllers. Refused for one that
/// processes in `dir` itself use: a limit that needs it then says so.
fn hand_down(dir: &Path) {
    let control = dir.join("cgroup.subtree_control");
    let given = read_words(&control);
    for controller in read_words(&dir.join("cgroup.controllers")) {
        if !given.contains(&controller) {
            let _ = std::fs::write(&control, format!("+{controller}"));
        }
    }
}

/// Where cgroup2 is mounted: usually /sys/fs/cgroup, on a hybrid host
/// /sys/fs/cgroup/unified.
pub(super) fn v2_mount() -> Option<PathBuf> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .map(PathBuf::from)
        .find(|dir| dir.join("cgroup.controllers").exists())
}

fn own_cgroup() -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("0::").map(str::to_string))
}

/// We may make cgroups there and move processes into them.
fn delegated(dir: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    let writable = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
    writable(dir)
        && writable(&dir.join("cgroup.procs"))
        && writable(&dir.join("cgroup.subtree_control"))
}

fn in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().nth(2) != Some("4294967295"))
}

fn read_words(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path)
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_string)
        .collect()
}
