//! A file from any web server (`import URL`), without credentials.

use super::Options;
use super::failure::{Failure, shown};
use super::wire::{Call, Reply, Wire};
use crate::error::{Error, Result};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Method, Url};
use std::io::{self, Read};

/// The file's bytes as they come; a body that is shorter than it was said to
/// be is an error.
pub struct Fetch {
    reply: Reply,
    /// How many bytes there are, if the server says so.
    pub size: Option<u64>,
    read: u64,
}

/// Whether `text` is an address that [`fetch`] takes.
pub fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Asks for the file; any status but 200 is an error.
pub fn fetch(address: &str, options: &Options) -> Result<Fetch> {
    let url = Url::parse(address)
        .map_err(|e| Error::invalid(format!("invalid address \"{address}\": {e}")))?;
    let wire = Wire::new(options, false, &[]);
    let reply = wire
        .send(&url, &Call::get(url.clone()))
        .map_err(|failure| failure.error)?;
    let status = reply.response.status();
    if status != 200 {
        return Err(Failure::status(status, None, b"")
            .error
            .within(format!("Get \"{}\"", shown(&url))));
    }
    let size = reply.response.headers().get(CONTENT_LENGTH);
    let size = size.and_then(|v| v.to_str().ok()?.parse().ok());
    Ok(Fetch {
        reply,
        size,
        read: 0,
    })
}

impl Read for Fetch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let told = |failure: Failure| io::Error::other(failure.error.message().to_owned());
        let n = self
            .reply
            .response
            .read(buffer)
            .map_err(|e| told(Failure::transport(&Method::GET, &self.reply.url, &e)))?;
        self.read += n as u64;
        if n == 0 && !buffer.is_empty() && self.size.is_some_and(|size| size != self.read) {
            return Err(io::Error::other("unexpected EOF"));
        }
        Ok(n)
    }
}
