//! DNS messages, as far as a server for a few names needs them (RFC 1035, OPT
//! by RFC 6891): one question is read, and an answer is put behind it. What is
//! only passed on is not read at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of the header.
const HEADER: usize = 12;
/// A UDP answer that nobody has allowed to be longer.
const SHORT: usize = 512;
/// Longer ones may be fragments, which get lost.
const LONG: usize = 1232;
/// Seconds for which an answer may be kept: containers come and go.
const LIFE: u32 = 10;

pub const A: u16 = 1;
pub const PTR: u16 = 12;
pub const AAAA: u16 = 28;
const OPT: u16 = 41;
const ANY: u16 = 255;
const INTERNET: u16 = 1;

/// How a question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Ok = 0,
    Malformed = 1,
    Failed = 2,
    NotImplemented = 4,
    Refused = 5,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Without the dot at its end.
    pub name: String,
    pub kind: u16,
    /// Bytes that the answer may have over UDP.
    pub room: usize,
    /// Where the question ends.
    end: usize,
    has_opt: bool,
}

/// The number by which a client knows its question.
pub fn id(message: &[u8]) -> Option<u16> {
    u16_at(message, 0)
}

/// The code of an answer.
pub fn code(message: &[u8]) -> u8 {
    message.get(3).map_or(0, |flags| flags & 15)
}

/// Reads a question. An error is what it is answered with; `None`: with
/// nothing, it is not a question.
pub fn parse(message: &[u8]) -> Option<Result<Question, Code>> {
    if message.len() < HEADER || message[2] & 0x80 != 0 {
        return None;
    }
    if message[2] & 0x78 != 0 {
        return Some(Err(Code::NotImplemented));
    }
    if u16_at(message, 4) != Some(1) {
        return Some(Err(Code::Malformed));
    }
    Some(question(message).ok_or(Code::Malformed))
}

fn question(message: &[u8]) -> Option<Question> {
    let mut at = HEADER;
    let mut name = String::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..=63 => {
                let label = message.get(at..at + length)?;
                if !name.is_empty() {
                    name.push('.');
                }
                // What is no ASCII is nobody's name here.
                name.extend(label.iter().map(|b| match b {
                    b'.' => '\\',
                    b if b.is_ascii() => char::from(*b),
                    _ => '\u{fffd}',
                }));
                at += length;
            }
            _ => return None,
        }
        if at > HEADER + 255 {
            return None;
        }
    }
    let (kind, class) = (u16_at(message, at)?, u16_at(message, at + 2)?);
    let end = at + 4;
    let opt = (u16_at(message, 10)? > 0 && message.get(end) == Some(&0))
        .then(|| u16_at(message, end + 1))
        .flatten();
    let has_opt = opt == Some(OPT);
    let room = match has_opt {
        true => usize::from(u16_at(message, end + 3)?).clamp(SHORT, LONG),
        false => SHORT,
    };
    Some(Question {
        name,
        kind: if class == INTERNET { kind } else { 0 },
        room,
        end,
        has_opt,
    })
}

impl Question {
    /// Whether addresses of this family answer it.
    pub fn wants(&self, ip: &IpAddr) -> bool {
        match self.kind {
            A => ip.is_ipv4(),
            AAAA => ip.is_ipv6(),
            ANY => true,
            _ => false,
        }
    }

    /// The address whose name is asked for.
    pub fn reverse(&self) -> Option<IpAddr> {
        if self.kind != PTR {
            return None;
        }
        let name = self.name.to_ascii_lowercase();
        if let Some(rest) = name.strip_suffix(".in-addr.arpa") {
            let octets: Vec<&str> = rest.split('.').rev().collect();
            return octets.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
        }
        let digits = name.strip_suffix(".ip6.arpa")?.split('.').rev();
        let mut value = 0u128;
        let mut count = 0;
        for digit in digits {
            let nibble = u128::from_str_radix(digit, 16)
                .ok()
                .filter(|_| digit.len() == 1)?;
            value = value << 4 | nibble;
            count += 1;
        }
        (count == 32).then(|| Ipv6Addr::from(value).into())
    }
}

/// An answer without records.
pub fn refusal(message: &[u8], question: Option<&Question>, code: Code) -> Vec<u8> {
    let mut answer = begin(message, question, code);
    finish(&mut answer, question, 0);
    answer
}

/// An answer of addresses. Over UDP (`room` bytes at most) it is cut off, and
/// says so.
pub fn addresses(message: &[u8], question: &Question, list: &[IpAddr], room: usize) -> Vec<u8> {
    let mut answer = begin(message, Some(question), Code::Ok);
    let spare = if question.has_opt { 11 } else { 0 };
    let mut count = 0;
    for ip in list {
        let (kind, bytes) = match ip {
            IpAddr::V4(ip) => (A, ip.octets().to_vec()),
            IpAddr::V6(ip) => (AAAA, ip.octets().to_vec()),
        };
        if answer.len() + 12 + bytes.len() + spare > room {
            answer[2] |= 0x02;
            break;
        }
        record(&mut answer, kind, &bytes);
        count += 1;
    }
    finish(&mut answer, Some(question), count);
    answer
}

/// An answer of a name.
pub fn pointer(message: &[u8], question: &Question, name: &str) -> Vec<u8> {
    let mut answer = begin(message, Some(question), Code::Ok);
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|l| (1..=63).contains(&l.len())) {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    record(&mut answer, PTR, &bytes);
    finish(&mut answer, Some(question), 1);
    answer
}

/// Header and question.
fn begin(message: &[u8], question: Option<&Question>, code: Code) -> Vec<u8> {
    let end = question.map_or(HEADER, |q| q.end);
    let mut answer = message[..end].to_vec();
    // An answer; recursion as desired, and available.
    answer[2] = 0x80 | (message[2] & 0x79);
    answer[3] = 0x80 | code as u8;
    answer[4..HEADER].fill(0);
    answer[5] = u8::from(question.is_some());
    answer
}

/// A record of the name that was asked for.
fn record(answer: &mut Vec<u8>, kind: u16, bytes: &[u8]) {
    answer.extend_from_slice(&[0xc0, HEADER as u8]);
    answer.extend_from_slice(&kind.to_be_bytes());
    answer.extend_from_slice(&INTERNET.to_be_bytes());
    answer.extend_from_slice(&LIFE.to_be_bytes());
    answer.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    answer.extend_from_slice(bytes);
}

fn finish(answer: &mut Vec<u8>, question: Option<&Question>, count: u16) {
    answer[6..8].copy_from_slice(&count.to_be_bytes());
    if question.is_some_and(|q| q.has_opt) {
        answer[11] = 1;
        answer.push(0);
        answer.extend_from_slice(&OPT.to_be_bytes());
        answer.extend_from_slice(&(LONG as u16).to_be_bytes());
        answer.extend_from_slice(&[0; 6]);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A question as a resolver puts it.
    pub fn ask(name: &str, kind: u16, opt: Option<u16>) -> Vec<u8> {
        let mut message = vec![
            0x12,
            0x34,
            1,
            0,
            0,
            1,
            0,
            0,
            0,
            0,
            0,
            u8::from(opt.is_some()),
        ];
        for label in name.split('.').filter(|l| !l.is_empty()) {
            message.push(label.len() as u8);
            message.extend_from_slice(label.as_bytes());
        }
        message.push(0);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        if let Some(size) = opt {
            message.extend_from_slice(&[0, 0, 41]);
            message.extend_from_slice(&size.to_be_bytes());
            message.extend_from_slice(&[0; 6]);
        }
        message
    }

    #[test]
    fn questions() {
        let q = parse(&ask("Web.example", A, None)).unwrap().unwrap();
        assert_eq!((q.name.as_str(), q.kind, q.room), ("Web.example", A, 512));
        let q = parse(&ask("web", AAAA, Some(4096))).unwrap().unwrap();
        assert_eq!((q.kind, q.room), (AAAA, 1232));
        let q = parse(&ask("2.0.18.172.in-addr.arpa", PTR, None))
            .unwrap()
            .unwrap();
        assert_eq!(q.reverse(), Some("172.18.0.2".parse().unwrap()));
        let six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        let q = parse(&ask(six, PTR, None)).unwrap().unwrap();
        assert_eq!(q.reverse(), Some("fd00::2".parse().unwrap()));
        for junk in ["x.in-addr.arpa", "1.ip6.arpa", "web"] {
            let q = parse(&ask(junk, PTR, None)).unwrap().unwrap();
            assert_eq!(q.reverse(), None);
        }
        // An answer, another operation, two questions, a name that goes on.
        let mut message = ask("web", A, None);
        message[2] |= 0x80;
        assert_eq!(parse(&message), None);
        message[2] = 0x28;
        assert_eq!(parse(&message), Some(Err(Code::NotImplemented)));
        message[2] = 1;
        message[5] = 2;
        assert_eq!(parse(&message), Some(Err(Code::Malformed)));
        message[5] = 1;
        message.truncate(16);
        assert_eq!(parse(&message), Some(Err(Code::Malformed)));
    }

    #[test]
    fn answers() {
        let message = ask("web", A, Some(512));
        let q = parse(&message).unwrap().unwrap();
        let ip: IpAddr = "172.18.0.2".parse().unwrap();
        let answer = addresses(&message, &q, &[ip], q.room);
        assert_eq!(id(&answer), id(&message));
        assert_eq!((answer[2], answer[3]), (0x81, 0x80));
        assert_eq!((answer[5], answer[7], answer[11]), (1, 1, 1));
        assert_eq!(answer[q.end..q.end + 2], [0xc0, 12]);
        assert_eq!(answer[q.end + 12..q.end + 16], [172, 18, 0, 2]);
        let many = vec![ip; 100];
        let cut = addresses(&message, &q, &many, q.room);
        assert!(cut.len() <= 512 && cut[2] & 2 != 0);
        let whole = addresses(&message, &q, &many, usize::from(u16::MAX));
        assert_eq!((whole[2] & 2, whole[7]), (0, 100));
        assert_eq!(code(&refusal(&message, Some(&q), Code::Refused)), 5);
        let message = ask("2.0.18.172.in-addr.arpa", PTR, None);
        let q = parse(&message).unwrap().unwrap();
        let answer = pointer(&message, &q, "web.net");
        assert!(answer.ends_with(b"\x03web\x03net\0"));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_in_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(Ok(question)) = parse(&bytes) {
                let ip: IpAddr = "10.0.0.1".parse().unwrap();
                prop_assert!(addresses(&bytes, &question, &[ip], question.room).len() <= question.room);
                pointer(&bytes, &question, "a.b");
                question.reverse();
            }
        }
    }
}
