//! The names of what there is. What cannot be read is not offered: nobody
//! looks for an error behind a press of the tabulator key.

use super::Offer;
use crate::container::list;
use crate::engine::Engine;
use crate::network;
use crate::record::container::Status;
use crate::volume;

/// Which containers a command is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    All,
    Running,
    Paused,
    /// Those that can be started.
    Stopped,
}

impl Which {
    fn has(self, status: Status) -> bool {
        match self {
            Self::All => true,
            Self::Running => matches!(
                status,
                Status::Running | Status::Restarting | Status::Paused
            ),
            Self::Paused => status == Status::Paused,
            Self::Stopped => matches!(status, Status::Created | Status::Exited),
        }
    }
}

pub fn containers(which: Which) -> Vec<Offer> {
    let names = Engine::open().and_then(|engine| match which {
        Which::All => list::names(&engine),
        which => list::names_of(&engine, |status| which.has(status)),
    });
    names
        .unwrap_or_default()
        .into_iter()
        .map(|name| Offer::new(name, ""))
        .collect()
}

pub fn networks() -> Vec<Offer> {
    let names = Engine::open().and_then(|engine| network::store::names(&engine.paths));
    let mut names = names.unwrap_or_default();
    // Those that are always there, written down or not.
    names.extend(network::record::PREDEFINED.map(str::to_string));
    names.sort();
    names.dedup();
    names.into_iter().map(|name| Offer::new(name, "")).collect()
}

/// Names with their tag.
pub fn images() -> Vec<Offer> {
    let images = Engine::open().and_then(|engine| engine.store()?.images());
    let mut names: Vec<String> = images
        .unwrap_or_default()
        .iter()
        .flat_map(|image| &image.names)
        .map(|name| name.familiar())
        .collect();
    names.sort();
    names.into_iter().map(|name| Offer::new(name, "")).collect()
}

pub fn volumes() -> Vec<Offer> {
    let volumes = Engine::open().and_then(|engine| volume::all(&engine.paths));
    let volumes = volumes.unwrap_or_default().into_iter();
    volumes.map(|volume| Offer::new(volume.name, "")).collect()
}
