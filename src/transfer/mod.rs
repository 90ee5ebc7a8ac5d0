//! Images on their way between registries, archives and the store.

pub mod cache;
pub mod import;
pub mod layer;
pub mod layout;
pub mod load;
pub mod manifests;
pub mod pull;
pub mod push;
pub mod referrers;
mod report;
pub mod save;
pub mod ship;
pub mod trust;
mod variant;
