//! Netlink (netlink(7)): requests put together in one buffer, sent at once, and
//! every one of them acknowledged by the kernel. What the numbers mean is up to
//! the caller: rtnetlink(7), or nfnetlink with its batches.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use std::os::fd::{AsRawFd, OwnedFd};

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Bytes of `struct nlattr`.
const ATTRIBUTE: usize = 4;
/// NLA_F_NESTED.
const NESTED: u16 = 1 << 15;
/// Flags of an attribute's type.
const TYPE_FLAGS: u16 = 3 << 14;
/// What is received at once; the kernel makes its answers as long as this.
const BUFFER: usize = 8 << 10;

const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Route,
    Netfilter,
}

/// The request that was refused, counted from 0, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    pub index: usize,
    pub errno: Errno,
}

impl From<Errno> for Refusal {
    /// Nothing was sent, or no answer came.
    fn from(errno: Errno) -> Self {
        Self { index: 0, errno }
    }
}

/// Requests on their way to the kernel.
#[derive(Debug, Default, Clone)]
pub struct Requests {
    bytes: Vec<u8>,
    /// Where each one begins.
    starts: Vec<usize>,
}

impl Requests {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Begins a request: message type, flags besides NLM_F_REQUEST and
    /// NLM_F_ACK, and the fixed part that follows the header.
    pub fn begin(&mut self, kind: u16, flags: u16, fixed: &[u8]) -> &mut Self {
        self.begin_bare(kind, flags | ACK, fixed)
    }

    /// One that is not acknowledged: the ends of an nfnetlink batch.
    pub fn begin_bare(&mut self, kind: u16, flags: u16, fixed: &[u8]) -> &mut Self {
        self.starts.push(self.bytes.len());
        // Length, sequence number and port are filled in later.
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(fixed);
        self.pad();
        self
    }

    pub fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = (ATTRIBUTE + value.len()) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.pad();
        self
    }

    /// With the NUL that the kernel wants.
    pub fn string(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// In the machine's order, as rtnetlink has it.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// In network order, as nfnetlink has it.
    pub fn be16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// An attribute that holds what `inside` adds.
    pub fn nest(&mut self, kind: u16, inside: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest_with(kind, &[], inside)
    }

    /// The same after a fixed part (VETH_INFO_PEER has one).
    pub fn nest_with(
        &mut self,
        kind: u16,
        fixed: &[u8],
        inside: impl FnOnce(&mut Self),
    ) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        self.bytes.extend_from_slice(fixed);
        self.pad();
        inside(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// Lengths and sequence numbers, the latter from `first` on; says how many
    /// acknowledgements there will be.
    fn close(&mut self, first: u32) -> usize {
        let mut acknowledged = 0;
        for index in 0..self.starts.len() {
            let start = self.starts[index];
            let end = self.starts.get(index + 1).copied();
            let length = (end.unwrap_or(self.bytes.len()) - start) as u32;
            let sequence = first.wrapping_add(index as u32);
            self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
            self.bytes[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
            acknowledged += usize::from(u16_at(&self.bytes, start + 6) & ACK != 0);
        }
        acknowledged
    }
}

/// A socket of the network namespace of the thread that opens it.
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub fn open(protocol: Protocol) -> nix::Result<Self> {
        let protocol = match protocol {
            Protocol::Route => SockProtocol::NetlinkRoute,
            Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let (family, flags) = (AddressFamily::Netlink, SockFlag::SOCK_CLOEXEC);
        let fd = socket(family, SockType::Raw, flags, protocol)?;
        Ok(Self { fd, sequence: 0 })
    }

    /// The socket, for messages that nobody has asked for.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Sends all requests, and returns when the kernel has carried out the last
    /// one: it does so while it is being sent to. The first refusal is told;
    /// rtnetlink carries out the requests behind it all the same, an nfnetlink
    /// batch is taken back as a whole.
    pub fn send(&mut self, requests: Requests) -> Result<(), Refusal> {
        self.exchange(requests, &mut |_, _| {})
    }

    /// Sends requests that are answered: `each` gets the type of every answer
    /// and its bytes behind the header.
    pub fn ask(
        &mut self,
        requests: Requests,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<(), Refusal> {
        self.exchange(requests, &mut each)
    }

    fn exchange(
        &mut self,
        mut requests: Requests,
        each: &mut dyn FnMut(u16, &[u8]),
    ) -> Result<(), Refusal> {
        if requests.is_empty() {
            return Ok(());
        }
        let first = self.sequence.wrapping_add(1);
        let count = requests.len() as u32;
        self.sequence = self.sequence.wrapping_add(count);
        let mut open = requests.close(first);
        send(self.fd.as_raw_fd(), &requests.bytes, MsgFlags::empty())?;
        let mut refused = None;
        let mut buffer = [0u8; BUFFER];
        while open > 0 {
            let received = match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            for message in messages(&buffer[..received]) {
                let index = message.sequence.wrapping_sub(first);
                if index >= count {
                    // Left over from an earlier batch that was refused.
                    continue;
                }
                let index = index as usize;
                match message.end() {
                    Some(Ok(())) => open -= 1,
                    Some(Err(errno)) => {
                        refused.get_or_insert(Refusal { index, errno });
                        // A batch may be refused as a whole, in one answer.
                        open = if requests.is_batch() { 0 } else { open - 1 };
                    }
                    None => each(message.kind, message.payload),
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }
}

impl Requests {
    /// Begins with a request that is not acknowledged: an nfnetlink batch.
    fn is_batch(&self) -> bool {
        u16_at(&self.bytes, 6) & ACK == 0
    }
}

struct Message<'a> {
    kind: u16,
    sequence: u32,
    payload: &'a [u8],
}

impl Message<'_> {
    /// The last word on a request: done, or an error.
    fn end(&self) -> Option<nix::Result<()>> {
        match i32::from(self.kind) {
            libc::NLMSG_ERROR | libc::NLMSG_DONE => {
                let bytes = self.payload.first_chunk::<4>();
                let code = bytes.map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                Some(if code < 0 {
                    Err(Errno::from_raw(-code))
                } else {
                    Ok(())
                })
            }
            _ => None,
        }
    }
}

/// The messages of one datagram; what makes no sense ends them.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<HEADER>()?;
        let length = u32::from_ne_bytes(*header.first_chunk()?) as usize;
        let message = bytes.get(..length).filter(|m| m.len() >= HEADER)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message {
            kind: u16_at(message, 4),
            sequence: u32::from_ne_bytes(*message[8..].first_chunk()?),
            payload: &message[HEADER..],
        })
    })
}

/// The attributes in `bytes`: type without its flags, and value.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<ATTRIBUTE>()?;
        let length = usize::from(u16_at(header, 0));
        let attribute = bytes.get(..length).filter(|a| a.len() >= ATTRIBUTE)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16_at(header, 2) & !TYPE_FLAGS, &attribute[ATTRIBUTE..]))
    })
}

/// Flags of a request for all there is.
pub const ALL: u16 = libc::NLM_F_DUMP as u16;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..)
        .and_then(|b| b.first_chunk())
        .map_or(0, |b| u16::from_ne_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_padded_and_nested() {
        let mut requests = Requests::new();
        requests
            .begin(7, 0, &[1, 2, 3])
            .string(1, "lo")
            .nest(2, |inner| {
                inner.u8(3, 9).be32(4, 0x0102_0304);
            });
        requests.begin_bare(8, 0, &[]);
        assert_eq!(requests.close(5), 1);
        let all: Vec<_> = messages(&requests.bytes).collect();
        assert_eq!(
            all.iter().map(|m| (m.kind, m.sequence)).collect::<Vec<_>>(),
            [(7, 5), (8, 6)]
        );
        let payload = &all[0].payload[4..];
        let outer: Vec<_> = attributes(payload).collect();
        assert_eq!(outer[0], (1, &b"lo\0"[..]));
        assert_eq!(outer[1].0, 2);
        let inner: Vec<_> = attributes(outer[1].1).collect();
        assert_eq!(inner, [(3, &[9][..]), (4, &[1, 2, 3, 4][..])]);
    }

    #[test]
    fn garbage_ends_the_reading() {
        for bytes in [&[][..], &[0; 15], &[255; 40], &[3, 0, 1, 0], &[0; 64]] {
            assert_eq!(messages(bytes).count(), 0);
            assert_eq!(attributes(bytes).count(), 0);
        }
    }

    #[test]
    fn the_kernel_answers() {
        let mut socket = Socket::open(Protocol::Route).unwrap();
        // RTM_GETLINK of all; struct ifinfomsg.
        let mut names = Vec::new();
        let mut requests = Requests::new();
        requests.begin(libc::RTM_GETLINK, ALL, &[0; 16]);
        socket
            .ask(requests, |kind, payload| {
                assert_eq!(kind, libc::RTM_NEWLINK);
                let name = attributes(&payload[16..]).find(|(kind, _)| *kind == libc::IFLA_IFNAME);
                names.push(String::from_utf8_lossy(name.unwrap().1).into_owned());
            })
            .unwrap();
        assert!(names.iter().any(|name| name == "lo\0"), "{names:?}");
        // One that cannot be, between two that can.
        let mut requests = Requests::new();
        let lo = |requests: &mut Requests, index: i32| {
            let mut fixed = [0; 16];
            fixed[4..8].copy_from_slice(&index.to_ne_bytes());
            requests.begin(libc::RTM_GETLINK, 0, &fixed);
        };
        lo(&mut requests, 1);
        lo(&mut requests, i32::MAX);
        lo(&mut requests, 1);
        let mut answers = 0;
        let refusal = socket.ask(requests, |_, _| answers += 1).unwrap_err();
        assert_eq!((refusal.index, refusal.errno), (1, Errno::ENODEV));
        assert_eq!(answers, 2);
    }
}
