//! Where the container's output is kept.

use crate::error::Result;
use crate::logs::Options;
use crate::record::container::HostConfig;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logging")]
pub struct LoggingFlags {
    /// Logging driver for the container (json-file, local, journald, none)
    #[arg(long)]
    log_driver: Option<String>,
    /// Log driver options (max-size, max-file, labels, …)
    #[arg(long, value_parser = super::pair)]
    log_opt: Vec<(String, String)>,
}

impl LoggingFlags {
    pub fn apply(self, host: &mut HostConfig) -> Result<()> {
        let log = &mut host.log_config;
        if let Some(driver) = self.log_driver.filter(|driver| !driver.is_empty()) {
            log.driver = driver;
        }
        log.config = self.log_opt.into_iter().collect();
        Options::parse(&log.driver, &log.config).map(drop)
    }
}
