//! `wherry export`.

use crate::cli::output_file::OutputFile;
use crate::cli::{Front, Verb};
use crate::container::export::export;
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct ExportArgs {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, default_value = "", hide_default_value = true)]
    output: String,
    #[arg(required = true, value_name = "CONTAINER")]
    container: String,
}

impl Verb for ExportArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let out = OutputFile::open(&self.output).map_err(|e| match self.output.as_str() {
            "" => e,
            _ => e.within("failed to export container"),
        })?;
        export(&Engine::open()?, &self.container, out.file())?;
        out.finish()?;
        Ok(0)
    }
}
