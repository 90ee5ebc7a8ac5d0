//! A registry on 127.0.0.1 that misbehaves to a script. It speaks HTTP/1.1 by
//! itself, answers from memory, keeps a log of every request with its headers,
//! and does for the nth request of an object what a [`Fault`] says.

use super::image::digest;
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::RangeBounds;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What goes wrong (or, for some, only different).
#[derive(Debug, Clone)]
pub enum Act {
    Status(u16, Vec<(&'static str, String)>, String),
    /// RST before any answer.
    Reset,
    /// RST after so many bytes of the body.
    ResetAt(usize),
    /// FIN after so many bytes of the body that was announced in full.
    CloseAt(usize),
    /// So many bytes, then nothing more while the client waits.
    StallAt(usize),
    /// Nothing at all while the client waits.
    Silent,
    /// One byte of the body at a time, with this pause.
    Drip(Duration),
    /// One byte of the head at a time.
    DripHead(Duration),
    /// The head has a header of so many bytes.
    LongHeader(usize),
    /// This body instead, with a right Content-Length.
    Body(Vec<u8>),
    /// Bytes after the announced ones, on the same connection.
    Extra(Vec<u8>),
    /// The byte at this place is another one.
    Flip(usize),
    /// No Content-Length: the end of the connection is the end.
    NoLength,
    /// No Content-Length, and no end.
    Endless,
    Length(u64),
    Header(&'static str, String),
    Chunked,
    ChunkGarbage,
    /// A chunk that never ends after so many bytes.
    ChunkOpen(usize),
    /// 200 with everything, whatever was asked.
    NoRange,
    /// 206 from another byte than was asked for.
    WrongRange,
    Redirect(u16, String),
}

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Who may read.
#[derive(Debug, Clone)]
pub enum Door {
    Open,
    Basic(String),
    /// A token that is good for so many requests, from the realm; the password
    /// (if any) is wanted there.
    Token {
        realm: Option<String>,
        uses: usize,
        password: Option<String>,
    },
}

struct Fault {
    object: String,
    from: usize,
    to: usize,
    act: Act,
}

struct Shared {
    objects: Mutex<HashMap<String, (Vec<u8>, String)>>,
    faults: Mutex<Vec<Fault>>,
    counts: Mutex<HashMap<String, usize>>,
    log: Mutex<Vec<Request>>,
    door: Mutex<Door>,
    /// Uses left of each token, by its number.
    tokens: Mutex<Vec<usize>>,
    stop: AtomicBool,
    port: u16,
}

pub struct FaultRegistry(Arc<Shared>);

impl FaultRegistry {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let shared = Arc::new(Shared {
            objects: Mutex::default(),
            faults: Mutex::default(),
            counts: Mutex::default(),
            log: Mutex::default(),
            door: Mutex::new(Door::Open),
            tokens: Mutex::default(),
            stop: AtomicBool::new(false),
            port: listener.local_addr().unwrap().port(),
        });
        let server = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if server.stop.load(Ordering::Relaxed) {
                    return;
                }
                let server = server.clone();
                std::thread::spawn(move || serve(&server, stream));
            }
        });
        Self(shared)
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.0.port)
    }
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }
    pub fn set_door(&self, door: Door) {
        *self.0.door.lock().unwrap() = door;
    }
    /// Serves `bytes` at exactly this path.
    pub fn put(&self, path: &str, bytes: &[u8], content_type: &str) {
        let entry = (bytes.to_vec(), content_type.to_owned());
        self.0
            .objects
            .lock()
            .unwrap()
            .insert(path.to_owned(), entry);
    }
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        self.put(
            &format!("/v2/{repository}/blobs/{digest}"),
            bytes,
            "application/octet-stream",
        );
        digest
    }
    /// Under its tag and its digest.
    pub fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        bytes: &[u8],
        media_type: &str,
    ) -> String {
        let digest = digest(bytes);
        for name in [tag, &digest] {
            self.put(
                &format!("/v2/{repository}/manifests/{name}"),
                bytes,
                media_type,
            );
        }
        digest
    }
    /// Everything of a layout: its blobs, and its manifest under `tag`.
    pub fn put_layout(&self, repository: &str, tag: &str, layout: &super::image::Layout) {
        for entry in std::fs::read_dir(layout.dir.join("blobs/sha256")).unwrap() {
            self.put_blob(repository, &std::fs::read(entry.unwrap().path()).unwrap());
        }
        let manifest = layout.blob(&layout.manifest);
        self.put_manifest(
            repository,
            tag,
            &manifest,
            "application/vnd.oci.image.manifest.v1+json",
        );
    }

    /// The requests `nth` (from 0) whose path contains `object` get `act`.
    pub fn fault(&self, object: &str, nth: impl RangeBounds<usize>, act: Act) {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = match nth.start_bound() {
            Included(n) => *n,
            Excluded(n) => n + 1,
            Unbounded => 0,
        };
        let to = match nth.end_bound() {
            Included(n) => n + 1,
            Excluded(n) => *n,
            Unbounded => usize::MAX,
        };
        let object = object.to_owned();
        self.0.faults.lock().unwrap().push(Fault {
            object,
            from,
            to,
            act,
        });
    }
    pub fn clear_faults(&self) {
        self.0.faults.lock().unwrap().clear();
        self.0.counts.lock().unwrap().clear();
    }
    pub fn log(&self) -> Vec<Request> {
        self.0.log.lock().unwrap().clone()
    }
    pub fn clear_log(&self) {
        self.0.log.lock().unwrap().clear();
    }
    /// How often a path that contains `object` was asked for.
    pub fn asked(&self, object: &str) -> usize {
        self.log()
            .iter()
            .filter(|r| r.path.contains(object))
            .count()
    }
}

impl Drop for FaultRegistry {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.0.port));
    }
}

fn serve(server: &Shared, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    // Nobody waits for a test for ever.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    while let Some(request) = read_request(&mut reader) {
        server.log.lock().unwrap().push(request.clone());
        if answer(server, &request, &stream).is_none() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    // A TLS hello is no request.
    if reader.fill_buf().ok()?.first()? == &0x16 {
        return None;
    }
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut request = Request {
        method,
        path,
        headers,
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .and_then(|l| l.parse().ok())
        .unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// `None` ends the connection.
fn answer(server: &Shared, request: &Request, stream: &TcpStream) -> Option<()> {
    let mut out = stream;
    let act = next_act(server, &request.path);
    let mut reply = usual(server, request);
    match act {
        None => {}
        Some(Act::Status(status, headers, body)) => {
            reply = Reply::new(status, body.into_bytes());
            reply
                .headers
                .extend(headers.into_iter().map(|(n, v)| (n.to_owned(), v)));
        }
        Some(Act::Redirect(status, to)) => {
            reply = Reply::new(status, Vec::new());
            reply.set("Location", to);
        }
        Some(Act::Body(body)) => reply.body = body,
        Some(Act::Flip(at)) => {
            if let Some(byte) = reply.body.get_mut(at) {
                *byte ^= 1;
            }
        }
        Some(Act::Header(name, value)) => reply.set(name, value),
        Some(Act::LongHeader(length)) => reply.set("X-Long", "x".repeat(length)),
        Some(Act::NoRange) => {
            let plain = Request {
                headers: Vec::new(),
                ..request.clone()
            };
            reply = served(server, &plain);
        }
        Some(Act::WrongRange) if reply.status == 206 => {
            let length = reply.body.len();
            reply.set("Content-Range", format!("bytes 0-{}/{length}", length - 1));
        }
        Some(Act::WrongRange) => {}
        Some(other) => return misbehave(&other, &reply, stream),
    }
    let head = reply.head(Some(reply.body.len() as u64));
    out.write_all(head.as_bytes()).ok()?;
    if request.method != "HEAD" {
        out.write_all(&reply.body).ok()?;
    }
    Some(())
}

/// The faults that end the connection.
fn misbehave(act: &Act, reply: &Reply, stream: &TcpStream) -> Option<()> {
    let mut out = stream;
    let body = &reply.body;
    let full = reply.head(Some(body.len() as u64));
    let until = |at: usize| &body[..at.min(body.len())];
    match act {
        Act::Reset => reset(stream),
        Act::ResetAt(at) => {
            out.write_all(full.as_bytes()).ok()?;
            out.write_all(until(*at)).ok()?;
            // A reset would overtake what is still in the buffers.
            std::thread::sleep(Duration::from_millis(50));
            reset(stream);
        }
        Act::CloseAt(at) => {
            out.write_all(full.as_bytes()).ok()?;
            out.write_all(until(*at)).ok()?;
        }
        Act::StallAt(at) => {
            out.write_all(full.as_bytes()).ok()?;
            out.write_all(until(*at)).ok()?;
            wait_for_client(stream);
        }
        Act::Silent => wait_for_client(stream),
        Act::Drip(pause) => {
            out.write_all(full.as_bytes()).ok()?;
            drip(out, body, *pause)?;
        }
        Act::DripHead(pause) => drip(out, full.as_bytes(), *pause)?,
        Act::Extra(extra) => {
            out.write_all(full.as_bytes()).ok()?;
            out.write_all(body).ok()?;
            out.write_all(extra).ok()?;
        }
        Act::NoLength => {
            out.write_all(reply.head(None).as_bytes()).ok()?;
            out.write_all(body).ok()?;
        }
        Act::Endless => {
            out.write_all(reply.head(None).as_bytes()).ok()?;
            let block = vec![b' '; 1 << 20];
            while out.write_all(&block).is_ok() {}
        }
        Act::Length(length) => {
            out.write_all(reply.head(Some(*length)).as_bytes()).ok()?;
            out.write_all(body).ok()?;
        }
        Act::Chunked | Act::ChunkGarbage | Act::ChunkOpen(_) => chunked(act, reply, out)?,
        _ => unreachable!("an answer of the usual kind"),
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
    None
}

fn chunked(act: &Act, reply: &Reply, mut out: &TcpStream) -> Option<()> {
    let mut head = Reply {
        body: Vec::new(),
        ..reply.clone()
    };
    head.set("Transfer-Encoding", "chunked".into());
    out.write_all(
        head.head(None)
            .replace("Connection: close\r\n", "")
            .as_bytes(),
    )
    .ok()?;
    let body = &reply.body;
    match act {
        Act::ChunkGarbage => out.write_all(b"zz;\r\nno chunk\r\n").ok(),
        Act::ChunkOpen(at) => {
            let part = &body[..(*at).min(body.len())];
            write!(out, "{:x}\r\n", body.len() + 10).ok()?;
            out.write_all(part).ok()?;
            wait_for_client(out);
            Some(())
        }
        _ => {
            for part in body.chunks(1000) {
                write!(out, "{:x}\r\n", part.len()).ok()?;
                out.write_all(part).ok()?;
                out.write_all(b"\r\n").ok()?;
            }
            out.write_all(b"0\r\n\r\n").ok()
        }
    }
}

fn reset(stream: &TcpStream) {
    let now = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(stream, sockopt::Linger, &now).expect("SO_LINGER");
}

fn wait_for_client(stream: &TcpStream) {
    let mut sink = [0; 1024];
    let mut stream = stream;
    while stream.read(&mut sink).is_ok_and(|n| n > 0) {}
}

fn drip(mut out: &TcpStream, bytes: &[u8], pause: Duration) -> Option<()> {
    for byte in bytes {
        out.write_all(&[*byte]).ok()?;
        std::thread::sleep(pause);
    }
    Some(())
}

fn next_act(server: &Shared, path: &str) -> Option<Act> {
    let mut counts = server.counts.lock().unwrap();
    let faults = server.faults.lock().unwrap();
    let mut found = None;
    let mut objects: Vec<&str> = faults.iter().map(|f| f.object.as_str()).collect();
    objects.sort_unstable();
    objects.dedup();
    for object in objects.into_iter().filter(|o| path.contains(o)) {
        let nth = counts.entry(object.to_owned()).or_default();
        let hit = |f: &&Fault| f.object == object && (f.from..f.to).contains(nth);
        found = found.or_else(|| faults.iter().find(hit).map(|f| f.act.clone()));
        *nth += 1;
    }
    found
}

#[derive(Clone)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn new(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }
    fn set(&mut self, name: &str, value: String) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value));
    }
    fn head(&self, length: Option<u64>) -> String {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        match length {
            Some(length) => head += &format!("Content-Length: {length}\r\n"),
            None => head += "Connection: close\r\n",
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head + "\r\n"
    }
}

/// What a good registry would say, seen from outside its door.
fn usual(server: &Shared, request: &Request) -> Reply {
    let door = server.door.lock().unwrap().clone();
    if request.path.starts_with("/token") {
        return token(server, request, &door);
    }
    let given = request.header("authorization").unwrap_or_default();
    let (open, challenge) = match &door {
        Door::Open => (true, String::new()),
        Door::Basic(password) => (
            given == format!("Basic {password}"),
            "Basic realm=\"test\"".into(),
        ),
        Door::Token { realm, .. } => {
            let own = format!("http://127.0.0.1:{}/token", server.port);
            let realm = realm.clone().unwrap_or(own);
            let mut tokens = server.tokens.lock().unwrap();
            let number = given
                .strip_prefix("Bearer token-")
                .and_then(|n| n.parse::<usize>().ok());
            let left = number
                .and_then(|n| tokens.get_mut(n))
                .filter(|left| **left > 0);
            let open = left.is_some_and(|left| {
                *left -= 1;
                true
            });
            (open, format!("Bearer realm=\"{realm}\",service=\"test\""))
        }
    };
    if open {
        return served(server, request);
    }
    let text = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    let mut reply = Reply::new(401, text.into());
    reply.set("WWW-Authenticate", challenge);
    reply
}

fn token(server: &Shared, request: &Request, door: &Door) -> Reply {
    let Door::Token { uses, password, .. } = door else {
        return Reply::new(404, Vec::new());
    };
    let given = request.header("authorization").unwrap_or_default();
    if password
        .as_ref()
        .is_some_and(|p| given != format!("Basic {p}"))
        && request.method == "GET"
    {
        return Reply::new(401, Vec::new());
    }
    let mut tokens = server.tokens.lock().unwrap();
    tokens.push(*uses);
    Reply::new(
        200,
        format!("{{\"token\":\"token-{}\"}}", tokens.len() - 1).into(),
    )
}

fn served(server: &Shared, request: &Request) -> Reply {
    if request.path == "/v2/" {
        return Reply::new(200, b"{}".to_vec());
    }
    let objects = server.objects.lock().unwrap();
    let Some((bytes, content_type)) = objects.get(&request.path) else {
        let code = if request.path.contains("/manifests/") {
            "MANIFEST_UNKNOWN"
        } else {
            "BLOB_UNKNOWN"
        };
        let text = format!(r#"{{"errors":[{{"code":"{code}","message":"unknown here"}}]}}"#);
        return Reply::new(404, text.into());
    };
    let start = request.header("range").and_then(|r| {
        r.strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    let mut reply = match start {
        Some(start) if start >= bytes.len() => Reply::new(416, Vec::new()),
        Some(start) => {
            let mut reply = Reply::new(206, bytes[start..].to_vec());
            reply.set(
                "Content-Range",
                format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len()),
            );
            reply
        }
        None => Reply::new(200, bytes.clone()),
    };
    reply.set("Content-Type", content_type.clone());
    if request.path.contains("/manifests/") {
        reply.set("Docker-Content-Digest", digest(bytes));
    }
    reply
}
