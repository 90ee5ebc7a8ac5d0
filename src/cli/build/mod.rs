//! Commands about building images.

mod bases;
pub mod command;
mod context;
mod fields;
mod json;
mod plain;
pub mod prune;
mod record;
mod show;
mod terminal;
