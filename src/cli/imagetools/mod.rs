//! `wherry buildx imagetools`: images of several platforms, where they are.

pub mod create;
pub mod inspect;

use super::Front;
use crate::cli::registry::server::logins;
use crate::config::{Proxies, Registries, Source};
use crate::error::{Error, Result};
use crate::image::Reference;
use crate::registry::{Client, Options};

fn options() -> Result<Options> {
    Ok(Options {
        proxies: Proxies::find()?,
        ..Options::default()
    })
}

/// Talks to the registry of `name`.
fn client(front: &Front, name: &Reference) -> Result<Client> {
    let sources = Source::find(&Registries::find()?, &logins(front), name)?;
    Ok(Client::new(name, sources, &options()?))
}

/// There is one builder.
fn check_builder(builder: Option<&str>) -> Result<()> {
    match builder.filter(|name| *name != "default") {
        None => Ok(()),
        Some(name) => Err(Error::not_found(format!("no builder {name:?} found"))),
    }
}
