//! What can be done with containers. Options in, values out: nothing here
//! prints, reads the environment or asks the terminal.

pub mod attach;
pub mod changes;
pub mod commit;
pub mod copy;
pub mod create;
pub mod disk;
mod donor;
pub mod exec;
pub mod export;
mod files;
pub mod filter;
pub mod images;
mod inherit;
pub mod inspect;
mod journal;
pub mod kill;
pub mod list;
pub mod logs;
pub mod network;
pub mod pause;
pub mod plan;
pub mod ports;
pub mod processes;
pub mod prune;
pub mod relay;
pub mod remove;
pub mod rename;
pub mod restart;
pub mod size;
pub mod start;
pub mod state;
pub mod stop;
pub mod sweep;
pub mod wait;
