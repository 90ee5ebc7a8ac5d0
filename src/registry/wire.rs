//! One request and its redirects. The only place that puts credentials on the
//! wire, and it does so for the registry's own scheme, host and port alone.

use super::Options;
use super::failure::{Failure, shown};
use super::retry::Again;
use super::target::{check, is_local, same_origin};
use super::tls::{Trust, client};
use crate::error::{Error, Result};
use reqwest::blocking::{Body, Client, Response};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How many redirects are followed.
const MAX_HOPS: usize = 10;

/// The way to one registry, and from there to where it redirects.
pub struct Wire {
    options: Options,
    insecure: bool,
    certificates: Vec<PathBuf>,
    own: OnceLock<Client>,
    other: OnceLock<Client>,
}

pub struct Call<'a> {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub authorization: Option<HeaderValue>,
    pub form: &'a [(&'a str, &'a str)],
    /// Makes the body, for each time that it is sent.
    pub body: Option<&'a (dyn Fn() -> Result<Body> + Sync)>,
    /// How long it may take to be sent, when that is long.
    pub patience: Option<Duration>,
}

impl Call<'_> {
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            authorization: None,
            form: &[],
            body: None,
            patience: None,
        }
    }
}

/// An answer of whatever status.
pub struct Reply {
    pub response: Response,
    /// Where it came from in the end.
    pub url: Url,
    /// Whether that is not the registry itself.
    pub foreign: bool,
}

impl Wire {
    pub fn new(options: &Options, insecure: bool, certificates: &[PathBuf]) -> Self {
        Self {
            options: options.clone(),
            insecure,
            certificates: certificates.to_vec(),
            own: OnceLock::new(),
            other: OnceLock::new(),
        }
    }

    /// How long a small answer may take in all.
    pub fn patience(&self) -> Duration {
        self.options.stall
    }

    /// Sends `call` and follows redirects of GET and HEAD. `registry` is the
    /// origin that the registry's credentials and trust settings are for.
    pub fn send(&self, registry: &Url, call: &Call) -> Result<Reply, Failure> {
        let mut url = call.url.clone();
        for _ in 0..=MAX_HOPS {
            let foreign = !same_origin(registry, &url);
            let response = self.hop(registry, &url, call)?;
            let followed = call.method == Method::GET || call.method == Method::HEAD;
            if !followed || !is_redirect(response.status()) {
                return Ok(Reply {
                    response,
                    url,
                    foreign,
                });
            }
            let next = location(&url, &response)?;
            check(&url, &next, "redirect")?;
            check(registry, &next, "redirect")?;
            url = next;
        }
        Err(Error::unavailable(format!(
            "{} \"{}\": stopped after {MAX_HOPS} redirects",
            call.method,
            shown(&call.url)
        ))
        .into())
    }

    fn hop(&self, registry: &Url, url: &Url, call: &Call) -> Result<Response, Failure> {
        let client = self.client_for(registry, url)?;
        let mut request = client
            .request(call.method.clone(), url.clone())
            .headers(call.headers.clone())
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(value) = &call.authorization
            && same_origin(&call.url, url)
        {
            request = request.header(AUTHORIZATION, value.clone());
        }
        if !call.form.is_empty() {
            let mut body = Url::parse("form:").expect("constant");
            body.query_pairs_mut().extend_pairs(call.form);
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body.query().unwrap_or_default().to_owned());
        }
        if let Some(body) = call.body {
            request = request.body(body()?);
        }
        if let Some(patience) = call.patience {
            request = request.timeout(patience);
        }
        request
            .send()
            .map_err(|e| Failure::transport(&call.method, url, &e))
    }

    /// The trust settings are for the registry's host, whatever the port: its
    /// token service is often beside it.
    fn client_for(&self, registry: &Url, url: &Url) -> Result<&Client> {
        let own = registry.host_str() == url.host_str();
        let (cell, trust, certificates) = match (own, self.insecure) {
            (false, _) => (&self.other, Trust::Verify, &[][..]),
            (true, true) => (&self.own, Trust::Anything, &self.certificates[..]),
            (true, false) => (&self.own, Trust::Verify, &self.certificates[..]),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let outside_only = !own && !is_local(registry);
        let made = client(&self.options, trust, certificates, outside_only)?;
        Ok(cell.get_or_init(|| made))
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn location(url: &Url, response: &Response) -> Result<Url, Failure> {
    let target = response.headers().get(LOCATION);
    let target = target.and_then(|v| std::str::from_utf8(v.as_bytes()).ok());
    target.and_then(|t| url.join(t).ok()).ok_or_else(|| {
        let message = format!("Get \"{}\": redirect without a valid Location", shown(url));
        Failure::unavailable(message, Again::Never)
    })
}

/// The whole body, when it has at most `limit` bytes and comes within
/// `deadline`; `what` names it in the error.
pub fn read_all(
    reply: Reply,
    limit: u64,
    deadline: Duration,
    what: &str,
) -> Result<Vec<u8>, Failure> {
    let end = Instant::now() + deadline;
    let mut body = reply.response;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = body
            .read(&mut buffer)
            .map_err(|e| Failure::transport(&Method::GET, &reply.url, &e))?;
        if n == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&buffer[..n]);
        if bytes.len() as u64 > limit {
            return Err(Error::invalid(format!(
                "{what} from \"{}\" is larger than the limit of {limit} bytes",
                shown(&reply.url)
            ))
            .into());
        }
        if Instant::now() > end {
            let message = format!("Get \"{}\": {what} comes too slowly", shown(&reply.url));
            return Err(Failure::unavailable(message, Again::Never));
        }
    }
}
