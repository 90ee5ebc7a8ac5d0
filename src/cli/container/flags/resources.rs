//! Limits.

use super::ulimit;
use crate::error::{Error, Result};
use crate::record::container::{HostConfig, Ulimit};
use crate::text::size;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Resources")]
pub struct ResourceFlags {
    /// Memory limit
    #[arg(short, long, value_name = "bytes", value_parser = size::parse)]
    memory: Option<i64>,
    /// Memory soft limit
    #[arg(long, value_name = "bytes", value_parser = size::parse)]
    memory_reservation: Option<i64>,
    /// Swap limit equal to memory plus swap: '-1' to enable unlimited swap
    #[arg(long, value_name = "bytes", value_parser = swap)]
    memory_swap: Option<i64>,
    /// Number of CPUs
    #[arg(long, value_name = "decimal", value_parser = cpus)]
    cpus: Option<i64>,
    /// Limit CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int64", default_value_t = 0)]
    cpu_period: i64,
    /// Limit CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int64", default_value_t = 0)]
    cpu_quota: i64,
    /// CPU shares (relative weight)
    #[arg(short, long, default_value_t = 0)]
    cpu_shares: u64,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long)]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long)]
    cpuset_mems: Option<String>,
    /// Tune container pids limit (set -1 for unlimited)
    #[arg(long, default_value_t = 0)]
    pids_limit: i64,
    /// Optional parent cgroup for the container
    #[arg(long)]
    cgroup_parent: Option<String>,
    /// Ulimit options
    #[arg(long, value_name = "ulimit", value_parser = ulimit::parse)]
    ulimit: Vec<Ulimit>,
    /// Tune host's OOM preferences (-1000 to 1000)
    #[arg(long, default_value_t = 0)]
    oom_score_adj: i32,
}

impl ResourceFlags {
    pub fn apply(self, host: &mut HostConfig) -> Result<()> {
        if !(-1000..=1000).contains(&self.oom_score_adj) {
            return Err(Error::invalid(format!(
                "Invalid value {}, range for oom score adj is [-1000, 1000]",
                self.oom_score_adj
            )));
        }
        host.memory = self.memory.unwrap_or(0);
        host.memory_reservation = self.memory_reservation.unwrap_or(0);
        host.memory_swap = self.memory_swap.unwrap_or(0);
        host.nano_cpus = self.cpus.unwrap_or(0);
        host.cpu_period = self.cpu_period;
        host.cpu_quota = self.cpu_quota;
        host.cpu_shares = self.cpu_shares;
        host.cpuset_cpus = self.cpuset_cpus.unwrap_or_default();
        host.cpuset_mems = self.cpuset_mems.unwrap_or_default();
        host.pids_limit = (self.pids_limit != 0).then_some(self.pids_limit);
        host.oom_score_adj = self.oom_score_adj;
        host.cgroup_parent = self.cgroup_parent.unwrap_or_default();
        // The last one of a name counts.
        for limit in self.ulimit {
            host.ulimits.retain(|known| known.name != limit.name);
            host.ulimits.push(limit);
        }
        host.ulimits.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }
}

fn swap(text: &str) -> Result<i64> {
    if text == "-1" {
        Ok(-1)
    } else {
        size::parse(text)
    }
}

/// A decimal or a fraction as billionths of a CPU, exactly.
fn cpus(text: &str) -> Result<i64> {
    let bad = || Error::usage(format!("failed to parse {text} as a rational number"));
    let (top, bottom) = text.split_once('/').unwrap_or((text, "1"));
    let (top, bottom) = (
        billionths(top).ok_or_else(bad)?,
        billionths(bottom).ok_or_else(bad)?,
    );
    let (top, bottom) = match (top, bottom) {
        (_, Some(0)) => return Err(bad()),
        (Some(top), Some(bottom)) => (top, bottom),
        _ => return Err(Error::usage("value is too precise")),
    };
    let scaled = i128::from(top) * 1_000_000_000;
    if scaled % i128::from(bottom) != 0 {
        return Err(Error::usage("value is too precise"));
    }
    i64::try_from(scaled / i128::from(bottom)).map_err(|_| bad())
}

/// `None`: not a number; `Some(None)`: more than nine decimals.
fn billionths(text: &str) -> Option<Option<i64>> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
        return None;
    }
    let part = part.trim_end_matches('0');
    if part.len() > 9 {
        return Some(None);
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let part: i64 = format!("{part:0<9}").parse().ok()?;
    Some(Some(whole.checked_mul(1_000_000_000)?.checked_add(part)?))
}

#[cfg(test)]
mod tests {
    use super::cpus;

    #[test]
    fn cpus_are_exact() {
        for (text, want) in [
            ("1.5", 1_500_000_000),
            ("0.01", 10_000_000),
            (".5", 500_000_000),
            ("2.", 2_000_000_000),
            ("1/2", 500_000_000),
            ("0.000000001", 1),
            ("1.50000000000", 1_500_000_000),
        ] {
            assert_eq!(cpus(text).unwrap(), want, "{text}");
        }
        for (text, want) in [
            ("abc", "failed to parse abc as a rational number"),
            ("", "failed to parse  as a rational number"),
            ("-1", "failed to parse -1 as a rational number"),
            ("1/0", "failed to parse 1/0 as a rational number"),
            ("1.0000000001", "value is too precise"),
            ("1/3", "value is too precise"),
            (
                "99999999999999999999",
                "failed to parse 99999999999999999999 as a rational number",
            ),
        ] {
            assert_eq!(cpus(text).unwrap_err().message(), want, "{text}");
        }
    }
}
