//! Options of Docker's that wherry knows and cannot carry out: each is an
//! error that names it, in Docker's words where Docker has some.

use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Not supported")]
pub struct RefusedFlags {
    /// Container IPv4/IPv6 link-local addresses
    #[arg(long, value_name = "list")]
    link_local_ip: Vec<String>,
    /// GPU devices to add to the container
    #[arg(long, value_name = "gpu-request")]
    gpus: Option<String>,
    /// Storage driver options for the container
    #[arg(long, value_name = "list")]
    storage_opt: Vec<String>,
    /// Tune container memory swappiness (0 to 100)
    #[arg(long, value_name = "int64", default_value_t = -1)]
    memory_swappiness: i64,
    /// Disable OOM Killer
    #[arg(long)]
    oom_kill_disable: bool,
    /// Limit CPU real-time period in microseconds
    #[arg(long, value_name = "int64", default_value_t = 0)]
    cpu_rt_period: i64,
    /// Limit CPU real-time runtime in microseconds
    #[arg(long, value_name = "int64", default_value_t = 0)]
    cpu_rt_runtime: i64,
}

/// What an option needs that cgroup v2 does not have.
const V1_ONLY: &str = "cgroup v2 has no such setting";

impl RefusedFlags {
    pub fn check(&self) -> Result<()> {
        self.network()?;
        if self.gpus.as_ref().is_some_and(|gpus| !gpus.is_empty()) {
            return Err(Error::unsupported(
                "could not select device driver \"\" with capabilities: [[gpu]]",
            )
            .hint("--device gives a container single devices"));
        }
        if !self.storage_opt.is_empty() {
            return Err(Error::unsupported(
                "--storage-opt is supported only for overlay over xfs with 'pquota' mount option, which wherry does not use",
            ));
        }
        if !(-1..=100).contains(&self.memory_swappiness) {
            return Err(Error::invalid(format!(
                "invalid value: {}, valid memory swappiness range is 0-100",
                self.memory_swappiness
            )));
        }
        for (given, option) in [
            (self.memory_swappiness != -1, "--memory-swappiness"),
            (self.oom_kill_disable, "--oom-kill-disable"),
            (self.cpu_rt_period != 0, "--cpu-rt-period"),
            (self.cpu_rt_runtime != 0, "--cpu-rt-runtime"),
        ] {
            if given {
                return Err(Error::unsupported(format!(
                    "{option} is not supported: {V1_ONLY}"
                )));
            }
        }
        Ok(())
    }

    fn network(&self) -> Result<()> {
        if !self.link_local_ip.is_empty() {
            return Err(Error::unsupported(
                "--link-local-ip is not supported: networks here give addresses of their subnets alone",
            ));
        }
        Ok(())
    }
}
