//! `wherry volume create`.

use crate::cli::container::flags::labels;
use crate::cli::{Front, Verb, stdout};
use crate::container::volumes;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::volume::Request;

#[derive(clap::Args)]
pub struct CreateArgs {
    /// Specify volume driver name
    #[arg(short, long, default_value = "local")]
    driver: String,
    /// Set metadata for a volume
    #[arg(long, value_name = "list", value_parser = labels::parse)]
    label: Vec<(String, String)>,
    /// Set driver specific options
    #[arg(short, long, value_name = "map", value_parser = option)]
    opt: Vec<(String, String)>,
    /// The name, as it was written long ago
    #[arg(long, hide = true)]
    name: Option<String>,
    #[arg(value_name = "VOLUME")]
    volume: Option<String>,
}

impl Verb for CreateArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        if self.name.is_some() && self.volume.is_some() {
            return Err(Error::usage(
                "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
            )
            .with_kind(crate::error::Kind::Invalid));
        }
        let named = self.volume.or(self.name).filter(|name| !name.is_empty());
        let mut request = match named {
            Some(name) => Request {
                name,
                ..Request::default()
            },
            None => Request::anonymous()?,
        };
        request.driver = self.driver;
        request.labels.extend(self.label);
        request.options.extend(self.opt);
        let volume = volumes::create(&Engine::open()?, request)?;
        stdout::line(&volume.name)?;
        Ok(0)
    }
}

/// `KEY=VALUE`; without a value it is empty.
fn option(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Ok((key.to_string(), value.to_string()))
}
