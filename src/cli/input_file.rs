//! Where an archive comes from: a file, or standard input when that is no
//! terminal.

use crate::error::{Context, Error, Result};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// Docker's words when it is not there.
pub fn open(path: &str) -> Result<File> {
    File::open(path).context(|| format!("open {path}"))
}

/// Refuses a terminal: nobody types archives.
pub fn stdin() -> Result<File> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Err(Error::invalid("cannot read an archive from a terminal")
            .hint("name a file, or redirect standard input"));
    }
    let input = input.as_fd().try_clone_to_owned();
    input
        .map(File::from)
        .context(|| "cannot use standard input")
}
