//! Files on their way into an image: where they come from (`tree`), which of
//! them (`ignore`, `pattern`, `select`), what they are worth (`hash`), and
//! copying them (`copy`). Every path is opened beneath a directory descriptor.

pub mod clamp;
pub mod copy;
pub mod hash;
pub mod hashes;
pub mod ignore;
pub mod pattern;
pub mod select;
pub mod tree;

use crate::text::escape::visible;

/// A path as errors show it.
pub fn shown(path: &[u8]) -> String {
    visible(&String::from_utf8_lossy(path)).into_owned()
}

/// `name` in the directory `parent`; the empty path is the root.
pub fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    match parent.is_empty() {
        true => name.to_vec(),
        false => [parent, b"/", name].concat(),
    }
}
