//! `wherry volume rm`.

use crate::cli::report::each;
use crate::cli::{Front, Verb};
use crate::container::volumes;
use crate::engine::Engine;
use crate::error::{Kind, Result};

#[derive(clap::Args)]
pub struct RmArgs {
    /// Force the removal of one or more volumes
    #[arg(short, long)]
    force: bool,
    #[arg(required = true, value_name = "VOLUME")]
    names: Vec<String>,
}

impl Verb for RmArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        each(front, &self.names, |name| {
            match volumes::remove(&engine, name) {
                // As Docker: then it is as it was to be.
                Err(e) if self.force && e.kind() == Kind::NotFound => Ok(()),
                other => other,
            }
        })
    }
}
