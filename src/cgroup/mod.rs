//! The container's own cgroup (cgroups(7), v2 only), where the caller has a
//! part of the hierarchy that is his: sole user of libcgroups. On a v1 or
//! hybrid host, or without delegation, containers run without one, and a limit
//! that was asked for is refused by name.

pub mod devices;
pub mod freezer;
pub mod io;
pub mod limits;
mod place;

pub use place::{Place, controllers, is_path, is_version1};

use std::path::Path;

/// How often the kernel killed something in it for lack of memory
/// (memory.events, `oom_kill`).
pub fn oom_kills(dir: &Path) -> u64 {
    let text = std::fs::read_to_string(dir.join("memory.events")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
        .unwrap_or(0)
}

/// Removes it; everything in it has ended or is ended now.
pub fn remove(dir: &Path) {
    if std::fs::remove_dir(dir).is_err() {
        let _ = std::fs::write(dir.join("cgroup.kill"), "1");
        let _ = std::fs::remove_dir(dir);
    }
    // Ours as well; refused while another container is in it. What the user
    // named (--cgroup-parent) stays.
    if let Some(base) = dir.parent().filter(|base| base.ends_with(place::BASE)) {
        let _ = std::fs::remove_dir(base);
    }
}
