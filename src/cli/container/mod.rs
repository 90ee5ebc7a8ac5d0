//! Commands about containers.

pub mod logs;
