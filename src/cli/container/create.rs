//! `wherry create`.

use super::flags::CreateFlags;
use super::image::{self, Found};
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
        let found = find(&engine, front, &request, quiet)?;
        let created = make(&engine, request, &found)?;
        stdout::line(&created.container.id)?;
        Ok(0)
    }
}

/// Finds or pulls the image.
pub fn find(engine: &Engine, front: &Front, request: &CreateRequest, quiet: bool) -> Result<Found> {
    let found = image::obtain(engine, front, request, quiet)?;
    if let Some((_, settings)) = &found {
        image::warn_of_platform(front, request, settings);
    }
    Ok(found)
}

/// Makes the container.
pub fn make(engine: &Engine, request: CreateRequest, found: &Found) -> Result<Created> {
    // Nothing that the image needs is collected before the container holds it.
    let _lease = found
        .is_some()
        .then(|| engine.store()?.lease())
        .transpose()?;
    let image = found.as_ref().map(|(image, settings)| (image, settings));
    create(engine, request, image)
}
