//! ICMP echo: the container's requests are held, sent by a ping socket of the
//! host's (icmp(7), net.ipv4.ping_group_range), and its answers are put in
//! front of the container with its own number again.

use super::complaints;
use super::packet::{Packet, Unreachable, complain, echo, echo_reply, echo_request};
use super::policy;
use super::rules::Local;
use super::sockets::{Sockets, family};
use crate::network::flows::{Flows, Lapse};
use crate::network::token::Token;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollFlags};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, connect,
    recvmsg, send, setsockopt, socket, sockopt,
};
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

const IDLE: Duration = Duration::from_secs(20);
/// At once; the one that was silent longest makes room.
const MAX: usize = 256;
const ECHOES: usize = 64;
const HOPS: u8 = 64;

/// The container's address, its number, whom it asks.
type Key = (IpAddr, u16, IpAddr);

pub struct Echoes {
    flows: Flows<Key, Flow>,
}

struct Flow {
    key: Key,
    socket: OwnedFd,
    last: Instant,
}

impl Echoes {
    pub fn new() -> Self {
        Self {
            flows: Flows::at_most(MAX),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Asks outside what the container has asked; `bytes` is its packet.
    pub fn ask(
        &mut self,
        packet: &Packet<'_>,
        bytes: &[u8],
        sockets: &Sockets,
        local: &Local,
        epoll: &Epoll,
    ) {
        let Packet::Echo {
            client,
            to,
            id,
            sequence,
            hops,
            data,
        } = *packet
        else {
            return;
        };
        let sent = self.flow((client, id, to), local, epoll).and_then(|flow| {
            flow.last = Instant::now();
            let kind = if to.is_ipv4() { 8 } else { 128 };
            flow.send(&echo(kind, 0, sequence, data), hops)
                .map_err(unreachable)
        });
        if let Err(why) = sent {
            let packet = complain(to, client, why.complaint(to), bytes);
            sockets.inject(client, &packet);
        }
    }

    fn flow(&mut self, key: Key, local: &Local, epoll: &Epoll) -> Result<&mut Flow, Unreachable> {
        // Twice, for find_mut's loan would last through the other branch.
        if self.flows.find_mut(key).is_none() {
            let to = policy::address(key.2, local)?;
            self.flows
                .begin(key, |number| Flow::open(key, to, number, epoll))?;
        }
        self.flows.find_mut(key).ok_or(Unreachable::Host)
    }

    /// Carries answers back.
    pub fn answered(&mut self, index: usize, sockets: &Sockets, buffer: &mut [u8]) {
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        for _ in 0..ECHOES {
            match flow.receive(buffer) {
                Ok((length, hops)) => flow.pass_back(&buffer[..length], hops, sockets),
                Err(Errno::EAGAIN) => return flow.pass_on(sockets),
                Err(_) => flow.pass_on(sockets),
            }
        }
    }

    pub fn sweep(&mut self) {
        self.flows.sweep();
    }
}

impl Lapse for Flow {
    fn last(&self) -> Instant {
        self.last
    }

    fn patience(&self) -> Duration {
        IDLE
    }
}

impl Flow {
    /// `to` is where the third of `key` is for us; `number` that of its events.
    fn open(key: Key, to: IpAddr, number: usize, epoll: &Epoll) -> Result<Self, Unreachable> {
        let socket = ping_socket(to).map_err(unreachable)?;
        epoll
            .add(&socket, Token::Echo(number).event(EpollFlags::EPOLLIN))
            .map_err(unreachable)?;
        Ok(Self {
            key,
            socket,
            last: Instant::now(),
        })
    }

    /// With as many hops to go as the container gave it.
    fn send(&self, message: &[u8], hops: u8) -> nix::Result<()> {
        match self.key.2 {
            IpAddr::V4(_) => setsockopt(&self.socket, sockopt::Ipv4Ttl, &hops.into())?,
            IpAddr::V6(_) => setsockopt(&self.socket, sockopt::Ipv6Ttl, &hops.into())?,
        }
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = || send(self.socket.as_raw_fd(), message, flags).map(drop);
        // The first error may tell of an earlier one.
        sent().or_else(|_| sent())
    }

    /// Length of a message, and how many hops it had left.
    fn receive(&self, buffer: &mut [u8]) -> nix::Result<(usize, u8)> {
        let mut control = nix::cmsg_space!(libc::c_int);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags)?;
        let hops = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4Ttl(hops) => u8::try_from(hops).ok(),
            _ => None,
        });
        Ok((message.bytes, hops.unwrap_or(HOPS)))
    }

    fn pass_back(&mut self, message: &[u8], hops: u8, sockets: &Sockets) {
        let (client, id, to) = self.key;
        let Some((head, data)) = message.split_first_chunk::<8>() else {
            return;
        };
        self.last = Instant::now();
        let sequence = u16::from_be_bytes([head[6], head[7]]);
        let packet = echo_reply(to, client, (id, sequence), hops, data);
        sockets.inject(client, &packet);
    }

    /// What the outside complained about: the requests come back with it.
    fn pass_on(&mut self, sockets: &Sockets) {
        let (client, id, to) = self.key;
        let mut data = [0; 64];
        while let Some(heard) = complaints::next(&self.socket, &mut data) {
            let sequence = match heard.length {
                8.. => u16::from_be_bytes([data[6], data[7]]),
                _ => 0,
            };
            let about = echo_request(client, to, (id, sequence));
            let by = heard.by.filter(|by| !by.is_unspecified());
            let from = by.filter(|by| !by.is_loopback()).unwrap_or(to);
            let packet = complain(from, client, heard.what, &about);
            sockets.inject(client, &packet);
        }
    }
}

fn ping_socket(to: IpAddr) -> nix::Result<OwnedFd> {
    let protocol = match to {
        IpAddr::V4(_) => SockProtocol::Icmp,
        IpAddr::V6(_) => SockProtocol::IcmpV6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family(to), SockType::Datagram, flags, protocol)?;
    complaints::keep(&fd, to)?;
    if to.is_ipv4() {
        setsockopt(&fd, sockopt::Ipv4RecvTtl, &true)?;
    }
    connect(
        fd.as_raw_fd(),
        &SockaddrStorage::from(std::net::SocketAddr::new(to, 0)),
    )?;
    Ok(fd)
}

fn unreachable(errno: Errno) -> Unreachable {
    match errno {
        Errno::ENETUNREACH | Errno::EAFNOSUPPORT => Unreachable::Network,
        // Not for users of this group (net.ipv4.ping_group_range).
        Errno::EACCES | Errno::EPERM => Unreachable::Prohibited,
        _ => Unreachable::Host,
    }
}
