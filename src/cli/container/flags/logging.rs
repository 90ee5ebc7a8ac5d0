//! Where the container's output is kept.

use crate::error::{Error, Result};
use crate::record::container::HostConfig;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logging")]
pub struct LoggingFlags {
    /// Logging driver for the container (json-file, none)
    #[arg(long)]
    log_driver: Option<String>,
    /// Log driver options (max-size, max-file)
    #[arg(long, value_parser = super::pair)]
    log_opt: Vec<(String, String)>,
}

impl LoggingFlags {
    pub fn apply(self, host: &mut HostConfig) -> Result<()> {
        match self.log_driver.as_deref() {
            None | Some("" | "json-file") => {}
            Some("none") if self.log_opt.is_empty() => host.log_config.driver = "none".into(),
            Some("none") => return Err(Error::usage("invalid logging opts for driver none")),
            Some(other) => {
                return Err(Error::unsupported(format!(
                    "error looking up logging plugin {other}: plugin \"{other}\" not found"
                ))
                .hint("the log drivers are json-file and none"));
            }
        }
        for (key, value) in self.log_opt {
            if !matches!(key.as_str(), "max-size" | "max-file") {
                return Err(Error::invalid(format!(
                    "unknown log opt '{key}' for json-file log driver"
                )));
            }
            host.log_config.config.insert(key, value);
        }
        Ok(())
    }
}
