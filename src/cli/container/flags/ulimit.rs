//! `--ulimit NAME=SOFT[:HARD]`.

use crate::error::{Error, Result};
use crate::record::container::Ulimit;

const NAMES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

pub fn parse(text: &str) -> Result<Ulimit> {
    let Some((name, limits)) = text.split_once('=') else {
        return Err(Error::usage(format!("invalid ulimit argument: {text}")));
    };
    if !NAMES.contains(&name) {
        return Err(Error::usage(format!("invalid ulimit type: {name}")));
    }
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if hard != -1 && (soft == -1 || soft > hard) {
        let soft = if soft == -1 {
            "-1 (unlimited)".into()
        } else {
            soft.to_string()
        };
        return Err(Error::usage(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )));
    }
    Ok(Ulimit {
        name: name.into(),
        hard,
        soft,
    })
}

/// -1 is unlimited, and so is the word.
fn number(text: &str) -> Result<i64> {
    match text {
        "-1" | "unlimited" => Ok(-1),
        text => match text.parse::<i64>() {
            Ok(n) if n >= 0 => Ok(n),
            _ => Err(Error::usage(format!("invalid limit: {text}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let read = |text| parse(text).map(|u| (u.soft, u.hard));
        assert_eq!(read("nofile=5").unwrap(), (5, 5));
        assert_eq!(read("nofile=5:7").unwrap(), (5, 7));
        assert_eq!(read("core=-1").unwrap(), (-1, -1));
        assert_eq!(read("core=0:unlimited").unwrap(), (0, -1));
        for (text, want) in [
            ("foo", "invalid ulimit argument: foo"),
            ("foo=1", "invalid ulimit type: foo"),
            ("nofile=x", "invalid limit: x"),
            ("nofile=-2", "invalid limit: -2"),
            ("nofile=1:2:3", "invalid limit: 2:3"),
            (
                "nofile=7:5",
                "ulimit soft limit must be less than or equal to hard limit: 7 > 5",
            ),
            (
                "nofile=-1:5",
                "ulimit soft limit must be less than or equal to hard limit: -1 (unlimited) > 5",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().message(), want, "{text}");
        }
    }
}
