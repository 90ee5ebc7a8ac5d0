//! Standard output: whole texts at once, and a reader that went away is an
//! error of its own kind (Rust ignores SIGPIPE, so it arrives as EPIPE).

use crate::error::{Error, Kind, Result, reason};
use crate::text::escape::visible;
use std::io::{ErrorKind, IsTerminal, Write};

/// Writes `text` and flushes. A template may ask for text from outside as it
/// is: scripts get that, a terminal sees its controls spelled out.
pub fn print(text: &str) -> Result<()> {
    if is_terminal() {
        return bytes(visible(text).as_bytes());
    }
    bytes(text.as_bytes())
}

/// Writes `text` and a newline.
pub fn line(text: &str) -> Result<()> {
    print(&format!("{text}\n"))
}

/// Writes raw bytes and flushes.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|e| {
            let kind = match e.kind() {
                ErrorKind::BrokenPipe => Kind::BrokenPipe,
                _ => Kind::Internal,
            };
            Error::new(
                kind,
                format!("cannot write to standard output: {}", reason(&e)),
            )
        })
}

pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}
