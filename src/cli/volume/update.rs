//! `wherry volume update`: Docker's command for cluster volumes, which there
//! are none of.

use crate::cli::{Front, Verb};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::volume;

#[derive(clap::Args)]
pub struct UpdateArgs {
    /// Cluster Volume availability ("active", "pause", "drain")
    #[arg(long, default_value = "active")]
    availability: String,
    #[arg(required = true, value_name = "VOLUME")]
    name: String,
}

impl Verb for UpdateArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        if !matches!(self.availability.as_str(), "active" | "pause" | "drain") {
            return Err(
                Error::invalid(format!("invalid availability \"{}\"", self.availability))
                    .hint("active, pause and drain are known"),
            );
        }
        let found = volume::get(&Engine::open()?.paths, &self.name)?;
        Err(
            Error::unsupported("Can only update cluster volumes").hint(format!(
                "{} is a local volume, which has nothing that could be changed",
                found.name
            )),
        )
    }
}
