//! One command's words through clap, and clap's complaints in Docker's words.

use super::front::Front;
use super::verb::Entry;
use super::{help, report, stdout};
use crate::error::{Error, Result};
use crate::text::escape::visible;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};
use std::any::TypeId;
use std::ffi::OsString;
use std::fmt::Write;

/// Parses `args` for `entry` and runs it.
pub fn run(entry: &Entry, front: &Front, args: &[OsString]) -> Result<u8> {
    let mut command = build(entry);
    match command.try_get_matches_from_mut(args) {
        Ok(mut matches) => (entry.call)(&mut matches, front),
        Err(e) => complain(&e, &command, entry, front, args),
    }
}

/// The clap command of one entry. It behaves as Go's pflag does: switches take
/// `=false`, an option takes any next word as its value, the last one wins.
pub fn build(entry: &Entry) -> Command {
    let name = entry.paths[0].rsplit(' ').next().unwrap_or_default();
    pflag((entry.build)(Command::new(name)).about(entry.about))
}

fn help_arg() -> Arg {
    // Not below the heading of the group that was added last.
    Arg::new("help")
        .long("help")
        .action(ArgAction::Help)
        .help("Print usage")
        .help_heading(None::<&str>)
}

/// `command` with the manners that Docker's commands have.
pub fn pflag(command: Command) -> Command {
    let command = command
        .no_binary_name(true)
        .args_override_self(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .mut_args(like_pflag);
    let help = help_arg();
    // -h is an old short form of --help wherever it means nothing else.
    if command.get_arguments().any(|a| a.get_short() == Some('h')) {
        command.arg(help)
    } else {
        command.arg(help).arg(
            Arg::new("help-short")
                .short('h')
                .hide(true)
                .action(ArgAction::Help),
        )
    }
}

fn like_pflag(arg: Arg) -> Arg {
    if arg.is_positional() {
        return arg;
    }
    if !is_switch(&arg) {
        return arg.allow_hyphen_values(true);
    }
    // An `Option<bool>` tells "not given" from "=false".
    let asks = matches!(arg.get_action(), ArgAction::Set);
    let arg = if arg.get_default_values().is_empty() && !asks {
        arg.default_value("false")
    } else {
        arg
    };
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_parser(truth)
}

pub fn is_switch(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<bool>()
        || matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Help)
}

/// The words that Go's strconv.ParseBool takes.
fn truth(text: &str) -> std::result::Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

fn complain(
    e: &clap::Error,
    command: &Command,
    entry: &Entry,
    front: &Front,
    args: &[OsString],
) -> Result<u8> {
    let about_arg = context(e, ContextKind::InvalidArg).unwrap_or_default();
    let is_option = about_arg.starts_with('-');
    match e.kind() {
        ErrorKind::DisplayHelp => {
            stdout::print(&help::entry(front, entry))?;
            return Ok(0);
        }
        ErrorKind::UnknownArgument
        | ErrorKind::MissingRequiredArgument
        | ErrorKind::TooFewValues
        | ErrorKind::TooManyValues
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::InvalidValue
            if !is_option =>
        {
            return Ok(count_error(command, entry, front));
        }
        _ => {}
    }
    let error = flag_complaint(e, &about_arg, command, args);
    Ok(flag_error(&error, front, &help::usage(front, entry)))
}

fn flag_complaint(e: &clap::Error, about_arg: &str, command: &Command, args: &[OsString]) -> Error {
    match e.kind() {
        ErrorKind::UnknownArgument if about_arg.starts_with("--") => {
            let name = about_arg
                .split_once('=')
                .map_or(about_arg, |(name, _)| name);
            let error = Error::usage(format!("unknown flag: {name}"));
            match context(e, ContextKind::SuggestedArg) {
                Some(near) => error.hint(format!("did you mean {}?", spelled(&near))),
                None => error,
            }
        }
        ErrorKind::UnknownArgument => {
            let letter = about_arg.chars().nth(1).unwrap_or('-');
            Error::usage(format!(
                "unknown shorthand flag: '{letter}' in -{}",
                group_from(letter, args)
            ))
        }
        ErrorKind::ValueValidation => {
            let value = context(e, ContextKind::InvalidValue).unwrap_or_default();
            let reason = std::error::Error::source(e).map_or_else(String::new, ToString::to_string);
            let name = names(command, about_arg);
            Error::usage(format!(
                "invalid argument \"{value}\" for \"{name}\" flag: {reason}"
            ))
        }
        ErrorKind::InvalidValue
        | ErrorKind::TooFewValues
        | ErrorKind::WrongNumberOfValues
        | ErrorKind::NoEquals => missing_value(about_arg, args),
        ErrorKind::InvalidUtf8 => Error::usage("an argument is not valid UTF-8"),
        _ => Error::usage(
            e.kind()
                .as_str()
                .unwrap_or("these options do not fit together"),
        ),
    }
}

/// An option without its value is always the last word.
fn missing_value(about_arg: &str, args: &[OsString]) -> Error {
    let last = args.last().map(|a| a.to_string_lossy()).unwrap_or_default();
    Error::usage(match last.strip_prefix('-') {
        Some(group) if !group.starts_with('-') && !group.is_empty() => {
            let letter = group.chars().last().unwrap_or('-');
            format!("flag needs an argument: '{letter}' in -{letter}")
        }
        _ => format!("flag needs an argument: {}", spelled(about_arg)),
    })
}

/// `--name <VALUE>` as clap shows it, without the value.
fn spelled(arg: &str) -> &str {
    arg.split([' ', '=', '<', '[']).next().unwrap_or(arg)
}

/// `-n, --last` of the option that clap calls `--last <N>`.
fn names(command: &Command, about_arg: &str) -> String {
    let spelled = spelled(about_arg);
    let found = command.get_arguments().find(|a| {
        a.get_long()
            .is_some_and(|l| spelled.strip_prefix("--") == Some(l))
    });
    match found.and_then(Arg::get_short) {
        Some(short) => format!("-{short}, {spelled}"),
        None => spelled.to_string(),
    }
}

/// The group of short options that `letter` was found in, from it on.
fn group_from(letter: char, args: &[OsString]) -> String {
    args.iter()
        .map(|a| a.to_string_lossy())
        .filter(|a| a.starts_with('-') && !a.starts_with("--"))
        .find_map(|a| a.find(letter).map(|at| a[at..].to_string()))
        .unwrap_or_else(|| letter.to_string())
}

fn context(e: &clap::Error, kind: ContextKind) -> Option<String> {
    match e.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.first().cloned(),
        _ => None,
    }
}

/// Prints a complaint about an option with the usage; gives status 125.
pub fn flag_error(error: &Error, front: &Front, usage: &str) -> u8 {
    let mut text = format!("{}\n", visible(error.message()));
    if let Some(hint) = error.hint_text() {
        let _ = writeln!(text, "hint: {}", visible(hint));
    }
    let _ = write!(
        text,
        "\nUsage:  {usage}\n\nRun '{} --help' for more information\n",
        front.full()
    );
    report::stderr(&text);
    super::status::of(error.kind(), &front.command)
}

/// Prints that the number of arguments is wrong; gives status 1.
fn count_error(command: &Command, entry: &Entry, front: &Front) -> u8 {
    let full = front.full();
    report::stderr(&format!(
        "{}: '{full}' {}\n\nUsage:  {}\n\nRun '{full} --help' for more information\n",
        front.program,
        wanted(command),
        help::usage(front, entry),
    ));
    1
}

/// How many arguments the command takes, in Docker's words.
fn wanted(command: &Command) -> String {
    let (mut min, mut max) = (0_usize, 0_usize);
    for arg in command.get_positionals() {
        let range = arg.get_num_args().unwrap_or_else(|| 1.into());
        min += if arg.is_required_set() {
            range.min_values().max(1)
        } else {
            0
        };
        max = max.saturating_add(range.max_values());
    }
    let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
    match (min, max) {
        (_, 0) => "accepts no arguments".into(),
        (min, max) if min == max => format!("requires {min} {}", plural(min)),
        (min, usize::MAX) => format!("requires at least {min} {}", plural(min)),
        (0, max) => format!("requires at most {max} {}", plural(max)),
        (min, max) => format!("requires at least {min} and at most {max} {}", plural(max)),
    }
}
