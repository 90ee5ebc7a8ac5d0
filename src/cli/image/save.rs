//! `wherry save`.

use crate::cli::output_file::OutputFile;
use crate::cli::{Front, Verb};
use crate::container::images;
use crate::engine::Engine;
use crate::error::Result;
use crate::image::Platform;
use crate::output::progress::{Progress, Silent};
use crate::store::pack::unwritten;
use crate::transfer::save::{save, select};
use std::io::{BufWriter, IsTerminal, Write};

#[derive(clap::Args)]
pub struct SaveArgs {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, default_value = "", hide_default_value = true)]
    output: String,
    /// Save only the given platform(s), as "os[/arch[/variant]]"
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    platform: Vec<Platform>,
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Verb for SaveArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let out = OutputFile::open(&self.output).map_err(|e| match self.output.as_str() {
            "" => e,
            _ => e.within("failed to save image"),
        })?;
        let engine = Engine::open()?;
        let store = engine.store()?;
        let selected = select(store, &self.images, &self.platform)?;
        // Standard output may be the archive.
        let progress: Box<dyn Progress> = match std::io::stderr().is_terminal() {
            true => super::pull::progress(std::io::stderr(), false),
            false => Box::new(Silent),
        };
        let mut writer = BufWriter::with_capacity(256 << 10, out.file());
        let repacked = save(store, &selected, &mut writer, &*progress)?;
        writer.flush().map_err(unwritten)?;
        drop(writer);
        out.finish()?;
        drop(progress);
        if repacked {
            images::collect(&engine)?;
        }
        Ok(0)
    }
}
