//! `wherry kill`.

use crate::cli::{Front, Verb, each};
use crate::container::kill;
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct KillArgs {
    /// Signal to send to the container
    #[arg(short, long, default_value = "SIGKILL", hide_default_value = true)]
    signal: String,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Verb for KillArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        let signal = kill::parse_signal(&self.signal)?;
        each(front, &self.containers, |name| {
            kill::kill(&engine, name, signal)
        })
    }
}
