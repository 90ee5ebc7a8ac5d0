//! Files replaced atomically, locks, and paths resolved beneath a directory.

pub mod lock;
pub mod replace;
pub mod rooted;
