//! Signals by number or name.

use crate::error::{Error, Result};

/// A number, or a name with or without SIG in any case; `RTMIN+n`, `RTMAX-n`.
pub fn parse(text: &str) -> Result<i32> {
    let invalid = || Error::invalid(format!("Invalid signal: {text}"));
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=libc::SIGRTMAX()).contains(&number) {
            Ok(number)
        } else {
            Err(invalid())
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(number) = real_time(name) {
        return Ok(number);
    }
    let full = match name {
        "CLD" => "SIGCHLD".to_string(),
        "POLL" => "SIGIO".to_string(),
        "IOT" => "SIGABRT".to_string(),
        name => format!("SIG{name}"),
    };
    full.parse::<nix::sys::signal::Signal>()
        .map(|s| s as i32)
        .map_err(|_| invalid())
}

fn real_time(name: &str) -> Option<i32> {
    let (min, max) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let number = match name {
        "RTMIN" => min,
        "RTMAX" => max,
        _ => match name.strip_prefix("RTMIN+") {
            Some(n) => min + n.parse::<i32>().ok()?,
            None => max - name.strip_prefix("RTMAX-")?.parse::<i32>().ok()?,
        },
    };
    (min..=max).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("sigterm", 15),
            ("SIGRTMIN", 34),
            ("rtmin+3", 37),
            ("RTMAX-1", 63),
            ("CLD", 17),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for bad in [
            "", "0", "-1", "65", "FOO", "SIG", "RTMIN+31", "RTMAX-99", "1x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
