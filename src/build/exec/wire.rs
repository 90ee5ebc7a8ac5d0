//! The talk between the command and the workers of a build (and between a
//! worker and its child that makes mounts), over SEQPACKET sockets.
//!
//! ```text
//!  command                              worker of a stage
//!    | <--- Begin, Cached, Done --------|  how its steps are doing
//!    | <--- log of a step --------------|
//!    | <--- Waits ----------------------|  another one does the same step
//!    | <--- Need {stage} ---------------|  it wants files of that one
//!    | ---- Stage {chain} ------------->|  once it is done
//!    | <--- Finished {chain} -----------|  the end
//!    | <--- Failed {step, error} -------|  or: the end
//! ```
//!
//! Both are the same program, of the same moment: there are no versions.

use super::chain::Chain;
use super::command::Scene;
use crate::error::{Error, Kind};
use crate::sys::cmsg;
use nix::errno::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The most of one packet.
const PACKET: usize = 32 << 10;

#[derive(Debug, Serialize, Deserialize)]
pub enum Told {
    Begin(usize),
    Cached(usize),
    Done(usize),
    Need(usize),
    /// Another worker, of whatever build, does its next step.
    Waits,
    Finished(Chain),
    /// The step, why, and where.
    Failed(Option<usize>, Failure, Option<Scene>),
}

/// An error on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    kind: u8,
    message: String,
    hint: Option<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind().number(),
            message: error.message().to_string(),
            hint: error.hint_text().map(str::to_string),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = Self::new(Kind::from_number(failure.kind), failure.message);
        match failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// One packet, or a document put together of several.
#[derive(Debug)]
pub enum Packet {
    Document(Vec<u8>),
    /// Output of a step.
    Log(usize, Vec<u8>),
    Descriptor(OwnedFd),
}

const PART: u8 = b'p';
const LAST: u8 = b'l';
const LOG: u8 = b'o';
const DESCRIPTOR: u8 = b'd';

pub struct End {
    socket: OwnedFd,
    /// What has come of a document.
    parts: Vec<u8>,
}

pub fn pair() -> nix::Result<(End, End)> {
    let (a, b) = cmsg::pair()?;
    let end = |socket| End {
        socket,
        parts: Vec::new(),
    };
    Ok((end(a), end(b)))
}

impl End {
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn packet(&self, sort: u8, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> nix::Result<()> {
        let mut packet = Vec::with_capacity(bytes.len() + 1);
        packet.push(sort);
        packet.extend_from_slice(bytes);
        cmsg::send(self.socket.as_fd(), &packet, fd.as_slice())
    }

    pub fn tell<T: Serialize>(&self, value: &T) -> nix::Result<()> {
        let bytes = serde_json::to_vec(value).map_err(|_| Errno::EINVAL)?;
        let mut rest = &bytes[..];
        while rest.len() > PACKET {
            self.packet(PART, &rest[..PACKET], None)?;
            rest = &rest[PACKET..];
        }
        self.packet(LAST, rest, None)
    }

    pub fn log(&self, step: usize, bytes: &[u8]) -> nix::Result<()> {
        for part in bytes.chunks(PACKET) {
            let whole = [&(step as u64).to_ne_bytes()[..], part].concat();
            self.packet(LOG, &whole, None)?;
        }
        Ok(())
    }

    pub fn hand_over(&self, fd: BorrowedFd<'_>) -> nix::Result<()> {
        self.packet(DESCRIPTOR, &[], Some(fd))
    }

    /// The next one whole; `None` when the other end is gone.
    pub fn hear(&mut self) -> nix::Result<Option<Packet>> {
        let mut buffer = vec![0; PACKET + 16];
        loop {
            let (n, mut fds) =
                cmsg::receive(self.socket.as_fd(), &mut buffer, libc::MSG_CMSG_CLOEXEC)?;
            let Some((sort, bytes)) = buffer[..n].split_first() else {
                return Ok(None);
            };
            match *sort {
                PART => self.parts.extend_from_slice(bytes),
                LAST => {
                    self.parts.extend_from_slice(bytes);
                    return Ok(Some(Packet::Document(std::mem::take(&mut self.parts))));
                }
                LOG => {
                    let (step, bytes) = bytes.split_first_chunk::<8>().ok_or(Errno::EBADMSG)?;
                    let step = u64::from_ne_bytes(*step) as usize;
                    return Ok(Some(Packet::Log(step, bytes.to_vec())));
                }
                DESCRIPTOR => {
                    let fd = fds[0].take().ok_or(Errno::EBADMSG)?;
                    return Ok(Some(Packet::Descriptor(fd)));
                }
                _ => return Err(Errno::EBADMSG),
            }
        }
    }
}

pub fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(document).map_err(|e| {
        Error::internal(format!(
            "the build's processes do not understand each other: {e}"
        ))
    })
}
