//! Sockets that belong to the container's network namespace. A socket stays in
//! the namespace of the thread that made it, so they are made by threads that
//! enter it, hand them back and end.

use crate::sys::ns;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};

/// TCP sockets made by one thread: a thread costs as much as ten of them.
const STOCK: usize = 8;

pub(super) struct Inside {
    netns: OwnedFd,
    address: Option<Ipv4Addr>,
    stock: Vec<OwnedFd>,
}

impl Inside {
    pub fn new(netns: OwnedFd, address: Option<Ipv4Addr>) -> Self {
        Self {
            netns,
            address,
            stock: Vec::new(),
        }
    }

    /// Where to connect at the `attempt`th try (from 0); `None`: give up.
    pub fn address(&self, attempt: usize, port: u16) -> Option<SocketAddrV4> {
        let addresses = self.address.into_iter().chain([Ipv4Addr::LOCALHOST]);
        addresses.map(|ip| SocketAddrV4::new(ip, port)).nth(attempt)
    }

    /// A fresh, non-blocking TCP socket.
    pub fn tcp(&mut self) -> nix::Result<OwnedFd> {
        if self.stock.is_empty() {
            self.stock = self.make(SockType::Stream, STOCK)?;
        }
        self.stock.pop().ok_or(Errno::EMFILE)
    }

    /// A fresh, non-blocking UDP socket.
    pub fn udp(&self) -> nix::Result<OwnedFd> {
        self.make(SockType::Datagram, 1)?.pop().ok_or(Errno::EMFILE)
    }

    /// At least one, at most `count`.
    fn make(&self, kind: SockType, count: usize) -> nix::Result<Vec<OwnedFd>> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let work = || -> nix::Result<Vec<OwnedFd>> {
            ns::join(self.netns.as_fd(), libc::CLONE_NEWNET)?;
            let first = socket(AddressFamily::Inet, kind, flags, None)?;
            let more =
                (1..count).map_while(|_| socket(AddressFamily::Inet, kind, flags, None).ok());
            Ok(std::iter::once(first).chain(more).collect())
        };
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().stack_size(64 << 10);
            match builder.spawn_scoped(scope, work) {
                Ok(thread) => thread.join().unwrap_or(Err(Errno::EIO)),
                Err(_) => Err(Errno::EAGAIN),
            }
        })
    }
}
