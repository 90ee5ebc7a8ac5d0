//! Commands about images.

pub mod history;
pub mod import;
pub mod load;
pub mod ls;
pub mod prune;
pub mod pull;
pub mod push;
pub mod referrers;
pub mod rm;
pub mod save;
pub mod tag;
mod tree;
pub mod verify;
