//! Published ports: what `-p` says, and the listening sockets for it. They are
//! bound in the host's network namespace before anything of the container
//! exists, so that a port that is taken leaves nothing behind.

use super::occupant;
use crate::error::{Error, Kind, Result, reason};
use crate::host::Need;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind as bind_socket, getsockopt,
    listen, setsockopt, socket, sockopt,
};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, OwnedFd};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// One container port to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub protocol: Protocol,
    pub container_port: u16,
    /// `None`: all addresses, of both families.
    pub host_ip: Option<IpAddr>,
    /// The first free one is taken; 0 is any.
    pub host_ports: RangeInclusive<u16>,
}

/// A socket that receives for a container.
#[derive(Debug)]
pub struct Listener {
    pub socket: Socket,
    /// As bound, with the real port.
    pub host: SocketAddr,
    pub container_port: u16,
}

impl std::os::fd::AsRawFd for Listener {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        match &self.socket {
            Socket::Tcp(socket) => socket.as_raw_fd(),
            Socket::Udp(socket) => socket.as_raw_fd(),
        }
    }
}

#[derive(Debug)]
pub enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Protocol {
    pub fn parse(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Err(Error::unsupported("publishing SCTP ports is not supported")),
            _ => Err(Error::invalid(format!("invalid proto: {text}"))),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl Publication {
    /// `-p [[IP:][HOSTPORT]:]CONTAINERPORT[/PROTOCOL]`, with ranges; an IPv6
    /// address may be in brackets. One for each container port.
    pub fn parse(spec: &str) -> Result<Vec<Self>> {
        let (ports, protocol) = spec.split_once('/').unwrap_or((spec, "tcp"));
        let protocol = Protocol::parse(protocol)?;
        let (rest, container) = ports.rsplit_once(':').unwrap_or(("", ports));
        let (ip, host) = rest.rsplit_once(':').unwrap_or(("", rest));
        if container.is_empty() {
            return Err(Error::invalid(format!("no port specified: {spec}<empty>")));
        }
        let containers = range(container).filter(|r| *r.start() > 0);
        let containers = containers
            .ok_or_else(|| Error::invalid(format!("invalid containerPort: {container}")))?;
        let host_ip = address(ip)?;
        let hosts = host_range(host)?;
        let one = |container_port, host_ports| Self {
            protocol,
            container_port,
            host_ip,
            host_ports,
        };
        if containers.len() == 1 || host.is_empty() {
            return Ok(containers.map(|port| one(port, hosts.clone())).collect());
        }
        if containers.len() != hosts.len() {
            return Err(Error::invalid(format!(
                "invalid ranges specified for container and host Ports: {container} and {host}"
            )));
        }
        Ok(containers
            .zip(hosts)
            .map(|(port, host)| one(port, host..=host))
            .collect())
    }

    /// From a container's record: key `80/tcp`, and HostIp and HostPort.
    pub fn recorded(key: &str, host_ip: &str, host_port: &str) -> Result<Self> {
        let mut all = Self::parse(key)?;
        let (Some(mut publication), true) = (all.pop(), all.is_empty()) else {
            return Err(Error::invalid(format!("invalid containerPort: {key}")));
        };
        publication.host_ip = address(host_ip)?;
        publication.host_ports = host_range(host_port)?;
        Ok(publication)
    }

    /// `80/tcp`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.container_port, self.protocol)
    }
}

fn address(text: &str) -> Result<Option<IpAddr>> {
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    match bare.parse() {
        Ok(ip) => Ok(Some(ip)),
        Err(_) if text.is_empty() => Ok(None),
        Err(_) => Err(Error::invalid(format!("invalid IP address: {text}"))),
    }
}

fn host_range(text: &str) -> Result<RangeInclusive<u16>> {
    match text {
        "" => Ok(0..=0),
        text => range(text).ok_or_else(|| Error::invalid(format!("invalid hostPort: {text}"))),
    }
}

/// `80` or `80-90`; digits only.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

/// Binds everything or nothing. `owner` tells which container of ours publishes
/// there. `passed` are sockets that the parent has opened for us: the one that
/// is bound where a publication wants to be is taken instead.
pub fn bind(
    publications: &[Publication],
    passed: Vec<OwnedFd>,
    owner: &dyn Fn(Protocol, SocketAddr) -> Option<String>,
) -> Result<Vec<Listener>> {
    let mut passed: Vec<Passed> = passed.into_iter().filter_map(Passed::read).collect();
    let mut listeners = Vec::new();
    for publication in publications {
        let ready = take_passed(&mut passed, publication);
        if !ready.is_empty() {
            listeners.extend(ready);
            continue;
        }
        listeners.extend(
            bind_one(publication)
                .map_err(|(host, e)| refusal(publication.protocol, host, e, owner))?,
        );
    }
    Ok(listeners)
}

/// A socket of the parent's.
struct Passed {
    socket: Socket,
    host: SocketAddr,
}

impl Passed {
    /// `None`: it does not receive what can be published.
    fn read(fd: OwnedFd) -> Option<Self> {
        crate::sys::set_nonblocking(fd.as_fd(), true).ok()?;
        let listens = getsockopt(&fd, sockopt::AcceptConn).ok()?;
        let (socket, host) = match getsockopt(&fd, sockopt::SockType).ok()? {
            SockType::Stream if listens => {
                let listener = TcpListener::from(fd);
                let host = listener.local_addr().ok()?;
                (Socket::Tcp(listener), host)
            }
            SockType::Datagram => {
                let socket = UdpSocket::from(fd);
                let host = socket.local_addr().ok()?;
                (Socket::Udp(socket), host)
            }
            _ => return None,
        };
        Some(Self { socket, host })
    }

    fn fits(&self, publication: &Publication) -> bool {
        let protocol = match self.socket {
            Socket::Tcp(_) => Protocol::Tcp,
            Socket::Udp(_) => Protocol::Udp,
        };
        protocol == publication.protocol
            && publication.host_ports.contains(&self.host.port())
            && publication.host_ip.is_none_or(|ip| ip == self.host.ip())
    }
}

fn take_passed(passed: &mut Vec<Passed>, publication: &Publication) -> Vec<Listener> {
    let (fitting, rest) = std::mem::take(passed)
        .into_iter()
        .partition(|socket| socket.fits(publication));
    *passed = rest;
    let fitting: Vec<Passed> = fitting;
    fitting
        .into_iter()
        .map(|Passed { socket, host }| Listener {
            socket,
            host,
            container_port: publication.container_port,
        })
        .collect()
}

type Refused = (SocketAddr, Errno);

/// How often another port is tried when any will do but IPv6 has it taken.
const ATTEMPTS: usize = 16;

/// Tries the ports of the range; the last refusal is the one told.
fn bind_one(publication: &Publication) -> Result<Vec<Listener>, Refused> {
    let ports = publication.host_ports.clone();
    let tries = if ports == (0..=0) { ATTEMPTS } else { 1 };
    let mut refused = (
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, *ports.start())),
        Errno::EADDRINUSE,
    );
    for port in ports.flat_map(|port| std::iter::repeat_n(port, tries)) {
        match bind_port(publication, port) {
            Err((host, Errno::EADDRINUSE)) => refused.0 = host,
            other => return other,
        }
    }
    Err(refused)
}

/// One port on the address, or on all addresses of both families.
fn bind_port(publication: &Publication, port: u16) -> Result<Vec<Listener>, Refused> {
    let make = |ip, port| listener(publication, SocketAddr::new(ip, port));
    let Some(ip) = publication.host_ip else {
        let four = make(Ipv4Addr::UNSPECIFIED.into(), port)?;
        return match make(Ipv6Addr::UNSPECIFIED.into(), four.host.port()) {
            Ok(six) => Ok(vec![four, six]),
            // A host without IPv6.
            Err((_, Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL)) => Ok(vec![four]),
            Err(refused) => Err(refused),
        };
    };
    Ok(vec![make(ip, port)?])
}

fn listener(publication: &Publication, host: SocketAddr) -> Result<Listener, Refused> {
    let (socket, host) = bound(publication.protocol, host).map_err(|e| (host, e))?;
    Ok(Listener {
        socket,
        host,
        container_port: publication.container_port,
    })
}

fn bound(protocol: Protocol, host: SocketAddr) -> nix::Result<(Socket, SocketAddr)> {
    let family = match host {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let kind = match protocol {
        Protocol::Tcp => SockType::Stream,
        Protocol::Udp => SockType::Datagram,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket(family, kind, flags, None)?;
    if host.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true)?;
    }
    if protocol == Protocol::Tcp {
        // A restart must not wait for the old connections' TIME_WAIT.
        setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    }
    bind_socket(
        std::os::fd::AsRawFd::as_raw_fd(&fd),
        &SockaddrStorage::from(host),
    )?;
    let io = |e: std::io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO));
    Ok(match protocol {
        Protocol::Tcp => {
            listen(&fd, Backlog::MAXCONN)?;
            let listener = TcpListener::from(fd);
            let host = listener.local_addr().map_err(io)?;
            (Socket::Tcp(listener), host)
        }
        Protocol::Udp => {
            let socket = UdpSocket::from(fd);
            let host = socket.local_addr().map_err(io)?;
            (Socket::Udp(socket), host)
        }
    })
}

/// Docker's sentences.
fn refusal(
    protocol: Protocol,
    host: SocketAddr,
    e: Errno,
    owner: &dyn Fn(Protocol, SocketAddr) -> Option<String>,
) -> Error {
    if e == Errno::EADDRINUSE
        && let Some(name) = owner(protocol, host)
    {
        return Error::conflict(format!("Bind for {host} failed: port is already allocated"))
            .hint(format!(
                "container {name} publishes it: `wherry stop {name}` frees it; without a host port -p takes a free one"
            ));
    }
    let family = if host.is_ipv4() { 4 } else { 6 };
    let why = reason(&std::io::Error::from(e));
    let error = Error::conflict(format!("listen {protocol}{family} {host}: bind: {why}"));
    match e {
        Errno::EACCES => {
            let free = occupant::free_port(protocol, host.ip(), occupant::first_open());
            let instead = free.map_or(String::new(), |port| format!("; {port} is free"));
            let hint = Need::LowPorts(host.port()).hint();
            error
                .with_kind(Kind::Denied)
                .hint(format!("{hint}{instead}"))
        }
        Errno::EADDRINUSE => {
            let who = occupant::find(protocol, host.port());
            let who = who.unwrap_or_else(|| "another user's program".into());
            error.hint(format!(
                "{who} listens there; without a host port -p takes a free one"
            ))
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(text: &str) -> Publication {
        Publication::parse(text).unwrap().remove(0)
    }

    #[test]
    fn specs() {
        use Protocol::{Tcp, Udp};
        for (spec, expected) in [
            ("80", vec![(Tcp, 80, None, 0..=0)]),
            ("80/udp", vec![(Udp, 80, None, 0..=0)]),
            ("8080:80", vec![(Tcp, 80, None, 8080..=8080)]),
            (":80", vec![(Tcp, 80, None, 0..=0)]),
            ("0:80", vec![(Tcp, 80, None, 0..=0)]),
            ("127.0.0.1::80", vec![(Tcp, 80, Some("127.0.0.1"), 0..=0)]),
            (
                "127.0.0.1:53:53/UDP",
                vec![(Udp, 53, Some("127.0.0.1"), 53..=53)],
            ),
            ("[::1]:8080:80", vec![(Tcp, 80, Some("::1"), 8080..=8080)]),
            ("::1:8080:80", vec![(Tcp, 80, Some("::1"), 8080..=8080)]),
            ("8000-8010:80", vec![(Tcp, 80, None, 8000..=8010)]),
            (
                "80-81",
                vec![(Tcp, 80, None, 0..=0), (Tcp, 81, None, 0..=0)],
            ),
            (
                "90-91:80-81",
                vec![(Tcp, 80, None, 90..=90), (Tcp, 81, None, 91..=91)],
            ),
        ] {
            let got = Publication::parse(spec).unwrap();
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(protocol, container_port, ip, host_ports)| Publication {
                    protocol,
                    container_port,
                    host_ip: ip.map(|ip| ip.parse().unwrap()),
                    host_ports,
                })
                .collect();
            assert_eq!(got, expected, "{spec}");
        }
        assert_eq!(publication("53:53/udp").key(), "53/udp");
        let recorded = Publication::recorded("80/tcp", "127.0.0.1", "8000-8010").unwrap();
        assert_eq!(recorded, publication("127.0.0.1:8000-8010:80"));
    }

    #[test]
    fn bad_specs_in_dockers_words() {
        for (spec, message) in [
            ("", "no port specified: <empty>"),
            ("80:", "no port specified: 80:<empty>"),
            ("abc:80", "invalid hostPort: abc"),
            ("99999:80", "invalid hostPort: 99999"),
            ("90-80:80", "invalid hostPort: 90-80"),
            ("80:abc", "invalid containerPort: abc"),
            ("80:0", "invalid containerPort: 0"),
            ("+80", "invalid containerPort: +80"),
            ("80:65536", "invalid containerPort: 65536"),
            ("80/icmp", "invalid proto: icmp"),
            ("80/sctp", "publishing SCTP ports is not supported"),
            ("300.0.0.1:80:80", "invalid IP address: 300.0.0.1"),
            ("localhost:80:80", "invalid IP address: localhost"),
            (
                "90-92:80-81",
                "invalid ranges specified for container and host Ports: 80-81 and 90-92",
            ),
        ] {
            assert_eq!(
                Publication::parse(spec).unwrap_err().to_string(),
                message,
                "{spec}"
            );
        }
    }

    #[test]
    fn a_taken_port_is_told_in_dockers_words() {
        let first = bind(&[publication("80")], Vec::new(), &|_, _| None).unwrap();
        let port = first[0].host.port();
        assert!(first.iter().all(|l| l.host.port() == port && port != 0));
        assert_eq!(first[0].host.ip(), IpAddr::from(Ipv4Addr::UNSPECIFIED));
        let again = [publication(&format!("{port}:80"))];
        let foreign = bind(&again, Vec::new(), &|_, _| None).unwrap_err();
        assert_eq!(
            foreign.to_string(),
            format!("listen tcp4 0.0.0.0:{port}: bind: address already in use")
        );
        let ours = bind(&again, Vec::new(), &|p, a| {
            ((p, a.port()) == (Protocol::Tcp, port)).then(|| "web".to_string())
        })
        .unwrap_err();
        assert_eq!(
            ours.to_string(),
            format!("Bind for 0.0.0.0:{port} failed: port is already allocated")
        );
        assert_eq!(ours.kind(), Kind::Conflict);
        assert!(
            ours.hint_text()
                .unwrap()
                .contains("container web publishes it")
        );
        let us = format!("(pid {}) listens there", std::process::id());
        assert!(foreign.hint_text().unwrap().contains(&us), "{foreign:?}");
        let nowhere =
            bind(&[publication("203.0.113.1:0:80")], Vec::new(), &|_, _| None).unwrap_err();
        assert_eq!(
            nowhere.to_string(),
            "listen tcp4 203.0.113.1:0: bind: cannot assign requested address"
        );
    }

    #[test]
    fn the_next_free_port_of_a_range_is_taken() {
        let first = bind(&[publication("127.0.0.1::80")], Vec::new(), &|_, _| None).unwrap();
        let port = first[0].host.port();
        let spec = format!("127.0.0.1:{port}-{}:80", port.saturating_add(20));
        let second = bind(&[publication(&spec)], Vec::new(), &|_, _| None).unwrap();
        assert!(second[0].host.port() > port);
        let udp = bind(
            &[publication(&format!("127.0.0.1:{port}:80/udp"))],
            Vec::new(),
            &|_, _| None,
        );
        assert!(udp.is_ok(), "UDP ports are others than TCP ports");
    }

    #[test]
    fn sockets_of_the_parent_are_taken_where_they_fit() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (tcp_port, udp_port) = (
            tcp.local_addr().unwrap().port(),
            udp.local_addr().unwrap().port(),
        );
        let passed: Vec<OwnedFd> = vec![tcp.into(), udp.into()];
        let wanted = [
            publication(&format!("{tcp_port}:80")),
            publication("127.0.0.1::81"),
            publication(&format!("127.0.0.1:{udp_port}:53/udp")),
        ];
        let all = bind(&wanted, passed, &|_, _| None).unwrap();
        let ports: Vec<(u16, u16)> = all
            .iter()
            .map(|l| (l.host.port(), l.container_port))
            .collect();
        assert_eq!((ports[0], ports[2]), ((tcp_port, 80), (udp_port, 53)));
        assert_eq!(ports.len(), 3);
    }
}
