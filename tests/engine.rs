//! The integration tests: one binary, one module per area. Each module says
//! what it needs; `make test` runs them as an unprivileged user and as root
//! (docs/testing.md).

mod architecture;
mod attach;
mod build;
mod cli;
mod docker;
mod exec;
mod fuzz;
mod images;
mod lifecycle;
mod login;
mod logs;
mod network;
mod networks;
mod overlay;
mod pull;
mod registry;
mod resilience;
mod run;
mod security;
mod shells;
mod store;
mod support;
mod system;
mod volumes;
