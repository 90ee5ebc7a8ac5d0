//! `--health-*` and `--no-healthcheck`.

use crate::error::{Error, Result};
use crate::record::container::Healthcheck;
use crate::text::moment;

#[derive(Debug, clap::Args)]
pub struct HealthFlags {
    /// Command to run to check health
    #[arg(long)]
    health_cmd: Option<String>,
    /// Time between running the check (ms|s|m|h) (default 30s)
    #[arg(long, value_name = "duration", value_parser = duration)]
    health_interval: Option<i64>,
    /// Consecutive failures needed to report unhealthy (default 3)
    #[arg(long, value_name = "int")]
    health_retries: Option<i64>,
    /// Time between running the check during the start period (ms|s|m|h) (default 5s)
    #[arg(long, value_name = "duration", value_parser = duration)]
    health_start_interval: Option<i64>,
    /// Start period for the container to initialize before starting
    /// health-retries countdown (ms|s|m|h) (default 0s)
    #[arg(long, value_name = "duration", value_parser = duration)]
    health_start_period: Option<i64>,
    /// Maximum time to allow one check to run (ms|s|m|h) (default 30s)
    #[arg(long, value_name = "duration", value_parser = duration)]
    health_timeout: Option<i64>,
    /// Disable any container-specified HEALTHCHECK
    #[arg(long)]
    no_healthcheck: bool,
}

impl HealthFlags {
    /// `None`: what the image asks for.
    pub fn check(self) -> Result<Option<Healthcheck>> {
        let numbers = [
            ("interval", self.health_interval),
            ("timeout", self.health_timeout),
            ("retries", self.health_retries),
            ("start-period", self.health_start_period),
            ("start-interval", self.health_start_interval),
        ];
        let command = self.health_cmd.filter(|command| !command.is_empty());
        let given = command.is_some() || numbers.iter().any(|(_, n)| n.is_some_and(|n| n != 0));
        if self.no_healthcheck {
            if given {
                return Err(Error::usage(
                    "--no-healthcheck conflicts with --health-* options",
                ));
            }
            return Ok(Some(Healthcheck::none()));
        }
        for (name, number) in numbers {
            let number = number.unwrap_or(0);
            if number < 0 {
                return Err(Error::usage(format!("--health-{name} cannot be negative")));
            }
            if name != "retries" && (1..1_000_000).contains(&number) {
                return Err(Error::invalid(format!(
                    "--health-{name} cannot be less than 1ms"
                )));
            }
        }
        let [interval, timeout, retries, start_period, start_interval] =
            numbers.map(|(_, number)| number.unwrap_or(0));
        Ok(given.then(|| Healthcheck {
            test: command.map_or_else(Vec::new, |command| vec!["CMD-SHELL".into(), command]),
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
        }))
    }
}

/// Go's durations, in nanoseconds.
fn duration(text: &str) -> Result<i64> {
    moment::duration(text)
        .and_then(|duration| i64::try_from(duration.as_nanos()).ok())
        .ok_or_else(|| Error::usage(format!("time: invalid duration \"{text}\"")))
}
