//! What commands show: progress of long work, lists, templates.

pub mod draw;
pub mod list;
pub mod progress;
pub mod table;
pub mod template;
