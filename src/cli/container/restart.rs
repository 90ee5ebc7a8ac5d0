//! `wherry restart`.

use crate::cli::{Front, Verb, each};
use crate::container::kill::parse_signal;
use crate::container::restart::restart;
use crate::container::stop::StopOptions;
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct RestartArgs {
    /// Signal to send to the container
    #[arg(short, long)]
    signal: Option<String>,
    /// Seconds to wait before killing the container (-1: for ever)
    #[arg(short, long, visible_alias = "time", value_name = "int")]
    timeout: Option<i64>,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Verb for RestartArgs {
    fn run(self, front: &Front) -> Result<u8> {
        if let Some(signal) = &self.signal {
            parse_signal(signal)?;
        }
        let engine = Engine::open()?;
        let options = StopOptions {
            signal: self.signal,
            timeout: self.timeout,
        };
        each(front, &self.containers, |name| {
            let warnings = restart(&engine, name, &options)?;
            warnings.iter().for_each(|warning| front.warn(warning));
            Ok(())
        })
    }
}
