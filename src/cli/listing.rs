//! Lists: which format they are printed in, and printing their rows.

use super::{Front, settings, stdout};
use crate::error::{Error, Result};
use crate::output::list::{Format, Row};

/// The format of a list. `given` is `--format`; with `--quiet` it is `quiet`,
/// a template, unless another one than `table` and `raw` was given; else
/// config.json may have it under `setting`, and else it is `table`.
pub fn format(
    front: &Front,
    given: Option<&str>,
    quiet: Option<&str>,
    setting: &str,
    (table, raw): (&str, &str),
) -> Result<Format> {
    let given = given.filter(|given| !given.is_empty());
    let text = match (given, quiet) {
        (None | Some("table" | "raw"), Some(quiet)) => quiet.to_string(),
        (Some(given), _) => given.to_string(),
        (None, None) => settings::text(front, setting).unwrap_or_default(),
    };
    parse(&text, table, raw)
}

/// As [`Format::parse`], with Docker's words for what is wrong.
pub fn parse(text: &str, table: &str, raw: &str) -> Result<Format> {
    Format::parse(text, table, raw).map_err(within)
}

/// Fails when a field is asked for that rows do not have.
pub fn check<R: Row>(format: &Format) -> Result<()> {
    format.check::<R>().map_err(within)
}

/// Prints the rows; the command's status.
pub fn print<R: Row>(format: &Format, rows: &[R]) -> Result<u8> {
    stdout::print(&text(format, rows)?)?;
    Ok(0)
}

/// The rows as they are printed.
pub fn text<R: Row>(format: &Format, rows: &[R]) -> Result<String> {
    format.render(rows, stdout::is_terminal()).map_err(within)
}

/// `NAME=VALUE`s with commas between them, as a list has labels.
pub fn labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let labels = labels.into_iter();
    let pairs = labels.map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(",")
}

fn within(error: Error) -> Error {
    error.within("template parsing error")
}
