//! The freezer of cgroup v2: stops every process of a container where it is.
//! It belongs to no controller, so each cgroup has it.

use super::place::v2_mount;
use crate::error::{Context, Error, Result};
use std::path::Path;
use std::time::Duration;

/// A process within a system call that cannot be interrupted is waited for so
/// long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Freezes what is in `dir`, and waits until it is.
pub fn freeze(dir: &Path) -> Result<()> {
    set(dir, "1")?;
    for _ in 0..PATIENCE.as_millis() {
        let events = std::fs::read_to_string(dir.join("cgroup.events"))
            .context(|| "cannot read whether the container is frozen")?;
        if events.lines().any(|line| line == "frozen 1") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = set(dir, "0");
    Err(Error::unavailable(
        "the container's processes were not frozen in time",
    ))
}

/// Lets it go on.
pub fn thaw(dir: &Path) -> Result<()> {
    set(dir, "0")
}

/// Whether it is known not to be frozen, nor about to.
pub fn is_thawed(dir: &Path) -> bool {
    std::fs::read_to_string(dir.join("cgroup.freeze")).is_ok_and(|text| text.trim() == "0")
}

/// `NotFound`: the cgroup is gone, perhaps since its file was opened (ENODEV).
fn set(dir: &Path, value: &str) -> Result<()> {
    std::fs::write(dir.join("cgroup.freeze"), value)
        .map_err(|e| match e.raw_os_error() {
            Some(libc::ENODEV) => std::io::ErrorKind::NotFound.into(),
            _ => e,
        })
        .context(|| format!("cannot write \"{}\"", dir.join("cgroup.freeze").display()))
}

/// Why a container may have no cgroup, and what to do.
pub fn remedy() -> &'static str {
    if v2_mount().is_none_or(|mount| mount.ends_with("unified")) {
        "this host uses cgroup v1, where only root's containers have a cgroup; boot it with systemd.unified_cgroup_hierarchy=1"
    } else {
        "no cgroup is delegated to you: start the container in `systemd-run --user --scope`, or log in through systemd"
    }
}
