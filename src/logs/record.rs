//! One record of the log as it is read back.

use super::Stream;
use super::lines::BEGIN;
use base64::Engine;
use jiff::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A line of output, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    pub stream: Stream,
    pub time: Timestamp,
    /// What the container wrote, byte for byte; the last record of a line
    /// ends in a newline, unless the stream ended before it came.
    pub bytes: Cow<'a, [u8]>,
    /// `attrs` of Docker's logs (`logs --details`), by name.
    pub attrs: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: &'a str,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    #[serde(borrow)]
    time: &'a str,
    #[serde(borrow, default)]
    raw: Option<&'a str>,
}

impl<'a> Record<'a> {
    /// `line` without its newline; `None` when it is not a whole record.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        if let Some(record) = Self::plain(line) {
            return Some(record);
        }
        let stored: Stored = serde_json::from_slice(line).ok()?;
        let stream = match stored.stream {
            "stdout" => Stream::Stdout,
            "stderr" => Stream::Stderr,
            _ => return None,
        };
        let bytes = match stored.raw {
            Some(raw) => base64::engine::general_purpose::STANDARD
                .decode(raw)
                .ok()?
                .into(),
            None => match stored.log {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
        };
        Some(Self {
            stream,
            time: stored.time.parse().ok()?,
            bytes,
            attrs: stored.attrs,
        })
    }

    /// Most records have but one escape, the newline at their end, and no
    /// further fields: they need no parser for all of JSON.
    fn plain(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(BEGIN)?;
        let (text, rest) = rest.split_at(memchr::memchr2(b'"', b'\\', rest)?);
        let (ends, rest) = match rest.strip_prefix(b"\\n\"") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix(b"\"")?),
        };
        let rest = rest.strip_prefix(b",\"stream\":\"std")?;
        let (stream, rest) = match rest.strip_prefix(b"out") {
            Some(rest) => (Stream::Stdout, rest),
            None => (Stream::Stderr, rest.strip_prefix(b"err")?),
        };
        let time = rest.strip_prefix(b"\",\"time\":\"")?.strip_suffix(b"\"}")?;
        let control = text.iter().fold(false, |found, &b| found | (b < b' '));
        if control || std::str::from_utf8(text).is_err() {
            return None;
        }
        let mut bytes = Cow::Borrowed(text);
        if ends {
            bytes = Cow::Owned([text, b"\n"].concat());
        }
        Some(Self {
            stream,
            time: std::str::from_utf8(time).ok()?.parse().ok()?,
            bytes,
            attrs: BTreeMap::new(),
        })
    }

    /// No further record belongs to this line.
    pub fn ends_line(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }
}

/// `2006-01-02T15:04:05.000000000Z`: UTC with nine digits, as `logs -t` has it.
pub fn fixed_time(time: Timestamp) -> String {
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_docker_records() {
        let line = br#"{"log":"a\u003cb\n","stream":"stderr","attrs":{"k":"v"},"time":"2026-01-02T03:04:05.12Z"}"#;
        let record = Record::parse(line).unwrap();
        assert_eq!(record.bytes.as_ref(), b"a<b\n");
        assert_eq!(record.stream, Stream::Stderr);
        assert_eq!(record.attrs["k"], "v");
        assert_eq!(fixed_time(record.time), "2026-01-02T03:04:05.120000000Z");
        assert!(record.ends_line());
    }

    /// The short way gives what the long one gives, or nothing.
    #[test]
    fn two_ways_one_record() {
        let time = "\"time\":\"2026-01-02T03:04:05.12Z\"";
        let mut plain = 0;
        for text in [
            "", "\\n", "a b\\n", "ä€", "x\\ty\\n", "\\\\n", "\\\"\\n", "a\\nb\\n", "\u{1}",
            "\\u000a",
        ] {
            for rest in [
                format!("\"stream\":\"stdout\",{time}}}"),
                format!("\"stream\":\"stderr\",{time}}}"),
                format!("\"stream\":\"stdout\",\"attrs\":{{\"a\":\"b\"}},{time}}}"),
                format!("\"stream\":\"stdout\",{time},\"raw\":\"/w==\"}}"),
                format!("\"stream\":\"stdin\",{time}}}"),
                format!("\"stream\":\"stdout\",{time}}}}}"),
                "\"stream\":\"stdout\",\"time\":\"now\"}".into(),
            ] {
                let line = format!("{{\"log\":\"{text}\",{rest}");
                let short = Record::plain(line.as_bytes());
                plain += usize::from(short.is_some());
                let long = serde_json::from_str::<Stored>(&line).is_ok();
                assert!(long || short.is_none(), "{line}");
                if let Some(short) = short {
                    let spaced = line.replacen(':', ": ", 1);
                    assert_eq!(Record::parse(spaced.as_bytes()), Some(short), "{line}");
                }
            }
        }
        assert_eq!(plain, 8);
    }

    #[test]
    fn raw_bytes_win() {
        let line =
            br#"{"log":"\ufffd","stream":"stdout","time":"2026-01-02T03:04:05Z","raw":"/w=="}"#;
        let record = Record::parse(line).unwrap();
        assert_eq!(record.bytes.as_ref(), b"\xff");
        assert!(!record.ends_line());
    }

    #[test]
    fn refuses_what_is_damaged() {
        for line in [
            &b""[..],
            b"{",
            b"null",
            b"{}",
            b"\0\0\0",
            br#"{"log":"x","stream":"stdin","time":"2026-01-02T03:04:05Z"}"#,
            br#"{"log":"x","stream":"stdout","time":"yesterday"}"#,
            br#"{"log":"x","stream":"stdout","time":"2026-01-02T03:04:05Z","raw":"%"}"#,
            br#"{"log":"x","stream":"stdout","time":"2026-01-02T03:04:05Z"}{"#,
            b"{\"log\":\"\xff\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}",
        ] {
            assert_eq!(
                Record::parse(line),
                None,
                "{:?}",
                String::from_utf8_lossy(line)
            );
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Record::parse(deep.as_bytes()), None);
    }
}
