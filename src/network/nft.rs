//! nftables without nft(8): tables, chains and rules put into one nfnetlink
//! batch, which the kernel carries out as a whole or not at all. Takes some
//! 50 µs where the program takes 5 to 20 ms.
//!
//! Names and numbers are those of linux/netfilter/nf_tables.h, which libc has
//! only in part.

use crate::sys::netlink::{Protocol, Refusal, Requests, Socket};
use std::net::IpAddr;

/// Protocol family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Inet = 1,
    Ip = 2,
    Ip6 = 10,
}

/// Where a base chain is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    PreRouting = 0,
    Input,
    Forward,
    Output,
    PostRouting,
}

/// A chain that the kernel calls.
#[derive(Debug, Clone, Copy)]
pub struct Base {
    /// `filter`, `nat` or `route`.
    pub kind: &'static str,
    pub hook: Hook,
    /// Lower ones are called first: NF_IP_PRI_*, e.g. -100 for DNAT.
    pub priority: i32,
}

/// What ends a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    Drop,
    Accept,
    Return,
    Jump(&'a str),
}

const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEW_TABLE: u16 = SUBSYSTEM;
const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const CREATE: u16 = libc::NLM_F_CREATE as u16;
const APPEND: u16 = libc::NLM_F_APPEND as u16;

/// The register that all values here go through: 16 bytes.
const REGISTER: u32 = 1;
const SECOND: u32 = 2;
const VERDICT_REGISTER: u32 = 0;

/// One table in the making, in the network namespace of the thread that
/// commits it. An old one of the same name is replaced.
pub struct Batch {
    requests: Requests,
    family: Family,
    table: &'static str,
}

impl Batch {
    pub fn new(family: Family, table: &'static str) -> Self {
        let mut batch = Self::bare(family, table);
        // Made first, so that there is one to be removed.
        for kind in [NEW_TABLE, DELETE_TABLE, NEW_TABLE] {
            batch.begin(kind, CREATE).string(1, table);
        }
        batch
    }

    /// The same where there is no old one: a removal has the kernel wait for
    /// every processor, which lasts some milliseconds.
    pub fn first(family: Family, table: &'static str) -> Self {
        let mut batch = Self::bare(family, table);
        batch.begin(NEW_TABLE, CREATE).string(1, table);
        batch
    }

    /// Removes the table of this name.
    pub fn removal(family: Family, table: &'static str) -> Self {
        let mut batch = Self::bare(family, table);
        batch.begin(DELETE_TABLE, 0).string(1, table);
        batch
    }

    fn bare(family: Family, table: &'static str) -> Self {
        let mut requests = Requests::new();
        requests.begin_bare(BATCH_BEGIN, 0, &fixed(0));
        Self {
            requests,
            family,
            table,
        }
    }

    fn begin(&mut self, kind: u16, flags: u16) -> &mut Requests {
        let flags = if kind == DELETE_TABLE { 0 } else { flags };
        self.requests.begin(kind, flags, &fixed(self.family as u8))
    }

    /// A chain; with no `base`, one that rules jump to.
    pub fn chain(&mut self, name: &str, base: Option<Base>) -> &mut Self {
        let table = self.table;
        let chain = self
            .begin(NEW_CHAIN, CREATE)
            .string(1, table)
            .string(3, name);
        if let Some(base) = base {
            chain
                .nest(4, |hook| {
                    hook.be32(1, base.hook as u32)
                        .be32(2, base.priority.cast_unsigned());
                })
                .string(7, base.kind);
        }
        self
    }

    /// A rule at the end of a chain.
    pub fn rule(&mut self, chain: &str, parts: impl FnOnce(&mut Rule<'_>)) -> &mut Self {
        let table = self.table;
        self.begin(NEW_RULE, CREATE | APPEND)
            .string(1, table)
            .string(2, chain)
            .nest(4, |list| parts(&mut Rule(list)));
        self
    }

    /// Has the kernel carry it out.
    pub fn commit(mut self) -> Result<(), Refusal> {
        self.requests.begin_bare(BATCH_END, 0, &fixed(0));
        Socket::open(Protocol::Netfilter)?.send(self.requests)
    }
}

/// `struct nfgenmsg`; the last two bytes name the subsystem of a batch.
fn fixed(family: u8) -> [u8; 4] {
    [family, 0, 0, 10]
}

/// The expressions of a rule, in the order in which they are evaluated.
pub struct Rule<'a>(&'a mut Requests);

/// What [`Rule::meta`] can compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    Mark = 3,
    /// Index of the interface it came in by, or goes out by.
    InterfaceIn = 4,
    InterfaceOut = 5,
    NameIn = 6,
    NameOut = 7,
    /// NFPROTO_IPV4 (2) or NFPROTO_IPV6 (10), one byte.
    Family = 15,
    /// IPPROTO_*, one byte.
    Protocol = 16,
}

/// Where a [`Rule::payload`] is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    Network = 1,
    Transport = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    Equal = 0,
    NotEqual,
}

impl Rule<'_> {
    /// One expression by its kernel name; `data` adds its attributes.
    pub fn expression(&mut self, name: &str, data: impl FnOnce(&mut Requests)) -> &mut Self {
        self.0.nest(1, |element| {
            element.string(1, name).nest(2, data);
        });
        self
    }

    /// Goes on when this is so. `value` is as long as the key, in the order
    /// that the kernel keeps it in.
    pub fn meta(&mut self, key: Meta, compare: Compare, value: &[u8]) -> &mut Self {
        self.expression("meta", |meta| {
            meta.be32(1, REGISTER).be32(2, key as u32);
        });
        self.compare(compare, value)
    }

    /// Of this interface's name.
    pub fn name(&mut self, key: Meta, compare: Compare, name: &str) -> &mut Self {
        let mut value = [0; libc::IFNAMSIZ];
        let length = name.len().min(value.len() - 1);
        value[..length].copy_from_slice(&name.as_bytes()[..length]);
        self.meta(key, compare, &value)
    }

    /// IPPROTO_*.
    pub fn protocol(&mut self, protocol: i32) -> &mut Self {
        self.meta(Meta::Protocol, Compare::Equal, &[protocol as u8])
    }

    /// Bytes of a header.
    pub fn payload(
        &mut self,
        header: Header,
        offset: u32,
        compare: Compare,
        value: &[u8],
    ) -> &mut Self {
        self.load(header, offset, value.len());
        self.compare(compare, value)
    }

    /// Of TCP or UDP.
    pub fn destination_port(&mut self, port: u16) -> &mut Self {
        self.payload(Header::Transport, 2, Compare::Equal, &port.to_be_bytes())
    }

    /// The destination is, or is not, in this subnet. In a table of the family
    /// `Inet` it is for the address's family alone.
    pub fn destination(&mut self, compare: Compare, address: IpAddr, prefix: u8) -> &mut Self {
        let (family, offset, bytes) = match address {
            IpAddr::V4(ip) => (libc::NFPROTO_IPV4, 16, ip.octets().to_vec()),
            IpAddr::V6(ip) => (libc::NFPROTO_IPV6, 24, ip.octets().to_vec()),
        };
        self.meta(Meta::Family, Compare::Equal, &[family as u8]);
        self.load(Header::Network, offset, bytes.len());
        let mask = mask(prefix, bytes.len());
        let value: Vec<u8> = bytes.iter().zip(&mask).map(|(b, m)| b & m).collect();
        if usize::from(prefix) < bytes.len() * 8 {
            self.expression("bitwise", |bitwise| {
                bitwise
                    .be32(1, REGISTER)
                    .be32(2, REGISTER)
                    .be32(3, mask.len() as u32)
                    .nest(4, |data| {
                        data.bytes(1, &mask);
                    })
                    .nest(5, |data| {
                        data.bytes(1, &vec![0; mask.len()]);
                    });
            });
        }
        self.compare(compare, &value)
    }

    fn load(&mut self, header: Header, offset: u32, length: usize) {
        self.expression("payload", |payload| {
            payload
                .be32(1, REGISTER)
                .be32(2, header as u32)
                .be32(3, offset)
                .be32(4, length as u32);
        });
    }

    fn compare(&mut self, compare: Compare, value: &[u8]) -> &mut Self {
        self.expression("cmp", |cmp| {
            cmp.be32(1, REGISTER)
                .be32(2, compare as u32)
                .nest(3, |data| {
                    data.bytes(1, value);
                });
        })
    }

    fn set(&mut self, register: u32, value: &[u8]) {
        self.expression("immediate", |immediate| {
            immediate.be32(1, register).nest(2, |data| {
                data.bytes(1, value);
            });
        });
    }

    pub fn verdict(&mut self, verdict: Verdict<'_>) -> &mut Self {
        let (code, chain) = match verdict {
            Verdict::Drop => (0, None),
            Verdict::Accept => (1, None),
            Verdict::Return => (-5, None),
            Verdict::Jump(chain) => (-3, Some(chain)),
        };
        self.expression("immediate", |immediate| {
            immediate.be32(1, VERDICT_REGISTER).nest(2, |data| {
                data.nest(2, |verdict| {
                    verdict.be32(1, i32::cast_unsigned(code));
                    if let Some(chain) = chain {
                        verdict.string(2, chain);
                    }
                });
            });
        })
    }

    /// Sends it to another address and port; in a `nat` chain.
    pub fn dnat(&mut self, address: IpAddr, port: u16) -> &mut Self {
        let (family, bytes) = match address {
            IpAddr::V4(ip) => (libc::NFPROTO_IPV4, ip.octets().to_vec()),
            IpAddr::V6(ip) => (libc::NFPROTO_IPV6, ip.octets().to_vec()),
        };
        self.set(REGISTER, &bytes);
        self.set(SECOND, &port.to_be_bytes());
        self.expression("nat", |nat| {
            nat.be32(1, 1)
                .be32(2, family as u32)
                .be32(3, REGISTER)
                .be32(5, SECOND);
        })
    }

    /// Sends it to a port of this namespace's own; in a `nat` chain.
    pub fn redirect(&mut self, port: u16) -> &mut Self {
        self.set(REGISTER, &port.to_be_bytes());
        self.expression("redir", |redirect| {
            redirect.be32(1, REGISTER);
        })
    }

    /// Gives it the address of the interface it leaves by.
    pub fn masquerade(&mut self) -> &mut Self {
        self.expression("masq", |_| {})
    }
}

/// The first `prefix` bits of `length` bytes.
fn mask(prefix: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|byte| {
            let bits = usize::from(prefix).saturating_sub(byte * 8).min(8);
            !(0xffu16 >> bits) as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        assert_eq!(mask(0, 2), [0, 0]);
        assert_eq!(mask(12, 4), [255, 240, 0, 0]);
        assert_eq!(mask(32, 4), [255; 4]);
        assert_eq!(mask(65, 16)[7..10], [255, 128, 0]);
    }
}
