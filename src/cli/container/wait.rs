//! `wherry wait`.

use crate::cli::{Front, Verb, show, stdout};
use crate::container::wait::wait;
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct WaitArgs {
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Verb for WaitArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        let mut worst = 0;
        for name in &self.containers {
            match wait(&engine, name) {
                Ok(status) => stdout::line(&status.to_string())?,
                Err(e) => {
                    show(&e, front);
                    worst = 1;
                }
            }
        }
        Ok(worst)
    }
}
