//! `wherry pause` and `wherry unpause`.

use crate::cli::{Front, Verb, each};
use crate::container::pause;
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct PauseArgs {
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

#[derive(clap::Args)]
pub struct UnpauseArgs {
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Verb for PauseArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        each(front, &self.containers, |name| pause::pause(&engine, name))
    }
}

impl Verb for UnpauseArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        each(front, &self.containers, |name| {
            pause::unpause(&engine, name)
        })
    }
}
