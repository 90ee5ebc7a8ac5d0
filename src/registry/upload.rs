//! Pushing into one repository (OCI distribution-spec, "Push"): blobs that the
//! registry does not have yet, by mounting them from another repository or by
//! an upload that goes on where it broke, then manifests.

use super::client::stated_digest;
use super::failure::{Failure, shown};
use super::retry::{Again, Tries};
use super::session::Session;
use super::target::check;
use super::wire::{Call, Reply};
use super::{Options, Watch};
use crate::config::Source;
use crate::error::{Context, Error, Result};
use crate::image::{Descriptor, Digest};
use reqwest::blocking::Body;
use reqwest::header::{
    ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RANGE,
};
use reqwest::{Method, StatusCode, Url};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes in a second that an upload has to bring on the average.
const SLOWEST: u64 = 32 << 10;

/// How a blob came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Existed,
    Mounted,
    Uploaded,
}

/// Talks to the registry of one repository. Shared by threads.
pub struct Uploader {
    session: Session,
    scope: String,
}

/// An upload that the registry knows of.
struct Upload {
    location: Url,
    offset: u64,
}

impl Uploader {
    /// `source` is the registry itself; `mounts` are other repositories of it
    /// that blobs may be mounted from.
    pub fn new(source: Source, mounts: &[String], options: &Options) -> Self {
        let mut scope = format!("repository:{}:pull,push", source.endpoint.path);
        for repository in mounts {
            scope += &format!(" repository:{repository}:pull");
        }
        Self {
            session: Session::new(source, options.clone()),
            scope,
        }
    }

    /// Brings a blob there; `open` is its content. `from`: where it may be
    /// mounted from. `sent` counts the bytes on their way.
    pub fn blob(
        &self,
        blob: &Descriptor,
        open: &(dyn Fn() -> Result<File> + Sync),
        from: Option<&str>,
        sent: &Arc<AtomicU64>,
        watch: Watch,
    ) -> Result<Sent> {
        let mut tries = Tries::new(&self.session.options);
        let mut upload = None;
        let mut first = true;
        loop {
            let mount = from.filter(|_| first);
            first = false;
            let failure = match self.attempt(blob, open, mount, &mut upload, sent) {
                Ok(how) => return Ok(how),
                Err(failure) => failure,
            };
            if failure.status == Some(StatusCode::NOT_FOUND) && upload.take().is_some() {
                // The registry has forgotten the upload: from its beginning.
                continue;
            }
            let again = self.session.again(&failure);
            if !tries.wait(again, watch) {
                let longest = self.session.options.longest_wait;
                return Err(failure.too_long(longest).error);
            }
        }
    }

    fn attempt(
        &self,
        blob: &Descriptor,
        open: &(dyn Fn() -> Result<File> + Sync),
        mount: Option<&str>,
        upload: &mut Option<Upload>,
        sent: &Arc<AtomicU64>,
    ) -> Result<Sent, Failure> {
        // Also after a failure: it may have come when all was done.
        if self.has(&blob.digest)? {
            return Ok(match upload {
                Some(_) => Sent::Uploaded,
                None => Sent::Existed,
            });
        }
        match upload {
            Some(upload) => self.ask_offset(upload)?,
            None => match self.begin(blob, mount)? {
                Some(begun) => *upload = Some(begun),
                None => return Ok(Sent::Mounted),
            },
        }
        let Some(upload) = upload else {
            return Err(Error::internal("an upload that was begun is not there").into());
        };
        if upload.offset < blob.size {
            self.patch(blob, open, upload, sent)?;
        }
        self.finish(blob, upload)?;
        Ok(Sent::Uploaded)
    }

    fn has(&self, digest: &Digest) -> Result<bool, Failure> {
        let call = Call {
            method: Method::HEAD,
            ..Call::get(self.session.url_of(&format!("blobs/{digest}"))?)
        };
        match self.session.send(call, &self.scope) {
            Ok(_) => Ok(true),
            Err(f) if f.status == Some(StatusCode::NOT_FOUND) => Ok(false),
            Err(f) => Err(f),
        }
    }

    /// `None`: it was mounted.
    fn begin(&self, blob: &Descriptor, mount: Option<&str>) -> Result<Option<Upload>, Failure> {
        let mut url = self.session.url_of("blobs/uploads/")?;
        if let Some(from) = mount {
            url.query_pairs_mut()
                .append_pair("mount", blob.digest.as_str())
                .append_pair("from", from);
        }
        let call = Call {
            method: Method::POST,
            ..Call::get(url)
        };
        let reply = self.session.send(call, &self.scope)?;
        if reply.response.status() == StatusCode::CREATED {
            return Ok(None);
        }
        Ok(Some(Upload {
            location: location(&reply)?,
            offset: 0,
        }))
    }

    /// How far an upload got before it broke.
    fn ask_offset(&self, upload: &mut Upload) -> Result<(), Failure> {
        let reply = self
            .session
            .send(Call::get(upload.location.clone()), &self.scope)?;
        upload.offset = received(reply.response.headers());
        if let Ok(next) = location(&reply) {
            upload.location = next;
        }
        Ok(())
    }

    fn patch(
        &self,
        blob: &Descriptor,
        open: &(dyn Fn() -> Result<File> + Sync),
        upload: &mut Upload,
        sent: &Arc<AtomicU64>,
    ) -> Result<(), Failure> {
        let (start, left) = (upload.offset, blob.size - upload.offset);
        let body = || -> Result<Body> {
            let mut file = open()?;
            file.seek(SeekFrom::Start(start))
                .context(|| format!("cannot read blob {}", blob.digest))?;
            sent.store(start, Ordering::Relaxed);
            let counted = Counted {
                inner: file.take(left),
                sent: Arc::clone(sent),
            };
            Ok(Body::sized(counted, left))
        };
        let mut headers = HeaderMap::new();
        let octets = HeaderValue::from_static("application/octet-stream");
        headers.insert(CONTENT_TYPE, octets);
        if start > 0 {
            let range = format!("{start}-{}", blob.size - 1);
            headers.insert(
                CONTENT_RANGE,
                HeaderValue::from_str(&range).expect("digits"),
            );
        }
        let patience = self.session.options.stall + Duration::from_secs(left / SLOWEST);
        let call = Call {
            method: Method::PATCH,
            headers,
            body: Some(&body),
            patience: Some(patience),
            ..Call::get(upload.location.clone())
        };
        let reply = self.session.send(call, &self.scope)?;
        upload.location = location(&reply)?;
        upload.offset = blob.size;
        Ok(())
    }

    fn finish(&self, blob: &Descriptor, upload: &Upload) -> Result<(), Failure> {
        let mut url = upload.location.clone();
        url.query_pairs_mut()
            .append_pair("digest", blob.digest.as_str());
        let body = || Ok(Body::from(Vec::new()));
        let call = Call {
            method: Method::PUT,
            body: Some(&body),
            ..Call::get(url)
        };
        self.session.send(call, &self.scope).map(drop)
    }

    /// Whether the repository has a manifest or index.
    pub fn has_manifest(&self, descriptor: &Descriptor) -> Result<bool> {
        let kind = HeaderValue::from_str(&descriptor.media_type).map_err(|_| {
            let media_type = &descriptor.media_type;
            Error::invalid(format!("media type {media_type:?} is no header"))
        })?;
        let ask = || {
            let call = Call {
                method: Method::HEAD,
                headers: HeaderMap::from_iter([(ACCEPT, kind.clone())]),
                ..Call::get(
                    self.session
                        .url_of(&format!("manifests/{}", descriptor.digest))?,
                )
            };
            match self.session.send(call, &self.scope) {
                Ok(_) => Ok(true),
                Err(f) if f.status == Some(StatusCode::NOT_FOUND) => Ok(false),
                Err(f) => Err(f),
            }
        };
        let has = self.session.retrying(Watch::nobody(), ask);
        has.map_err(|failure| failure.error)
    }

    /// Puts a manifest or index under a tag or its digest.
    pub fn manifest(&self, under: &str, bytes: &[u8], media_type: &str) -> Result<()> {
        let digest = Digest::of(bytes);
        let put = || {
            let body = || Ok(Body::from(bytes.to_vec()));
            let mut headers = HeaderMap::new();
            let kind = HeaderValue::from_str(media_type)
                .map_err(|_| Error::invalid(format!("media type {media_type:?} is no header")))?;
            headers.insert(CONTENT_TYPE, kind);
            let call = Call {
                method: Method::PUT,
                headers,
                body: Some(&body),
                ..Call::get(self.session.url_of(&format!("manifests/{under}"))?)
            };
            self.session.send(call, &self.scope)
        };
        let reply = self.session.retrying(Watch::nobody(), put);
        let reply = reply.map_err(|failure| failure.error)?;
        match stated_digest(reply.response.headers())? {
            Some(stated) if stated != digest => Err(Error::invalid(format!(
                "the registry says that it has {stated}, but {digest} was sent"
            ))),
            _ => Ok(()),
        }
    }
}

/// Where an upload goes on: on the same host, or where its registry may send us.
fn location(reply: &Reply) -> Result<Url, Failure> {
    let target = reply.response.headers().get(LOCATION);
    let target = target.and_then(|v| v.to_str().ok());
    let url = target.and_then(|t| reply.url.join(t).ok()).ok_or_else(|| {
        let message = format!(
            "\"{}\": an upload without a valid Location",
            shown(&reply.url)
        );
        Failure::unavailable(message, Again::Never)
    })?;
    check(&reply.url, &url, "upload")?;
    Ok(url)
}

/// `Range: 0-N`, both ends counted; nothing when there is none.
fn received(headers: &HeaderMap) -> u64 {
    let range = headers.get(RANGE).and_then(|v| v.to_str().ok());
    let end = range.and_then(|r| r.rsplit('-').next()?.parse::<u64>().ok());
    // An empty upload is `0-0` to some registries, as one of one byte is.
    match end {
        None | Some(0) => 0,
        Some(end) => end + 1,
    }
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    sent: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.sent.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
