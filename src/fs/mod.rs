//! Files replaced atomically, locks, paths resolved beneath a directory, and
//! what a tree holds.

pub mod lock;
pub mod replace;
pub mod rooted;
pub mod usage;
