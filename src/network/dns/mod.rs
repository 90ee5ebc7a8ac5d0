//! The name server of a container, in its monitor: it listens on 127.0.0.11 in
//! the container's network namespace, on a port of its own that a rule of
//! nftables puts port 53 to, so that the container may listen on 53 itself.
//! Names of its networks are answered from their registers, others are passed
//! on. One thread, nothing blocks.

mod datagram;
mod packet;
mod stream;
mod upstream;
mod view;

pub use upstream::Upstream;
pub use view::View;

use crate::error::{Context, Result};
use crate::network::nft::{Base, Batch, Compare, Family, Header, Hook};
use datagram::Queries;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use stream::Streams;

/// Where containers ask, as Docker's do.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;
const TABLE: &str = "wherry-dns";
/// Events handled in one turn: the monitor has other work as well.
const BATCH: usize = 32;
/// A server that has not answered by then is not waited for alone.
const PATIENCE: Duration = Duration::from_secs(1);
/// A question that nobody has answered by then is answered with an error:
/// resolvers ask again after 5 s.
const LIMIT: Duration = Duration::from_millis(4500);

/// The sockets, of the container's network namespace.
pub struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

/// Opens them, in a thread that is in that namespace.
pub fn listen() -> Result<Sockets> {
    let failed = || "cannot set up name resolution for the container";
    let open = |port| {
        let at = SocketAddrV4::new(ADDRESS, port);
        let udp = UdpSocket::bind(at)?;
        let tcp = TcpListener::bind(at)?;
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        Ok::<_, std::io::Error>((udp, tcp))
    };
    let (udp, tcp) = open(0).context(failed)?;
    let port = |address: std::io::Result<std::net::SocketAddr>| address.map(|a| a.port());
    let ports = (
        port(udp.local_addr()).context(failed)?,
        port(tcp.local_addr()).context(failed)?,
    );
    match redirect(ports.0, ports.1) {
        Ok(()) => Ok(Sockets { udp, tcp }),
        // A kernel without nftables: then the port itself.
        Err(_) => {
            let (udp, tcp) = open(PORT).context(failed)?;
            Ok(Sockets { udp, tcp })
        }
    }
}

fn redirect(udp: u16, tcp: u16) -> nix::Result<()> {
    let mut batch = Batch::first(Family::Ip, TABLE);
    let base = Base {
        kind: "nat",
        hook: Hook::Output,
        priority: -100,
    };
    batch.chain("output", Some(base));
    for (protocol, port) in [(libc::IPPROTO_UDP, udp), (libc::IPPROTO_TCP, tcp)] {
        batch.rule("output", |rule| {
            // The destination address, of the header.
            rule.payload(Header::Network, 16, Compare::Equal, &ADDRESS.octets())
                .protocol(protocol)
                .destination_port(PORT)
                .dnat(IpAddr::V4(ADDRESS), port);
        });
    }
    batch.commit().map_err(|refusal| refusal.errno)
}

pub struct Dns {
    epoll: Epoll,
    sockets: Sockets,
    view: View,
    upstream: Upstream,
    queries: Queries,
    streams: Streams,
}

/// What an event is about; fits into the 64 bits that epoll keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Udp,
    Tcp,
    /// A question, and which of its sockets.
    Query(usize, usize),
    Client(usize),
    Server(usize),
}

impl Dns {
    pub fn new(sockets: Sockets, view: View, upstream: Upstream) -> Result<Self> {
        let failed = || "cannot set up name resolution for the container";
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context(failed)?;
        let listened = EpollFlags::EPOLLIN;
        epoll
            .add(&sockets.udp, Token::Udp.event(listened))
            .and_then(|()| epoll.add(&sockets.tcp, Token::Tcp.event(listened)))
            .context(failed)?;
        Ok(Self {
            epoll,
            sockets,
            view,
            upstream,
            queries: Queries::default(),
            streams: Streams::default(),
        })
    }

    /// The container's networks have changed.
    pub fn set_view(&mut self, view: View) {
        self.view = view;
    }

    /// Readable when there is something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// When there is something to do in any case.
    pub fn deadline(&self) -> Option<Instant> {
        self.queries
            .deadline()
            .into_iter()
            .chain(self.streams.deadline())
            .min()
    }

    /// Does what can be done at once, up to a bound; never blocks.
    pub fn turn(&mut self) {
        let mut events = [EpollEvent::empty(); BATCH];
        let count = self
            .epoll
            .wait(&mut events, EpollTimeout::ZERO)
            .unwrap_or(0);
        let Self {
            epoll,
            sockets,
            view,
            upstream,
            queries,
            streams,
        } = self;
        for event in &events[..count] {
            match Token::from(event.data()) {
                Token::Udp => queries.arrival(&sockets.udp, view, upstream, epoll),
                Token::Query(index, socket) => {
                    queries.reply(index, socket, &sockets.udp, upstream, epoll);
                }
                Token::Tcp => streams.arrival(&sockets.tcp, epoll),
                Token::Client(index) => streams.heard(index, view, upstream, epoll),
                Token::Server(index) => streams.answered(index, view, upstream, epoll),
            }
        }
        let now = Instant::now();
        queries.expire(now, &sockets.udp, upstream, epoll);
        streams.expire(now, view, upstream, epoll);
    }
}

impl Token {
    fn event(self, flags: EpollFlags) -> EpollEvent {
        let data = match self {
            Self::Udp => 0,
            Self::Tcp => 1,
            Self::Query(index, socket) => (index as u64) << 16 | (socket as u64 & 0xff) << 3 | 2,
            Self::Client(index) => (index as u64) << 16 | 3,
            Self::Server(index) => (index as u64) << 16 | 4,
        };
        EpollEvent::new(flags, data)
    }
}

impl From<u64> for Token {
    fn from(data: u64) -> Self {
        let index = (data >> 16) as usize;
        match data & 7 {
            0 => Self::Udp,
            1 => Self::Tcp,
            2 => Self::Query(index, (data >> 3 & 0xff) as usize),
            3 => Self::Client(index),
            _ => Self::Server(index),
        }
    }
}

/// Whether nothing can be had just now.
fn would_block(e: &std::io::Error) -> bool {
    e.kind() == std::io::ErrorKind::WouldBlock
}
