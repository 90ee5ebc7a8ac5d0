//! What a build tells beside its progress: why it has failed, and what its
//! checks have found.

use super::record::Step;
use crate::build::checks::Warning;
use crate::build::parse::place::{Place, excerpt};
use crate::cli::report;
use crate::error::Error;
use crate::text::escape::visible;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

/// A Dockerfile, for pointing into it.
pub struct Text<'a> {
    pub name: &'a str,
    pub text: &'a [u8],
}

impl Text<'_> {
    fn excerpt(&self, place: Place) -> String {
        let text = String::from_utf8_lossy(self.text);
        visible(&excerpt(self.name, &text, place)).into_owned()
    }
}

/// What the step has written, the place, the reason; on standard error.
pub fn failure(step: Option<&Step>, place: Option<Place>, text: &Text<'_>, error: &Error) {
    if let Some(step) = step.filter(|step| !step.log.is_empty()) {
        log(step);
    }
    let mut out = place.map_or_else(String::new, |place| text.excerpt(place));
    let _ = writeln!(out, "ERROR: failed to solve: {}", visible(error.message()));
    if let Some(hint) = error.hint_text() {
        let _ = writeln!(out, "hint: {}", visible(hint));
    }
    report::stderr(&out);
}

fn log(step: &Step) {
    let rule = "------\n";
    let mut out = format!("{rule} > {}:\n", visible(&step.name)).into_bytes();
    if step.is_cut {
        out.extend(b"[its beginning was too long to be kept]\n");
    }
    match std::io::stderr().is_terminal() {
        true => out.extend(visible(&String::from_utf8_lossy(&step.log)).as_bytes()),
        false => out.extend(&step.log),
    }
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.extend(rule.as_bytes());
    let _ = std::io::stderr().lock().write_all(&out);
}

/// A line each, after a build.
pub fn findings(warnings: &[Warning]) {
    let Some(count) = number(warnings.len()) else {
        return;
    };
    let mut out = format!("\n {count} found (use --check to see them in full):\n");
    for warning in warnings {
        let _ = writeln!(
            out,
            " - {}: {} (line {})",
            warning.rule,
            visible(&warning.message),
            warning.place.first
        );
    }
    report::stderr(&out);
}

/// `--check`: all of it, on standard output.
pub fn check(warnings: &[Warning], text: &Text<'_>) -> String {
    let Some(count) = number(warnings.len()) else {
        return "Check complete, no warnings found.\n".into();
    };
    let verb = if warnings.len() == 1 { "has" } else { "have" };
    let mut out = format!("Check complete, {count} {verb} been found!\n");
    for warning in warnings {
        let _ = write!(
            out,
            "\nWARNING: {} - {}\n{}\n{}",
            warning.rule,
            warning.url(),
            visible(&warning.message),
            text.excerpt(warning.place)
        );
    }
    out
}

fn number(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 warning".into()),
        n => Some(format!("{n} warnings")),
    }
}
