//! `wherry import`.

use crate::cli::container::commit::new_name;
use crate::cli::{Front, Verb, input_file, stdout};
use crate::config::Policy;
use crate::config::policy::Transport;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::Platform;
use crate::registry::{self, Options};
use crate::transfer::import::{ImportRequest, import};
use crate::transfer::trust;
use crate::userns::task;
use std::fs::File;
use std::io::Read;

#[derive(clap::Args)]
pub struct ImportArgs {
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "list")]
    change: Vec<String>,
    /// Set commit message for imported image
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    #[arg(required = true, value_name = "file|URL|-")]
    source: String,
    // As many as come, as Docker says when there is none; one is taken.
    #[arg(value_name = "REPOSITORY[:TAG]")]
    names: Vec<String>,
}

impl Verb for ImportArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        if let [_, unknown, ..] = &self.names[..] {
            return Err(Error::invalid(format!("unknown argument \"{unknown}\"")));
        }
        let message = match self.message.is_empty() {
            true => format!("Imported from {}", self.source),
            false => self.message,
        };
        let request = ImportRequest {
            changes: self.change,
            message,
            platform: self.platform,
            name: new_name(self.names.first().map(String::as_str), "import")?,
        };
        let engine = Engine::open()?;
        let store = engine.store()?;
        let options = Options::find()?;
        trust::takes(Policy::find()?.as_ref(), Transport::Tarball, None)?;
        let source = Source::find(&self.source)?;
        let id = task::run(&engine.paths, || {
            let _ = store.sweep();
            import(store, source.open(&options)?, &request)
        })?;
        stdout::line(id.as_str())?;
        Ok(0)
    }
}

/// What was named; a file is opened as the user, an address by the worker.
enum Source {
    Open(File),
    Address(String),
}

impl Source {
    fn find(text: &str) -> Result<Self> {
        if registry::is_url(text) {
            return Ok(Self::Address(text.to_owned()));
        }
        let file = match text {
            "-" => input_file::stdin()?,
            path => input_file::open(path)?,
        };
        Ok(Self::Open(file))
    }

    fn open(self, options: &Options) -> Result<Box<dyn Read>> {
        Ok(match self {
            Self::Open(file) => Box::new(file),
            Self::Address(url) => Box::new(registry::fetch(&url, options)?),
        })
    }
}
