//! Where in the hierarchy a container's cgroup goes.

use crate::error::{Context, Result};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

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
    pub fn find() -> Option<Self> {
        let mount = v2_mount()?;
        if nix::unistd::geteuid().is_root() && !in_user_namespace() {
            return Self::at(&mount);
        }
        let own = own_cgroup()?;
        // From the top down: the first that is ours holds the most.
        let mut dir = mount.clone();
        for component in Path::new(&own).components().skip(1) {
            dir.push(component);
            if delegated(&dir) {
                return Self::at(&dir);
            }
        }
        None
    }

    fn at(parent: &Path) -> Option<Self> {
        let base = parent.join("wherry");
        if !base.is_dir() {
            std::fs::create_dir(&base).ok()?;
        }
        let controllers = read_words(&parent.join("cgroup.controllers"));
        for controller in &controllers {
            // Refused for one that the parent's own processes use: a limit
            // that needs it then says so.
            let _ = std::fs::write(
                parent.join("cgroup.subtree_control"),
                format!("+{controller}"),
            );
        }
        let controllers = read_words(&base.join("cgroup.controllers"));
        Some(Self { base, controllers })
    }

    /// Makes the cgroup of a container and opens it for CLONE_INTO_CGROUP.
    pub fn make(&self, id: &str) -> Result<(PathBuf, OwnedFd)> {
        let dir = self.base.join(id);
        for controller in &self.controllers {
            let _ = std::fs::write(
                self.base.join("cgroup.subtree_control"),
                format!("+{controller}"),
            );
        }
        match std::fs::create_dir(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => other.context(|| format!("cannot make cgroup \"{}\"", dir.display()))?,
        }
        let fd = std::fs::File::open(&dir)
            .context(|| format!("cannot open cgroup \"{}\"", dir.display()))?;
        Ok((dir, fd.into()))
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
