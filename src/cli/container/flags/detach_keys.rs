//! `--detach-keys`: the keys that let go of a container's terminal.

use crate::error::{Error, Result};

/// Docker's: Ctrl-P Ctrl-Q.
pub const DEFAULT: [u8; 2] = [16, 17];

/// Comma-separated single characters and `ctrl-X`, as the bytes a terminal
/// sends for them. Empty text is no key: nothing detaches.
pub fn parse(text: &str) -> Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(key).collect()
}

fn key(word: &str) -> Result<u8> {
    let unknown = || Error::usage(format!("invalid detach keys: unknown key '{word}'"));
    let control = word.strip_prefix("ctrl-");
    let mut chars = control.unwrap_or(word).chars();
    let (Some(c), None) = (chars.next(), chars.next()) else {
        return Err(unknown());
    };
    let byte = u8::try_from(c).map_err(|_| unknown())?;
    match (control.is_some(), byte) {
        (false, 0x20..=0x7e) => Ok(byte),
        (true, b'a'..=b'z') => Ok(byte - b'a' + 1),
        (true, b'@') => Ok(0),
        (true, b'[' | b'\\' | b']' | b'^' | b'_') => Ok(byte - b'@'),
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert_eq!(parse("ctrl-p,ctrl-q").unwrap(), DEFAULT);
        assert_eq!(parse("a,ctrl-@,ctrl-_").unwrap(), [b'a', 0, 31]);
        assert!(parse("").unwrap().is_empty());
        for bad in ["ctrl-", "ctrl-A", "xx", "a,,b", "ä", "\x01"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
