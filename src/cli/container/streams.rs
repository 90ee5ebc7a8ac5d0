//! What `run`, `start` and `exec` share: is the caller's terminal there, how
//! large is it, and the end of a relay as an exit status.

use crate::container::relay::Outcome;
use crate::error::{Error, Result};
use crate::sys::pty;
use std::io::IsTerminal;

/// Rows and columns of the caller's terminal, zeros without one.
pub fn size() -> (u16, u16) {
    pty::size(std::io::stdout())
        .or_else(|_| pty::size(std::io::stdin()))
        .map_or((0, 0), |size| (size.rows, size.columns))
}

/// `-it` in a script: the container would have a terminal, the caller none.
pub fn check_terminal(interactive: bool, terminal: bool) -> Result<()> {
    if interactive && terminal && !std::io::stdin().is_terminal() {
        return Err(Error::invalid("the input device is not a TTY").hint("leave out -t in scripts"));
    }
    Ok(())
}

/// The process's status, or 0 after detaching.
pub fn status(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Exited(status) => u8::try_from(*status).unwrap_or(255),
        Outcome::Detached => 0,
    }
}
