//! `wherry buildx imagetools`: images of several platforms, where they are.

pub mod create;
pub mod inspect;

use crate::error::{Error, Result};

/// There is one builder.
fn check_builder(builder: Option<&str>) -> Result<()> {
    match builder.filter(|name| *name != "default") {
        None => Ok(()),
        Some(name) => Err(Error::not_found(format!("no builder {name:?} found"))),
    }
}
