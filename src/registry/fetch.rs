//! A file from any web server (`import URL`, ADD), without credentials.

use super::Options;
use super::failure::{Failure, shown};
use super::wire::{Call, Reply, Wire};
use crate::error::{Error, Result};
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, LAST_MODIFIED};
use reqwest::{Method, Url};
use std::io::{self, Read};

/// The file's bytes as they come; a body that is shorter than it was said to
/// be is an error.
pub struct Fetch {
    reply: Reply,
    /// How many bytes there are, if the server says so.
    pub size: Option<u64>,
    /// By Content-Disposition, else the last part of the path; may be empty.
    pub name: String,
    /// Last-Modified, in seconds since 1970.
    pub modified: Option<i64>,
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
    let headers = reply.response.headers();
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let size = text(CONTENT_LENGTH).and_then(|v| v.parse().ok());
    let modified = text(LAST_MODIFIED)
        .and_then(|date| jiff::fmt::rfc2822::parse(date).ok())
        .map(|date| date.timestamp().as_second());
    let name = text(CONTENT_DISPOSITION).and_then(file_name);
    let name = name.unwrap_or_else(|| last_part(&url));
    Ok(Fetch {
        reply,
        size,
        name,
        modified,
        read: 0,
    })
}

/// `attachment; filename="x"`.
fn file_name(header: &str) -> Option<String> {
    let value = header
        .split(';')
        .find_map(|part| part.trim().strip_prefix("filename="))?;
    plain(value.trim_matches('"'))
}

fn last_part(url: &Url) -> String {
    let last = url.path().rsplit('/').next().unwrap_or_default();
    plain(last).unwrap_or_default()
}

/// A name, and no path.
fn plain(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    (!matches!(name, "" | "." | "..") && !name.contains('\0')).then(|| name.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        for (header, want) in [
            ("attachment; filename=\"a.tar\"", Some("a.tar")),
            ("attachment; filename=../../x", Some("x")),
            ("attachment; filename=..", None),
            ("inline", None),
        ] {
            assert_eq!(file_name(header).as_deref(), want, "{header}");
        }
        let of = |url: &str| last_part(&Url::parse(url).unwrap());
        assert_eq!(
            (of("https://a/b/c.txt?x=/y"), of("https://a/")),
            ("c.txt".into(), String::new())
        );
    }
}
