//! `--ulimit` and the cgroup limits of a record.

use crate::cgroup::io::{Io, Number};
use crate::cgroup::limits::Limits;
use crate::error::{Error, Result};
use crate::record::container::{HostConfig, Ulimit};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

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

pub fn cgroup(host: &HostConfig) -> Result<Limits> {
    Ok(Limits {
        memory: host.memory,
        memory_swap: host.memory_swap,
        memory_reservation: host.memory_reservation,
        nano_cpus: host.nano_cpus,
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        cpu_shares: host.cpu_shares,
        cpuset_cpus: host.cpuset_cpus.clone(),
        cpuset_mems: host.cpuset_mems.clone(),
        pids: host.pids_limit.unwrap_or(0).max(0),
        io: io(host)?,
    })
}

fn io(host: &HostConfig) -> Result<Io> {
    let mut io = Io {
        weight: host.blkio_weight,
        ..Io::default()
    };
    for device in &host.blkio_weight_device {
        io.weights
            .push((block_device(&device.path)?, device.weight));
    }
    for (key, devices) in [
        ("rbps", &host.blkio_device_read_bps),
        ("wbps", &host.blkio_device_write_bps),
        ("riops", &host.blkio_device_read_iops),
        ("wiops", &host.blkio_device_write_iops),
    ] {
        for device in devices {
            io.rates
                .push((block_device(&device.path)?, key, device.rate));
        }
    }
    Ok(io)
}

fn block_device(path: &str) -> Result<Number> {
    let meta = std::fs::metadata(path).map_err(|e| {
        Error::not_found(format!(
            "cannot use \"{path}\": {}",
            crate::error::reason(&e)
        ))
    })?;
    if !meta.file_type().is_block_device() {
        return Err(Error::invalid(format!("\"{path}\" is not a block device")));
    }
    Ok((libc::major(meta.rdev()), libc::minor(meta.rdev())))
}

/// Docker's least memory.
const LEAST_MEMORY: i64 = 6 << 20;

/// Refuses numbers that make no sense, alone or together, in Docker's words.
pub fn check(host: &HostConfig) -> Result<()> {
    let set = |limit: i64| limit > 0;
    let refusals = [
        (
            set(host.memory) && host.memory < LEAST_MEMORY,
            "Minimum memory limit allowed is 6MB",
        ),
        (
            set(host.memory) && set(host.memory_swap) && host.memory_swap < host.memory,
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            host.memory == 0 && set(host.memory_swap),
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            set(host.memory_reservation) && host.memory_reservation < LEAST_MEMORY,
            "Minimum memory reservation allowed is 6MB",
        ),
        (
            set(host.memory) && host.memory < host.memory_reservation,
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            host.nano_cpus != 0 && host.cpu_period != 0,
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ),
        (
            host.nano_cpus != 0 && host.cpu_quota != 0,
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ),
        (
            host.cpu_period != 0 && !(1000..=1_000_000).contains(&host.cpu_period),
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (
            set(host.cpu_quota) && host.cpu_quota < 1000,
            "CPU cfs quota can not be less than 1ms (i.e. 1000)",
        ),
        (
            host.blkio_weight != 0 && !(10..=1000).contains(&host.blkio_weight),
            "Range of blkio weight is from 10 to 1000",
        ),
    ];
    if let Some((_, message)) = refusals.iter().find(|(refused, _)| *refused) {
        return Err(Error::invalid(*message));
    }
    if host.nano_cpus != 0 {
        check_cpus(host.nano_cpus)?;
    }
    if crate::cgroup::is_path(&host.cgroup_parent) {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "invalid --cgroup-parent \"{}\": it must name a cgroup without \"..\"",
            host.cgroup_parent.escape_debug()
        )))
    }
}

/// No more than there are.
fn check_cpus(nano_cpus: i64) -> Result<()> {
    let online = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN);
    let online = online.ok().flatten().unwrap_or(i64::MAX);
    if (10_000_000..=online.saturating_mul(1_000_000_000)).contains(&nano_cpus) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Range of CPUs is from 0.01 to {online}.00, as there are only {online} CPUs available"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl Fn(&mut HostConfig), want: &str) {
        let mut host = HostConfig::default();
        change(&mut host);
        let error = check(&host).unwrap_err();
        assert!(error.message().contains(want), "{}", error.message());
    }

    #[test]
    fn memory_that_makes_no_sense() {
        refused(|h| h.memory = 1, "Minimum memory limit allowed is 6MB");
        let swap = |h: &mut HostConfig| (h.memory, h.memory_swap) = (8 << 20, 7 << 20);
        refused(swap, "Minimum memoryswap limit");
        let alone = |h: &mut HostConfig| h.memory_swap = 7 << 20;
        refused(alone, "You should always set the Memory limit");
        let less = |h: &mut HostConfig| (h.memory, h.memory_reservation) = (8 << 20, 9 << 20);
        refused(less, "can not be less than memory reservation");
    }

    #[test]
    fn other_numbers_that_make_no_sense() {
        refused(|h| h.nano_cpus = 1, "Range of CPUs is from 0.01 to ");
        refused(|h| h.nano_cpus = i64::MAX, "Range of CPUs is from 0.01 to ");
        let both = |h: &mut HostConfig| (h.nano_cpus, h.cpu_period) = (10_000_000, 1000);
        refused(both, "Nano CPUs and CPU Period");
        let both = |h: &mut HostConfig| (h.nano_cpus, h.cpu_quota) = (10_000_000, 1000);
        refused(both, "Nano CPUs and CPU Quota");
        refused(|h| h.cpu_period = 999, "CPU cfs period");
        refused(|h| h.cpu_quota = 999, "CPU cfs quota");
        refused(|h| h.blkio_weight = 9, "Range of blkio weight");
        let up = |h: &mut HostConfig| h.cgroup_parent = "/a/../..".into();
        refused(up, "invalid --cgroup-parent");
    }

    #[test]
    fn numbers_that_do() {
        let good = HostConfig {
            memory: 6 << 20,
            memory_swap: -1,
            cpu_period: 1000,
            cpu_quota: -1,
            cgroup_parent: "/a/b".into(),
            ..HostConfig::default()
        };
        check(&good).unwrap();
    }
}
