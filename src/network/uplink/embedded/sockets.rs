//! Our sockets in the container's network namespace. They are made by a thread
//! that is in it, and used by one that is not.

use super::queue::Queue;
use super::rules::{self, Change, Local, Ports};
use crate::error::{Context, Error, Result};
use crate::sys::netlink::Refusal;
use crate::sys::set_transparent;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind,
    listen, sendto, setsockopt, socket, sockopt,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

/// Everything that is inside.
pub struct Sockets {
    pub queue: Queue,
    pub four: Family,
    /// `None`: the kernel has no IPv6.
    pub six: Option<Family>,
}

/// Those of one protocol family.
pub struct Family {
    /// Is given every connection that was let through.
    pub listener: TcpListener,
    /// Is given the datagrams that no flow has a socket for.
    pub datagrams: UdpSocket,
    /// Puts packets of ours in front of the container.
    raw: OwnedFd,
}

impl Sockets {
    /// In the network namespace of the calling thread, which has its
    /// interfaces and addresses already. An error names what the kernel lacks.
    pub fn open(local: &Local) -> Result<Self> {
        Self::open_with(Change::First, local)
    }

    /// The same where there was a way out before.
    pub fn open_again(local: &Local) -> Result<Self> {
        Self::open_with(Change::Replace, local)
    }

    fn open_with(change: Change, local: &Local) -> Result<Self> {
        let queue = Queue::open().map_err(|refusal| lacks("packet queues", refusal))?;
        let four = Family::open(Ipv4Addr::LOCALHOST.into())
            .map_err(|errno| lacks("transparent sockets", errno.into()))?;
        let six = Family::open(Ipv6Addr::LOCALHOST.into()).ok();
        let sockets = Self { queue, four, six };
        rules::turn_round(sockets.six.is_some())
            .map_err(|refusal| lacks("routing by marks", refusal))?;
        sockets.set_rules(change, local)?;
        Ok(sockets)
    }

    /// Puts the rules in place, in the network namespace of the calling thread.
    pub fn set_rules(&self, change: Change, local: &Local) -> Result<()> {
        let four = self.four.ports().context(|| "cannot use the way out")?;
        let six = self.six.as_ref().and_then(|six| six.ports().ok());
        rules::set(change, local, four, six)
            .map_err(|refusal| lacks("nftables with tproxy and queue", refusal))
    }

    pub fn of(&self, ip: IpAddr) -> Option<&Family> {
        match ip {
            IpAddr::V4(_) => Some(&self.four),
            IpAddr::V6(_) => self.six.as_ref(),
        }
    }

    pub fn families(&self) -> impl Iterator<Item = &Family> {
        std::iter::once(&self.four).chain(&self.six)
    }

    /// Puts a packet in front of the container.
    pub fn inject(&self, client: IpAddr, packet: &[u8]) {
        if let Some(family) = self.of(client) {
            let to = SockaddrStorage::from(SocketAddr::new(client, 0));
            // Lost like any packet.
            let _ = sendto(family.raw.as_raw_fd(), packet, &to, MsgFlags::MSG_DONTWAIT);
        }
    }
}

impl Family {
    fn open(loopback: IpAddr) -> nix::Result<Self> {
        let any_port = SocketAddr::new(loopback, 0);
        let tcp = transparent(loopback, SockType::Stream)?;
        // Inherited by what it takes.
        setsockopt(&tcp, sockopt::TcpNoDelay, &true)?;
        bind(tcp.as_raw_fd(), &SockaddrStorage::from(any_port))?;
        listen(&tcp, Backlog::MAXALLOWABLE)?;
        let udp = transparent(loopback, SockType::Datagram)?;
        match loopback {
            IpAddr::V4(_) => setsockopt(&udp, sockopt::Ipv4OrigDstAddr, &true)?,
            IpAddr::V6(_) => setsockopt(&udp, sockopt::Ipv6OrigDstAddr, &true)?,
        }
        bind(udp.as_raw_fd(), &SockaddrStorage::from(any_port))?;
        let raw = socket(
            family(loopback),
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::Raw,
        )?;
        Ok(Self {
            listener: tcp.into(),
            datagrams: udp.into(),
            raw,
        })
    }

    fn ports(&self) -> std::io::Result<Ports> {
        Ok(Ports {
            tcp: self.listener.local_addr()?.port(),
            udp: self.datagrams.local_addr()?.port(),
        })
    }
}

/// A socket that may have any address.
fn transparent(of: IpAddr, kind: SockType) -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(family(of), kind, flags, None)?;
    set_transparent(&fd, of.is_ipv6())?;
    Ok(fd)
}

pub fn family(ip: IpAddr) -> AddressFamily {
    match ip {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn lacks(what: &str, refusal: Refusal) -> Error {
    let errno: Errno = refusal.errno;
    Error::unsupported(format!(
        "the kernel lacks {what} for ordinary users: {}",
        errno.desc().to_lowercase()
    ))
}
