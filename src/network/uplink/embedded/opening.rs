//! Connections in the making. The container's SYN is held until the outside
//! has answered, so that what is refused, unreachable or silent outside is so
//! inside. After that the SYN goes on to our listener, and the connection that
//! comes of it is paired with the one outside.

use super::packet::{Unreachable, complain, reset};
use super::policy;
use super::queue::Ticket;
use super::rules::Local;
use super::sockets::{Sockets, family};
use crate::network::stream::{self, ONCE};
use crate::network::token::Token;
use nix::errno::Errno;
use nix::sys::epoll::Epoll;
use nix::sys::socket::{SockFlag, SockType, SockaddrStorage, connect, socket};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// At once; each has a descriptor, and the kernel gives up on each after two
/// minutes. Whoever asks for more is not answered, and asks again.
const MAX: usize = 4096;
/// A connection that the container does not take has been given up by it.
const UNTAKEN: Duration = Duration::from_secs(10);

/// The container's address, and what it connects to.
type Pair = (SocketAddr, SocketAddr);

/// The outside's end; `None` when it was reset at once.
type Far = Option<TcpStream>;

#[derive(Default)]
pub struct Openings {
    /// Numbers are never used again: a late event finds nothing.
    waiting: HashMap<usize, Opening>,
    by_pair: HashMap<Pair, usize>,
    next: usize,
    /// Connected outside, and not inside yet.
    ready: HashMap<Pair, (Far, Instant)>,
}

struct Opening {
    ticket: Ticket,
    pair: Pair,
    sequence: u32,
    socket: TcpStream,
    /// The SYN, to be quoted.
    head: Vec<u8>,
}

/// A SYN that is held.
pub struct Syn<'a> {
    pub ticket: Ticket,
    pub client: SocketAddr,
    pub to: SocketAddr,
    pub sequence: u32,
    pub head: &'a [u8],
}

impl Openings {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.ready.is_empty()
    }

    /// Only what is in the hands of the kernel: nothing has to be looked at.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Begins to connect outside.
    pub fn begin(&mut self, syn: Syn<'_>, sockets: &Sockets, local: &Local, epoll: &Epoll) {
        let pair = (syn.client, syn.to);
        if self.by_pair.contains_key(&pair) || self.waiting.len() >= MAX {
            return sockets.queue.drop(syn.ticket);
        }
        let dialled = policy::outside(syn.to, local)
            .map_err(Failure::Unreachable)
            .and_then(|to| dial(to).map_err(Failure::from));
        let index = self.next;
        let dialled = dialled.and_then(|socket| {
            epoll
                .add(&socket, Token::Opening(index).event(ONCE))
                .map_err(Failure::from)?;
            Ok(socket)
        });
        let socket = match dialled {
            Ok(socket) => socket,
            Err(failure) => {
                return failure.answer(syn.ticket, pair, syn.sequence, syn.head, sockets);
            }
        };
        self.next += 1;
        self.by_pair.insert(pair, index);
        let opening = Opening {
            ticket: syn.ticket,
            pair,
            sequence: syn.sequence,
            socket,
            head: syn.head.to_vec(),
        };
        self.waiting.insert(index, opening);
    }

    /// The outside has answered. When the container's SYN was let through, this
    /// is the number of the listener where that makes a connection wait.
    pub fn answered(&mut self, index: usize, sockets: &Sockets) -> Option<usize> {
        let opening = self.waiting.remove(&index)?;
        self.by_pair.remove(&opening.pair);
        let error = opening.socket.take_error().unwrap_or_else(Some);
        let errno = error.map(|e| Errno::from_raw(e.raw_os_error().unwrap_or_default()));
        let far = match errno {
            None => {
                let _ = opening.socket.set_nodelay(true);
                Some(opening.socket)
            }
            Some(Errno::ECONNRESET) => None,
            Some(errno) => {
                Failure::from(errno).answer(
                    opening.ticket,
                    opening.pair,
                    opening.sequence,
                    &opening.head,
                    sockets,
                );
                return None;
            }
        };
        self.ready.insert(opening.pair, (far, Instant::now()));
        sockets.queue.accept(opening.ticket);
        Some(usize::from(opening.pair.1.is_ipv6()))
    }

    /// The outside's end of a connection that was taken from the listener.
    /// `None`: it was reset, or the other was not let through by us.
    pub fn take(&mut self, client: SocketAddr, to: SocketAddr) -> Far {
        self.ready.remove(&(client, to)).and_then(|(far, _)| far)
    }

    /// Ends what the container has not taken.
    pub fn sweep(&mut self) {
        let untaken = |_: &Pair, (_, since): &mut (Far, Instant)| since.elapsed() >= UNTAKEN;
        for (_, (far, _)) in self.ready.extract_if(untaken) {
            far.into_iter().for_each(stream::refuse);
        }
        if self.is_empty() {
            let next = self.next;
            *self = Self {
                next,
                ..Self::default()
            };
        }
    }
}

fn dial(to: SocketAddr) -> nix::Result<TcpStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family(to.ip()), SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket.into()),
        Err(e) => Err(e),
    }
}

/// What the container is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Refused,
    Unreachable(Unreachable),
    /// Nothing: it asks again.
    Silent,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ECONNREFUSED => Self::Refused,
            Errno::ENETUNREACH | Errno::EAFNOSUPPORT => Self::Unreachable(Unreachable::Network),
            Errno::EHOSTUNREACH | Errno::EHOSTDOWN => Self::Unreachable(Unreachable::Host),
            Errno::EACCES | Errno::EPERM => Self::Unreachable(Unreachable::Prohibited),
            // No answer, or no descriptor, port or memory left.
            _ => Self::Silent,
        }
    }
}

impl Failure {
    fn answer(self, ticket: Ticket, pair: Pair, sequence: u32, head: &[u8], sockets: &Sockets) {
        let (client, to) = pair;
        sockets.queue.drop(ticket);
        let packet = match self {
            Self::Refused => reset(client, to, sequence),
            Self::Unreachable(why) => complain(to.ip(), client.ip(), why.complaint(to.ip()), head),
            Self::Silent => return,
        };
        sockets.inject(client.ip(), &packet);
    }
}
