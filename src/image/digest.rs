//! Content digests: the grammar that everything from outside must pass before
//! it may name a file, and hashing of bytes as they stream by.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::fmt::{self, Write as _};
use std::io::Read;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
    fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// `sha256:` + 64 or `sha512:` + 128 lower-case hex digits; nothing else can
/// exist, so [`Digest::hex`] is always safe as a file name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(Box<str>);

impl Digest {
    /// Checks the grammar; the messages are Docker's.
    pub fn parse(text: &str) -> Result<Self> {
        let complaint = |what: &str| Error::invalid(format!("{what}: {}", shown(text)));
        let (algorithm, hex) = text
            .split_once(':')
            .ok_or_else(|| complaint("invalid checksum digest format"))?;
        let algorithm = match algorithm {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(complaint("unsupported digest algorithm")),
        };
        if !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(complaint("invalid checksum digest format"));
        }
        if hex.len() != algorithm.hex_len() {
            return Err(complaint("invalid checksum digest length"));
        }
        Ok(Self(text.into()))
    }

    /// The SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha256:") {
            Algorithm::Sha256
        } else {
            Algorithm::Sha512
        }
    }
    /// The hex digits alone.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
    /// The first 12 hex digits, as Docker prints IDs.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
    /// Whether `bytes` hash to this digest.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let mut hasher = Hasher::new(self.algorithm());
        hasher.update(bytes);
        hasher.finish() == *self
    }
}

/// Text from outside, cut so that an error line stays a line.
fn shown(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(150)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(150).is_some() {
        out.push('…');
    }
    out
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Digest {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0.into()
    }
}

/// Hashes bytes as they come.
#[derive(Clone)]
pub enum Hasher {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
        }
    }
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(h) => h.update(bytes),
            Self::Sha512(h) => h.update(bytes),
        }
    }
    pub fn finish(self) -> Digest {
        let (algorithm, sum) = match self {
            Self::Sha256(h) => (Algorithm::Sha256, h.finalize().to_vec()),
            Self::Sha512(h) => (Algorithm::Sha512, h.finalize().to_vec()),
        };
        let mut text = String::with_capacity(algorithm.hex_len() + 7);
        text.push_str(algorithm.name());
        text.push(':');
        for byte in sum {
            write!(text, "{byte:02x}").expect("writing to a String");
        }
        Digest(text.into())
    }
}

/// A reader that hashes and counts what passes through it.
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    read: u64,
}

impl<R: Read> HashingReader<R> {
    pub fn new(inner: R, algorithm: Algorithm) -> Self {
        Self {
            inner,
            hasher: Hasher::new(algorithm),
            read: 0,
        }
    }
    /// Digest and number of the bytes read so far, and the reader beneath.
    pub fn finish(self) -> (Digest, u64, R) {
        (self.hasher.finish(), self.read, self.inner)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(&buf[..n]);
        self.read += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn known_sums() {
        assert_eq!(Digest::of(b"").hex(), EMPTY);
        let sha512 = Digest::parse(&format!("sha512:{}", "ab".repeat(64))).unwrap();
        assert_eq!(sha512.hex().len(), 128);
        assert!(!sha512.matches(b""));
        let mut reader = HashingReader::new(&b"abc"[..], Algorithm::Sha256);
        std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
        let (digest, n, _) = reader.finish();
        assert_eq!((digest, n), (Digest::of(b"abc"), 3));
    }

    #[test]
    fn hostile_digests_are_refused() {
        for bad in [
            "",
            ":",
            "sha256",
            "sha256:",
            "sha256:../../x",
            &format!("sha256:{}", EMPTY.to_uppercase()),
            &format!("sha256:{}", &EMPTY[1..]),
            &format!("sha256:{EMPTY}0"),
            &format!("sha256:{EMPTY}\0"),
            &format!("sha256:{}\0", &EMPTY[1..]),
            &format!("sha256:{}/", &EMPTY[1..]),
            &format!("SHA256:{EMPTY}"),
            &format!(" sha256:{EMPTY}"),
            &format!("sha512:{EMPTY}"),
            &format!("sha384:{}", "a".repeat(96)),
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            EMPTY,
        ] {
            assert!(Digest::parse(bad).is_err(), "{bad:?}");
            assert!(serde_json::from_value::<Digest>(bad.into()).is_err());
        }
    }

    #[test]
    fn a_long_bad_digest_makes_a_short_error() {
        let error = Digest::parse(&"x".repeat(1 << 20)).unwrap_err();
        assert!(error.message().len() < 300);
    }
}
