//! Whom other names are asked of: the host's name servers, from the host's
//! network; or those that the user has named, from the container's.

use crate::network::etc::Resolver;
use crate::network::inside::Inside;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};

/// No more is asked of the host's file than once in this time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const FILE: &str = "/etc/resolv.conf";

pub struct Upstream {
    servers: Vec<SocketAddr>,
    /// The one that answered last: it is asked first.
    preferred: usize,
    from: From,
}

enum From {
    /// Read again when the file changes: laptops travel.
    Host {
        seen: Option<SystemTime>,
        looked: Option<Instant>,
    },
    Container(Inside),
}

impl Upstream {
    pub fn host() -> Self {
        Self {
            servers: Vec::new(),
            preferred: 0,
            from: From::Host {
                seen: None,
                looked: None,
            },
        }
    }

    pub fn container(servers: &[IpAddr], inside: Inside) -> Self {
        Self {
            servers: ports(servers),
            preferred: 0,
            from: From::Container(inside),
        }
    }

    /// Looks whether the host's servers have changed.
    pub fn refresh(&mut self) {
        let From::Host { seen, looked } = &mut self.from else {
            return;
        };
        if looked.is_some_and(|then| then.elapsed() < LOOK_EVERY) {
            return;
        }
        *looked = Some(Instant::now());
        let changed = std::fs::metadata(FILE)
            .and_then(|meta| meta.modified())
            .ok();
        if changed.is_some() && changed == *seen {
            return;
        }
        *seen = changed;
        let text = std::fs::read_to_string(FILE).unwrap_or_default();
        // One on the host's loopback can be asked from here.
        let mut servers = Resolver::parse(&text).servers;
        if servers.is_empty() {
            // resolv.conf(5): the default.
            servers.push(IpAddr::from([127, 0, 0, 1]));
        }
        self.servers = ports(&servers);
        self.preferred = 0;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.servers.len()
    }

    /// Whom to ask at the `attempt`th try (from 0), round and round.
    pub fn server(&self, attempt: usize) -> Option<usize> {
        let count = self.servers.len();
        (count > 0).then(|| (self.preferred + attempt) % count)
    }

    pub fn address(&self, server: usize) -> Option<SocketAddr> {
        self.servers.get(server).copied()
    }

    /// This one has answered.
    pub fn answered(&mut self, server: usize) {
        self.preferred = server;
    }

    /// A fresh, non-blocking socket that reaches it.
    pub fn socket(&self, kind: SockType, to: SocketAddr) -> nix::Result<OwnedFd> {
        let family = match to {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        };
        match &self.from {
            From::Host { .. } => {
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                socket(family, kind, flags, None)
            }
            From::Container(inside) => inside.one(family, kind),
        }
    }
}

fn ports(servers: &[IpAddr]) -> Vec<SocketAddr> {
    servers.iter().map(|ip| SocketAddr::new(*ip, 53)).collect()
}
