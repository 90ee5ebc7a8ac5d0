//! `wherry volume inspect`.

use crate::cli::inspect::show;
use crate::cli::{Front, Verb};
use crate::container::volumes;
use crate::engine::Engine;
use crate::error::Result;
use crate::volume;
use serde_json::Value;

#[derive(clap::Args)]
pub struct InspectArgs {
    /// Format output using a custom template: 'json', or a Go template
    #[arg(short, long)]
    format: Option<String>,
    #[arg(required = true, value_name = "VOLUME")]
    names: Vec<String>,
}

impl Verb for InspectArgs {
    fn run(self, front: &Front) -> Result<u8> {
        show(front, &self.names, self.format.as_deref(), &find)
    }
}

/// The document of the volume called so.
pub fn find(engine: &Engine, name: &str) -> Result<Value> {
    let volume = volume::get(&engine.paths, name)?;
    Ok(volumes::document(engine, &volume))
}
