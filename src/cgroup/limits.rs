//! Limits: which controllers they need, and setting them.

use super::io::Io;
use super::place::Place;
use crate::error::{Error, Result};
use crate::host::Need;
use libcgroups::common::{CgroupManager, ControllerOpt};
use oci_spec::runtime::{
    LinuxCpuBuilder, LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder,
};
use std::path::{Path, PathBuf};

/// What the user asked for; zero or empty is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub memory: i64,
    /// Bytes of memory and swap together; -1 is unlimited swap.
    pub memory_swap: i64,
    pub memory_reservation: i64,
    /// 1e-9 CPUs.
    pub nano_cpus: i64,
    /// Microseconds.
    pub cpu_period: i64,
    pub cpu_quota: i64,
    pub cpu_shares: u64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub pids: i64,
    pub io: Io,
}

/// The period that `--cpus` is counted in, microseconds.
const PERIOD: u64 = 100_000;

impl Limits {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// (option as typed, controller) of each limit.
    fn needs(&self) -> Vec<(&'static str, &'static str)> {
        let mut needs = Vec::new();
        let mut add = |set: bool, option, controller| {
            if set {
                needs.push((option, controller));
            }
        };
        add(self.memory != 0, "--memory", "memory");
        add(self.memory_swap != 0, "--memory-swap", "memory");
        add(
            self.memory_reservation != 0,
            "--memory-reservation",
            "memory",
        );
        add(self.nano_cpus != 0, "--cpus", "cpu");
        add(self.cpu_period != 0, "--cpu-period", "cpu");
        add(self.cpu_quota != 0, "--cpu-quota", "cpu");
        add(self.cpu_shares != 0, "--cpu-shares", "cpu");
        add(!self.cpuset_cpus.is_empty(), "--cpuset-cpus", "cpuset");
        add(!self.cpuset_mems.is_empty(), "--cpuset-mems", "cpuset");
        add(self.pids > 0, "--pids-limit", "pids");
        add(self.io.weight != 0, "--blkio-weight", "io");
        add(!self.io.weights.is_empty(), "--blkio-weight-device", "io");
        for (_, key, _) in &self.io.rates {
            let option = match *key {
                "rbps" => "--device-read-bps",
                "wbps" => "--device-write-bps",
                "riops" => "--device-read-iops",
                _ => "--device-write-iops",
            };
            add(true, option, "io");
        }
        needs
    }

    /// Refuses what this host cannot hold to, by name and before anything starts.
    pub fn check(&self, place: Option<&Place>) -> Result<()> {
        for (option, controller) in self.needs() {
            if place.is_some_and(|p| p.controllers.iter().any(|c| c == controller)) {
                continue;
            }
            return Err(missing(option, controller, place.is_some()));
        }
        Ok(())
    }

    /// Writes the limits into the container's cgroup `dir`.
    pub fn apply(&self, dir: &Path) -> Result<()> {
        if self.is_none() {
            return Ok(());
        }
        let failed = |e: &dyn std::fmt::Display| {
            Error::internal(format!("cannot set the container's limits: {e}"))
        };
        let resources = self.resources().map_err(|e| failed(&e))?;
        let (parent, name) = match (dir.parent(), dir.file_name()) {
            (Some(parent), Some(name)) => (parent.to_path_buf(), PathBuf::from(name)),
            _ => return Err(Error::internal("the container's cgroup has no parent")),
        };
        let manager =
            libcgroups::v2::manager::Manager::new(parent, name).map_err(|e| failed(&e))?;
        manager
            .apply(&ControllerOpt {
                resources: &resources,
                disable_oom_killer: false,
                oom_score_adj: None,
                freezer_state: None,
            })
            .map_err(|e| failed(&e))?;
        self.io.apply(dir)
    }

    fn resources(&self) -> Result<LinuxResources, oci_spec::OciSpecError> {
        let mut all = LinuxResourcesBuilder::default();
        if self.memory != 0 || self.memory_reservation != 0 || self.memory_swap != 0 {
            let mut memory = LinuxMemoryBuilder::default();
            if self.memory != 0 {
                // Docker's default: as much swap again.
                let swap = if self.memory_swap == 0 {
                    self.memory * 2
                } else {
                    self.memory_swap
                };
                memory = memory.limit(self.memory).swap(swap);
            }
            if self.memory_reservation != 0 {
                memory = memory.reservation(self.memory_reservation);
            }
            all = all.memory(memory.build()?);
        }
        let mut cpu = LinuxCpuBuilder::default();
        if self.nano_cpus != 0 {
            cpu = cpu
                .period(PERIOD)
                .quota(self.nano_cpus * PERIOD as i64 / 1_000_000_000);
        }
        if self.cpu_period != 0 {
            cpu = cpu.period(self.cpu_period.unsigned_abs());
        }
        if self.cpu_quota != 0 {
            cpu = cpu.quota(self.cpu_quota);
        }
        if self.cpu_shares != 0 {
            cpu = cpu.shares(self.cpu_shares);
        }
        if !self.cpuset_cpus.is_empty() {
            cpu = cpu.cpus(self.cpuset_cpus.clone());
        }
        if !self.cpuset_mems.is_empty() {
            cpu = cpu.mems(self.cpuset_mems.clone());
        }
        all = all.cpu(cpu.build()?);
        if self.pids > 0 {
            all = all.pids(LinuxPidsBuilder::default().limit(self.pids).build()?);
        }
        all.build()
    }
}

/// What `option` is about needs a cgroup of one's own.
pub fn no_place(option: &str) -> Error {
    Error::unsupported(format!(
        "cannot do what {option} asks for: there is no cgroup that you may make others in"
    ))
    .hint(Need::Delegation.hint())
}

fn missing(option: &str, controller: &str, has_place: bool) -> Error {
    let error = Error::unsupported(format!(
        "cannot hold the container to {option}: the cgroup controller \"{controller}\" is not available"
    ));
    if super::is_version1() {
        return error.hint(Need::CgroupVersion2.hint());
    }
    if !has_place {
        return error.hint(Need::Delegation.hint());
    }
    error.hint(Need::Controllers.hint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_without_its_controller_is_refused_by_name() {
        let limits = Limits {
            pids: 5,
            ..Limits::default()
        };
        let error = limits.check(None).unwrap_err();
        assert!(error.message().contains("--pids-limit") && error.message().contains("\"pids\""));
        assert!(error.hint_text().is_some());
        assert!(Limits::default().check(None).is_ok());
    }
}
