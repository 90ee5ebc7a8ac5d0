//! `run`: what becomes of the command, its streams, its terminal, its options.

mod leaks;
mod logins;
mod namespaces;
mod options;
mod sizes;
mod status;
mod streams;
mod terminal;
mod way_out;
