//! What holds whatever is killed, damaged, full, wiped or done at once: the
//! next command tells the truth and works, and nothing is left behind
//! (promises C1, C3, C6, K1, K2, K4, K8, K9, M1, M3, M4, M7, M8, B1, B2, L4).

mod damage;
mod disk;
mod identity;
mod kills;
mod load;
mod monitor;
mod names;
mod streams;

use crate::support::Env;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::PathBuf;
use wherry::sys::procfs::Process;

/// Starts a container without network in the background; its ID.
pub fn detached(env: &Env, name: &str, command: &[&str]) -> String {
    let start = ["run", "-d", "--name", name, "--network", "none", "busybox"];
    env.ok([&start, command].concat())
}

/// A process that the container's record names: `Init`, `Monitor`.
pub fn process(env: &Env, id: &str, which: &str) -> Pid {
    let pid = env.record(id, "state")[which]["Pid"].as_i64().unwrap();
    Pid::from_raw(pid.try_into().unwrap())
}

pub fn send(pid: Pid, signal: Signal) {
    kill(pid, signal).unwrap_or_else(|e| panic!("{signal} to {pid}: {e}"));
}

/// `State` of `ps -a` for the container, empty when it is not there.
pub fn state(env: &Env, name: &str) -> String {
    let filter = format!("name=^/?{name}$");
    env.ok(["ps", "-a", "--filter", &filter, "--format", "{{.State}}"])
}

/// A field of `inspect`.
pub fn field(env: &Env, name: &str, template: &str) -> String {
    env.ok(["inspect", "--format", template, name])
}

pub fn data(env: &Env, below: &str) -> PathBuf {
    env.path("data/wherry").join(below)
}

/// The monitors that live, by the list in the run directory.
pub fn monitors(env: &Env) -> Vec<Pid> {
    let entries = std::fs::read_dir(env.run_dir().join("wherry/monitors"));
    let names = entries.into_iter().flatten().flatten();
    names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (pid, start_time) = name.split_once('.')?;
            let process = Process {
                pid: pid.parse().ok()?,
                start_time: start_time.parse().ok()?,
            };
            process.lives().then(|| Pid::from_raw(process.pid))
        })
        .collect()
}
