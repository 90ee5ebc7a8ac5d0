//! Limits for containers, and the limits that containers run into.

use super::{Check, is_root, read};
use crate::cgroup;
use crate::engine::Engine;
use crate::host::Need;
use std::path::Path;

/// What `--memory`, `--cpus`, `--pids-limit` and `--cpuset-cpus` need.
const WANTED: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

pub fn checks(_engine: &Engine) -> Vec<Check> {
    vec![cgroups(), keys(), modules()]
}

fn cgroups() -> Check {
    let name = "limits (cgroups)";
    if is_root() && cgroup::controllers().is_none() {
        return Check::missing(name, Need::RootCgroup, "version 2 is not mounted");
    }
    if cgroup::is_version1() {
        return Check::advice(
            name,
            Need::CgroupVersion2,
            "controllers are those of version 1",
        );
    }
    let Some(controllers) = cgroup::controllers() else {
        return Check::advice(name, Need::Delegation, "version 2, none delegated");
    };
    let missing: Vec<&str> = WANTED
        .into_iter()
        .filter(|wanted| !controllers.iter().any(|c| c == wanted))
        .collect();
    let found = format!("version 2: {}", controllers.join(" "));
    match missing.is_empty() {
        true => Check::good(name, found),
        false => Check::advice(
            name,
            Need::Controllers,
            format!("{found}; without {}", missing.join(" ")),
        ),
    }
}

/// Each container has a session keyring of its own.
fn keys() -> Check {
    let name = "kernel keys";
    let uid = nix::unistd::geteuid().to_string();
    let users = read("/proc/key-users");
    let line = users
        .lines()
        .find_map(|line| line.trim().strip_prefix(&format!("{uid}:")));
    // The third field: keys and the limit.
    let counts = line
        .and_then(|rest| rest.split_whitespace().nth(2))
        .and_then(|field| field.split_once('/'))
        .and_then(|(used, limit)| Some((used.parse::<u64>().ok()?, limit.parse::<u64>().ok()?)));
    match counts {
        Some((used, limit)) if used + 10 > limit => {
            Check::missing(name, Need::Keys, format!("{used} of {limit} are used"))
        }
        Some((used, limit)) => Check::good(name, format!("{used} of {limit} are used")),
        None => Check::good(name, "none is used"),
    }
}

/// Security modules: nothing is needed of them; what they do is told.
fn modules() -> Check {
    let apparmor = match &*read("/sys/module/apparmor/parameters/enabled") {
        "Y" => "AppArmor is on",
        _ => "no AppArmor",
    };
    let selinux = match Path::new("/sys/fs/selinux/enforce").exists() {
        true if read("/sys/fs/selinux/enforce") == "1" => "SELinux enforces",
        true => "SELinux only warns",
        false => "no SELinux",
    };
    Check::good("security modules", format!("{apparmor}, {selinux}"))
}
