//! Commands about building images.

mod access;
pub mod bake;
mod bases;
pub mod builders;
mod caches;
pub mod command;
mod context;
mod fields;
mod git;
mod job;
mod json;
mod outputs;
mod plain;
pub mod prune;
mod record;
mod show;
mod terminal;
