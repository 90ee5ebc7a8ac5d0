//! Files replaced atomically, locks, paths resolved beneath a directory, whole
//! trees copied, and what a tree holds.

pub mod copy;
pub mod lock;
pub mod private;
pub mod replace;
pub mod rooted;
pub mod usage;
