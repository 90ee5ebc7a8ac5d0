//! `wherry tag`.

use crate::cli::{Front, Verb};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::Reference;

#[derive(clap::Args)]
pub struct TagArgs {
    #[arg(required = true, value_name = "SOURCE_IMAGE")]
    source: String,
    #[arg(required = true, value_name = "TARGET_IMAGE")]
    target: String,
}

impl Verb for TagArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let target = Reference::parse(&self.target).map_err(|e| {
            e.within(format!(
                "Error parsing reference: \"{}\" is not a valid repository/tag",
                self.target
            ))
        })?;
        if target.digest().is_some() {
            return Err(Error::invalid(
                "refusing to create a tag with a digest reference",
            ));
        }
        // It could not be told from an image ID.
        if target.familiar_name() == "sha256" {
            return Err(Error::invalid(
                "refusing to create an ambiguous tag using digest algorithm as name",
            ));
        }
        let engine = Engine::open()?;
        let store = engine.store()?;
        store.tag(&store.resolve(&self.source)?, &target)?;
        Ok(0)
    }
}
