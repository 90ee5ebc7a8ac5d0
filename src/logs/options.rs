//! `--log-driver` and `--log-opt`: which there are, and what they may say.

use super::Caps;
use crate::error::{Error, Result};
use crate::text::size;
use regex_lite::Regex;
use std::collections::BTreeMap;

/// Where the output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Files in Docker's form; `local` is the same with other limits.
    Files,
    Journald,
    None,
}

impl Driver {
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "" | "json-file" | "local" => Ok(Self::Files),
            "journald" => Ok(Self::Journald),
            "none" => Ok(Self::None),
            other => Err(Error::unsupported(format!(
                "error looking up logging plugin {other}: plugin \"{other}\" not found"
            ))
            .hint("the log drivers are json-file, local, journald and none")),
        }
    }
}

/// Options of all drivers.
const ALL: [&str; 2] = ["mode", "max-buffer-size"];
const FILES: [&str; 3] = ["max-size", "max-file", "compress"];
const ATTRIBUTES: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];

/// Bytes that wait in `mode=non-blocking`, as Docker has it.
const BUFFER: usize = 1 << 20;

/// What a container's log is to be.
#[derive(Debug)]
pub struct Options {
    pub driver: Driver,
    pub caps: Caps,
    /// `mode=non-blocking`: how many bytes may wait.
    pub buffer: Option<usize>,
    /// A template; empty when not given.
    pub tag: String,
    labels: Vec<String>,
    labels_regex: Option<Regex>,
    env: Vec<String>,
    env_regex: Option<Regex>,
}

impl Options {
    /// Refuses what the driver does not know, by name.
    pub fn parse(driver: &str, given: &BTreeMap<String, String>) -> Result<Self> {
        let kind = Driver::named(driver)?;
        let driver = if driver.is_empty() {
            "json-file"
        } else {
            driver
        };
        if kind == Driver::None && !given.is_empty() {
            return Err(Error::usage("invalid logging opts for driver none"));
        }
        let known = |key: &str| {
            ALL.contains(&key)
                || (kind == Driver::Files && FILES.contains(&key))
                || (driver != "local" && ATTRIBUTES.contains(&key))
        };
        if let Some(key) = given.keys().find(|key| !known(key)) {
            return Err(Error::invalid(format!(
                "unknown log opt '{key}' for {driver} log driver"
            )));
        }
        let get = |key: &str| given.get(key).map(String::as_str).unwrap_or_default();
        Ok(Self {
            driver: kind,
            caps: caps(driver, given)?,
            buffer: buffer(given)?,
            tag: get("tag").into(),
            labels: words(get("labels")),
            labels_regex: regex("labels-regex", get("labels-regex"))?,
            env: words(get("env")),
            env_regex: regex("env-regex", get("env-regex"))?,
        })
    }

    /// The labels and variables that go with each line, by name.
    pub fn attributes(
        &self,
        labels: &BTreeMap<String, String>,
        env: &[String],
    ) -> BTreeMap<String, String> {
        let wanted = |names: &[String], regex: &Option<Regex>, name: &str| {
            names.iter().any(|n| n == name) || regex.as_ref().is_some_and(|r| r.is_match(name))
        };
        let labels = labels
            .iter()
            .filter(|(name, _)| wanted(&self.labels, &self.labels_regex, name))
            .map(|(name, value)| (name.clone(), value.clone()));
        let env = env
            .iter()
            .filter_map(|variable| variable.split_once('='))
            .filter(|(name, _)| wanted(&self.env, &self.env_regex, name))
            .map(|(name, value)| (name.to_string(), value.to_string()));
        labels.chain(env).collect()
    }
}

fn caps(driver: &str, given: &BTreeMap<String, String>) -> Result<Caps> {
    let mut caps = match driver {
        "local" => Caps {
            max_size: 20 << 20,
            max_files: 5,
            compress: true,
        },
        _ => Caps::default(),
    };
    let invalid = |key: &str, value: &str| {
        Error::invalid(format!("invalid value for log option \"{key}\": {value}"))
    };
    for (key, value) in given {
        match key.as_str() {
            // Docker's word for "never" is -1.
            "max-size" if value == "-1" => caps.max_size = 0,
            "max-size" => {
                caps.max_size =
                    u64::try_from(size::parse(value)?).map_err(|_| invalid(key, value))?;
            }
            "max-file" => {
                let count = value.parse().map_err(|_| invalid(key, value))?;
                caps.max_files = count;
            }
            "compress" => caps.compress = truth(value).ok_or_else(|| invalid(key, value))?,
            _ => {}
        }
    }
    if caps.max_files == 0 {
        return Err(Error::invalid("max-file cannot be less than 1"));
    }
    if given.contains_key("compress") && caps.compress {
        if caps.max_size == 0 {
            return Err(Error::invalid(
                "compress cannot be true when max-size is not set",
            ));
        }
        if caps.max_files < 2 {
            return Err(Error::invalid(
                "compress cannot be true when max-file is less than 2 or unset",
            ));
        }
    }
    Ok(caps)
}

fn buffer(given: &BTreeMap<String, String>) -> Result<Option<usize>> {
    let mode = given.get("mode").map_or("blocking", String::as_str);
    if !matches!(mode, "" | "blocking" | "non-blocking") {
        return Err(Error::invalid(format!(
            "logger: logging mode not supported: {mode}"
        )));
    }
    let waits = mode == "non-blocking";
    let Some(text) = given.get("max-buffer-size") else {
        return Ok(waits.then_some(BUFFER));
    };
    if !waits {
        return Err(Error::invalid(
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ));
    }
    let bytes = size::parse(text).map(usize::try_from);
    match bytes {
        Ok(Ok(bytes)) => Ok(Some(bytes)),
        _ => Err(Error::invalid(format!(
            "error parsing option max-buffer-size: invalid size: '{text}'"
        ))),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(str::to_string)
        .collect()
}

fn regex(key: &str, text: &str) -> Result<Option<Regex>> {
    if text.is_empty() {
        return Ok(None);
    }
    Regex::new(text)
        .map(Some)
        .map_err(|e| Error::invalid(format!("invalid value for log option \"{key}\": {e}")))
}

/// As Go reads it.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(driver: &str, words: &str) -> Result<Options> {
        let pairs = words.split_whitespace().filter_map(|w| w.split_once('='));
        let given = pairs.map(|(k, v)| (k.into(), v.into())).collect();
        Options::parse(driver, &given)
    }

    #[test]
    fn limits() {
        let caps = |driver, words| parse(driver, words).unwrap().caps;
        assert_eq!(caps("", ""), Caps::default());
        let local = Caps {
            max_size: 20 << 20,
            max_files: 5,
            compress: true,
        };
        assert_eq!(caps("local", ""), local);
        let small = caps("json-file", "max-size=1k max-file=7 compress=true");
        assert_eq!(
            (small.max_size, small.max_files, small.compress),
            (1024, 7, true)
        );
        assert_eq!(caps("local", "max-size=-1 max-file=1").max_size, 0);
        assert_eq!(
            parse("", "mode=non-blocking").unwrap().buffer,
            Some(1 << 20)
        );
        let other = parse("journald", "mode=non-blocking max-buffer-size=2m");
        assert_eq!(other.unwrap().buffer, Some(2 << 20));
    }

    #[test]
    fn refusals() {
        for (driver, words, want) in [
            (
                "syslog",
                "",
                "error looking up logging plugin syslog: plugin \"syslog\" not found",
            ),
            (
                "none",
                "max-size=1m",
                "invalid logging opts for driver none",
            ),
            (
                "json-file",
                "foo=1",
                "unknown log opt 'foo' for json-file log driver",
            ),
            (
                "",
                "foo=1",
                "unknown log opt 'foo' for json-file log driver",
            ),
            (
                "local",
                "labels=a",
                "unknown log opt 'labels' for local log driver",
            ),
            (
                "journald",
                "max-size=1",
                "unknown log opt 'max-size' for journald log driver",
            ),
            ("", "max-size=x", "invalid size: 'x'"),
            ("", "max-file=0", "max-file cannot be less than 1"),
            (
                "",
                "max-file=-1",
                "invalid value for log option \"max-file\": -1",
            ),
            (
                "",
                "compress=maybe",
                "invalid value for log option \"compress\": maybe",
            ),
            (
                "",
                "compress=true max-file=1",
                "compress cannot be true when max-file is less than 2 or unset",
            ),
            (
                "",
                "compress=true max-size=-1",
                "compress cannot be true when max-size is not set",
            ),
            ("", "mode=odd", "logger: logging mode not supported: odd"),
            (
                "",
                "max-buffer-size=1m",
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
            ),
        ] {
            assert_eq!(parse(driver, words).unwrap_err().message(), want);
        }
        assert!(parse("", "env-regex=(").is_err());
    }

    #[test]
    fn attributes() {
        let labels = [("a", "1"), ("b", "2"), ("com.x", "3")];
        let labels = labels.map(|(k, v)| (k.to_string(), v.to_string())).into();
        let env = ["HOME=/", "LANG=C", "LC_ALL=C"].map(String::from);
        let names = |words| {
            let options = parse("", words).unwrap();
            let all = options.attributes(&labels, &env);
            all.into_iter()
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
        };
        assert!(names("").is_empty());
        assert_eq!(names("labels=a,none env=HOME"), ["HOME=/", "a=1"]);
        assert_eq!(
            names("labels-regex=^com env-regex=^L"),
            ["LANG=C", "LC_ALL=C", "com.x=3"]
        );
    }
}
