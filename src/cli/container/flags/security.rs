//! What the container may do, and which namespaces it has of its own.

use super::{device, listed};
use crate::container::ids::Mode;
use crate::error::{Error, Result};
use crate::record::container::{DeviceMapping, HostConfig};
use crate::runtime::seccomp::Profile;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Security")]
pub struct SecurityFlags {
    /// Add Linux capabilities
    #[arg(long)]
    cap_add: Vec<String>,
    /// Drop Linux capabilities
    #[arg(long)]
    cap_drop: Vec<String>,
    /// Security options
    #[arg(long)]
    security_opt: Vec<String>,
    /// Give extended privileges to this container
    #[arg(long)]
    privileged: bool,
    /// Add a host device to the container
    #[arg(long)]
    device: Vec<String>,
    /// Add a rule to the cgroup allowed devices list
    #[arg(long, value_name = "list", value_parser = device::rule)]
    device_cgroup_rule: Vec<String>,
    /// Add additional groups to join
    #[arg(long)]
    group_add: Vec<String>,
    /// Sysctl options
    #[arg(long, value_name = "map", value_parser = sysctl)]
    sysctl: Vec<(String, String)>,
    /// User namespace to use
    #[arg(long)]
    userns: Option<String>,
    /// PID namespace to use
    #[arg(long)]
    pid: Option<String>,
    /// IPC mode to use
    #[arg(long)]
    ipc: Option<String>,
    /// UTS namespace to use
    #[arg(long)]
    uts: Option<String>,
    /// Cgroup namespace to use (host|private)
    #[arg(long)]
    cgroupns: Option<String>,
}

impl SecurityFlags {
    pub fn apply(self, host: &mut HostConfig) -> Result<()> {
        host.cap_add = listed(self.cap_add);
        host.cap_drop = listed(self.cap_drop);
        let options: Vec<String> = self
            .security_opt
            .iter()
            .map(|o| security_opt(o))
            .collect::<Result<_>>()?;
        host.security_opt = listed(options);
        host.privileged = self.privileged;
        host.devices = self
            .device
            .iter()
            .map(|d| device::parse(d))
            .collect::<Result<Vec<DeviceMapping>>>()?;
        host.device_cgroup_rules = listed(self.device_cgroup_rule);
        host.group_add = listed(self.group_add);
        host.sysctls = self.sysctl.into_iter().collect();
        host.pid_mode = mode(
            self.pid,
            "--pid: invalid PID mode",
            &["private", "host"],
            true,
        )?;
        let ipc = mode(
            self.ipc,
            "--ipc: invalid IPC mode",
            &["none", "private", "shareable", "host"],
            true,
        )?;
        if !ipc.is_empty() {
            host.ipc_mode = ipc;
        }
        host.userns_mode = userns(self.userns)?;
        host.uts_mode = mode(
            self.uts,
            "--uts: invalid UTS mode",
            &["private", "host"],
            false,
        )?;
        let cgroupns = mode(
            self.cgroupns,
            "--cgroupns: invalid CGROUP mode",
            &["private", "host"],
            false,
        )?;
        if !cgroupns.is_empty() {
            host.cgroupns_mode = cgroupns;
        }
        Ok(())
    }
}

/// A namespace mode; `join` says whether `container:NAME` is one.
fn mode(given: Option<String>, invalid: &str, known: &[&str], join: bool) -> Result<String> {
    let given = given.unwrap_or_default();
    let joins = join
        && given
            .strip_prefix("container:")
            .is_some_and(|name| !name.is_empty());
    if given.is_empty() || joins || known.contains(&given.as_str()) {
        Ok(given)
    } else {
        Err(Error::usage(invalid))
    }
}

/// Docker's mode, and podman's `keep-id[:uid=N,gid=N]` and `nomap`.
fn userns(given: Option<String>) -> Result<String> {
    let given = given.unwrap_or_default();
    if given.split(':').next() == Some("auto") {
        return Err(Error::unsupported(
            "--userns auto is not supported: each container has a user namespace of its own, with the same ids",
        ));
    }
    if matches!(Mode::parse(&given)?, Mode::Plain) {
        return mode(Some(given), "--userns: invalid USER mode", &["host"], false);
    }
    Ok(given)
}

/// Docker's forms `key=value`, `key:value` and bare `no-new-privileges`; a
/// seccomp profile is read now, so that the record holds all of it.
fn security_opt(text: &str) -> Result<String> {
    let Some((key, value)) = text.split_once('=').or_else(|| text.split_once(':')) else {
        if text == "no-new-privileges" {
            return Ok(text.into());
        }
        return Err(Error::usage(format!("Invalid --security-opt: \"{text}\"")));
    };
    if key != "seccomp" {
        return Ok(format!("{key}={value}"));
    }
    let profile = Profile::read(value).map_err(|e| e.with_kind(crate::error::Kind::Usage))?;
    Ok(format!("seccomp={profile}"))
}

fn sysctl(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err(Error::usage(format!("sysctl '{text}' is not allowed"))),
    }
}
