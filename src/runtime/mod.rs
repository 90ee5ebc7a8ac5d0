//! Starting, entering and ending containers.

pub mod seccomp;
