//! The list of living monitors: one empty file each, `PID.STARTTIME`, in the
//! run directory. Whoever finds a dead one removes it.

use crate::error::{Context, Result};
use crate::sys::procfs::Process;
use std::path::Path;

/// Adds ourselves.
pub fn add(dir: &Path, me: Process) -> Result<()> {
    let path = dir.join(file_name(me));
    match std::fs::File::create(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(dir).and_then(|()| std::fs::File::create(&path).map(drop))
        }
        other => other.map(drop),
    }
    .context(|| format!("cannot write \"{}\"", path.display()))
}

pub fn remove(dir: &Path, me: Process) {
    let _ = std::fs::remove_file(dir.join(file_name(me)));
}

/// The monitors that live; files of dead ones are removed on the way.
pub fn living(dir: &Path) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let process = parse(entry.file_name().to_str()?)?;
            if process.lives() {
                return Some(process);
            }
            let _ = std::fs::remove_file(entry.path());
            None
        })
        .collect()
}

fn file_name(process: Process) -> String {
    format!("{}.{}", process.pid, process.start_time)
}

fn parse(name: &str) -> Option<Process> {
    let (pid, start_time) = name.split_once('.')?;
    Some(Process {
        pid: pid.parse().ok()?,
        start_time: start_time.parse().ok()?,
    })
}
