//! A blob as a reader. Broken, stalled and refused connections are its own
//! business: it goes on where it was, at the same source or the next one.

use super::Watch;
use super::client::Client;
use super::failure::{Failure, shown};
use super::retry::{Again, Tries};
use super::session::Session;
use super::wire::Reply;
use crate::error::{Error, Kind, Result};
use crate::image::Descriptor;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE,
};
use reqwest::{Method, StatusCode};
use std::io::{self, Read};
use std::time::Instant;

/// What a connection must bring within the stall time to count as alive, and
/// what it must have brought to make the next failure count as the first.
const ALIVE: u64 = 16 << 10;
const ACHIEVED: u64 = 1 << 20;

pub struct BlobReader<'a> {
    client: &'a Client,
    path: String,
    size: u64,
    offset: u64,
    watch: Watch<'a>,
    /// Which source is asked.
    nth: usize,
    tries: Option<Tries<'a>>,
    /// Why the last connection was given up.
    slow: Option<Failure>,
    ranges: bool,
    open: Option<Open>,
    /// Kept, because io::Error has no room for it.
    failed: Option<Error>,
}

struct Open {
    reply: Reply,
    /// How much has come since the connection was made.
    brought: u64,
    window: Instant,
    window_start: u64,
}

impl<'a> BlobReader<'a> {
    pub(super) fn new(
        client: &'a Client,
        blob: &Descriptor,
        offset: u64,
        watch: Watch<'a>,
    ) -> Self {
        Self {
            client,
            path: format!("blobs/{}", blob.digest),
            size: blob.size,
            offset,
            watch,
            nth: 0,
            tries: None,
            slow: None,
            ranges: true,
            open: None,
            failed: None,
        }
    }

    /// How many bytes of the blob are behind us.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The whole reason after `read` has failed (io::Error carries the
    /// sentence only).
    pub fn failure(&mut self) -> Option<Error> {
        self.failed.take()
    }

    fn session(&self) -> Result<&'a Session, Failure> {
        let none = || Error::internal("no source to pull from").into();
        self.client.session(self.nth).ok_or_else(none)
    }

    fn some_bytes(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        loop {
            if self.watch.is_cancelled() {
                return Err(Error::new(Kind::Internal, "pull was given up"));
            }
            match self.attempt(buf) {
                Ok(n) => return Ok(n),
                Err(failure) => self.recover(failure)?,
            }
        }
    }

    fn attempt(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        if let Some(failure) = self.slow.take() {
            return Err(failure);
        }
        let stall = self.session()?.options.stall;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.connect()?,
        };
        let at_end = self.offset == self.size;
        // One byte more than there should be tells that there is more.
        let room = if at_end {
            1
        } else {
            buf.len()
                .min(usize::try_from(self.size - self.offset).unwrap_or(usize::MAX))
        };
        let mut probe = [0u8; 1];
        let target = if at_end {
            &mut probe[..]
        } else {
            &mut buf[..room]
        };
        let n = open
            .reply
            .response
            .read(target)
            .map_err(|e| Failure::transport(&Method::GET, &open.reply.url, &e))?;
        if at_end {
            return match n {
                0 => Ok(0),
                _ => Err(self.wrong("is longer than")),
            };
        }
        if n == 0 {
            let message = format!("Get \"{}\": unexpected EOF", shown(&open.reply.url));
            return Err(Failure::unavailable(message, Again::Maybe));
        }
        self.offset += n as u64;
        open.brought += n as u64;
        if open.window.elapsed() > stall {
            if open.brought - open.window_start < ALIVE && self.offset < self.size {
                // These bytes count; the connection does not.
                let message = format!(
                    "Get \"{}\": no answer within the time limit",
                    shown(&open.reply.url)
                );
                self.slow = Some(Failure::unavailable(message, Again::Once));
                return Ok(n);
            }
            open.window = Instant::now();
            open.window_start = open.brought;
        }
        if open.brought >= ACHIEVED
            && let Some(tries) = &mut self.tries
        {
            tries.reset();
        }
        self.open = Some(open);
        Ok(n)
    }

    /// Waits for another try, or goes to the next source, or gives up.
    fn recover(&mut self, failure: Failure) -> Result<(), Error> {
        let session = self.session().map_err(|f| f.error)?;
        let again = session.again(&failure);
        let tries = self
            .tries
            .get_or_insert_with(|| Tries::new(&session.options));
        if tries.wait(again, self.watch) {
            return Ok(());
        }
        if self.client.session(self.nth + 1).is_some() && !self.watch.is_cancelled() {
            self.nth += 1;
            self.tries = None;
            self.ranges = true;
            return Ok(());
        }
        let failure = failure.too_long(session.options.longest_wait);
        Err(match failure.status {
            Some(StatusCode::NOT_FOUND) => Error::new(
                Kind::NotFound,
                format!("the registry does not have {}: blob unknown", self.path),
            ),
            _ => failure.error,
        })
    }

    fn connect(&mut self) -> Result<Open, Failure> {
        let session = self.session()?;
        let mut headers = HeaderMap::new();
        let ranged = self.offset > 0 && self.ranges && self.offset < self.size;
        if ranged {
            let value = format!("bytes={}-", self.offset);
            headers.insert(RANGE, HeaderValue::from_str(&value).expect("digits"));
        }
        let mut reply = match session.once(&Method::GET, &self.path, &headers) {
            // Not every server can do ranges, or do them right.
            Err(f)
                if ranged
                    && matches!(
                        f.status,
                        Some(StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::BAD_REQUEST)
                    ) =>
            {
                self.ranges = false;
                return self.connect();
            }
            other => other?,
        };
        let partial = reply.response.status() == StatusCode::PARTIAL_CONTENT;
        if partial && (!ranged || range_start(reply.response.headers()) != Some(self.offset)) {
            if ranged {
                self.ranges = false;
                return self.connect();
            }
            return Err(self.wrong("came as a part of"));
        }
        self.check_headers(
            &reply,
            if partial {
                self.size - self.offset
            } else {
                self.size
            },
        )?;
        if !partial && self.offset > 0 {
            skip(&mut reply, self.offset, self.watch)?;
        }
        Ok(Open {
            reply,
            brought: 0,
            window: Instant::now(),
            window_start: 0,
        })
    }

    fn check_headers(&self, reply: &Reply, expected: u64) -> Result<(), Failure> {
        let headers = reply.response.headers();
        let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
        if length
            .and_then(|l| l.parse().ok())
            .is_some_and(|n: u64| n != expected)
        {
            return Err(self.wrong("has another size than"));
        }
        if headers
            .get(CONTENT_ENCODING)
            .is_some_and(|v| v != "identity")
        {
            return Err(self.wrong("was encoded once more than"));
        }
        Ok(())
    }

    /// Other content than promised: trying again at the same source is in vain.
    fn wrong(&self, how: &str) -> Failure {
        Error::invalid(format!(
            "{}: what the registry sent {how} the {} bytes that the manifest names",
            self.path, self.size
        ))
        .into()
    }
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || (self.offset == self.size && self.open.is_none() && self.size > 0) {
            return Ok(0);
        }
        let result = self.some_bytes(buf);
        if matches!(result, Ok(0)) {
            self.open = None;
            self.size = self.offset;
        }
        result.map_err(|error| {
            let told = io::Error::other(error.message().to_owned());
            self.failed = Some(error);
            told
        })
    }
}

fn range_start(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let range = value.trim().strip_prefix("bytes")?.trim_start();
    range.split('-').next()?.trim().parse().ok()
}

/// Reads over what we have already (the server cannot do ranges).
fn skip(reply: &mut Reply, mut left: u64, watch: Watch) -> Result<(), Failure> {
    let mut buffer = vec![0; 64 << 10];
    while left > 0 && !watch.is_cancelled() {
        let room = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = reply.response.read(&mut buffer[..room]);
        match read.map_err(|e| Failure::transport(&Method::GET, &reply.url, &e))? {
            0 => {
                let message = format!("Get \"{}\": unexpected EOF", shown(&reply.url));
                return Err(Failure::unavailable(message, Again::Maybe));
            }
            n => left -= n as u64,
        }
    }
    Ok(())
}
