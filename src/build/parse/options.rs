//! The flags of one instruction, taken by name; what is left over is unknown.

use super::lines::Line;
use super::place::{Fault, Parsed};
use super::words::{self, Flag};

/// Flags of an instruction and its arguments behind them.
pub struct Options<'a> {
    line: &'a Line,
    left: Vec<Flag>,
    known: Vec<&'static str>,
    pub arguments: &'a str,
    /// Where the arguments begin in `line.rest`.
    pub offset: usize,
}

impl<'a> Options<'a> {
    pub fn of(line: &'a Line, escape: char) -> Self {
        let (left, offset) = words::flags(&line.rest, escape);
        Self {
            line,
            left,
            known: Vec::new(),
            arguments: &line.rest[offset..],
            offset,
        }
    }

    /// `--name=value`, as often as it is given.
    pub fn all(&mut self, name: &'static str) -> Parsed<Vec<String>> {
        self.known.push(name);
        let mut values = Vec::new();
        let mut rest = Vec::new();
        for flag in std::mem::take(&mut self.left) {
            let (word, value) = match flag.text.split_once('=') {
                Some((word, value)) => (word, Some(value)),
                None => (flag.text.as_str(), None),
            };
            if word.strip_prefix("--") != Some(name) {
                rest.push(flag);
                continue;
            }
            match value {
                Some(value) => values.push(value.to_string()),
                None => {
                    let message = format!("missing a value on flag: {name}");
                    return Err(Fault::parse(self.line.spot(flag.offset), message));
                }
            }
        }
        self.left = rest;
        Ok(values)
    }

    /// `--name=value`, at most once.
    pub fn one(&mut self, name: &'static str) -> Parsed<Option<String>> {
        let mut values = self.all(name)?;
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(self
                .line
                .fault(format!("duplicate flag specified: --{name}"))),
        }
    }

    /// `--name`, `--name=true`, `--name=false`.
    pub fn switch(&mut self, name: &'static str) -> Parsed<Option<bool>> {
        let bare = format!("--{name}");
        for flag in self.left.iter_mut().filter(|flag| flag.text == bare) {
            flag.text.push_str("=true");
        }
        match self.one(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(self.line.fault(format!(
                "expecting boolean value for flag {name}, not: {other}"
            ))),
        }
    }

    /// All that can be given has been asked for.
    pub fn end(&self) -> Parsed<()> {
        let Some(flag) = self.left.first() else {
            return Ok(());
        };
        let word = flag.text.split('=').next().unwrap_or_default();
        let fault = Fault::parse(self.line.spot(flag.offset), format!("unknown flag: {word}"));
        let name = word.trim_start_matches('-');
        let near = self
            .known
            .iter()
            .filter(|known| strsim::osa_distance(known, name) <= known.len().div_ceil(3))
            .min_by_key(|known| strsim::osa_distance(known, name));
        Err(match near {
            Some(near) => fault.hint(format!("did you mean --{near}?")),
            None => fault,
        })
    }
}
