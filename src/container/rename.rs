//! Giving a container another name, in every state.

use super::state;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::fs::replace::Durability;
use crate::record::{containers, names};
use crate::text::name;
use crate::userns::monitors::{Entry, Role};

pub fn rename(engine: &Engine, wanted: &str, new: &str) -> Result<()> {
    let paths = &engine.paths;
    super::sweep::sweep(engine);
    let new = new.strip_prefix('/').unwrap_or(new);
    if wanted.is_empty() || new.is_empty() {
        return Err(Error::invalid("neither old nor new names may be empty"));
    }
    let id = containers::find(paths, wanted)?;
    name::check(new)?;
    // A killed rename leaves this sign, and the next command ends it.
    let _sign = Entry::add(&paths.monitors(), Role::Starter)?;
    let _lock = containers::lock(paths, &id)?;
    let old = state::settle(paths, &id)?.name;
    if old == new {
        return Err(Error::invalid(
            "Renaming a container with the same name as its current name",
        ));
    }
    names::rename(paths, &id, &old, new, || {
        containers::change_state(paths, &id, Durability::Fast, |state| {
            state.name = new.to_string()
        })
        .map(drop)
    })?;
    super::network::change::rename(engine, &containers::config(paths, &id)?, new)
}
