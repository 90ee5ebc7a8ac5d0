//! The host's journal (systemd-journald): one datagram for each line, in its
//! native protocol, with Docker's fields.

use super::{Record, Stream};
use crate::error::{Context, Error, Result};
use jiff::Timestamp;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

const INFO: &str = "6";
const ERR: &str = "3";

/// Sends the lines of one container.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    socket: UnixDatagram,
    /// The fields that every line has, as they are sent.
    fields: Vec<u8>,
    /// How many bytes may wait; `None`: the container waits instead.
    buffer: Option<usize>,
    waiting: VecDeque<Vec<u8>>,
    /// Bytes in `waiting`.
    held: usize,
    ordinal: u64,
    dropped: u64,
}

impl Journal {
    /// Connects to the journal at `path`. A value of `fields` may be anything,
    /// its name becomes one that the journal takes.
    pub fn open(
        path: &Path,
        fields: &BTreeMap<String, String>,
        buffer: Option<usize>,
    ) -> Result<Self> {
        let socket = connect(path).map_err(|_| {
            Error::unavailable(
                "failed to initialize logging driver: journald is not enabled on this host",
            )
            .hint(format!("its socket {} does not answer", path.display()))
        })?;
        if buffer.is_some() {
            socket
                .set_nonblocking(true)
                .context(|| "cannot use the journal's socket")?;
        }
        let mut text = Vec::new();
        for (name, value) in fields {
            field(&mut text, &field_name(name), value.as_bytes());
        }
        Ok(Self {
            path: path.into(),
            socket,
            fields: text,
            buffer,
            waiting: VecDeque::new(),
            held: 0,
            ordinal: 0,
            dropped: 0,
        })
    }

    /// Another one on the same socket, for a container that starts again.
    pub fn again(&self) -> Result<Self> {
        let socket = self.socket.try_clone();
        Ok(Self {
            path: self.path.clone(),
            socket: socket.context(|| "cannot use the journal's socket")?,
            fields: self.fields.clone(),
            buffer: self.buffer,
            waiting: VecDeque::new(),
            held: 0,
            ordinal: 0,
            dropped: 0,
        })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A line without its newline, or with `partial` a part of one that is to
    /// be continued.
    pub fn send(&mut self, stream: Stream, line: &[u8], partial: bool) {
        let mut message = Vec::with_capacity(self.fields.len() + line.len() + 128);
        field(&mut message, "MESSAGE", line);
        let priority = match stream {
            Stream::Stdout => INFO,
            Stream::Stderr => ERR,
        };
        field(&mut message, "PRIORITY", priority.as_bytes());
        if partial {
            field(&mut message, "CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        self.ordinal += 1;
        let ordinal = self.ordinal.to_string();
        field(&mut message, "CONTAINER_LOG_ORDINAL", ordinal.as_bytes());
        let now = Timestamp::now().to_string();
        field(&mut message, "SYSLOG_TIMESTAMP", now.as_bytes());
        message.extend_from_slice(&self.fields);
        self.flush();
        if !self.waiting.is_empty() || !self.deliver(&message) {
            self.keep(message);
        }
    }

    /// Tries again what waits.
    pub fn flush(&mut self) {
        while let Some(message) = self.waiting.pop_front() {
            if !self.deliver(&message) {
                self.waiting.push_front(message);
                return;
            }
            self.held -= message.len();
        }
    }

    /// False: the journal is busy.
    fn deliver(&mut self, message: &[u8]) -> bool {
        for _ in 0..2 {
            match self.socket.send(message) {
                Ok(_) => return true,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return false,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                // It was started anew.
                Err(_) => match connect(&self.path) {
                    Ok(socket) => {
                        let _ = socket.set_nonblocking(self.buffer.is_some());
                        self.socket = socket;
                    }
                    Err(_) => break,
                },
            }
        }
        self.dropped += 1;
        true
    }

    fn keep(&mut self, message: Vec<u8>) {
        let most = self.buffer.unwrap_or_default();
        if self.held + message.len() > most && !self.waiting.is_empty() {
            self.dropped += 1;
            return;
        }
        self.held += message.len();
        self.waiting.push_back(message);
    }
}

fn connect(path: &Path) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(socket)
}

/// `NAME=value`, or the form with a length for values with line breaks
/// (systemd's "Native Journal Protocol").
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Capitals, digits and underscores, not with one of these in front, as Docker
/// makes them; journald takes 64 of them.
fn field_name(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|c| match c.to_ascii_uppercase() {
            c @ ('A'..='Z' | '0'..='9') => c,
            _ => '_',
        })
        .collect();
    let mut clean = clean.trim_start_matches('_').to_string();
    clean.truncate(64);
    clean
}

/// A line of `journalctl -o json` as a record; `None`: not one of a container.
pub fn record(line: &[u8]) -> Option<Record<'static>> {
    let entry: Value = serde_json::from_slice(line).ok()?;
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    text("CONTAINER_ID")?;
    let mut bytes = match entry.get("MESSAGE")? {
        Value::String(text) => text.clone().into_bytes(),
        // Not UTF-8: a list of numbers.
        Value::Array(list) => list
            .iter()
            .map(|n| n.as_u64().and_then(|n| u8::try_from(n).ok()))
            .collect::<Option<_>>()?,
        _ => Vec::new(),
    };
    if text("CONTAINER_PARTIAL_MESSAGE") != Some("true") {
        bytes.push(b'\n');
    }
    let time = text("SYSLOG_TIMESTAMP").and_then(|t| t.parse().ok());
    let received = || {
        let micros = text("__REALTIME_TIMESTAMP")?.parse().ok()?;
        Timestamp::from_microsecond(micros).ok()
    };
    Some(Record {
        stream: match text("PRIORITY") {
            Some(ERR) => Stream::Stderr,
            _ => Stream::Stdout,
        },
        time: time.or_else(received)?,
        bytes: Cow::Owned(bytes),
        attrs: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("wherry-jrnl-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        path
    }

    fn fields() -> BTreeMap<String, String> {
        let pairs = [("CONTAINER_ID", "abc"), ("_my.label", "a\nb")];
        pairs.map(|(k, v)| (k.into(), v.into())).into()
    }

    #[test]
    fn one_datagram_for_each_line() {
        let path = place("line");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::open(&path, &fields(), None).unwrap();
        journal.send(Stream::Stderr, b"hello", false);
        journal.send(Stream::Stdout, b"two\nlines", true);
        let mut buffer = [0; 4096];
        let n = server.recv(&mut buffer).unwrap();
        let first = String::from_utf8_lossy(&buffer[..n]).into_owned();
        assert!(
            first.starts_with("MESSAGE=hello\nPRIORITY=3\nCONTAINER_LOG_ORDINAL=1\n"),
            "{first}"
        );
        assert!(!first.contains("PARTIAL"));
        assert!(
            first.ends_with("CONTAINER_ID=abc\nMY_LABEL\n\u{3}\0\0\0\0\0\0\0a\nb\n"),
            "{first:?}"
        );
        let n = server.recv(&mut buffer).unwrap();
        let second = String::from_utf8_lossy(&buffer[..n]).into_owned();
        let begin =
            "MESSAGE\n\u{9}\0\0\0\0\0\0\0two\nlines\nPRIORITY=6\nCONTAINER_PARTIAL_MESSAGE=true\n";
        assert!(second.starts_with(begin), "{second:?}");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn without_a_journal() {
        let path = place("none");
        let error = Journal::open(&path, &fields(), None).unwrap_err();
        assert!(
            error
                .message()
                .ends_with("journald is not enabled on this host")
        );
    }

    /// It may be started anew, and it may be busy.
    #[test]
    fn nothing_is_waited_for_when_that_was_asked() {
        let path = place("busy");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::open(&path, &fields(), Some(10_000)).unwrap();
        let mut sent = 0;
        while journal.dropped() == 0 {
            journal.send(Stream::Stdout, &[b'x'; 1000], false);
            sent += 1;
        }
        let mut buffer = [0; 4096];
        let mut got = 0;
        server.set_nonblocking(true).unwrap();
        loop {
            while server.recv(&mut buffer).is_ok() {
                got += 1;
            }
            if journal.waiting.is_empty() {
                break;
            }
            journal.flush();
        }
        assert_eq!(got, sent - 1);
        drop(server);
        std::fs::remove_file(&path).unwrap();
        journal.send(Stream::Stdout, b"lost", false);
        assert_eq!(journal.dropped(), 2);
        let server = UnixDatagram::bind(&path).unwrap();
        journal.send(Stream::Stdout, b"again", false);
        let n = server.recv(&mut buffer).unwrap();
        assert!(buffer[..n].starts_with(b"MESSAGE=again\n"));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn entries_come_back() {
        let line = br#"{"MESSAGE":"hi","PRIORITY":"3","CONTAINER_ID":"abc","__REALTIME_TIMESTAMP":"1700000000000001"}"#;
        let entry = record(line).unwrap();
        assert_eq!(
            (entry.stream, entry.bytes.as_ref()),
            (Stream::Stderr, &b"hi\n"[..])
        );
        assert_eq!(entry.time.as_microsecond(), 1_700_000_000_000_001);
        let line = br#"{"MESSAGE":[255,0],"PRIORITY":"6","CONTAINER_ID":"abc","CONTAINER_PARTIAL_MESSAGE":"true","SYSLOG_TIMESTAMP":"2026-01-02T03:04:05.123456789Z"}"#;
        let entry = record(line).unwrap();
        assert_eq!(entry.bytes.as_ref(), b"\xff\0");
        assert_eq!(entry.time.subsec_nanosecond(), 123_456_789);
        for other in [&b"{}"[..], b"x", br#"{"MESSAGE":"a"}"#] {
            assert_eq!(record(other), None);
        }
    }
}
