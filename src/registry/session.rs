//! One source of an image: finds out how to talk to it, logs in, tries again,
//! and turns statuses into failures.

use super::auth::Auth;
use super::failure::Failure;
use super::retry::{Again, Tries, retry_after};
use super::target::same_origin;
use super::wire::{Call, Reply, Wire, read_all};
use super::{Options, Watch};
use crate::config::{Credential, Source};
use crate::error::{Error, Result};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How much of an error page is read, in bytes.
const MAX_ERROR_BODY: u64 = 1 << 20;
/// How often a new token is asked for on behalf of one request.
const MAX_RENEWALS: usize = 2;

pub struct Session {
    source: Source,
    pub options: Options,
    pub(super) wire: Wire,
    pub(super) auth: Auth,
    /// `https://HOST/` (or http), once it is known.
    root: Mutex<Option<Url>>,
    /// Whether it has ever answered.
    seen: AtomicBool,
}

impl Session {
    pub fn new(source: Source, options: Options) -> Self {
        Self {
            wire: Wire::new(&options, source.endpoint.insecure, &source.certificates),
            auth: Auth::new(source.credential.clone()),
            source,
            options,
            root: Mutex::new(None),
            seen: AtomicBool::new(false),
        }
    }

    /// A 2xx answer for `what` (such as `manifests/latest`) of the repository.
    /// Tries once, but for logging in.
    pub fn once(&self, method: &Method, what: &str, headers: &HeaderMap) -> Result<Reply, Failure> {
        let url = self.url(&self.root()?, what)?;
        let scope = format!("repository:{}:pull", self.source.endpoint.path);
        self.at(method, url, headers, &scope)
    }

    /// The same for any address of the registry.
    pub(super) fn at(
        &self,
        method: &Method,
        url: Url,
        headers: &HeaderMap,
        scope: &str,
    ) -> Result<Reply, Failure> {
        let call = Call {
            method: method.clone(),
            headers: headers.clone(),
            ..Call::get(url)
        };
        self.send(call, scope)
    }

    /// A 2xx answer to `call`. It carries our pass only where it goes to the
    /// registry itself: an upload may be elsewhere.
    pub(super) fn send(&self, mut call: Call, scope: &str) -> Result<Reply, Failure> {
        let root = self.root()?;
        let own = same_origin(&root, &call.url);
        let mut pass = self.auth.pass();
        let mut renewals = 0;
        let mut restarted = false;
        loop {
            call.authorization = pass.header.clone().filter(|_| own);
            let reply = self.wire.send(&root, &call)?;
            self.seen.store(true, Ordering::Relaxed);
            let status = reply.response.status();
            if status.is_success() {
                return Ok(reply);
            }
            let denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            if denied && reply.foreign && !restarted && call.method == Method::GET {
                // A signed address that has expired: the registry makes a new one.
                restarted = true;
                continue;
            }
            if status == StatusCode::UNAUTHORIZED && !reply.foreign && renewals < MAX_RENEWALS {
                renewals += 1;
                let headers = reply.response.headers();
                if let Some(better) = self.auth.renew(&pass, headers, &self.wire, &root, scope)? {
                    pass = better;
                    continue;
                }
            }
            return Err(self.refusal(reply));
        }
    }

    /// Runs `attempt` until it succeeds or trying again is pointless.
    pub fn retrying<T>(
        &self,
        watch: Watch,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut tries = Tries::new(&self.options);
        loop {
            let failure = match attempt() {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let again = self.again(&failure);
            if !tries.wait(again, watch) {
                return Err(failure.too_long(self.options.longest_wait));
            }
        }
    }

    /// Whether trying again is worth it, given what this source did before.
    pub fn again(&self, failure: &Failure) -> Again {
        match failure.again {
            Again::IfSeen if self.seen.load(Ordering::Relaxed) => Again::Maybe,
            other => other,
        }
    }

    /// A whole small document with its headers, with retries.
    pub fn document(
        &self,
        what: &str,
        headers: &HeaderMap,
        limit: u64,
        name: &str,
    ) -> Result<(HeaderMap, Vec<u8>), Failure> {
        self.retrying(Watch::nobody(), || {
            let reply = self.once(&Method::GET, what, headers)?;
            let headers = reply.response.headers().clone();
            read_all(reply, limit, self.options.stall, name).map(|body| (headers, body))
        })
    }

    /// What to do about a refusal.
    pub fn about_login(&self) -> String {
        let host = &self.source.endpoint.host;
        match self.source.credential {
            Credential::Anonymous => format!("no login is stored for it: `wherry login {host}`"),
            _ => format!(
                "a login is stored for it; it may be old: `wherry logout {host}` forgets it, `wherry login {host}` renews it"
            ),
        }
    }

    fn refusal(&self, reply: Reply) -> Failure {
        let status = reply.response.status();
        let wait = wait_of(reply.response.headers());
        let body = read_all(reply, MAX_ERROR_BODY, self.options.stall, "error page");
        Failure::status(status, wait, &body.unwrap_or_default())
    }

    /// The address of `what` (such as `blobs/uploads/`) of the repository.
    pub(super) fn url_of(&self, what: &str) -> Result<Url, Failure> {
        Ok(self.url(&self.root()?, what)?)
    }

    fn url(&self, root: &Url, what: &str) -> Result<Url> {
        let path = format!("v2/{}/{what}", self.source.endpoint.path);
        root.join(&path)
            .map_err(|e| Error::invalid(format!("{}: {e}", self.source.endpoint.host)))
    }

    /// https; for an insecure registry http, when https does not work.
    pub(super) fn root(&self) -> Result<Url, Failure> {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(url) = &*root {
            return Ok(url.clone());
        }
        let host = match self.source.endpoint.host.as_str() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        };
        let with = |scheme: &str| {
            Url::parse(&format!("{scheme}://{host}/"))
                .map_err(|_| Error::invalid(format!("invalid registry host {host:?}")))
        };
        let mut url = with("https")?;
        if self.source.endpoint.insecure && self.answers(&url).is_err() {
            url = with("http")?;
        }
        *root = Some(url.clone());
        Ok(url)
    }

    /// Any answer at all will do.
    fn answers(&self, root: &Url) -> Result<(), Failure> {
        let ping = root.join("v2/").expect("constant");
        self.wire.send(root, &Call::get(ping)).map(|_| ())
    }
}

/// Retry-After, if there is one that makes sense.
pub fn wait_of(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    retry_after(value, SystemTime::now())
}
