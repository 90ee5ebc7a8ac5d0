//! Places in a Dockerfile, and errors that point at one.

use crate::error::Error;
use std::fmt::Write;

/// Physical lines of one instruction, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub first: usize,
    pub last: usize,
    /// Of `first`, in characters from 1; 0 when it is not known.
    pub column: usize,
}

impl Place {
    pub fn line(line: usize) -> Self {
        Self {
            first: line,
            last: line,
            column: 0,
        }
    }
}

/// An error with where it is, when it is somewhere.
#[derive(Debug)]
pub struct Fault {
    pub place: Option<Place>,
    pub error: Error,
}

impl Fault {
    /// What the parser finds: BuildKit's sentence, with the line.
    pub fn parse(place: Place, message: impl std::fmt::Display) -> Self {
        Self {
            place: Some(place),
            error: Error::invalid(format!(
                "dockerfile parse error on line {}: {message}",
                place.first
            )),
        }
    }

    pub fn at(place: Place, error: Error) -> Self {
        Self {
            place: Some(place),
            error,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.hint(hint);
        self
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { place: None, error }
    }
}

pub type Parsed<T> = std::result::Result<T, Fault>;

/// The lines around `place` with a mark at those that are meant, as BuildKit
/// shows them:
///
/// ```text
/// Dockerfile:2
/// --------------------
///    1 |     FROM alpine
///    2 | >>> FOO bar
/// --------------------
/// ```
pub fn excerpt(name: &str, text: &str, place: Place) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    if place.first == 0 || place.first > lines.len() {
        return String::new();
    }
    let last = place.last.clamp(place.first, lines.len());
    let around = if last == place.first { 2 } else { 1 };
    let from = place.first.saturating_sub(around).max(1);
    let to = (last + around).min(lines.len());
    let column = match place.column {
        0 => String::new(),
        column => format!(":{column}"),
    };
    let rule = "-".repeat(20);
    let mut out = format!("{name}:{}{column}\n{rule}\n", place.first);
    for (number, line) in (from..=to).map(|n| (n, lines[n - 1].trim_end_matches('\r'))) {
        let mark = match (place.first..=last).contains(&number) {
            true => ">>>",
            false => "   ",
        };
        let _ = writeln!(out, " {number:3} | {mark} {line}");
    }
    out + &rule + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_around() {
        let text = "FROM a\nRUN b \\\n  c\nCOPY d e\r\nRUN f\n";
        let two = Place {
            first: 2,
            last: 3,
            column: 5,
        };
        let rule = "-".repeat(20);
        assert_eq!(
            excerpt("Dockerfile", text, two),
            format!(
                "Dockerfile:2:5\n{rule}\n   1 |     FROM a\n   2 | >>> RUN b \\\n   3 | >>>   c\n   4 |     COPY d e\n{rule}\n"
            )
        );
        assert!(excerpt("x", text, Place::line(1)).starts_with("x:1\n"));
        for nowhere in [0, 7, usize::MAX] {
            assert_eq!(excerpt("x", text, Place::line(nowhere)), "");
        }
    }
}
