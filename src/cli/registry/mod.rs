//! Commands about registries.

pub mod login;
pub mod logout;
pub mod server;
