//! `wherry version`.

use crate::cli::{Front, Verb, stdout};
use crate::error::Result;

#[derive(clap::Args)]
pub struct VersionArgs {}

impl Verb for VersionArgs {
    fn run(self, front: &Front) -> Result<u8> {
        stdout::line(&crate::cli::version_line(&front.program))?;
        Ok(0)
    }
}
