//! Image names as Docker reads them: grammar, defaults, short and full forms.
//!
//! Grammar and defaults are those of github.com/distribution/reference. It is
//! written out by hand because every `run` parses one and a compiled regular
//! expression of this size costs more than the rest of the command.

use super::digest::Digest;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

const DEFAULT_DOMAIN: &str = "docker.io";
const DEFAULT_PATH_PREFIX: &str = "library/";
const DEFAULT_TAG: &str = "latest";
const MAX_PATH: usize = 255;
const MAX_TAG: usize = 128;

/// A complete image name: it always has a tag or a digest, or both. In JSON
/// it is its canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads what a user typed: `alpine` means docker.io/library/alpine:latest.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_written(text).map(|(reference, _)| reference)
    }

    /// As [`Reference::parse`], and says whether the tag `latest` was assumed.
    pub fn parse_written(text: &str) -> Result<(Self, bool)> {
        if text.len() == 64 && text.bytes().all(is_hex) {
            return Err(Error::invalid(format!(
                "invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
            )));
        }
        let (domain, remainder) = split_domain(text);
        let (name, tag, digest) = split_name(&remainder);
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(Error::invalid(format!(
                "invalid reference format: repository name ({name}) must be lowercase"
            )));
        }
        if !is_domain(&domain) || !is_path(name) || !tag.is_none_or(is_tag) {
            return Err(Error::invalid("invalid reference format"));
        }
        if name.len() > MAX_PATH {
            return Err(Error::invalid(format!(
                "invalid reference format: repository name must not be more than {MAX_PATH} characters"
            )));
        }
        let digest = digest.map(parse_digest).transpose()?;
        let assumed = tag.is_none() && digest.is_none();
        let tag = if assumed { Some(DEFAULT_TAG) } else { tag };
        let reference = Self {
            path: name.to_owned(),
            tag: tag.map(str::to_owned),
            domain,
            digest,
        };
        Ok((reference, assumed))
    }

    /// Registry as in the name: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }
    /// Repository within the registry: `library/alpine`.
    pub fn path(&self) -> &str {
        &self.path
    }
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }
    /// Domain and path: `docker.io/library/alpine`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }
    /// The name as Docker shows it: `alpine`, `user/app`, `quay.io/x/y`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix(DEFAULT_PATH_PREFIX) {
            Some(rest) if !rest.contains('/') => rest.to_owned(),
            // Without its registry it would be the name of another one.
            _ if self
                .path
                .split_once('/')
                .is_some_and(|(first, _)| looks_like_domain(first)) =>
            {
                self.name()
            }
            _ => self.path.clone(),
        }
    }
    /// What Docker prints: `alpine:latest`, `alpine@sha256:…`.
    pub fn familiar(&self) -> String {
        self.familiar_name() + &self.suffix()
    }
    /// Everything spelt out: `docker.io/library/alpine:latest`; parses back to
    /// an equal value.
    pub fn canonical(&self) -> String {
        self.name() + &self.suffix()
    }
    /// The same repository with this tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self> {
        if !is_tag(tag) {
            return Err(Error::invalid("invalid tag format"));
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }
    /// The same repository by this digest and no tag.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    fn suffix(&self) -> String {
        let tag = self.tag.iter().map(|t| format!(":{t}"));
        let digest = self.digest.iter().map(|d| format!("@{d}"));
        tag.chain(digest).collect()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl std::str::FromStr for Reference {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.canonical()
    }
}

/// The first component is a registry only when it looks like one.
fn split_domain(text: &str) -> (String, String) {
    let (domain, rest) = match text.split_once('/') {
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    };
    let domain = match domain {
        "index.docker.io" => DEFAULT_DOMAIN,
        other => other,
    };
    if domain == DEFAULT_DOMAIN && !rest.contains('/') {
        return (domain.to_owned(), format!("{DEFAULT_PATH_PREFIX}{rest}"));
    }
    (domain.to_owned(), rest.to_owned())
}

fn looks_like_domain(first: &str) -> bool {
    first.contains(['.', ':'])
        || first == "localhost"
        || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn split_name(remainder: &str) -> (&str, Option<&str>, Option<&str>) {
    let (named, digest) = match remainder.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (remainder, None),
    };
    match named.split_once(':') {
        Some((name, tag)) => (name, Some(tag), digest),
        None => (named, None, digest),
    }
}

fn parse_digest(text: &str) -> Result<Digest> {
    let shaped = text.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_+.".contains(&b))
            && hex.len() >= 32
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
    });
    if !shaped {
        return Err(Error::invalid("invalid reference format"));
    }
    Digest::parse(text)
}

fn is_hex(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'a'..=b'f')
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = if domain.starts_with('[') {
        match domain.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) if port.starts_with(':') => (host, Some(&port[1..])),
            _ => return false,
        }
    } else {
        match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain, None),
        }
    };
    let host_ok = match host.strip_prefix('[') {
        Some(ipv6) => !ipv6.is_empty() && ipv6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(is_domain_component),
    };
    host_ok && port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

fn is_domain_component(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('-')
        && !part.ends_with('-')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_path(path: &str) -> bool {
    path.split('/').all(is_path_component)
}

/// Runs of `[a-z0-9]` joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(part: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    let ends_ok = |b: Option<&u8>| b.is_some_and(|b| alphanumeric(*b));
    ends_ok(bytes.first())
        && ends_ok(bytes.last())
        && bytes
            .split(|b| alphanumeric(*b))
            .all(|s| matches!(s, b"" | b"." | b"_" | b"__") || s.iter().all(|b| *b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_docker_accepts() {
        for (text, canonical, familiar) in [
            // Its registry is part of what it is called.
            (
                "docker.io/a.b/c",
                "docker.io/a.b/c:latest",
                "docker.io/a.b/c:latest",
            ),
            (
                "docker.io/localhost/x:1",
                "docker.io/localhost/x:1",
                "docker.io/localhost/x:1",
            ),
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            (
                "alpine:3.20",
                "docker.io/library/alpine:3.20",
                "alpine:3.20",
            ),
            ("user/app", "docker.io/user/app:latest", "user/app:latest"),
            (
                "docker.io/alpine",
                "docker.io/library/alpine:latest",
                "alpine:latest",
            ),
            (
                "index.docker.io/alpine",
                "docker.io/library/alpine:latest",
                "alpine:latest",
            ),
            (
                "docker.io/library/a/b",
                "docker.io/library/a/b:latest",
                "library/a/b:latest",
            ),
            ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
            (
                "127.0.0.1:5000/a:b",
                "127.0.0.1:5000/a:b",
                "127.0.0.1:5000/a:b",
            ),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("Host/a", "Host/a:latest", "Host/a:latest"),
            (
                "a__b/c-----d/e.f",
                "docker.io/a__b/c-----d/e.f:latest",
                "a__b/c-----d/e.f:latest",
            ),
            (
                "quay.io/x/y/z:V1.0-_",
                "quay.io/x/y/z:V1.0-_",
                "quay.io/x/y/z:V1.0-_",
            ),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(reference.canonical(), canonical, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
            assert_eq!(Reference::parse(canonical).unwrap(), reference);
            assert_eq!(Reference::parse(familiar).unwrap(), reference);
        }
        let pinned = Reference::parse(&format!("alpine:3@sha256:{HEX}")).unwrap();
        assert_eq!(
            (pinned.tag(), pinned.digest().unwrap().hex()),
            (Some("3"), HEX)
        );
        assert_eq!(pinned.familiar(), format!("alpine:3@sha256:{HEX}"));
        assert_eq!(
            Reference::parse(&format!("a@sha256:{HEX}")).unwrap().tag(),
            None
        );
        assert!(Reference::parse_written("alpine").unwrap().1);
        assert!(!Reference::parse_written("alpine:latest").unwrap().1);
    }

    #[test]
    fn names_docker_refuses() {
        for (text, message) in [
            ("", "invalid reference format"),
            (
                "BB",
                "invalid reference format: repository name (library/BB) must be lowercase",
            ),
            ("a:b:c", "invalid reference format"),
            ("a b", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("a/", "invalid reference format"),
            ("/a", "invalid reference format"),
            ("a//b", "invalid reference format"),
            ("a___b", "invalid reference format"),
            ("a._b", "invalid reference format"),
            ("a..b", "invalid reference format"),
            ("a.-b", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a:-x", "invalid reference format"),
            ("../etc", "invalid reference format"),
            ("a@", "invalid reference format"),
            ("a@sha256:abc", "invalid reference format"),
            ("x.y:port/a", "invalid reference format"),
            ("[::1/a:b", "invalid reference format"),
            ("http://x/a", "invalid reference format"),
            ("é", "invalid reference format"),
            (
                HEX,
                &format!(
                    "invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"
                ),
            ),
            (
                &format!("a@sha256:{}", HEX.to_uppercase()),
                &format!(
                    "invalid checksum digest format: sha256:{}",
                    HEX.to_uppercase()
                ),
            ),
            (
                &format!("a@sha256:{HEX}0"),
                &format!("invalid checksum digest length: sha256:{HEX}0"),
            ),
        ] {
            assert_eq!(
                Reference::parse(text).unwrap_err().message(),
                message,
                "{text:?}"
            );
        }
        assert!(Reference::parse(&format!("a:{}", "t".repeat(129))).is_err());
        assert!(Reference::parse(&"a".repeat(256)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_round_trips(text in "[a-zA-Z0-9./:@_\\[\\]-]{0,40}|.{0,20}") {
            if let Ok(reference) = Reference::parse(&text) {
                proptest::prop_assert_eq!(Reference::parse(&reference.canonical()).unwrap(), reference.clone());
                proptest::prop_assert_eq!(Reference::parse(&reference.familiar()).unwrap(), reference);
            }
        }
    }
}
