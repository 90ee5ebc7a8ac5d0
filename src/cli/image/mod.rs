//! Commands about images.

pub mod ls;
pub mod pull;
pub mod rm;
