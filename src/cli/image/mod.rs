//! Commands about images.

pub mod pull;
