//! Interfaces, addresses and routes by rtnetlink(7), in the network namespace
//! of the thread that asks.

use super::lan;
use crate::sys::netlink::{ALL, Protocol, Refusal, Requests, Socket, attributes};
use ipnet::IpNet;
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

/// A hardware address.
pub type Mac = [u8; 6];

const LOOPBACK: u32 = 1;
const UP: u32 = libc::IFF_UP as u32;
const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const VETH_INFO_PEER: u16 = 1;
const MACVLAN_MODE: u16 = 1;
/// linux/if_link.h: libc has it not for all targets.
const BR_MCAST_SNOOPING: u16 = 23;
const NO_DAD: u32 = 2;

/// The bridge of a network, in N.
#[derive(Debug, Clone)]
pub struct Bridge<'a> {
    /// At most 15 bytes.
    pub name: &'a str,
    /// Its number, the same in every N, so that nobody has to ask for it.
    pub index: u32,
    pub mac: Mac,
    pub mtu: Option<u32>,
    /// The gateways' addresses.
    pub addresses: &'a [IpNet],
}

/// The end of a pair that goes into a container.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    pub name: &'a str,
    pub mac: Mac,
    pub mtu: Option<u32>,
    pub netns: BorrowedFd<'a>,
}

/// A route of the host, to a subnet.
pub type Route = IpNet;

pub struct Links(Socket);

impl Links {
    pub fn open() -> nix::Result<Self> {
        Socket::open(Protocol::Route).map(Self)
    }

    /// Makes a bridge and brings it up, its IPv4 addresses on it. One that is
    /// there already is EEXIST.
    pub fn add_bridge(&mut self, bridge: &Bridge<'_>) -> nix::Result<()> {
        let mut requests = Requests::new();
        requests
            .begin(libc::RTM_NEWLINK, CREATE, &link(bridge.index, UP, UP))
            .string(libc::IFLA_IFNAME, bridge.name)
            .bytes(libc::IFLA_ADDRESS, &bridge.mac);
        if let Some(mtu) = bridge.mtu {
            requests.u32(libc::IFLA_MTU, mtu);
        }
        requests.nest(libc::IFLA_LINKINFO, |info| {
            info.string(libc::IFLA_INFO_KIND, "bridge")
                .nest(libc::IFLA_INFO_DATA, |data| {
                    // Without a querier it would lose neighbours.
                    data.u8(BR_MCAST_SNOOPING, 0);
                });
        });
        // In one go: a killed process leaves no bridge without its address.
        for address in bridge.addresses.iter().filter(|a| a.addr().is_ipv4()) {
            add_address(&mut requests, bridge.index, *address);
        }
        self.0.send(requests).map_err(errno)
    }

    /// Puts further addresses on an interface; one that it has is no error.
    pub fn add_addresses(&mut self, index: u32, addresses: &[IpNet]) -> nix::Result<()> {
        let mut requests = Requests::new();
        for address in addresses {
            add_address(&mut requests, index, *address);
        }
        match self.0.send(requests).map_err(errno) {
            Err(Errno::EEXIST) => Ok(()),
            other => other,
        }
    }

    /// Makes a pair: one end on the bridge, the other in a container. No such
    /// bridge is ENODEV.
    pub fn add_pair(&mut self, bridge: u32, peer: &Peer<'_>) -> nix::Result<()> {
        let mut requests = Requests::new();
        requests
            .begin(libc::RTM_NEWLINK, CREATE, &link(0, UP, UP))
            .u32(libc::IFLA_MASTER, bridge);
        if let Some(mtu) = peer.mtu {
            requests.u32(libc::IFLA_MTU, mtu);
        }
        requests.nest(libc::IFLA_LINKINFO, |info| {
            info.string(libc::IFLA_INFO_KIND, "veth")
                .nest(libc::IFLA_INFO_DATA, |data| {
                    // Not up yet: with IFF_UP here the kernel says ENOTCONN.
                    let fixed = link(0, 0, 0);
                    data.nest_with(VETH_INFO_PEER, &fixed, |inside| {
                        inside
                            .string(libc::IFLA_IFNAME, peer.name)
                            .bytes(libc::IFLA_ADDRESS, &peer.mac)
                            .u32(libc::IFLA_NET_NS_FD, peer.netns.as_raw_fd() as u32);
                        if let Some(mtu) = peer.mtu {
                            inside.u32(libc::IFLA_MTU, mtu);
                        }
                    });
                });
        });
        self.0.send(requests).map_err(errno)
    }

    /// Makes a part of the interface `parent` of this namespace, in a container
    /// (macvlan, `ip-link(8)`).
    pub fn add_part(&mut self, parent: u32, mode: lan::Mode, peer: &Peer<'_>) -> nix::Result<()> {
        let mut requests = Requests::new();
        requests
            .begin(libc::RTM_NEWLINK, CREATE, &link(0, 0, 0))
            .string(libc::IFLA_IFNAME, peer.name)
            .u32(libc::IFLA_LINK, parent)
            .u32(libc::IFLA_NET_NS_FD, peer.netns.as_raw_fd() as u32);
        // The whole of it has the parent's address.
        if mode != lan::Mode::Passthru {
            requests.bytes(libc::IFLA_ADDRESS, &peer.mac);
        }
        if let Some(mtu) = peer.mtu {
            requests.u32(libc::IFLA_MTU, mtu);
        }
        requests.nest(libc::IFLA_LINKINFO, |info| {
            info.string(libc::IFLA_INFO_KIND, "macvlan")
                .nest(libc::IFLA_INFO_DATA, |data| {
                    data.u32(MACVLAN_MODE, mode.number());
                });
        });
        self.0.send(requests).map_err(errno)
    }

    /// The number of an interface. That of a pair's end cannot be relied on:
    /// kernels with tunnels have more in a new namespace than `lo`.
    pub fn index(&mut self, name: &str) -> nix::Result<u32> {
        let mut requests = Requests::new();
        requests
            .begin(libc::RTM_GETLINK, 0, &link(0, 0, 0))
            .string(libc::IFLA_IFNAME, name);
        let mut found = None;
        self.0
            .ask(requests, |_, payload| {
                let bytes = payload.get(4..8).and_then(|b| b.first_chunk());
                found = bytes.map(|bytes| u32::from_ne_bytes(*bytes));
            })
            .map_err(errno)?;
        found.ok_or(Errno::ENODEV)
    }

    /// Brings `lo` up.
    pub fn loopback_up(&mut self) -> nix::Result<()> {
        self.bring_up(LOOPBACK)
    }

    pub fn bring_up(&mut self, index: u32) -> nix::Result<()> {
        let mut requests = Requests::new();
        up(&mut requests, index);
        self.0.send(requests).map_err(errno)
    }

    /// Brings an interface up, with its addresses, and `lo`.
    pub fn configure(&mut self, index: u32, addresses: &[IpNet]) -> nix::Result<()> {
        let mut requests = Requests::new();
        up(&mut requests, LOOPBACK);
        up(&mut requests, index);
        for address in addresses {
            add_address(&mut requests, index, *address);
        }
        self.0.send(requests).map_err(errno)
    }

    /// The default routes; an old one of the same family is replaced.
    pub fn default_routes(&mut self, index: u32, gateways: &[IpAddr]) -> nix::Result<()> {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        let mut requests = Requests::new();
        for gateway in gateways {
            requests
                .begin(libc::RTM_NEWROUTE, flags, &route(*gateway))
                .bytes(libc::RTA_GATEWAY, &octets(*gateway))
                .u32(libc::RTA_OIF, index);
        }
        self.0.send(requests).map_err(errno)
    }

    /// Removes an interface; takes 20 to 40 ms. One that is not there is gone.
    pub fn remove(&mut self, name: &str) -> nix::Result<()> {
        let mut requests = Requests::new();
        requests
            .begin(libc::RTM_DELLINK, 0, &link(0, 0, 0))
            .string(libc::IFLA_IFNAME, name);
        match self.0.send(requests).map_err(errno) {
            Err(Errno::ENODEV) => Ok(()),
            other => other,
        }
    }

    /// The subnets that this namespace has routes to, besides the default.
    pub fn routes(&mut self) -> nix::Result<Vec<Route>> {
        let mut found = Vec::new();
        let mut requests = Requests::new();
        requests.begin(libc::RTM_GETROUTE, ALL, &[0; 12]);
        self.0
            .ask(requests, |kind, payload| {
                if kind == libc::RTM_NEWROUTE {
                    found.extend(parse_route(payload));
                }
            })
            .map_err(errno)?;
        Ok(found)
    }
}

fn errno(refusal: Refusal) -> Errno {
    refusal.errno
}

/// `struct ifinfomsg`.
fn link(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&change.to_ne_bytes());
    fixed
}

fn up(requests: &mut Requests, index: u32) {
    requests.begin(libc::RTM_NEWLINK, 0, &link(index, UP, UP));
}

/// `struct ifaddrmsg` and the address; IPv6 without the second in which others
/// are asked whether they have it: addresses are given out here.
fn add_address(requests: &mut Requests, index: u32, address: IpNet) {
    let mut fixed = [
        family(address.addr()),
        address.prefix_len(),
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    fixed[4..].copy_from_slice(&index.to_ne_bytes());
    let bytes = octets(address.addr());
    requests
        .begin(libc::RTM_NEWADDR, CREATE, &fixed)
        .bytes(libc::IFA_LOCAL, &bytes)
        .bytes(libc::IFA_ADDRESS, &bytes);
    match address {
        IpNet::V4(net) if net.prefix_len() < 31 => {
            requests.bytes(libc::IFA_BROADCAST, &net.broadcast().octets());
        }
        IpNet::V4(_) => {}
        IpNet::V6(_) => {
            requests.u32(libc::IFA_FLAGS, NO_DAD);
        }
    }
}

/// `struct rtmsg` of a default route.
fn route(gateway: IpAddr) -> [u8; 12] {
    let table = libc::RT_TABLE_MAIN;
    let protocol = libc::RTPROT_BOOT;
    let (scope, kind) = (libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST);
    [
        family(gateway),
        0,
        0,
        0,
        table,
        protocol,
        scope,
        kind,
        0,
        0,
        0,
        0,
    ]
}

fn parse_route(payload: &[u8]) -> Option<Route> {
    let (fixed, rest) = payload.split_at_checked(12)?;
    let (family, prefix, table) = (i32::from(fixed[0]), fixed[1], fixed[4]);
    if prefix == 0 || table == libc::RT_TABLE_LOCAL {
        return None;
    }
    let (_, value) = attributes(rest).find(|(kind, _)| *kind == libc::RTA_DST)?;
    let ip = match family {
        libc::AF_INET => IpAddr::from(<[u8; 4]>::try_from(value).ok()?),
        libc::AF_INET6 => IpAddr::from(<[u8; 16]>::try_from(value).ok()?),
        _ => return None,
    };
    IpNet::new(ip, prefix).ok().map(|net| net.trunc())
}

fn family(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::octets(&ip).to_vec(),
        IpAddr::V6(ip) => Ipv6Addr::octets(&ip).to_vec(),
    }
}
