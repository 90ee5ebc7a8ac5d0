//! `wherry commit`.

use crate::cli::{Front, Verb, stdout};
use crate::container::commit::{CommitRequest, Pause, commit};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::Reference;

#[derive(clap::Args)]
pub struct CommitArgs {
    /// Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
    #[arg(short, long, default_value = "", hide_default_value = true)]
    author: String,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "list")]
    change: Vec<String>,
    /// Commit message
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
    /// Disable pausing container during commit
    #[arg(long, conflicts_with = "pause")]
    no_pause: bool,
    /// Pause container during commit
    #[arg(short, long, hide = true)]
    pause: Option<bool>,
    #[arg(required = true, value_name = "CONTAINER")]
    container: String,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

impl Verb for CommitArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let pause = match (self.no_pause, self.pause) {
            (true, _) | (_, Some(false)) => Pause::Never,
            (_, Some(true)) => Pause::Always,
            (_, None) => Pause::Default,
        };
        let request = CommitRequest {
            author: self.author,
            message: self.message,
            changes: self.change,
            pause,
            name: new_name(self.name.as_deref(), "commit")?,
        };
        let committed = commit(&Engine::open()?, &self.container, &request)?;
        for warning in &committed.warnings {
            front.warn(warning);
        }
        stdout::line(committed.id.as_str())?;
        Ok(0)
    }
}

/// The name of an image that `verb` makes.
pub fn new_name(text: Option<&str>, verb: &str) -> Result<Option<Reference>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let name = Reference::parse(text)?;
    if name.digest().is_some() {
        return Err(Error::invalid(format!(
            "cannot {verb} to digest reference {text}"
        )));
    }
    Ok(Some(name))
}
