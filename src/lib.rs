//! wherry: Docker's command line without a daemon and without root.
//!
//! Modules are layered (docs/architecture.md, "Modules"); a module imports
//! only lower layers, and tests/architecture.rs fails when one does not.

#![deny(unsafe_code)]
#![warn(clippy::too_many_lines)]

// L0
pub mod error;
pub mod fs;
pub mod host;
pub mod paths;
pub mod sys;
pub mod text;
// L1
pub mod cgroup;
pub mod config;
pub mod image;
pub mod logs;
pub mod output;
pub mod userns;
// L2
pub mod network;
pub mod record;
pub mod registry;
pub mod runtime;
pub mod store;
pub mod volume;
// L3
pub mod engine;
pub mod monitor;
pub mod transfer;
// L4
pub mod build;
pub mod container;
pub mod doctor;
// L6
pub mod cli;
