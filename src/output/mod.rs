//! What commands show: progress of long work.

pub mod progress;
pub mod template;
