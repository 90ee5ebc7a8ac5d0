//! Building images from Dockerfiles, without a daemon: the language (`parse`),
//! what a file comes to with its arguments (`plan`), and doing it.

pub mod files;
pub mod parse;
pub mod plan;
