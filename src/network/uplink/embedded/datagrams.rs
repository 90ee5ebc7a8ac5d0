//! UDP: each pair of addresses that the container talks between has a socket
//! outside, and one inside that has the far address for its own, so that the
//! kernel hands all further datagrams to it. The first one comes by the socket
//! that takes what nobody else does.

use super::complaints;
use super::packet::{Unreachable, complain, datagram};
use super::policy;
use super::rules::Local;
use super::sockets::{Sockets, family};
use crate::network::flows::{Flows, Lapse};
use crate::network::inside::Inside;
use crate::network::token::Token;
use crate::sys::set_transparent;
use nix::sys::epoll::{Epoll, EpollFlags};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockType, SockaddrIn, SockaddrIn6, SockaddrStorage, bind,
    recvmsg, setsockopt, sockopt,
};
use std::io::{ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// As the kernel's connection tracking has it: without an answer, with one,
/// and a question about a name after its answer.
const UNANSWERED: Duration = Duration::from_secs(30);
const ANSWERED: Duration = Duration::from_secs(120);
const NAMED: Duration = Duration::from_secs(10);
const NAMES: u16 = 53;
/// At once; the one that was silent longest makes room.
const MAX: usize = 2048;
/// Datagrams of one socket in one turn.
const DATAGRAMS: usize = 64;

pub struct Datagrams {
    /// By the container's address and the one it talks to.
    flows: Flows<(SocketAddr, SocketAddr), Flow>,
}

struct Flow {
    client: SocketAddr,
    to: SocketAddr,
    inside: UdpSocket,
    outside: UdpSocket,
    answered: bool,
    last: Instant,
}

impl Datagrams {
    pub fn new() -> Self {
        Self {
            flows: Flows::at_most(MAX),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Takes what no flow has a socket for, and makes flows for it.
    pub fn arrival(
        &mut self,
        socket: &UdpSocket,
        sockets: &Sockets,
        inside: &Inside,
        local: &Local,
        epoll: &Epoll,
        buffer: &mut [u8],
    ) {
        for _ in 0..DATAGRAMS {
            let Some((length, client, to)) = receive(socket, buffer) else {
                return;
            };
            let key = (client, to);
            let flow = match self.flows.find_mut(key) {
                Some(flow) => Ok(flow),
                None => policy::outside(to, local).and_then(|far| {
                    self.flows
                        .begin(key, |number| Flow::open(key, far, number, inside, epoll))
                }),
            };
            match flow {
                Ok(flow) => {
                    flow.last = Instant::now();
                    flow.send(&buffer[..length], sockets);
                }
                Err(why) => {
                    let about = datagram(client, to, length);
                    let what = why.complaint(to.ip());
                    let packet = complain(to.ip(), client.ip(), what, &about);
                    sockets.inject(client.ip(), &packet);
                }
            }
        }
    }

    /// Carries on what the container sends.
    pub fn near(&mut self, index: usize, sockets: &Sockets, buffer: &mut [u8]) {
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        for _ in 0..DATAGRAMS {
            match flow.inside.recv_from(buffer) {
                // One of somebody else may have come before it was connected.
                Ok((_, client)) if client != flow.client => {}
                Ok((length, _)) => {
                    flow.last = Instant::now();
                    flow.send(&buffer[..length], sockets);
                }
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    /// Carries the answers back.
    pub fn far(&mut self, index: usize, sockets: &Sockets, buffer: &mut [u8]) {
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        for _ in 0..DATAGRAMS {
            match flow.outside.recv(buffer) {
                Ok(length) => {
                    flow.last = Instant::now();
                    flow.answered = true;
                    let _ = flow.inside.send(&buffer[..length]);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return flow.pass_on(sockets),
                Err(_) => flow.pass_on(sockets),
            }
        }
    }

    /// Ends what has been idle too long.
    pub fn sweep(&mut self) {
        self.flows.sweep();
    }
}

impl Flow {
    /// `far` is where `to` is for us; `number` the one of its events.
    fn open(
        (client, to): (SocketAddr, SocketAddr),
        far: SocketAddr,
        number: usize,
        inside: &Inside,
        epoll: &Epoll,
    ) -> Result<Self, Unreachable> {
        let outside = outside(far).map_err(|e| unreachable(&e))?;
        let near = inside
            .one(family(to.ip()), SockType::Datagram)
            .and_then(|fd| as_far_end(fd, client, to));
        let near = near.map_err(|_| Unreachable::Host)?;
        let watch = |socket: &UdpSocket, token: Token| {
            epoll
                .add(socket, token.event(EpollFlags::EPOLLIN))
                .map_err(|_| Unreachable::Host)
        };
        watch(&outside, Token::Far(number))?;
        watch(&near, Token::Near(number))?;
        Ok(Self {
            client,
            to,
            inside: near,
            outside,
            answered: false,
            last: Instant::now(),
        })
    }

    fn send(&mut self, bytes: &[u8], sockets: &Sockets) {
        if self.outside.send(bytes).is_err() {
            // Mostly it tells of an earlier one, and this one was not sent.
            self.pass_on(sockets);
            let _ = self.outside.send(bytes);
        }
    }

    /// What the outside complained about.
    fn pass_on(&mut self, sockets: &Sockets) {
        let mut data = [0; 64];
        while let Some(heard) = complaints::next(&self.outside, &mut data) {
            let about = datagram(self.client, self.to, heard.length);
            let by = heard.by.filter(|by| !by.is_unspecified());
            let from = by.filter(|by| !by.is_loopback()).unwrap_or(self.to.ip());
            let packet = complain(from, self.client.ip(), heard.what, &about);
            sockets.inject(self.client.ip(), &packet);
        }
    }
}

impl Lapse for Flow {
    fn last(&self) -> Instant {
        self.last
    }

    fn patience(&self) -> Duration {
        match (self.answered, self.to.port()) {
            (true, NAMES) => NAMED,
            (true, _) => ANSWERED,
            (false, _) => UNANSWERED,
        }
    }
}

/// A datagram, who sent it, and to whom.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr, SocketAddr)> {
    let mut control = nix::cmsg_space!(libc::sockaddr_in6);
    loop {
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = socket.as_raw_fd();
        let message = match recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags) {
            Ok(message) => message,
            Err(nix::Error::EAGAIN) => return None,
            Err(nix::Error::EINTR | nix::Error::ECONNREFUSED) => continue,
            Err(_) => return None,
        };
        let client = message.address.and_then(address);
        let to = message.cmsgs().ok()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4OrigDstAddr(a) => {
                let ip = IpAddr::from(a.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddr::new(ip, u16::from_be(a.sin_port)))
            }
            ControlMessageOwned::Ipv6OrigDstAddr(a) => {
                let ip = IpAddr::from(a.sin6_addr.s6_addr);
                Some(SocketAddr::new(ip, u16::from_be(a.sin6_port)))
            }
            _ => None,
        });
        if let (Some(client), Some(to)) = (client, to) {
            return Some((message.bytes, client, to));
        }
    }
}

fn address(storage: SockaddrStorage) -> Option<SocketAddr> {
    let four = |a: &SockaddrIn| SocketAddr::new(a.ip().into(), a.port());
    let six = |a: &SockaddrIn6| SocketAddr::new(a.ip().into(), a.port());
    storage
        .as_sockaddr_in()
        .map(four)
        .or_else(|| storage.as_sockaddr_in6().map(six))
}

/// A socket of the host's.
fn outside(to: SocketAddr) -> std::io::Result<UdpSocket> {
    let any = match to {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    complaints::keep(&socket, to.ip())?;
    socket.connect(to)?;
    Ok(socket)
}

/// Makes a socket of the container's namespace look like the far end.
fn as_far_end(fd: OwnedFd, client: SocketAddr, to: SocketAddr) -> nix::Result<UdpSocket> {
    set_transparent(&fd, to.is_ipv6())?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(to))?;
    nix::sys::socket::connect(fd.as_raw_fd(), &SockaddrStorage::from(client))?;
    Ok(fd.into())
}

fn unreachable(error: &std::io::Error) -> Unreachable {
    match error.raw_os_error() {
        Some(libc::ENETUNREACH | libc::EAFNOSUPPORT) => Unreachable::Network,
        Some(libc::EACCES | libc::EPERM) => Unreachable::Prohibited,
        _ => Unreachable::Host,
    }
}
