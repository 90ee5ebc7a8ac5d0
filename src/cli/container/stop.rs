//! `wherry stop`.

use crate::cli::{Front, Verb, each};
use crate::container::stop::{StopOptions, stop};
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct StopArgs {
    /// Signal to send to the container
    #[arg(short, long)]
    signal: Option<String>,
    /// Seconds to wait before killing the container (-1: for ever)
    #[arg(short, long, visible_alias = "time", value_name = "int")]
    timeout: Option<i64>,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Verb for StopArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        let options = StopOptions {
            signal: self.signal,
            timeout: self.timeout,
        };
        each(front, &self.containers, |name| {
            stop(&engine, name, &options)
        })
    }
}
