//! The rules in the container's own network namespace. What leaves is marked,
//! and the mark turns its way round to `lo`, where it is handed to sockets of
//! ours, whatever address it was meant for: no packet leaves by an interface,
//! and nothing is translated or tracked. Whether there are sockets for it is
//! decided before that: a SYN and an echo request wait in a queue.

use super::queue::{CONNECTIONS, ECHOES};
use crate::network::nft::{Base, Batch, Compare, Family, Header, Hook, Meta, Rule, Verdict};
use crate::sys::netlink::{Protocol, Refusal, Requests, Socket};
use ipnet::IpNet;
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What stays in the container's own networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Local {
    /// Subnets that it is in.
    pub subnets: Vec<IpNet>,
    /// Addresses in them that stand for the host.
    pub gateways: Vec<IpAddr>,
}

impl Local {
    /// Nothing is carried: all is in the container's own networks.
    pub fn everything() -> Self {
        let all = [
            IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::from(Ipv6Addr::UNSPECIFIED),
        ];
        Self {
            subnets: all.map(|ip| IpNet::new_assert(ip, 0)).to_vec(),
            gateways: Vec::new(),
        }
    }
}

/// Ports on the container's loopback that our sockets have.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub tcp: u16,
    pub udp: u16,
}

const TABLE: &str = "wherry-uplink";
const MARK: u32 = 0x7765_7279;
/// Number of the routing table.
const ROUTES: u8 = 119;
const LOOPBACK: u32 = 1;
const SYN: u8 = 2;
/// FIN, SYN, RST and ACK.
const FLAGS: u8 = 0x17;

/// How a rule puts a packet into a queue: kernels differ in what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Queueing {
    /// The queue statement of nftables.
    Own,
    /// The target of iptables, through nft_compat.
    Target,
}

/// What is done to rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There are none yet.
    First,
    /// All at once.
    Replace,
}

/// Puts the rules in place. What more kernels have is tried first: a refusal
/// takes 5 to 10 ms, since the kernel looks for a module.
pub fn set(change: Change, local: &Local, four: Ports, six: Option<Ports>) -> Result<(), Refusal> {
    let commit = |queueing| batch(change, local, (four, six), queueing).commit();
    let target = commit(Queueing::Target);
    match target.map_err(|refusal| refusal.errno) {
        Err(Errno::ENOENT | Errno::EOPNOTSUPP) => commit(Queueing::Own),
        _ => target,
    }
}

fn batch(
    change: Change,
    local: &Local,
    (four, six): (Ports, Option<Ports>),
    queueing: Queueing,
) -> Batch {
    let mut batch = match change {
        Change::First => Batch::first(Family::Inet, TABLE),
        Change::Replace => Batch::new(Family::Inet, TABLE),
    };
    let chain = |kind, hook, priority| {
        Some(Base {
            kind,
            hook,
            priority,
        })
    };
    batch.chain("leaves", chain("route", Hook::Output, -150));
    leaves(&mut batch, local);
    batch.chain("waits", chain("filter", Hook::PreRouting, -300));
    batch.rule("waits", |rule| {
        syn(turned(rule));
        queue(rule, queueing, CONNECTIONS);
    });
    for (protocol, request) in [(libc::IPPROTO_ICMP, 8), (libc::IPPROTO_ICMPV6, 128)] {
        batch.rule("waits", |rule| {
            turned(rule).protocol(protocol).payload(
                Header::Transport,
                0,
                Compare::Equal,
                &[request],
            );
            queue(rule, queueing, ECHOES);
        });
    }
    batch.chain("arrives", chain("filter", Hook::PreRouting, -150));
    for (address, ports) in [
        (IpAddr::V4(Ipv4Addr::LOCALHOST), Some(four)),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), six),
    ] {
        let Some(ports) = ports else { continue };
        batch.rule("arrives", |rule| {
            syn(turned(rule));
            hand_to(rule, address, ports.tcp);
        });
        batch.rule("arrives", |rule| {
            turned(rule).protocol(libc::IPPROTO_UDP);
            hand_to(rule, address, ports.udp);
        });
    }
    batch
}

/// Marks what leaves.
fn leaves(batch: &mut Batch, local: &Local) {
    let accept = |batch: &mut Batch, net: IpNet| {
        batch.rule("leaves", |rule| {
            rule.destination(Compare::Equal, net.addr(), net.prefix_len())
                .verdict(Verdict::Accept);
        });
    };
    batch.rule("leaves", |rule| {
        rule.meta(Meta::InterfaceOut, Compare::Equal, &LOOPBACK.to_ne_bytes())
            .verdict(Verdict::Accept);
    });
    for &ip in &local.gateways {
        batch.rule("leaves", |rule| {
            // Its bridge answers echo requests, and for IPv6 who it is.
            let (all, icmp) = match ip {
                IpAddr::V4(_) => (32, libc::IPPROTO_ICMP),
                IpAddr::V6(_) => (128, libc::IPPROTO_ICMPV6),
            };
            rule.destination(Compare::Equal, ip, all).meta(
                Meta::Protocol,
                Compare::NotEqual,
                &[icmp as u8],
            );
            mark(rule).verdict(Verdict::Accept);
        });
    }
    for net in &local.subnets {
        accept(batch, *net);
    }
    // To everybody, to groups, to neighbours: never beyond a network.
    for net in ["224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8"] {
        net.parse().into_iter().for_each(|net| accept(batch, net));
    }
    batch.rule("leaves", |rule| {
        mark(rule);
    });
}

fn mark<'a, 'b>(rule: &'a mut Rule<'b>) -> &'a mut Rule<'b> {
    load(rule, 1, &MARK.to_ne_bytes());
    rule.expression("meta", |meta| {
        meta.be32(2, Meta::Mark as u32).be32(3, 1);
    })
}

/// Goes on for what was marked and has come back by `lo`.
fn turned<'a, 'b>(rule: &'a mut Rule<'b>) -> &'a mut Rule<'b> {
    rule.meta(Meta::InterfaceIn, Compare::Equal, &LOOPBACK.to_ne_bytes())
        .meta(Meta::Mark, Compare::Equal, &MARK.to_ne_bytes())
}

/// Goes on for what asks for a connection.
fn syn<'a, 'b>(rule: &'a mut Rule<'b>) -> &'a mut Rule<'b> {
    rule.protocol(libc::IPPROTO_TCP)
        .expression("payload", |payload| {
            // The byte of the flags.
            payload
                .be32(1, 1)
                .be32(2, Header::Transport as u32)
                .be32(3, 13)
                .be32(4, 1);
        })
        .expression("bitwise", |bitwise| {
            bitwise.be32(1, 1).be32(2, 1).be32(3, 1);
            bitwise
                .nest(4, |mask| {
                    mask.bytes(1, &[FLAGS]);
                })
                .nest(5, |xor| {
                    xor.bytes(1, &[0]);
                });
        })
        .expression("cmp", |cmp| {
            cmp.be32(1, 1)
                .be32(2, Compare::Equal as u32)
                .nest(3, |data| {
                    data.bytes(1, &[SYN]);
                });
        })
}

/// Puts a value into a register.
fn load(rule: &mut Rule<'_>, register: u32, value: &[u8]) {
    rule.expression("immediate", |immediate| {
        immediate.be32(1, register).nest(2, |data| {
            data.bytes(1, value);
        });
    });
}

fn queue(rule: &mut Rule<'_>, queueing: Queueing, number: u16) {
    match queueing {
        Queueing::Own => rule.expression("queue", |queue| {
            queue.be16(1, number).be16(2, 1);
        }),
        Queueing::Target => rule.expression("target", |target| {
            // struct xt_NFQ_info, as long as such structures are rounded up to.
            let mut info = [0; 8];
            info[..2].copy_from_slice(&number.to_ne_bytes());
            target.string(1, "NFQUEUE").be32(2, 0).bytes(3, &info);
        }),
    };
}

/// Gives it to the socket that has this address, unless there is one that has
/// the packet's own.
fn hand_to(rule: &mut Rule<'_>, address: IpAddr, port: u16) {
    let (family, bytes) = match address {
        IpAddr::V4(ip) => (libc::NFPROTO_IPV4, ip.octets().to_vec()),
        IpAddr::V6(ip) => (libc::NFPROTO_IPV6, ip.octets().to_vec()),
    };
    rule.meta(Meta::Family, Compare::Equal, &[family as u8]);
    load(rule, 1, &bytes);
    load(rule, 2, &port.to_be_bytes());
    rule.expression("tproxy", |tproxy| {
        tproxy.be32(1, family as u32).be32(2, 1).be32(3, 2);
    });
}

/// What is marked is for this host, whatever its address.
pub fn turn_round(six: bool) -> Result<(), Refusal> {
    let mut socket = Socket::open(Protocol::Route)?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        if family == libc::AF_INET6 && !six {
            continue;
        }
        let family = family as u8;
        let mut requests = Requests::new();
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
        // struct fib_rule_hdr with FR_ACT_TO_TBL.
        let rule = [family, 0, 0, 0, ROUTES, 0, 0, 1, 0, 0, 0, 0];
        requests
            .begin(libc::RTM_NEWRULE, flags, &rule)
            .u32(10, MARK);
        add(&mut socket, requests)?;
        let mut requests = Requests::new();
        let (protocol, scope) = (libc::RTPROT_BOOT, libc::RT_SCOPE_HOST);
        // struct rtmsg.
        let route = [
            family,
            0,
            0,
            0,
            ROUTES,
            protocol,
            scope,
            libc::RTN_LOCAL,
            0,
            0,
            0,
            0,
        ];
        requests
            .begin(libc::RTM_NEWROUTE, flags, &route)
            .u32(libc::RTA_OIF, LOOPBACK);
        add(&mut socket, requests)?;
    }
    Ok(())
}

/// One that is there already was left by an earlier way out.
fn add(socket: &mut Socket, requests: Requests) -> Result<(), Refusal> {
    match socket.send(requests) {
        Err(refusal) if refusal.errno == Errno::EEXIST => Ok(()),
        other => other,
    }
}
