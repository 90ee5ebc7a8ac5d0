//! What `run`, `start`, `attach` and `exec` share: is the caller's terminal
//! there, how large is it, which keys detach, and the end of a relay as an exit
//! status.

use crate::cli::{Front, settings};
use crate::container::relay::{Outcome, parse_detach_keys};
use crate::error::{Error, Kind, Result};
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
        return Err(Error::new(Kind::Streams, "the input device is not a TTY")
            .hint("leave out -t in scripts"));
    }
    Ok(())
}

/// The keys that detach from a terminal: those given, else those of
/// config.json, else Docker's.
pub fn detach_keys(front: &Front, given: &str, terminal: bool) -> Result<Vec<u8>> {
    if !given.is_empty() || !terminal {
        return parse_detach_keys(given);
    }
    parse_detach_keys(&settings::text(front, "detachKeys").unwrap_or_default())
}

/// The process's status, or 0 after detaching.
pub fn status(front: &Front, outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Exited(status) => u8::try_from(*status).unwrap_or(255),
        Outcome::Detached | Outcome::Fed => 0,
        Outcome::Interrupted => {
            front.note("got 3 SIGTERM/SIGINTs, forcefully exiting");
            1
        }
    }
}

/// The same for `attach` and `exec`, where detaching is an error.
pub fn status_of_guest(front: &Front, outcome: &Outcome) -> Result<u8> {
    match outcome {
        Outcome::Detached => Err(Error::conflict("read escape sequence")),
        outcome => Ok(status(front, outcome)),
    }
}
