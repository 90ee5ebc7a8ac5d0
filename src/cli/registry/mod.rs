//! Commands about registries.

pub mod login;
pub mod logout;
pub mod search;
pub mod server;
