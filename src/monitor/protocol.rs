//! The talk between a monitor and the commands attached to it, over SEQPACKET
//! sockets: one message is one byte of kind and its payload, numbers are native.
//!
//! ```text
//!  starting command                       monitor
//!    | <--- Uplink {netns, …} -----------|  only where one is wanted
//!    | ---- Network {address} ---------->|  it is there
//!    | <--- Started + pidfd -------------|  execve has succeeded
//!    | <--- Failed {kind, text, hint} ---|  or: it has not
//!    |                                   |  goes on below, when its job says so
//!
//!  later command                          monitor
//!    | ==== connects to the door =======>|  the socket in the run directory
//!    | ---- Attach {streams} ----------->|
//!    | <--- Failed {kind, text, hint} ---|  or: there are too many
//!    | ---- Wiring {wires, …} ---------->|  the networks it is to have now
//!    | <--- Done ------------------------|  or Failed: it has them
//!
//!  attached command                       monitor
//!    | <--> Stdout, Stderr / Stdin, … ---|
//!    | <--- TooSlow ---------------------|  it did not read for too long; the end
//!    | <--- Exited {status} -------------|  recorded; the end
//! ```
//!
//! The later command may be another version of wherry: kinds keep their
//! numbers, and one that is not known is passed over.

use crate::error::{Error, Result};
use crate::sys::cmsg;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The most payload in one message.
pub const MAX_PAYLOAD: usize = 32 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Uplink = 1,
    Started,
    Failed,
    Stdout,
    Stderr,
    Exited,
    Network,
    Stdin,
    StdinEnd,
    Resize,
    Attach,
    TooSlow,
    Wiring,
    Done,
}

const KINDS: [Kind; 14] = [
    Kind::Uplink,
    Kind::Started,
    Kind::Failed,
    Kind::Stdout,
    Kind::Stderr,
    Kind::Exited,
    Kind::Network,
    Kind::Stdin,
    Kind::StdinEnd,
    Kind::Resize,
    Kind::Attach,
    Kind::TooSlow,
    Kind::Wiring,
    Kind::Done,
];

/// The streams that a command is attached to. Payload of Attach: one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attach {
    /// It may give input.
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

impl Attach {
    pub const NONE: Self = Self {
        stdin: false,
        stdout: false,
        stderr: false,
    };
    /// Both outputs.
    pub const OUTPUT: Self = Self {
        stdin: false,
        stdout: true,
        stderr: true,
    };

    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    pub fn byte(self) -> u8 {
        u8::from(self.stdin) | u8::from(self.stdout) << 1 | u8::from(self.stderr) << 2
    }

    pub fn from_byte(byte: u8) -> Self {
        Self {
            stdin: byte & 1 != 0,
            stdout: byte & 2 != 0,
            stderr: byte & 4 != 0,
        }
    }
}

/// Payload of Uplink: paths for the helper, valid while the monitor lives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UplinkPaths {
    /// The user namespace to enter first, where there is one.
    pub userns: Option<String>,
    pub netns: String,
    /// What the kernel lacks, that a helper is needed.
    pub why: String,
}

/// Payload of Network: what the uplink gave.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Network {
    /// Empty: none, it has `lo` alone.
    pub address: String,
}

/// Payload of Failed.
#[derive(Serialize, Deserialize)]
struct Failed {
    kind: u8,
    message: String,
    hint: Option<String>,
}

/// Both ends of a new connection.
pub fn pair() -> nix::Result<(End, End)> {
    let (a, b) = cmsg::pair()?;
    Ok((End(a), End(b)))
}

/// One end.
pub struct End(OwnedFd);

impl From<OwnedFd> for End {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

/// A message and what came with it.
pub struct Message<'a> {
    pub kind: Kind,
    pub payload: &'a [u8],
    pub fd: Option<OwnedFd>,
}

impl End {
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// From now on a full or empty socket is EAGAIN.
    pub fn set_nonblocking(&self) -> nix::Result<()> {
        crate::sys::set_nonblocking(self.0.as_fd(), true)
    }

    /// Sends; EAGAIN only where the socket was made non-blocking.
    pub fn send(&self, kind: Kind, payload: &[u8]) -> nix::Result<()> {
        self.send_with(kind, payload, None)
    }

    pub fn send_with(
        &self,
        kind: Kind,
        payload: &[u8],
        fd: Option<BorrowedFd<'_>>,
    ) -> nix::Result<()> {
        let mut message = Vec::with_capacity(payload.len() + 1);
        message.push(kind as u8);
        message.extend_from_slice(payload);
        cmsg::send(self.0.as_fd(), &message, fd.as_slice())
    }

    pub fn send_json<T: Serialize>(&self, kind: Kind, value: &T) -> nix::Result<()> {
        self.send(kind, &serde_json::to_vec(value).map_err(|_| Errno::EINVAL)?)
    }

    /// An error on its way to the user.
    pub fn send_error(&self, error: &Error) -> nix::Result<()> {
        self.send_json(
            Kind::Failed,
            &Failed {
                kind: error.kind().number(),
                message: error.message().to_string(),
                hint: error.hint_text().map(str::to_string),
            },
        )
    }

    /// The next message, or `None` when the other end is gone.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> nix::Result<Option<Message<'a>>> {
        let (n, mut fds) = cmsg::receive(self.0.as_fd(), buffer, 0)?;
        if n == 0 {
            return Ok(None);
        }
        let kind = usize::from(buffer[0])
            .checked_sub(1)
            .and_then(|i| KINDS.get(i));
        Ok(Some(Message {
            kind: *kind.ok_or(Errno::EBADMSG)?,
            payload: &buffer[1..n],
            fd: fds[0].take(),
        }))
    }
}

/// The error that a Failed message carries.
pub fn parse_error(payload: &[u8]) -> Error {
    match serde_json::from_slice::<Failed>(payload) {
        Ok(failed) => {
            let error = Error::new(crate::error::Kind::from_number(failed.kind), failed.message);
            match failed.hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        }
        Err(e) => Error::internal(format!("cannot understand the monitor: {e}")),
    }
}

/// Decodes a JSON payload.
pub fn parse<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T> {
    serde_json::from_slice(payload)
        .map_err(|e| Error::internal(format!("cannot understand the other process: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_errors_survive() {
        let (a, b) = pair().unwrap();
        for kind in KINDS {
            a.send(kind, b"x").unwrap();
            let mut buffer = [0; 16];
            let got = b.receive(&mut buffer).unwrap().unwrap();
            assert_eq!((got.kind, got.payload), (kind, &b"x"[..]));
        }
        let error = Error::not_found("no x").hint("make x");
        a.send_error(&error).unwrap();
        let mut buffer = [0; 256];
        let got = b.receive(&mut buffer).unwrap().unwrap();
        let back = parse_error(got.payload);
        assert_eq!(
            (back.kind(), back.message(), back.hint_text()),
            (crate::error::Kind::NotFound, "no x", Some("make x"))
        );
        drop(a);
        assert!(b.receive(&mut buffer).unwrap().is_none());
    }
}
