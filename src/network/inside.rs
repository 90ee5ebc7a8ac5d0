//! Sockets that belong to the container's network namespace. A socket stays in
//! the namespace of the thread that made it, so they are made by threads that
//! enter it, hand them back and end.

use crate::sys::ns;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// TCP sockets made by one thread: a thread costs as much as ten of them.
const STOCK: usize = 8;

pub struct Inside {
    netns: OwnedFd,
    /// The container's own, the one of its first network first.
    addresses: Vec<IpAddr>,
    stock: Vec<OwnedFd>,
}

impl Inside {
    pub fn new(netns: OwnedFd, addresses: Vec<IpAddr>) -> Self {
        Self {
            netns,
            addresses,
            stock: Vec::new(),
        }
    }

    /// The container's networks have changed.
    pub fn set_addresses(&mut self, addresses: Vec<IpAddr>) {
        self.addresses = addresses;
    }

    /// Where to connect at the `attempt`th try (from 0); `None`: give up.
    pub fn address(&self, attempt: usize, port: u16) -> Option<SocketAddr> {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let addresses = self.addresses.iter().copied().chain([loopback]);
        addresses.map(|ip| SocketAddr::new(ip, port)).nth(attempt)
    }

    /// A fresh, non-blocking TCP socket for that address.
    pub fn tcp(&mut self, to: SocketAddr) -> nix::Result<OwnedFd> {
        if to.is_ipv6() {
            return self.one(AddressFamily::Inet6, SockType::Stream);
        }
        if self.stock.is_empty() {
            self.stock = self.make(AddressFamily::Inet, SockType::Stream, STOCK)?;
        }
        self.stock.pop().ok_or(Errno::EMFILE)
    }

    /// A fresh, non-blocking socket.
    pub fn one(&self, family: AddressFamily, kind: SockType) -> nix::Result<OwnedFd> {
        self.make(family, kind, 1)?.pop().ok_or(Errno::EMFILE)
    }

    /// At least one, at most `count`.
    fn make(
        &self,
        family: AddressFamily,
        kind: SockType,
        count: usize,
    ) -> nix::Result<Vec<OwnedFd>> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let work = || -> nix::Result<Vec<OwnedFd>> {
            ns::join(self.netns.as_fd(), libc::CLONE_NEWNET)?;
            let first = socket(family, kind, flags, None)?;
            let more = (1..count).map_while(|_| socket(family, kind, flags, None).ok());
            Ok(std::iter::once(first).chain(more).collect())
        };
        ns::elsewhere(work)?
    }
}
