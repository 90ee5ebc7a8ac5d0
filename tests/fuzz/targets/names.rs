//! Names of images, digests and platforms, and the header in which a registry
//! says how to log in.

use wherry::image::{Digest, Platform, Reference};
use wherry::registry::challenge::{self, Challenge};

pub const WORDS: &[&str] = &[
    "docker.io/",
    "library/",
    "localhost:5000/",
    "[::1]:80/",
    "@sha256:",
    ":latest",
    "a.b/",
    "__",
    "--",
    "..",
    "linux/",
    "arm64",
    "/v8",
    "sha512:",
    "index.docker.io/",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
];

pub const CHALLENGES: &[&str] = &[
    "Bearer ", "Basic ", "realm=", "\"", "\\\"", ",", "service=", "scope=", "=", "https://", " ",
];

/// Every form of a name that was taken means the same name.
pub fn reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
        assert!(digest.hex().bytes().all(|b| b.is_ascii_hexdigit()));
    }
    if let Ok(platform) = Platform::parse(text) {
        assert_eq!(Platform::parse(&platform.to_string()).ok(), Some(platform));
    }
    let Ok((name, assumed)) = Reference::parse_written(text) else {
        return;
    };
    for form in [name.canonical(), name.familiar()] {
        let again = Reference::parse_written(&form);
        let (again, more) = again.unwrap_or_else(|e| panic!("{form:?} of {text:?}: {e}"));
        assert_eq!(again, name, "{form:?}");
        assert!(!more, "{form:?}");
    }
    assert!(name.tag().is_some() || name.digest().is_some());
    assert!(!assumed || name.tag() == Some("latest"));
    assert!(!name.domain().contains('/') && name.path().len() <= 255);
    let parts = name.path().split('/');
    assert!(
        parts
            .into_iter()
            .all(|p| !p.is_empty() && p != "." && p != "..")
    );
}

/// Nothing is made up, and a challenge that is written out is read back.
pub fn challenge(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let headers: Vec<&str> = text.lines().collect();
    let found = challenge::choose(headers.iter().copied());
    if let Some(Challenge::Bearer { realm, service }) = &found {
        let whole = realm.len() + service.as_ref().map_or(0, String::len);
        assert!(headers.iter().any(|h| whole <= h.len()));
    }
    for header in headers.iter().filter(|h| h.len() < 1000) {
        let quoted = header.replace('\\', "\\\\").replace('"', "\\\"");
        let written = format!("Bearer service=\"{quoted}\",realm=\"{quoted}\"");
        let want = Challenge::Bearer {
            realm: (*header).to_owned(),
            service: Some((*header).to_owned()),
        };
        assert_eq!(challenge::choose([written.as_str()]), Some(want));
    }
}
