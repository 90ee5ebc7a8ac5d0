//! `wherry load`.

use super::pull::progress;
use crate::cli::input_file;
use crate::cli::{Front, Verb, stdout};
use crate::config::Policy;
use crate::container::images;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::image::Platform;
use crate::transfer::load::load;
use crate::transfer::trust;
use crate::userns::task;

#[derive(clap::Args)]
pub struct LoadArgs {
    /// Read from tar archive file, instead of STDIN
    #[arg(short, long, default_value = "", hide_default_value = true)]
    input: String,
    /// Load only the given platform(s), as "os[/arch[/variant]]"
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// Suppress the load output
    #[arg(short, long)]
    quiet: bool,
}

impl Verb for LoadArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let archive = match self.input.as_str() {
            "" => input_file::stdin().map_err(|_| {
                Error::invalid("requested load from stdin, but stdin is empty")
                    .hint("name an archive with -i, or redirect standard input")
            })?,
            path => input_file::open(path)?,
        };
        let engine = Engine::open()?;
        let store = engine.store()?;
        let quiet = self.quiet || !stdout::is_terminal();
        let progress = progress(std::io::stdout(), quiet);
        let policy = Policy::find()?;
        let path = match self.input.as_str() {
            "" => None,
            path => std::fs::canonicalize(path).ok(),
        };
        let takes = |transport| trust::takes(policy.as_ref(), transport, path.as_deref());
        let loaded = task::run(&engine.paths, || {
            let _ = store.sweep();
            load(store, archive, &self.platform, takes, &*progress)
        });
        let loaded = match loaded {
            Err(e) if e.kind() == Kind::Denied => {
                drop(progress);
                images::collect(&engine)?;
                return Err(e);
            }
            other => other?,
        };
        for image in loaded {
            let Some(name) = image.name.map(|name| name.familiar()) else {
                stdout::line(&format!("Loaded image ID: {}", image.id))?;
                continue;
            };
            if let Some(old) = image.replaced {
                stdout::line(&format!(
                    "The image {name} already exists, renaming the old one with ID {old} to empty string"
                ))?;
            }
            stdout::line(&format!("Loaded image: {name}"))?;
        }
        Ok(0)
    }
}
