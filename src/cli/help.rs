//! Help texts: usage first, then the options in two columns, in the groups
//! that the commands give them. Rendered from the same table and clap
//! definitions that parse, so that they cannot differ.

use super::commands::{COMMANDS, NOUNS};
use super::front::Front;
use super::parse;
use super::verb::Entry;
use clap::{Arg, ArgAction, Command};
use std::any::TypeId;
use std::fmt::Write;

/// The heading of options that are in no group.
pub const GENERAL: &str = "Options";

/// Help lines are at most this wide.
const WIDTH: usize = 80;

/// The options that stand before the command.
pub const GLOBALS: &[(&str, &str)] = &[
    (
        "      --config string",
        "Directory of Docker's client settings and credentials (default \"~/.docker\")",
    ),
    ("  -D, --debug", "Show what caused an error"),
    ("  -h, --help", "Print usage"),
    (
        "  -l, --log-level string",
        "\"debug\", \"info\", \"warn\", \"error\" (no warnings) or \"fatal\" (default \"info\")",
    ),
    ("  -v, --version", "Print version information and quit"),
];

/// Help of the program itself.
pub fn program(front: &Front) -> String {
    let program = &front.program;
    let mut out = format!(
        "Usage:  {program} [OPTIONS] COMMAND\n\nContainers without a daemon and without root\n"
    );
    let top = |common: bool| {
        let mut rows: Vec<(&str, &str)> = COMMANDS
            .iter()
            .filter(|entry| entry.common == common)
            .filter_map(short)
            .collect();
        if !common {
            rows.sort_unstable();
        }
        rows
    };
    section(&mut out, "Common Commands", &top(true));
    let nouns: Vec<_> = nouns_below("").collect();
    section(&mut out, "Management Commands", &nouns);
    section(&mut out, "Commands", &top(false));
    out.push_str("\nGlobal Options:\n");
    two_columns(
        &mut out,
        GLOBALS
            .iter()
            .map(|(l, r)| ((*l).to_string(), (*r).to_string()))
            .collect(),
    );
    let _ = writeln!(
        out,
        "\nRun '{program} COMMAND --help' for more information on a command."
    );
    out
}

/// Help of a management command.
pub fn noun(front: &Front, noun: &str) -> String {
    let program = &front.program;
    let about = NOUNS
        .iter()
        .find(|n| n.name == noun)
        .map_or("", |n| n.about);
    let mut out = format!("Usage:  {program} {noun} COMMAND\n\n{about}\n");
    section(&mut out, "Commands", &names(Some(noun)));
    let _ = writeln!(
        out,
        "\nRun '{program} {noun} COMMAND --help' for more information on a command."
    );
    out
}

/// The commands below `noun`, or of the program with the management commands,
/// sorted, and what each does.
pub fn names(noun: Option<&str>) -> Vec<(&'static str, &'static str)> {
    let mut rows: Vec<_> = match noun {
        Some(noun) => {
            let commands = COMMANDS.iter().filter_map(|e| below(e, noun));
            commands.chain(nouns_below(noun)).collect()
        }
        None => COMMANDS
            .iter()
            .filter_map(short)
            .chain(nouns_below(""))
            .collect(),
    };
    rows.sort_unstable();
    rows
}

/// The management commands below `noun` (empty: the program), and what they are for.
pub fn nouns_below(noun: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let last = move |name: &'static str| match noun {
        "" => Some(name),
        noun => name.strip_prefix(noun)?.strip_prefix(' '),
    };
    let all = NOUNS
        .iter()
        .filter_map(move |n| Some((last(n.name)?, n.about)));
    all.filter(|(name, _)| !name.contains(' '))
}

/// A command by its short name.
fn short(entry: &Entry) -> Option<(&'static str, &'static str)> {
    let name = entry.paths.iter().find(|path| !path.contains(' '))?;
    Some((name, entry.about))
}

/// A command by its name below `noun`.
fn below(entry: &Entry, noun: &str) -> Option<(&'static str, &'static str)> {
    let name = |path: &&'static str| {
        let name = path.strip_prefix(noun)?.strip_prefix(' ')?;
        (!name.contains(' ')).then_some(name)
    };
    Some((entry.paths.iter().find_map(name)?, entry.about))
}

fn section(out: &mut String, title: &str, rows: &[(&str, &str)]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}:");
    for (name, about) in rows {
        let _ = writeln!(out, "  {name:<11} {about}");
    }
}

/// Help of one command.
pub fn entry(front: &Front, entry: &Entry) -> String {
    let mut out = format!("Usage:  {}\n\n{}\n", usage(front, entry), entry.about);
    if entry.paths.len() > 1 {
        let names: Vec<_> = entry
            .paths
            .iter()
            .map(|p| format!("{} {p}", front.program))
            .collect();
        let _ = writeln!(out, "\nAliases:\n  {}", names.join(", "));
    }
    for (group, args) in groups(&parse::build(entry)) {
        let rows = args.iter().map(|a| (left(a), right(a))).collect();
        let _ = writeln!(out, "\n{group}:");
        two_columns(&mut out, rows);
    }
    out
}

/// The options that are shown, by the headings of their groups; general ones
/// come first.
pub fn groups(command: &Command) -> Vec<(&str, Vec<&Arg>)> {
    let mut args: Vec<&Arg> = command
        .get_arguments()
        .filter(|a| !a.is_positional() && !a.is_hide_set())
        .collect();
    args.sort_by_key(|a| a.get_long().map(str::to_string));
    let mut groups: Vec<(&str, Vec<&Arg>)> = Vec::new();
    for arg in args {
        let title = arg.get_help_heading().unwrap_or(GENERAL);
        match groups.iter_mut().find(|(known, _)| *known == title) {
            Some((_, members)) => members.push(arg),
            None => groups.push((title, vec![arg])),
        }
    }
    groups.sort_by_key(|(title, _)| (*title != GENERAL, *title));
    groups
}

/// The usage lines of a command, without `Usage:`.
pub fn usage(front: &Front, entry: &Entry) -> String {
    let takes_options = parse::build(entry)
        .get_arguments()
        .any(|a| !a.is_positional() && !a.is_hide_set() && a.get_id() != "help");
    let lines: Vec<_> = entry
        .usage
        .iter()
        .map(|form| usage_line(front, form, takes_options))
        .collect();
    lines.join("\n        ")
}

/// `wherry ps [OPTIONS] …`.
pub fn usage_line(front: &Front, form: &str, options: bool) -> String {
    let mut line = front.full();
    if options {
        line.push_str(" [OPTIONS]");
    }
    if !form.is_empty() {
        line.push(' ');
        line.push_str(form);
    }
    line
}

/// `  -n, --last int`.
fn left(arg: &Arg) -> String {
    let short = arg
        .get_short()
        .map_or_else(|| "    ".into(), |s| format!("-{s}, "));
    let long = arg.get_long().unwrap_or_default();
    match value_type(arg) {
        Some(value) => format!("  {short}--{long} {value}"),
        None => format!("  {short}--{long}"),
    }
}

/// The word for the sort of value: a lower-case value name when the command
/// gives one, else what the type and the action tell.
pub fn value_type(arg: &Arg) -> Option<String> {
    if parse::is_switch(arg) {
        return None;
    }
    let given = arg.get_value_names().and_then(|names| names.first());
    if let Some(name) = given.filter(|n| n.chars().any(|c| c.is_ascii_lowercase())) {
        return Some(name.to_string());
    }
    if matches!(arg.get_action(), ArgAction::Append) {
        return Some("list".into());
    }
    let is = |id: TypeId| arg.get_value_parser().type_id() == id;
    let int = is(TypeId::of::<i64>())
        || is(TypeId::of::<i32>())
        || is(TypeId::of::<u64>())
        || is(TypeId::of::<u32>());
    Some(if int { "int" } else { "string" }.into())
}

/// What the option does, and its default.
pub fn right(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let default = arg.get_default_values().first().and_then(|v| v.to_str());
    // Go's way: what stands for nothing is not told.
    if let Some(default) = default.filter(|d| !matches!(*d, "" | "false" | "0")) {
        if value_type(arg).as_deref() == Some("string") {
            let _ = write!(text, " (default \"{default}\")");
        } else {
            let _ = write!(text, " (default {default})");
        }
    }
    text
}

fn two_columns(out: &mut String, rows: Vec<(String, String)>) {
    let column = rows.iter().map(|(l, _)| l.len()).max().unwrap_or(0) + 3;
    for (left, right) in rows {
        let mut line = format!("{left:<column$}");
        let mut used = column;
        for word in right.split_whitespace() {
            if used > column && used + 1 + word.len() > WIDTH {
                let _ = writeln!(out, "{line}");
                line = " ".repeat(column);
                used = column;
            }
            if used > column {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += word.len();
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
}
