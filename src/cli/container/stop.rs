//! `wherry stop`.

use crate::cli::{Front, Verb, each};
use crate::container::stop::{StopOptions, stop};
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct StopArgs {
    #[command(flatten)]
    how: How,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// How a container is stopped, by `stop` and `restart`.
#[derive(clap::Args)]
pub struct How {
    /// Signal to send to the container
    #[arg(short, long)]
    pub signal: Option<String>,
    /// Seconds to wait before killing the container (-1: for ever)
    #[arg(short, long, visible_alias = "time", value_name = "int")]
    timeout: Option<i64>,
}

impl From<How> for StopOptions {
    fn from(how: How) -> Self {
        Self {
            signal: how.signal,
            timeout: how.timeout,
        }
    }
}

impl Verb for StopArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        let options = StopOptions::from(self.how);
        each(front, &self.containers, |name| {
            stop(&engine, name, &options)
        })
    }
}
