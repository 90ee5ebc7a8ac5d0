//! Directories and files for their owner alone.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Makes a directory, and what is missing above it, with mode 0700. One that
/// is there stays as it is.
pub fn dir(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes an empty file, whose name is what it says, with mode 0600, and its
/// directory when that is missing.
pub fn mark(path: &Path) -> Result<()> {
    let create = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).mode(0o600);
        options.open(path).map(drop)
    };
    match (create(), path.parent()) {
        (Err(e), Some(parent)) if e.kind() == ErrorKind::NotFound => {
            dir(parent).and_then(|()| create())
        }
        (made, _) => made,
    }
}
