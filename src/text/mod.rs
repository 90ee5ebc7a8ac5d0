//! Words and figures as people read and type them: sizes, times, IDs, names.
//! Pure functions over text; nothing here knows a container or a file.

pub mod dockerfile;
pub mod escape;
pub mod glob;
pub mod id;
pub mod moment;
pub mod name;
mod name_words;
pub mod path;
mod shorten;
pub mod signal;
pub mod size;
pub mod time;

pub use shorten::shorten;
