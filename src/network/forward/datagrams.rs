//! UDP: each client of each listener gets a socket of its own in the container,
//! so that answers find their way back, until it has been idle for a minute.

use crate::network::flows::{Flows, Lapse};
use crate::network::inside::Inside;
use crate::network::publish::{Listener, Socket};
use crate::network::token::Token;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollFlags};
use nix::sys::socket::{AddressFamily, SockType};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const IDLE: Duration = Duration::from_secs(60);
/// Clients at once; the one that was silent longest makes room.
const MAX_FLOWS: usize = 512;
/// Datagrams of one socket in one turn.
const DATAGRAMS: usize = 64;
/// No datagram is longer.
const BUFFER: usize = 64 << 10;

pub(super) struct Datagrams {
    /// By listener and client.
    flows: Flows<(usize, SocketAddr), Flow>,
    /// Empty until the first datagram.
    buffer: Vec<u8>,
}

struct Flow {
    listener: usize,
    client: SocketAddr,
    backend: UdpSocket,
    port: u16,
    attempt: usize,
    last: Instant,
}

impl Datagrams {
    pub fn new() -> Self {
        Self {
            flows: Flows::at_most(MAX_FLOWS),
            buffer: Vec::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Carries waiting datagrams to the container. An error: no more room.
    pub fn arrival(
        &mut self,
        listener: usize,
        socket: &UdpSocket,
        port: u16,
        epoll: &Epoll,
        inside: &mut Inside,
    ) -> nix::Result<()> {
        self.buffer.resize(BUFFER, 0);
        for _ in 0..DATAGRAMS {
            let (length, client) = match socket.recv_from(&mut self.buffer) {
                Ok(got) => got,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                // An ICMP error of an earlier answer: not of interest.
                Err(_) => continue,
            };
            let key = (listener, client);
            let flow = match self.flows.find_mut(key) {
                Some(flow) => flow,
                None => self.flows.begin(key, |number| {
                    let flow = Flow::new(key, port, inside)?;
                    let event = Token::Flow(number).event(EpollFlags::EPOLLIN);
                    epoll.add(&flow.backend, event).map(|()| flow)
                })?,
            };
            flow.last = Instant::now();
            flow.send(&self.buffer[..length], inside);
        }
        Ok(())
    }

    /// Carries the container's answers back.
    pub fn reply(&mut self, index: usize, listeners: &[Listener], inside: &Inside) {
        self.buffer.resize(BUFFER, 0);
        let Some(flow) = self.flows.get_mut(index) else {
            return;
        };
        let Some(Socket::Udp(outside)) = listeners.get(flow.listener).map(|l| &l.socket) else {
            return;
        };
        for _ in 0..DATAGRAMS {
            match flow.backend.recv(&mut self.buffer) {
                Ok(length) => {
                    flow.last = Instant::now();
                    let _ = outside.send_to(&self.buffer[..length], flow.client);
                }
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => flow.refused(inside),
                Err(_) => return,
            }
        }
    }

    /// Ends what has been idle too long.
    pub fn sweep(&mut self) {
        self.flows.sweep();
        if self.flows.is_empty() {
            self.buffer = Vec::new();
        }
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
    fn new(
        (listener, client): (usize, SocketAddr),
        port: u16,
        inside: &mut Inside,
    ) -> nix::Result<Self> {
        let family = match inside.address(0, port) {
            Some(SocketAddr::V6(_)) => AddressFamily::Inet6,
            _ => AddressFamily::Inet,
        };
        let mut flow = Self {
            listener,
            client,
            backend: UdpSocket::from(inside.one(family, SockType::Datagram)?),
            port,
            attempt: 0,
            last: Instant::now(),
        };
        flow.connect(inside);
        Ok(flow)
    }

    /// To the first address, from the present try on, that there is a way to.
    fn connect(&mut self, inside: &Inside) {
        while let Some(address) = inside.address(self.attempt, self.port) {
            // Else it would keep its own address of the last try, and hear nothing
            // from a server that answers by another.
            let _ = crate::sys::dissolve(self.backend.as_fd());
            if self.backend.connect(address).is_ok() {
                return;
            }
            self.attempt += 1;
        }
    }

    fn send(&mut self, datagram: &[u8], inside: &Inside) {
        let refused = |e: &std::io::Error| e.raw_os_error() == Some(Errno::ECONNREFUSED as i32);
        // The error tells of an earlier datagram; this one was not sent.
        if self.backend.send(datagram).is_err_and(|e| refused(&e)) {
            self.refused(inside);
            let _ = self.backend.send(datagram);
        }
    }

    /// Nobody listens there: the next address, if there is one, else the same
    /// again, since the service may still be starting.
    fn refused(&mut self, inside: &Inside) {
        self.attempt += 1;
        if inside.address(self.attempt, self.port).is_none() {
            self.attempt = 0;
        }
        self.connect(inside);
    }
}
