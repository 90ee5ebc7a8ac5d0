//! Images on their way between registries, archives and the store.

pub mod import;
mod layer;
pub mod pull;
