//! Commands about manifests and lists of them.

pub mod annotate;
pub mod create;
pub mod inspect;
pub mod push;
pub mod rm;

use super::Front;
use crate::cli::registry::server::logins;
use crate::config::{Registries, Source};
use crate::error::Result;
use crate::image::Reference;
use crate::registry::{Client, Options};

fn sources(front: &Front, name: &Reference, insecure: bool) -> Result<Vec<Source>> {
    let mut sources = Source::find(&Registries::find()?, &logins(front), name)?;
    for source in &mut sources {
        source.endpoint.insecure |= insecure;
    }
    Ok(sources)
}

/// Talks to the registry of `name`.
pub fn client(front: &Front, name: &Reference, insecure: bool) -> Result<Client> {
    Ok(Client::new(
        name,
        sources(front, name, insecure)?,
        &Options::find()?,
    ))
}
