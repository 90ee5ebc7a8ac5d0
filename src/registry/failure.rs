//! Why a request failed: the sentence for the user, and what the layers above
//! need for deciding what to do.

use super::retry::Again;
use crate::error::{Error, Kind, reason};
use crate::text::escape::visible;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use std::error::Error as StdError;
use std::io::ErrorKind as Io;

const NO_TLS: &str = "http: server gave HTTP response to HTTPS client";
/// How much of a registry's own words is shown, in characters.
const MAX_WORDS: usize = 500;

#[derive(Debug)]
pub struct Failure {
    pub error: Error,
    pub again: Again,
    pub status: Option<StatusCode>,
    /// The registry's code for it, such as `MANIFEST_UNKNOWN`.
    pub code: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            error,
            again: Again::Never,
            status: None,
            code: None,
        }
    }
}

/// A name could not be resolved (made in resolve.rs, found again here).
#[derive(Debug)]
pub struct LookupFailed {
    pub host: String,
    pub why: String,
}

impl std::fmt::Display for LookupFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "lookup {}: {}", self.host, self.why)
    }
}

impl StdError for LookupFailed {}

/// How to say that a registry has no TLS.
fn allow_http(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!(
        "a registry without TLS has to be named in registries.conf: `printf '[[registry]]\\nlocation = \"{host}{port}\"\\ninsecure = true\\n' >>~/.config/containers/registries.conf`"
    )
}

/// The URL without what may be secret: user, password, query.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    visible(url.as_str()).chars().take(MAX_WORDS).collect()
}

impl Failure {
    pub fn unavailable(message: impl Into<String>, again: Again) -> Self {
        Self {
            again,
            ..Error::unavailable(message).into()
        }
    }

    /// The request, or the body of its answer, broke on the way.
    pub fn transport(method: &Method, url: &Url, cause: &(dyn StdError + 'static)) -> Self {
        let (what, again) = explain(cause, url);
        let verb = match method.as_str() {
            "GET" => "Get",
            "HEAD" => "Head",
            "POST" => "Post",
            other => other,
        };
        let mut failure = Self::unavailable(format!("{verb} \"{}\": {what}", shown(url)), again);
        if what == NO_TLS {
            failure.error = failure.error.hint(allow_http(url));
        }
        failure
    }

    /// The answer was not 2xx.
    pub fn status(
        status: StatusCode,
        retry_after: Option<std::time::Duration>,
        body: &[u8],
    ) -> Self {
        let again = match (status.as_u16(), retry_after) {
            (408 | 429 | 500 | 502 | 503 | 504, Some(wait)) => Again::After(wait),
            (408 | 429 | 500 | 502 | 503 | 504, None) => Again::Maybe,
            _ => Again::Never,
        };
        let said = first_error(body);
        let code = said.as_ref().map(|(code, _)| code.clone());
        let text = match said {
            Some((code, message)) => words(&code, &message),
            None if status == StatusCode::UNAUTHORIZED => {
                "unauthorized: authentication required".into()
            }
            None if status == StatusCode::TOO_MANY_REQUESTS => {
                "toomanyrequests: the registry gets too many requests".into()
            }
            None => format!("received unexpected HTTP status: {status}"),
        };
        let kind = match status.as_u16() {
            401 | 403 => Kind::Denied,
            404 => Kind::NotFound,
            _ => Kind::Unavailable,
        };
        Self {
            error: Error::new(kind, text),
            again,
            status: Some(status),
            code,
        }
    }

    /// Says how long the registry wants us to wait, when that is too long.
    pub fn too_long(mut self, longest: std::time::Duration) -> Self {
        if let Again::After(wait) = self.again
            && wait > longest
        {
            self.error = Error::new(self.error.kind(), self.error.message()).hint(format!(
                "the registry asks to wait {} seconds before the next try",
                wait.as_secs()
            ));
            self.again = Again::Never;
        }
        self
    }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The registry's own words, in the form of the distribution specification.
fn first_error(body: &[u8]) -> Option<(String, String)> {
    let errors: Errors = serde_json::from_slice(body).ok()?;
    let first = errors.errors.into_iter().next()?;
    (!first.code.is_empty() || !first.message.is_empty()).then_some((first.code, first.message))
}

/// `MANIFEST_UNKNOWN` becomes `manifest unknown`, as Docker prints it.
fn words(code: &str, message: &str) -> String {
    let code = code.to_ascii_lowercase().replace('_', " ");
    let text = match (code.as_str(), message) {
        ("", message) => message.to_owned(),
        (code, "") => code.to_owned(),
        (code, message) => format!("{code}: {message}"),
    };
    let line: String = visible(&text).chars().take(MAX_WORDS).collect();
    line.replace('\n', " ")
}

/// Names the layer that failed: dns, tcp, tls or http.
fn explain(error: &(dyn StdError + 'static), url: &Url) -> (String, Again) {
    let mut next = Some(error);
    let mut innermost = error;
    while let Some(error) = next {
        if let Some(lookup) = error.downcast_ref::<LookupFailed>() {
            return (lookup.to_string(), Again::IfSeen);
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return explain_tls(tls);
        }
        if let Some(timeout) = error.downcast_ref::<reqwest::Error>()
            && timeout.is_timeout()
        {
            return ("no answer within the time limit".into(), Again::Once);
        }
        innermost = error;
        next = match error.downcast_ref::<std::io::Error>() {
            // io::Error hides what it wraps from source().
            Some(io) => match io.get_ref() {
                Some(inner) => Some(inner as &(dyn StdError + 'static)),
                None => return explain_io(io, url),
            },
            None => error.source(),
        };
    }
    let text = visible(&innermost.to_string()).into_owned();
    (text, Again::Maybe)
}

fn explain_tls(error: &rustls::Error) -> (String, Again) {
    match error {
        rustls::Error::InvalidMessage(_) => (NO_TLS.into(), Again::Never),
        other => (
            format!("tls: {}", visible(&other.to_string())),
            Again::Never,
        ),
    }
}

fn explain_io(error: &std::io::Error, url: &Url) -> (String, Again) {
    let at = format!(
        "{}:{}",
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default()
    );
    match error.kind() {
        Io::ConnectionRefused
        | Io::HostUnreachable
        | Io::NetworkUnreachable
        | Io::AddrNotAvailable => (
            format!("dial tcp {at}: connect: {}", reason(error)),
            Again::IfSeen,
        ),
        Io::TimedOut => (format!("dial tcp {at}: i/o timeout"), Again::Once),
        Io::UnexpectedEof => ("unexpected EOF".into(), Again::Maybe),
        _ => (format!("tcp {at}: {}", reason(error)), Again::Maybe),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn statuses_speak_as_docker_does() {
        for (status, body, message, again) in [
            (
                404,
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
                "manifest unknown: manifest unknown",
                Again::Never,
            ),
            (
                401,
                "",
                "unauthorized: authentication required",
                Again::Never,
            ),
            (
                403,
                r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
                "denied: requested access to the resource is denied",
                Again::Never,
            ),
            (
                429,
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow\ndown\u001b[2J"}]}"#,
                "toomanyrequests: slow down\\x1b[2J",
                Again::Maybe,
            ),
            (
                500,
                "<html>",
                "received unexpected HTTP status: 500 Internal Server Error",
                Again::Maybe,
            ),
            (
                500,
                r#"{"errors":[]}"#,
                "received unexpected HTTP status: 500 Internal Server Error",
                Again::Maybe,
            ),
            (
                418,
                "",
                "received unexpected HTTP status: 418 I'm a teapot",
                Again::Never,
            ),
        ] {
            let failure =
                Failure::status(StatusCode::from_u16(status).unwrap(), None, body.as_bytes());
            assert_eq!((failure.error.message(), failure.again), (message, again));
        }
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(100_000));
        let failure = Failure::status(StatusCode::BAD_REQUEST, None, long.as_bytes());
        assert!(failure.error.message().len() <= MAX_WORDS);
    }

    #[test]
    fn a_wait_too_long_is_told_at_once() {
        let failure = Failure::status(
            StatusCode::TOO_MANY_REQUESTS,
            Some(Duration::from_secs(3600)),
            b"",
        );
        let failure = failure.too_long(Duration::from_secs(60));
        assert_eq!(failure.again, Again::Never);
        assert!(failure.error.hint_text().unwrap().contains("3600 seconds"));
    }

    #[test]
    fn secrets_in_urls_are_not_shown() {
        let url = Url::parse("https://u:p@cdn.io/x?X-Amz-Signature=s").unwrap();
        assert_eq!(shown(&url), "https://cdn.io/x");
    }
}
