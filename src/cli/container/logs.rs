//! `wherry logs`.

use crate::cli::{Front, Verb};
use crate::container::logs::logs;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::logs::record::fixed_time;
use crate::logs::{Entry, Filter, Record, Stream};
use crate::text::moment;
use jiff::{Timestamp, tz::TimeZone};
use std::collections::BTreeMap;
use std::io::{BufWriter, Write, stderr, stdout};

#[derive(clap::Args)]
pub struct LogsArgs {
    /// Show extra details provided to logs
    #[arg(long)]
    details: bool,
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
    /// Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)
    #[arg(long, value_name = "string")]
    since: Option<String>,
    /// Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)
    #[arg(long, value_name = "string")]
    until: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(short = 'n', long, value_name = "string", default_value = "all")]
    tail: String,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Verb for LogsArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let filter = Filter {
            // Docker takes what is no number, and negative ones, as `all`.
            tail: self.tail.parse().ok(),
            since: time("since", self.since.as_deref())?,
            until: time("until", self.until.as_deref())?,
        };
        let mut printer = Printer::new(self.timestamps, self.details);
        let mut warned = false;
        let mut each = |entry: Entry<'_>| match entry {
            Entry::Record(record) => printer.print(&record),
            Entry::Idle => printer.flush(),
            Entry::Damaged if warned => Ok(()),
            Entry::Damaged => {
                warned = true;
                printer.flush()?;
                front.warn(&format!(
                    "a damaged part of the log of {} was skipped",
                    self.container
                ));
                Ok(())
            }
            Entry::Gap => {
                printer.flush()?;
                front.warn(&format!(
                    "lines of {} were rotated away before they could be read",
                    self.container
                ));
                Ok(())
            }
        };
        let engine = Engine::open()?;
        logs(&engine, &self.container, self.follow, &filter, &mut each)?;
        printer.flush()?;
        Ok(0)
    }
}

fn time(option: &str, text: Option<&str>) -> Result<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    match moment::parse(text, Timestamp::now(), &TimeZone::system()) {
        Some(time) => Ok(Some(time)),
        None => Err(Error::invalid(format!(
            "invalid value for \"{option}\": failed to parse value as time or duration: \"{text}\""
        ))),
    }
}

/// Both outputs, in the order of the records.
struct Printer {
    timestamps: bool,
    details: bool,
    stdout: BufWriter<std::io::Stdout>,
    stderr: BufWriter<std::io::Stderr>,
    last: Stream,
    /// The stream's line has begun, so that no prefix belongs there.
    begun: [bool; 2],
}

impl Printer {
    fn new(timestamps: bool, details: bool) -> Self {
        Self {
            timestamps,
            details,
            stdout: BufWriter::with_capacity(64 << 10, stdout()),
            stderr: BufWriter::with_capacity(64 << 10, stderr()),
            last: Stream::Stdout,
            begun: [false; 2],
        }
    }

    fn print(&mut self, record: &Record<'_>) -> Result<()> {
        if record.stream != self.last {
            self.flush()?;
            self.last = record.stream;
        }
        let begun = std::mem::replace(&mut self.begun[record.stream as usize], !record.ends_line());
        let mut prefix = String::new();
        if !begun && self.timestamps {
            prefix = fixed_time(record.time) + " ";
        }
        if !begun && self.details {
            prefix = prefix + &attributes(&record.attrs) + " ";
        }
        let out: &mut dyn Write = match record.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        out.write_all(prefix.as_bytes())
            .and_then(|()| out.write_all(&record.bytes))
            .context(|| "cannot write the log")
    }

    fn flush(&mut self) -> Result<()> {
        let both = self.stdout.flush().and_then(|()| self.stderr.flush());
        both.context(|| "cannot write the log")
    }
}

/// `name=value,…`, each escaped as in an address (Go's url.QueryEscape).
fn attributes(attrs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = attrs
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)))
        .collect();
    pairs.join(",")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(byte.into());
            }
            b' ' => out.push('+'),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_as_docker_shows_them() {
        let attrs = [("b", "x y"), ("a", "1/2,ä~")].map(|(k, v)| (k.into(), v.into()));
        assert_eq!(attributes(&attrs.into()), "a=1%2F2%2C%C3%A4~,b=x+y");
    }
}
