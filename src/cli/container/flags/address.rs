//! `--add-host`, `--dns`, `--dns-search`: names and addresses.

use crate::error::{Error, Result};
use std::net::IpAddr;

/// `NAME:ADDRESS` or `NAME=ADDRESS`, kept as `NAME:ADDRESS`.
pub fn extra_host(text: &str) -> Result<String> {
    // The sign that comes first: an address may hold the other.
    let at = text.find(['=', ':']);
    let (name, address) = match at {
        Some(at) if at > 0 => (&text[..at], &text[at + 1..]),
        _ => return Err(Error::usage(format!("bad format for add-host: \"{text}\""))),
    };
    // The file it ends in is a line of words (S21).
    if name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
        return Err(Error::usage(format!(
            "bad format for add-host: \"{}\"",
            text.escape_debug()
        )));
    }
    if address == "host-gateway" {
        return Ok(format!("{name}:{address}"));
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'))
        .unwrap_or(address);
    match bare.parse::<IpAddr>() {
        Ok(_) => Ok(format!("{name}:{bare}")),
        Err(_) => Err(Error::usage(format!(
            "invalid IP address in add-host: \"{address}\""
        ))),
    }
}

pub fn ip(text: &str) -> Result<String> {
    match text.trim().parse::<IpAddr>() {
        Ok(address) => Ok(address.to_string()),
        Err(_) => Err(Error::usage(format!(
            "IP address is not correctly formatted: {text}"
        ))),
    }
}

/// A domain to search in; `.` means none.
pub fn domain(text: &str) -> Result<String> {
    let label = |l: &str| {
        (1..=63).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let bare = text.strip_suffix('.').unwrap_or(text);
    if text == "." || (text.len() <= 255 && bare.split('.').all(label)) {
        Ok(text.to_string())
    } else {
        Err(Error::usage(format!(
            "{} is not a valid domain",
            text.escape_debug()
        )))
    }
}

/// A line of resolv.conf(5) "options".
pub fn dns_option(text: &str) -> Result<String> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Error::usage(format!(
            "invalid DNS option: {}",
            text.escape_debug()
        )));
    }
    Ok(text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (text, want) in [
            ("a:1.2.3.4", "a:1.2.3.4"),
            ("a=::1", "a:::1"),
            ("a:::1", "a:::1"),
            ("a=[::1]", "a:::1"),
            ("a:host-gateway", "a:host-gateway"),
        ] {
            assert_eq!(extra_host(text).unwrap(), want, "{text}");
        }
        for (text, want) in [
            ("a", "bad format for add-host: \"a\""),
            (":1.2.3.4", "bad format for add-host: \":1.2.3.4\""),
            ("a:bad", "invalid IP address in add-host: \"bad\""),
            ("a\nb:1.2.3.4", "bad format for add-host: \"a\\nb:1.2.3.4\""),
            (
                "a:1.2.3.4\nroot",
                "invalid IP address in add-host: \"1.2.3.4\nroot\"",
            ),
        ] {
            assert_eq!(extra_host(text).unwrap_err().message(), want, "{text}");
        }
    }

    #[test]
    fn resolver_settings() {
        assert_eq!(ip("1.1.1.1").unwrap(), "1.1.1.1");
        assert_eq!(
            ip("x").unwrap_err().message(),
            "IP address is not correctly formatted: x"
        );
        for good in [".", "example.org", "a-b.c.", "local"] {
            assert!(domain(good).is_ok(), "{good}");
        }
        for bad in ["x_y", "", "a..b", "a b", "a\nnameserver 6.6.6.6"] {
            assert!(domain(bad).is_err(), "{bad}");
        }
        assert!(dns_option("ndots:2").is_ok());
        assert!(dns_option("a\nb").is_err());
    }
}
