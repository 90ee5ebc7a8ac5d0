//! Commands about containers.

pub mod flags;
pub mod logs;
