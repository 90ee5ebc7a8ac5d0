//! One image in a registry and its mirrors.

use super::blob::BlobReader;
use super::failure::Failure;
use super::session::Session;
use super::{Options, Watch};
use crate::config::Source;
use crate::error::{Error, Kind, Result};
use crate::image::manifest::{ACCEPTED, MAX_DOCUMENT};
use crate::image::{Descriptor, Digest, Reference};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LINK};
use serde::Deserialize;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};

const DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Where listing tags stops: a registry that never ends.
const MAX_TAGS: usize = 100_000;
/// How often a mirror is tried before the next source is asked.
const TRIES_OF_A_MIRROR: u32 = 2;

/// Talks to the sources of one image. Shared by threads.
pub struct Client {
    reference: Reference,
    sessions: Vec<Session>,
    /// The source that answered first: it has the rest, too.
    preferred: AtomicUsize,
}

/// A manifest or index as it came; `digest` is that of `bytes`.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub bytes: Vec<u8>,
    /// The Content-Type, if there was one.
    pub media_type: Option<String>,
    pub digest: Digest,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

impl Client {
    /// `sources` are those of `reference` ([`Source::find`]), best first.
    pub fn new(reference: &Reference, sources: Vec<Source>, options: &Options) -> Self {
        let session = |source: Source| {
            let mut options = options.clone();
            if source.endpoint.mirror {
                options.tries = options.tries.min(TRIES_OF_A_MIRROR);
            }
            Session::new(source, options)
        };
        Self {
            reference: reference.clone(),
            sessions: sources.into_iter().map(session).collect(),
            preferred: AtomicUsize::new(0),
        }
    }

    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// What the reference stands for: by its digest, else by its tag.
    pub fn named(&self) -> Result<Fetched> {
        match self.reference.digest() {
            Some(digest) => self.manifest_by_digest(digest),
            None => self.manifest_by_tag(self.reference.tag().unwrap_or("latest")),
        }
    }

    /// The manifest or index under a tag.
    pub fn manifest_by_tag(&self, tag: &str) -> Result<Fetched> {
        self.manifest(tag, None)
    }

    /// The manifest or index with this digest, and no other.
    pub fn manifest_by_digest(&self, digest: &Digest) -> Result<Fetched> {
        self.manifest(digest.as_str(), Some(digest))
    }

    /// The digest that a tag stands for now, by a HEAD request (which Docker
    /// Hub does not count), tried once; `None` when the registry does not say.
    pub fn digest_of_tag(&self, tag: &str) -> Result<Option<Digest>> {
        let what = format!("manifests/{tag}");
        let headers = accept();
        let found = self.first(|session| session.once(&Method::HEAD, &what, &headers));
        let reply = found.map_err(|f| self.explain(f, tag))?;
        stated_digest(reply.response.headers())
    }

    /// All tags of the repository.
    pub fn tags(&self) -> Result<Vec<String>> {
        let found = self.first(|session| {
            let mut tags: Vec<String> = Vec::new();
            let mut next = Some("tags/list?n=1000".to_owned());
            while let Some(what) = next.take() {
                let (headers, body) =
                    session.document(&what, &HeaderMap::new(), MAX_DOCUMENT, "tag list")?;
                let page: Tags = serde_json::from_slice(&body).map_err(|e| {
                    Error::invalid(format!("the registry's tag list is broken: {e}"))
                })?;
                let page = page.tags.unwrap_or_default();
                // The same page for ever is no list.
                let progress = page.last() != tags.last();
                tags.extend(page);
                if progress && tags.len() < MAX_TAGS {
                    next = next_query(&headers).map(|query| format!("tags/list?{query}"));
                }
            }
            Ok(tags)
        });
        found.map_err(|f| self.explain(f, ""))
    }

    /// The bytes of a blob from `offset` on: exactly `size - offset` of them,
    /// or an error. They are not verified; connections that break are mended.
    pub fn blob<'a>(&'a self, blob: &Descriptor, offset: u64, watch: Watch<'a>) -> BlobReader<'a> {
        BlobReader::new(self, blob, offset, watch)
    }

    /// All of a small blob, checked against its digest; messages call it `what`.
    pub fn small_blob(&self, blob: &Descriptor, what: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut reader = self.blob(blob, 0, Watch::nobody());
        let read = reader
            .by_ref()
            .take(MAX_DOCUMENT + 1)
            .read_to_end(&mut bytes);
        if let Err(e) = read {
            let failure = reader.failure();
            let error = failure.unwrap_or_else(|| Error::unavailable(e.to_string()));
            return Err(error.within(what));
        }
        match blob.digest.matches(&bytes) {
            true => Ok(bytes),
            false => Err(Error::invalid(format!(
                "{what} {} has wrong content: its digest is {}",
                blob.digest,
                Digest::of(&bytes)
            ))),
        }
    }

    pub(super) fn session(&self, nth: usize) -> Option<&Session> {
        // The preferred one first, then the others in their order.
        let preferred = self.preferred.load(Ordering::Relaxed);
        let others = (0..self.sessions.len()).filter(|i| *i != preferred);
        let index = std::iter::once(preferred).chain(others).nth(nth)?;
        self.sessions.get(index)
    }

    /// Asks the sources in turn; the last one's failure is the one told.
    pub(super) fn first<T>(
        &self,
        ask: impl Fn(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut failed = None;
        for (index, session) in self.sessions.iter().enumerate() {
            match ask(session) {
                Ok(value) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(failure) => failed = Some(failure),
            }
        }
        Err(failed.unwrap_or_else(|| Error::internal("no source to pull from").into()))
    }

    fn manifest(&self, what: &str, wanted: Option<&Digest>) -> Result<Fetched> {
        let path = format!("manifests/{what}");
        let headers = accept();
        let found = self.first(|session| {
            let (headers, bytes) = session.document(&path, &headers, MAX_DOCUMENT, "manifest")?;
            let stated = stated_digest(&headers)?;
            let digest = match wanted.or(stated.as_ref()) {
                Some(digest) if !digest.matches(&bytes) => {
                    return Err(Error::invalid(format!(
                        "manifest verification failed for digest {digest}: the registry sent other content"
                    ))
                    .into());
                }
                Some(digest) => digest.clone(),
                None => Digest::of(&bytes),
            };
            let media_type = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
            Ok(Fetched {
                bytes,
                media_type: media_type.map(str::to_owned),
                digest,
            })
        });
        found.map_err(|f| self.explain(f, what))
    }

    /// Docker's sentences for what a registry says about a whole image.
    pub(super) fn explain(&self, failure: Failure, what: &str) -> Error {
        let name = self.reference.familiar_name();
        let status = failure.status.map_or(0, |s| s.as_u16());
        let shown = match what.contains(':') {
            _ if what.is_empty() => name.clone(),
            true => format!("{name}@{what}"),
            false => format!("{name}:{what}"),
        };
        let denied = || {
            format!(
                "pull access denied for {name}, repository does not exist or may require 'docker login'"
            )
        };
        match (status, failure.code.as_deref()) {
            (404, Some("NAME_UNKNOWN")) => {
                failure.error.within(format!("repository {name} not found"))
            }
            (404, Some("MANIFEST_UNKNOWN")) => failure
                .error
                .within(format!("manifest for {shown} not found")),
            (404, _) => Error::new(
                Kind::NotFound,
                format!("manifest for {shown} not found: manifest unknown"),
            ),
            (401 | 403, Some("DENIED" | "UNAUTHORIZED")) => failure.error.within(denied()).hint(
                self.sessions
                    .last()
                    .map_or_else(String::new, Session::about_login),
            ),
            _ => failure.error,
        }
    }
}

fn accept() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&ACCEPTED.join(", ")).expect("constant");
    headers.insert(ACCEPT, value);
    headers
}

/// Docker-Content-Digest; one that is no digest is an error (CVE-2024-3727).
pub(super) fn stated_digest(headers: &HeaderMap) -> Result<Option<Digest>> {
    let Some(value) = headers.get(DOCKER_CONTENT_DIGEST) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    Digest::parse(&text)
        .map(Some)
        .map_err(|e| e.within("the registry's Docker-Content-Digest header"))
}

/// What stands behind the `?` of `Link: </v2/x/tags/list?n=1000&last=y>; rel="next"`; the host
/// and path in it are not followed.
pub(super) fn next_query(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let (_, query) = target.split_once('?')?;
    parameters.contains("next").then(|| query.to_owned())
}
