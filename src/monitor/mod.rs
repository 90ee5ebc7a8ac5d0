//! The one process that lives as long as a container: it is the container's
//! parent, keeps its streams and its log, and writes down how it ended. It is
//! forked by the command that starts the container and stays in the host's
//! network namespace, as root of the user's namespace U.

mod back_off;
mod clients;
mod descriptors;
pub mod door;
mod end;
pub mod health;
mod holder;
pub mod job;
mod life;
pub mod net;
mod policy;
pub mod protocol;
mod rest;
pub mod room;
pub mod spawn;
mod start;
mod streams;
mod supervise;
