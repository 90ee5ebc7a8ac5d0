//! `wherry create`.

use super::flags::CreateFlags;
use super::image;
use crate::cli::{Front, Verb, stdout};
use crate::container::create::{CreateRequest, Created, create};
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct CreateArgs {
    #[command(flatten)]
    flags: CreateFlags,
    #[arg(required = true, value_name = "IMAGE", trailing_var_arg = true, num_args = 1..)]
    words: Vec<String>,
}

impl Verb for CreateArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let quiet = self.flags.quiet;
        let (image, command) = self.flags.split(self.words);
        let request = self.flags.into_request(&image, command)?;
        let engine = Engine::open()?;
        let created = make(&engine, front, request, quiet)?;
        stdout::line(&created.container.id)?;
        Ok(0)
    }
}

/// Finds or pulls the image and makes the container.
pub fn make(
    engine: &Engine,
    front: &Front,
    request: CreateRequest,
    quiet: bool,
) -> Result<Created> {
    let found = image::obtain(engine, front, &request, quiet)?;
    if let Some((_, settings)) = &found {
        image::warn_of_platform(front, &request, settings);
    }
    // Nothing that the image needs is collected before the container holds it.
    let _lease = found
        .is_some()
        .then(|| engine.store()?.lease())
        .transpose()?;
    create(
        engine,
        request,
        found.as_ref().map(|(image, settings)| (image, settings)),
    )
}
