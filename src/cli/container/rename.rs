//! `wherry rename`.

use crate::cli::{Front, Verb, show};
use crate::container::rename::rename;
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct RenameArgs {
    #[arg(required = true, value_name = "CONTAINER")]
    container: String,
    #[arg(required = true, value_name = "NEW_NAME")]
    name: String,
}

impl Verb for RenameArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        if let Err(e) = rename(&engine, &self.container, &self.name) {
            show(&e, front);
            front.note(&format!(
                "Error: failed to rename container named {}",
                self.container
            ));
            return Ok(1);
        }
        Ok(0)
    }
}
