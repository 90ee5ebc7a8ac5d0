//! What is read out of packets that the kernel holds, and the packets that are
//! put in front of the container in answer: RFC 9293 (resets), 792 and 4443
//! (ICMP), 1071 (checksums).

use std::net::{IpAddr, SocketAddr};

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;
const HOPS: u8 = 64;
const SYN_FLAG: u8 = 2;
const RESET_ACK: u8 = 0x14;
/// Of a held packet, at most this much is quoted in an error about it: both
/// headers with all their options.
const QUOTE: usize = 128;

/// A packet that leaves the container and is held.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Syn {
        client: SocketAddr,
        to: SocketAddr,
        sequence: u32,
    },
    Echo {
        client: IpAddr,
        to: IpAddr,
        id: u16,
        sequence: u16,
        hops: u8,
        data: &'a [u8],
    },
}

impl<'a> Packet<'a> {
    /// `None` when it is none of these, or cut off.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (from, to, hops, protocol, rest) = network(bytes)?;
        let kind = *rest.first()?;
        match (protocol, kind) {
            (TCP, _) => {
                (rest.get(13)? & SYN_FLAG != 0).then_some(())?;
                Some(Self::Syn {
                    client: SocketAddr::new(from, u16_at(rest, 0)?),
                    to: SocketAddr::new(to, u16_at(rest, 2)?),
                    sequence: u32::from_be_bytes(*rest.get(4..)?.first_chunk()?),
                })
            }
            (ICMP, 8) | (ICMP6, 128) => Some(Self::Echo {
                client: from,
                to,
                id: u16_at(rest, 4)?,
                sequence: u16_at(rest, 6)?,
                hops,
                data: rest.get(8..)?,
            }),
            _ => None,
        }
    }
}

/// Source, destination, hops left, protocol, and what follows the header.
fn network(bytes: &[u8]) -> Option<(IpAddr, IpAddr, u8, u8, &[u8])> {
    match bytes.first()? >> 4 {
        4 => {
            let header = usize::from(bytes[0] & 15) * 4;
            let from = <[u8; 4]>::try_from(bytes.get(12..16)?).ok()?;
            let to = <[u8; 4]>::try_from(bytes.get(16..20)?).ok()?;
            let rest = bytes.get(header.max(20)..)?;
            Some((from.into(), to.into(), bytes[8], bytes[9], rest))
        }
        6 => {
            let from = <[u8; 16]>::try_from(bytes.get(8..24)?).ok()?;
            let to = <[u8; 16]>::try_from(bytes.get(24..40)?).ok()?;
            let (mut next, mut rest) = (bytes[6], bytes.get(40..)?);
            // Hop-by-hop options, routing, destination options.
            while matches!(next, 0 | 43 | 60) {
                let length = (usize::from(*rest.get(1)?) + 1) * 8;
                (next, rest) = (rest[0], rest.get(length..)?);
            }
            Some((from.into(), to.into(), bytes[7], next, rest))
        }
        _ => None,
    }
}

/// What a router or host says about a packet, as in an ICMP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Complaint {
    pub kind: u8,
    pub code: u8,
    /// The word behind the checksum: the MTU, where it was too long.
    pub info: u32,
}

/// Why something cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    Network,
    Host,
    Prohibited,
}

impl Unreachable {
    /// In the words of the protocol of `about`.
    pub fn complaint(self, about: IpAddr) -> Complaint {
        let (kind, code) = match (about, self) {
            (IpAddr::V4(_), Self::Network) => (3, 0),
            (IpAddr::V4(_), Self::Host) => (3, 1),
            (IpAddr::V4(_), Self::Prohibited) => (3, 13),
            (IpAddr::V6(_), Self::Network) => (1, 0),
            (IpAddr::V6(_), Self::Prohibited) => (1, 1),
            (IpAddr::V6(_), Self::Host) => (1, 3),
        };
        let info = 0;
        Complaint { kind, code, info }
    }
}

/// Refuses the connection that was asked for by a SYN of this sequence number.
pub fn reset(client: SocketAddr, to: SocketAddr, sequence: u32) -> Vec<u8> {
    let mut body = Vec::with_capacity(20);
    body.extend_from_slice(&to.port().to_be_bytes());
    body.extend_from_slice(&client.port().to_be_bytes());
    body.extend_from_slice(&[0; 4]);
    body.extend_from_slice(&sequence.wrapping_add(1).to_be_bytes());
    body.extend_from_slice(&[0x50, RESET_ACK, 0, 0, 0, 0, 0, 0]);
    packet(to.ip(), client.ip(), TCP, HOPS, body, Some(16))
}

/// `from` complains to the client about a packet that begins with `about`.
pub fn complain(from: IpAddr, client: IpAddr, what: Complaint, about: &[u8]) -> Vec<u8> {
    let mut body = vec![what.kind, what.code, 0, 0];
    body.extend_from_slice(&what.info.to_be_bytes());
    body.extend_from_slice(&about[..about.len().min(QUOTE)]);
    packet(from, client, icmp(client), HOPS, body, Some(2))
}

/// The answer to an echo request.
pub fn echo_reply(
    from: IpAddr,
    client: IpAddr,
    (id, sequence): (u16, u16),
    hops: u8,
    data: &[u8],
) -> Vec<u8> {
    let kind = if client.is_ipv4() { 0 } else { 129 };
    let body = echo(kind, id, sequence, data);
    packet(from, client, icmp(client), hops, body, Some(2))
}

/// An echo request as it was, enough of it to be quoted.
pub fn echo_request(client: IpAddr, to: IpAddr, (id, sequence): (u16, u16)) -> Vec<u8> {
    let kind = if client.is_ipv4() { 8 } else { 128 };
    let body = echo(kind, id, sequence, &[]);
    packet(client, to, icmp(client), HOPS, body, Some(2))
}

/// An ICMP message for a ping socket, which fills in checksum and ID.
pub fn echo(kind: u8, id: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(8 + data.len());
    body.extend_from_slice(&[kind, 0, 0, 0]);
    body.extend_from_slice(&id.to_be_bytes());
    body.extend_from_slice(&sequence.to_be_bytes());
    body.extend_from_slice(data);
    body
}

/// The head of a datagram that was sent, to be quoted.
pub fn datagram(client: SocketAddr, to: SocketAddr, length: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(8);
    body.extend_from_slice(&client.port().to_be_bytes());
    body.extend_from_slice(&to.port().to_be_bytes());
    body.extend_from_slice(&((length + 8) as u16).to_be_bytes());
    body.extend_from_slice(&[0, 0]);
    packet(client.ip(), to.ip(), UDP, HOPS, body, None)
}

fn icmp(family: IpAddr) -> u8 {
    if family.is_ipv4() { ICMP } else { ICMP6 }
}

/// An IP packet; the checksum of the body goes where `checksum` says. That of
/// an IPv4 header is filled in by the kernel.
fn packet(
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    hops: u8,
    mut body: Vec<u8>,
    checksum: Option<usize>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40 + body.len());
    let mut sum = Sum::default();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = ((20 + body.len()) as u16).to_be_bytes();
            bytes.extend_from_slice(&[0x45, 0, length[0], length[1], 0, 0, 0, 0]);
            bytes.extend_from_slice(&[hops, protocol, 0, 0]);
            bytes.extend_from_slice(&from.octets());
            bytes.extend_from_slice(&to.octets());
            if protocol != ICMP {
                sum.add(&bytes[12..]);
                sum.add(&[0, protocol]);
                sum.add(&(body.len() as u16).to_be_bytes());
            }
        }
        _ => {
            let (from, to) = (six(from), six(to));
            let length = (body.len() as u16).to_be_bytes();
            bytes.extend_from_slice(&[0x60, 0, 0, 0, length[0], length[1], protocol, hops]);
            bytes.extend_from_slice(&from);
            bytes.extend_from_slice(&to);
            sum.add(&bytes[8..]);
            sum.add(&[0, protocol]);
            sum.add(&length);
        }
    }
    if let Some(at) = checksum {
        sum.add(&body);
        body[at..at + 2].copy_from_slice(&sum.value().to_be_bytes());
    }
    bytes.extend_from_slice(&body);
    bytes
}

fn six(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// The Internet checksum of pieces that begin at even places.
#[derive(Default)]
struct Sum(u32);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            self.0 += u32::from(u16::from_be_bytes([pair[0], low]));
        }
    }

    fn value(&self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum >> 16) + (sum & 0xffff);
        }
        !(sum as u16)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Zero over what includes its own checksum, as receivers reckon.
    fn verifies(packet: &[u8]) -> bool {
        let (from, to, _, protocol, body) = network(packet).unwrap();
        let mut sum = Sum::default();
        if protocol != ICMP {
            for ip in [from, to] {
                match ip {
                    IpAddr::V4(ip) => sum.add(&ip.octets()),
                    IpAddr::V6(ip) => sum.add(&ip.octets()),
                }
            }
            sum.add(&[0, protocol]);
            sum.add(&(body.len() as u16).to_be_bytes());
        }
        sum.add(body);
        sum.value() == 0
    }

    #[test]
    fn answers_have_right_checksums() {
        for (client, to) in [
            ("10.0.2.100:4000", "192.0.2.1:443"),
            ("[fd00::2]:4000", "[2001:db8::1]:443"),
        ] {
            let (client, to) = (address(client), address(to));
            let quoted = datagram(client, to, 5);
            let host = Unreachable::Host.complaint(to.ip());
            for packet in [
                reset(client, to, u32::MAX),
                complain(to.ip(), client.ip(), host, &quoted),
                echo_reply(to.ip(), client.ip(), (7, 8), 61, b"odd"),
            ] {
                assert!(verifies(&packet), "{packet:x?}");
            }
        }
    }

    #[test]
    fn requests_are_read() {
        let (client, to) = (address("10.0.2.100:4000"), address("192.0.2.1:443"));
        let mut syn = reset(to, client, 41);
        // As if the client had sent it: a SYN with number 42.
        syn[24..28].copy_from_slice(&42u32.to_be_bytes());
        syn[33] = SYN_FLAG;
        let sequence = 42;
        let expected = Packet::Syn {
            client,
            to,
            sequence,
        };
        assert_eq!(Packet::parse(&syn), Some(expected));
        let six: (IpAddr, IpAddr) = ("fd00::2".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let echo = echo_request(six.0, six.1, (3, 4));
        assert!(matches!(
            Packet::parse(&echo),
            Some(Packet::Echo { id: 3, sequence: 4, client, .. }) if client == six.0
        ));
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        let client: IpAddr = "fd00::2".parse().unwrap();
        let mut echo = echo_request(client, client, (3, 4));
        // A header of options that reach beyond the end.
        echo[6] = 60;
        for length in 0..echo.len() {
            assert_eq!(Packet::parse(&echo[..length]), None, "{length}");
        }
        for garbage in [&[0x4f; 21][..], &[0x60; 41], &[0x45; 20], &[]] {
            assert_eq!(Packet::parse(garbage), None);
        }
    }
}
