//! A container's network as seen from outside of it: the way out by a helper,
//! published ports, and the generated files below /etc.

pub mod etc;
pub mod forward;
pub mod publish;
pub mod uplink;
