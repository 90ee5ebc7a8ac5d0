//! Commands about images.

pub mod history;
pub mod import;
pub mod ls;
pub mod prune;
pub mod pull;
pub mod rm;
pub mod tag;
