//! Images on their way between registries, archives and the store.

mod layer;
pub mod pull;
