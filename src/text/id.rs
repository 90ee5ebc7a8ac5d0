//! Identifiers: 64 hex digits at random, and how they are shortened.

use crate::error::{Error, Result};

/// Digits shown in lists.
pub const SHORT: usize = 12;

/// A new ID: 64 lower-case hex digits from getrandom(2). One that is all
/// decimal digits in its short form is drawn again, because such a prefix
/// would be taken for a number (as a host name it is not valid everywhere).
pub fn random() -> Result<String> {
    loop {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(|e| {
            Error::internal(format!("cannot get random bytes from the kernel: {e}"))
        })?;
        let id = hex(&bytes);
        if !id[..SHORT].bytes().all(|b| b.is_ascii_digit()) {
            return Ok(id);
        }
    }
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}

/// The short form: 12 characters, without `sha256:` or whatever else stands
/// before the first colon.
pub fn short(id: &str) -> &str {
    let digits = id.split_once(':').map_or(id, |(_, rest)| rest);
    match digits.char_indices().nth(SHORT) {
        Some((end, _)) => &digits[..end],
        None => digits,
    }
}

/// Whether `text` is a full ID: 64 lower-case hex digits.
pub fn is_full(text: &str) -> bool {
    text.len() == 64 && is_prefix(text)
}

/// Whether `text` can be the beginning of an ID: 1 to 64 lower-case hex digits.
pub fn is_prefix(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_are_full_and_differ() {
        let (a, b) = (random().unwrap(), random().unwrap());
        assert!(is_full(&a) && is_full(&b), "{a} {b}");
        assert_ne!(a, b);
    }

    #[test]
    fn short_drops_the_algorithm_and_keeps_twelve() {
        for (id, want) in [
            ("0123456789abcdef", "0123456789ab"),
            ("sha256:0123456789abcdef", "0123456789ab"),
            ("sha256:01", "01"),
            ("", ""),
            ("ääääääääääääää", "ääääääääääää"),
        ] {
            assert_eq!(short(id), want);
        }
    }

    #[test]
    fn prefixes() {
        assert!(is_prefix("0a"));
        for bad in ["", "0A", "g", "0x1", "../"] {
            assert!(!is_prefix(bad), "{bad}");
        }
        assert!(!is_prefix(&"a".repeat(65)));
    }
}
