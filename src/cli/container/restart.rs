//! `wherry restart`.

use super::stop::How;
use crate::cli::{Front, Verb, each};
use crate::container::kill::parse_signal;
use crate::container::restart::restart;
use crate::container::stop::StopOptions;
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct RestartArgs {
    #[command(flatten)]
    how: How,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Verb for RestartArgs {
    fn run(self, front: &Front) -> Result<u8> {
        if let Some(signal) = &self.how.signal {
            parse_signal(signal)?;
        }
        let engine = Engine::open()?;
        let options = StopOptions::from(self.how);
        each(front, &self.containers, |name| {
            let warnings = restart(&engine, name, &options)?;
            warnings.iter().for_each(|warning| front.warn(warning));
            Ok(())
        })
    }
}
