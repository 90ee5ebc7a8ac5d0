//! Packets that the kernel holds until we say what becomes of them
//! (linux/netfilter/nfnetlink_queue.h).

use crate::sys::netlink::{Protocol, Refusal, Requests, Socket, attributes};
use crate::sys::set_nonblocking;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Numbers of the queues, known to the rules: requests for connections, of
/// which the head is enough, and echo requests.
pub const CONNECTIONS: u16 = 0;
pub const ECHOES: u16 = 1;

const SUBSYSTEM: u16 = 3 << 8;
const PACKET: u16 = SUBSYSTEM;
const VERDICT: u16 = SUBSYSTEM | 1;
const CONFIGURE: u16 = SUBSYSTEM | 2;
const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
/// Both headers with all options.
const HEAD: u32 = 128;
const WHOLE: u32 = 0xffff;
/// Packets in a queue; more are dropped, and asked for again.
const LENGTH: u32 = 4096;

/// A held packet.
pub struct Held<'a> {
    pub ticket: Ticket,
    /// Its bytes from the network header on, or their head.
    pub bytes: &'a [u8],
}

/// What a verdict names the packet by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    queue: u16,
    id: u32,
}

pub struct Queue(OwnedFd);

impl Queue {
    /// The queues of the network namespace of the calling thread.
    pub fn open() -> Result<Self, Refusal> {
        let mut socket = Socket::open(Protocol::Netfilter)?;
        let mut requests = Requests::new();
        for (queue, range) in [(CONNECTIONS, HEAD), (ECHOES, WHOLE)] {
            let fixed = fixed(queue);
            requests
                .begin(CONFIGURE, 0, &fixed)
                .bytes(1, &[BIND, 0, 0, 0]);
            let [a, b, c, d] = range.to_be_bytes();
            requests
                .begin(CONFIGURE, 0, &fixed)
                .bytes(2, &[a, b, c, d, COPY_PACKET])
                .be32(3, LENGTH);
        }
        socket.send(requests)?;
        let fd = socket.into_fd();
        set_nonblocking(fd.as_fd(), true)?;
        Ok(Self(fd))
    }

    /// The next one; `None` when there is none now.
    pub fn next<'a>(&self, buffer: &'a mut [u8]) -> Option<Held<'a>> {
        let length = loop {
            match recv(self.0.as_raw_fd(), buffer, MsgFlags::empty()) {
                Ok(length) => break length,
                // Some were dropped for want of room: they come again.
                Err(Errno::EINTR | Errno::ENOBUFS) => {}
                Err(_) => return None,
            }
        };
        Some(parse(&buffer[..length]).unwrap_or(Held {
            ticket: Ticket {
                queue: CONNECTIONS,
                id: 0,
            },
            bytes: &[],
        }))
    }

    pub fn accept(&self, ticket: Ticket) {
        self.verdict(ticket, ACCEPT);
    }

    pub fn drop(&self, ticket: Ticket) {
        self.verdict(ticket, DROP);
    }

    fn verdict(&self, ticket: Ticket, verdict: u32) {
        let mut message = [0u8; 32];
        message[..4].copy_from_slice(&32u32.to_ne_bytes());
        message[4..6].copy_from_slice(&VERDICT.to_ne_bytes());
        message[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
        message[16..20].copy_from_slice(&fixed(ticket.queue));
        message[20..22].copy_from_slice(&12u16.to_ne_bytes());
        message[22..24].copy_from_slice(&2u16.to_ne_bytes());
        message[24..28].copy_from_slice(&verdict.to_be_bytes());
        message[28..].copy_from_slice(&ticket.id.to_be_bytes());
        // One that cannot be told stays in the queue, which has an end.
        let _ = send(self.0.as_raw_fd(), &message, MsgFlags::empty());
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `struct nfgenmsg`.
fn fixed(queue: u16) -> [u8; 4] {
    let [high, low] = queue.to_be_bytes();
    [0, 0, high, low]
}

fn parse(message: &[u8]) -> Option<Held<'_>> {
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    (kind == PACKET).then_some(())?;
    let queue = u16::from_be_bytes(*message.get(18..)?.first_chunk()?);
    let mut id = None;
    let mut bytes: &[u8] = &[];
    for (kind, value) in attributes(message.get(20..)?) {
        match kind {
            1 => id = value.first_chunk().map(|id| u32::from_be_bytes(*id)),
            10 => bytes = value,
            _ => {}
        }
    }
    let id = id?;
    Some(Held {
        ticket: Ticket { queue, id },
        bytes,
    })
}
