//! The Docker-shaped command line. `commands` is the table of all commands,
//! `router` picks one by the first words, `parse` builds the clap command of
//! that one alone (start-up is a hot path), and a file per command holds its
//! arguments and the one function that runs it. Only this layer prints.

mod annotation;
pub mod build;
pub mod commands;
mod complete;
mod confirm;
pub mod container;
pub mod docs;
mod filter;
mod front;
#[cfg(test)]
mod golden;
mod help;
mod image;
mod imagetools;
mod input_file;
pub mod inspect;
mod listing;
mod manifest;
mod network;
mod output_file;
mod parse;
mod prompt;
mod registry;
mod report;
mod router;
mod settings;
mod status;
pub mod stdout;
mod system;
mod verb;
mod volume;

pub use confirm::Asking;
pub use filter::filter;
pub use front::Front;
pub use report::{each, show};
pub use router::{run, version_line};
pub use verb::{Entry, Verb};
