//! The processes of a running container, and ps(1) of the host about them.

use super::kill::open_init;
use super::state;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::record::container::State;
use crate::record::containers;
use crate::sys::program;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// What ps printed: its header, and the lines of the container's processes,
/// each cut into as many cells as the header has.
pub struct Table {
    pub titles: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// `options` are those of ps; none are `-ef`.
pub fn top(engine: &Engine, wanted: &str, options: &[String]) -> Result<Table> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    let now = state::truth(&containers::state(paths, &id)?);
    // Held: the numbers below belong to it.
    let _init = open_init(&id, &now)?;
    let pids = of(&now)?;
    parse(&run_ps(options)?, &pids)
}

/// Numbers of the processes of a container that runs, as the host has them:
/// what is in its cgroup, else in its pid namespace.
pub fn of(now: &State) -> Result<BTreeSet<i32>> {
    let listed = std::fs::read_to_string(Path::new(&now.cgroup).join("cgroup.procs"));
    if !now.cgroup.is_empty()
        && let Ok(listed) = listed
    {
        return Ok(listed.lines().filter_map(|l| l.parse().ok()).collect());
    }
    let init = now.init.map_or(0, |init| init.pid);
    let namespace = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own =
        namespace(init).filter(|own| Some(own) != namespace(std::process::id() as i32).as_ref());
    let mut parents = HashMap::new();
    let mut found = BTreeSet::from([init]);
    for pid in all()? {
        parents.extend(parent(pid).map(|parent| (pid, parent)));
        if own.is_some() && namespace(pid) == own {
            found.insert(pid);
        }
    }
    // And below them: in namespaces that the container itself has made.
    loop {
        let more: Vec<i32> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            return Ok(found);
        }
        found.extend(more);
    }
}

fn all() -> Result<Vec<i32>> {
    let entries = std::fs::read_dir("/proc").context(|| "cannot list processes")?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

/// Field 4 of /proc/PID/stat; the command's name before it may hold any byte.
fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = stat.iter().rposition(|&b| b == b')')?;
    let rest = String::from_utf8_lossy(&stat[end + 1..]).into_owned();
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn run_ps(options: &[String]) -> Result<String> {
    let ps: PathBuf =
        program::find(&program::DIRECTORIES.map(Path::new), "ps").ok_or_else(|| {
            Error::unsupported("cannot list processes: ps is not installed")
                .hint("install the package procps")
        })?;
    let standard = ["-ef".to_string()];
    let options = if options.is_empty() {
        &standard
    } else {
        options
    };
    let output = program::command(&ps)
        .args(options)
        .stdin(std::process::Stdio::null())
        .output()
        .context(|| "cannot start ps")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let reason = errors.lines().find(|line| !line.trim().is_empty());
        let reason = reason.unwrap_or("ps failed").trim();
        return Err(Error::invalid(
            reason.strip_prefix("error: ").unwrap_or(reason),
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn parse(text: &str, pids: &BTreeSet<i32>) -> Result<Table> {
    let words =
        |line: &str| -> Vec<String> { line.split_ascii_whitespace().map(str::to_string).collect() };
    let mut lines = text.lines();
    let titles = words(lines.next().unwrap_or_default());
    let column = titles
        .iter()
        .position(|title| title == "PID")
        .ok_or_else(|| {
            Error::invalid("Couldn't find PID field in ps output")
                .hint("the options of ps must not leave it out")
        })?;
    let mut rows = Vec::new();
    for line in lines {
        let mut cells = words(line);
        let pid = cells.get(column).and_then(|cell| cell.parse().ok());
        if pid.is_none_or(|pid| !pids.contains(&pid)) {
            continue;
        }
        // The last column is the command, with its blanks.
        let last = titles.len() - 1;
        if cells.len() > last {
            let rest = cells.split_off(last).join(" ");
            cells.push(rest);
        }
        rows.push(cells);
    }
    Ok(Table { titles, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ps_are_cut_and_chosen() {
        let text = "UID PID CMD\nroot 1 /sbin/init  x\nme 42 sh -c  sleep 9\nme 43 [z] <defunct>\n";
        let table = parse(text, &BTreeSet::from([42, 43])).unwrap();
        assert_eq!(table.titles, ["UID", "PID", "CMD"]);
        assert_eq!(
            table.rows,
            [["me", "42", "sh -c sleep 9"], ["me", "43", "[z] <defunct>"]]
        );
        assert!(parse("COMMAND\nsh\n", &BTreeSet::new()).is_err());
        assert!(parse("", &BTreeSet::new()).is_err());
    }

    #[test]
    fn we_have_a_parent() {
        let me = std::process::id() as i32;
        assert_eq!(parent(me), Some(nix::unistd::getppid().as_raw()));
        assert!(all().unwrap().contains(&me));
        assert_eq!(parent(i32::MAX), None);
    }
}
