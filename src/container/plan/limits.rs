//! `--ulimit` and the cgroup limits of a record.

use crate::cgroup::limits::Limits;
use crate::error::{Error, Result};
use crate::record::container::{HostConfig, Ulimit};

/// Names as setrlimit(2) and Docker have them.
const RESOURCES: [(&str, u32); 15] = [
    ("as", libc::RLIMIT_AS),
    ("core", libc::RLIMIT_CORE),
    ("cpu", libc::RLIMIT_CPU),
    ("data", libc::RLIMIT_DATA),
    ("fsize", libc::RLIMIT_FSIZE),
    ("locks", libc::RLIMIT_LOCKS),
    ("memlock", libc::RLIMIT_MEMLOCK),
    ("msgqueue", libc::RLIMIT_MSGQUEUE),
    ("nice", libc::RLIMIT_NICE),
    ("nofile", libc::RLIMIT_NOFILE),
    ("nproc", libc::RLIMIT_NPROC),
    ("rss", libc::RLIMIT_RSS),
    ("rtprio", libc::RLIMIT_RTPRIO),
    ("sigpending", libc::RLIMIT_SIGPENDING),
    ("stack", libc::RLIMIT_STACK),
];

/// resource, soft, hard for prlimit(2).
pub fn ulimits(list: &[Ulimit]) -> Result<Vec<(u32, u64, u64)>> {
    list.iter()
        .map(|ulimit| {
            let resource = RESOURCES
                .iter()
                .find(|(name, _)| *name == ulimit.name)
                .ok_or_else(|| Error::invalid(format!("invalid ulimit type: {}", ulimit.name)))?
                .1;
            // -1 is unlimited, which is what the cast makes of it.
            Ok((resource, ulimit.soft as u64, ulimit.hard as u64))
        })
        .collect()
}

pub fn cgroup(host: &HostConfig) -> Limits {
    Limits {
        memory: host.memory,
        memory_swap: host.memory_swap,
        memory_reservation: host.memory_reservation,
        nano_cpus: host.nano_cpus,
        cpu_shares: host.cpu_shares,
        cpuset_cpus: host.cpuset_cpus.clone(),
        cpuset_mems: host.cpuset_mems.clone(),
        pids: host.pids_limit.unwrap_or(0).max(0),
    }
}
