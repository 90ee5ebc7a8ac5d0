//! The list of processes that containers depend on: one empty file each in the
//! run directory, `PID.STARTTIME` for a monitor and `start-PID.STARTTIME` for a
//! command that is making a container. An entry whose process is dead is the
//! sign that something was left half done; it stays until that is put right.

use crate::error::{Context, Result};
use crate::fs::private;
use crate::sys::procfs::Process;
use std::path::{Path, PathBuf};

/// What the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Monitor,
    Starter,
}

const STARTER: &str = "start-";

/// An entry of the list; gone when it is dropped.
pub struct Entry(PathBuf);

impl Entry {
    /// Adds this process.
    pub fn add(dir: &Path, role: Role) -> Result<Self> {
        let me = Process::me();
        let path = dir.join(file_name(role, me));
        private::mark(&path).context(|| format!("cannot write \"{}\"", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Puts the list right: the `dead` entries go, except for those of `needed`
/// monitors, which are also added when they are missing (the run directory
/// may have been wiped).
pub fn restore(dir: &Path, dead: Vec<PathBuf>, needed: &[Process]) -> Result<()> {
    private::dir(dir).context(|| format!("cannot make directory \"{}\"", dir.display()))?;
    let entry = |process: &Process| dir.join(file_name(Role::Monitor, *process));
    let needed: Vec<PathBuf> = needed.iter().map(entry).collect();
    for path in needed.iter().filter(|path| !path.exists()) {
        private::mark(path).context(|| format!("cannot write \"{}\"", path.display()))?;
    }
    for path in dead.iter().filter(|path| !needed.contains(path)) {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// The monitors that live.
pub fn living(dir: &Path) -> Vec<Process> {
    entries(dir)
        .unwrap_or_default()
        .into_iter()
        .filter(|(role, process, _)| *role == Role::Monitor && process.lives())
        .map(|(_, process, _)| process)
        .collect()
}

/// The entries of dead processes; `None` when there is no list, as after a
/// reboot, when anything may have been left.
pub fn dead(dir: &Path) -> Option<Vec<PathBuf>> {
    let dead = entries(dir)?
        .into_iter()
        .filter(|(_, process, _)| !process.lives())
        .map(|(_, _, path)| path)
        // One that has ended since the list was read took its entry with it.
        .filter(|path| path.exists());
    Some(dead.collect())
}

fn entries(dir: &Path) -> Option<Vec<(Role, Process, PathBuf)>> {
    let entries = std::fs::read_dir(dir).ok()?;
    let parsed = entries.flatten().filter_map(|entry| {
        let name = entry.file_name();
        let (role, process) = parse(name.to_str()?)?;
        Some((role, process, entry.path()))
    });
    Some(parsed.collect())
}

fn file_name(role: Role, process: Process) -> String {
    let prefix = if role == Role::Starter { STARTER } else { "" };
    format!("{prefix}{}.{}", process.pid, process.start_time)
}

fn parse(name: &str) -> Option<(Role, Process)> {
    let (role, rest) = match name.strip_prefix(STARTER) {
        Some(rest) => (Role::Starter, rest),
        None => (Role::Monitor, name),
    };
    let (pid, start_time) = rest.split_once('.')?;
    let process = Process {
        pid: pid.parse().ok()?,
        start_time: start_time.parse().ok()?,
    };
    Some((role, process))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_and_the_dead() {
        let dir = std::env::temp_dir().join(format!("wherry-monitors-{}", std::process::id()));
        assert!(dead(&dir).is_none());
        let monitor = Entry::add(&dir, Role::Monitor).unwrap();
        let starter = Entry::add(&dir, Role::Starter).unwrap();
        std::fs::write(dir.join("1.999999999999"), "").unwrap();
        std::fs::write(dir.join("start-2147483647.1"), "").unwrap();
        std::fs::write(dir.join("junk"), "").unwrap();
        assert_eq!(living(&dir).len(), 1);
        let gone = dead(&dir).unwrap();
        assert_eq!(gone.len(), 2);
        // One stays, one goes, one comes back.
        let process = |pid, start_time| Process { pid, start_time };
        let needed = [process(1, 999_999_999_999), process(2, 7)];
        restore(&dir, gone, &needed).unwrap();
        assert!(dir.join("1.999999999999").exists() && dir.join("2.7").exists());
        assert!(!dir.join("start-2147483647.1").exists());
        drop((monitor, starter));
        assert!(living(&dir).is_empty());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
