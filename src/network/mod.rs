//! A container's network: the user's networks and what each container has in
//! them, the way out, published ports, names, and the generated files in /etc.

mod alarm;
pub mod create;
pub mod dns;
pub mod etc;
mod flows;
pub mod forward;
pub mod inside;
pub mod lan;
pub mod link;
pub mod namespace;
pub mod nft;
mod occupant;
pub mod publish;
pub mod record;
pub mod register;
pub mod store;
mod stream;
mod token;
pub mod uplink;
pub mod wire;
