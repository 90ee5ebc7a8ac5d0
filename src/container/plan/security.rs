//! `--security-opt`, capabilities, masked and read-only paths.

use super::c_string;
use crate::error::{Error, Result};
use crate::record::container::HostConfig;
use crate::runtime::seccomp::{self, Profile};
use crate::sys::caps::CapSet;
use std::ffi::CString;
use std::path::Path;

/// Hidden from every container (moby, oci/defaults.go as data).
pub const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Readable only.
pub const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What a container may do.
pub struct Security {
    pub privileged: bool,
    pub bounding: CapSet,
    pub no_new_privileges: bool,
    pub writable_cgroups: bool,
    profile: Profile,
}

impl Security {
    pub fn of(host: &HostConfig) -> Result<Self> {
        let mut security = Self {
            privileged: host.privileged,
            bounding: capabilities(host)?,
            no_new_privileges: false,
            writable_cgroups: host.privileged,
            profile: if host.privileged {
                Profile::Unconfined
            } else {
                Profile::Builtin
            },
        };
        for option in host.security_opt.iter().flatten() {
            security.take(option)?;
        }
        Ok(security)
    }

    fn take(&mut self, option: &str) -> Result<()> {
        let (key, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (key, value) {
            ("no-new-privileges", "" | "true") => self.no_new_privileges = true,
            ("no-new-privileges", "false") => self.no_new_privileges = false,
            ("seccomp", recorded) => self.profile = Profile::parse(recorded)?,
            // Resolved into the record's lists when the container was made.
            ("systempaths", "unconfined") => {}
            ("writable-cgroups", "true") => self.writable_cgroups = true,
            ("writable-cgroups", "false") => self.writable_cgroups = false,
            // There is no AppArmor profile and no SELinux label to switch off.
            ("apparmor", "unconfined") | ("label", "disable") => {}
            _ => {
                return Err(Error::unsupported(format!(
                    "--security-opt {option} is not supported"
                )));
            }
        }
        Ok(())
    }

    /// Whether keyctl(2) may get past the filter; the built-in one denies it.
    pub fn may_use_keys(&self) -> bool {
        !matches!(self.profile, Profile::Builtin)
    }

    /// The compiled filter, when there is to be one.
    pub fn filter(&self) -> Result<Option<seccomp::Filter>> {
        seccomp::filter(&self.profile, self.bounding)
    }

    /// Masked and read-only paths without leading slashes, in a form for the plan.
    pub fn hidden_paths(&self, host: &HostConfig) -> Result<(Vec<CString>, Vec<CString>)> {
        let below_root = |path: &String| c_string(path.trim_start_matches('/'));
        let mut masked: Vec<CString> = host
            .masked_paths
            .iter()
            .map(below_root)
            .collect::<Result<_>>()?;
        if !masked.is_empty() {
            masked.extend(thermal_throttle()?);
        }
        let read_only = host
            .readonly_paths
            .iter()
            .map(below_root)
            .collect::<Result<_>>()?;
        Ok((masked, read_only))
    }
}

/// What goes into a new container's record: Docker's lists, or nothing.
pub fn default_paths(host: &HostConfig) -> (Vec<String>, Vec<String>) {
    let unconfined = host
        .security_opt
        .iter()
        .flatten()
        .any(|o| o == "systempaths=unconfined" || o == "systempaths:unconfined");
    if host.privileged || unconfined {
        return (Vec::new(), Vec::new());
    }
    let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    (owned(&MASKED), owned(&READ_ONLY))
}

/// All capabilities that a container can be given: root without a user
/// namespace may lack some itself, as in another container.
pub fn available() -> Result<CapSet> {
    let known = CapSet::all_known()?;
    Ok(match nix::unistd::geteuid().is_root() {
        true => known.and(CapSet::bounding()),
        false => known,
    })
}

pub fn capabilities(host: &HostConfig) -> Result<CapSet> {
    let available = available()?;
    if host.privileged {
        return Ok(available);
    }
    let add = host.cap_add.as_deref().unwrap_or_default();
    let drop = host.cap_drop.as_deref().unwrap_or_default();
    CapSet::apply(CapSet::DOCKER.and(available), available, add, drop)
}

/// /sys/devices/system/cpu/cpuN/thermal_throttle, where the host has it
/// (GHSA-6fw5-f8r9-fgfm).
fn thermal_throttle() -> Result<Vec<CString>> {
    let mut found = Vec::new();
    for cpu in 0.. {
        let dir = format!("sys/devices/system/cpu/cpu{cpu}");
        if Path::new("/").join(&dir).join("thermal_throttle").exists() {
            found.push(c_string(&format!("{dir}/thermal_throttle"))?);
        } else if !Path::new("/").join(&dir).exists() {
            break;
        }
    }
    Ok(found)
}
