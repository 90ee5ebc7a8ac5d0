//! Building images from Dockerfiles, without a daemon: the language (`parse`),
//! what a file comes to with its arguments (`plan`), and doing it.

pub mod bake;
pub mod checks;
pub mod exec;
pub mod export;
pub mod files;
pub mod keep;
pub mod parse;
pub mod plan;
pub mod progress;
