//! Subordinate ids: the ranges, and the programs that map them.

use super::{Check, is_root, read};
use crate::engine::Engine;
use crate::host::{IDS, Need};
use crate::sys::program;
use crate::userns::map::has_rights;
use crate::userns::subid::{self, Owner, Range};
use crate::userns::task;
use std::path::Path;

const RANGES: &str = "subordinate ids";

pub fn checks(engine: &Engine) -> Vec<Check> {
    if is_root() {
        return Vec::new();
    }
    let mut checks = vec![tools()];
    checks.extend(ranges());
    let all_good = checks.iter().all(|c| c.state == super::State::Good);
    // What looks right may still be refused.
    if all_good {
        checks.push(match task::run(&engine.paths, || Ok(())) {
            Ok(()) => Check::good("id mapping", "a namespace with all of them was made"),
            Err(e) => Check::missing("id mapping", Need::OwnSubordinateIds, e.message()),
        });
    }
    checks
}

fn tools() -> Check {
    let name = "newuidmap, newgidmap";
    let find = |tool: &str| program::find(&program::DIRECTORIES.map(Path::new), tool);
    let found = ["newuidmap", "newgidmap"].map(|tool| (tool, find(tool)));
    for (tool, path) in &found {
        match path {
            None => {
                let found = format!("{tool} is not in {}", program::DIRECTORIES.join(", "));
                return Check::missing(name, Need::MapTools, found);
            }
            Some(path) if !has_rights(path) => {
                let found = format!("\"{}\" has neither", path.display());
                return Check::missing(name, Need::MapToolRights, found);
            }
            Some(_) => {}
        }
    }
    Check::good(name, "installed, with their rights")
}

fn ranges() -> Vec<Check> {
    let uid = nix::unistd::geteuid().as_raw();
    let owner = Owner::of(uid, &read("/etc/passwd"));
    let mut checks = Vec::new();
    for file in ["/etc/subuid", "/etc/subgid"] {
        let name = if file.ends_with("uid") {
            RANGES
        } else {
            "subordinate group ids"
        };
        let own = match subid::ranges(Path::new(file), &owner) {
            Ok(own) => own,
            Err(e) => {
                checks.push(Check::missing(name, Need::SubordinateIds, e.message()));
                continue;
            }
        };
        let count: u64 = own.iter().map(|r| u64::from(r.count)).sum();
        let found = format!("{count} in {file}");
        let shared = subid::of_others(&read(file), &owner)
            .into_iter()
            .any(|other| own.iter().any(|range| overlap(*range, other)));
        checks.push(match count {
            0 => Check::missing(name, Need::SubordinateIds, found),
            _ if shared => Check::missing(name, Need::OwnSubordinateIds, found),
            count if count < u64::from(IDS) => Check::advice(name, Need::MoreSubordinateIds, found),
            _ => Check::good(name, found),
        });
    }
    checks
}

fn overlap(a: Range, b: Range) -> bool {
    let end = |range: Range| u64::from(range.first) + u64::from(range.count);
    u64::from(a.first) < end(b) && u64::from(b.first) < end(a)
}
