//! Where on the command line the word stands that is to be completed.

use super::Offer;
use crate::cli::commands::NOUNS;
use crate::cli::verb::Entry;
use crate::cli::{parse, router};
use clap::Arg;

/// The last word, and what it is to be.
pub enum Place<'a> {
    /// A command, below a management command or not.
    Command {
        noun: Option<&'a str>,
        typed: &'a str,
    },
    /// An option before the command.
    Global {
        typed: &'a str,
    },
    /// The value of an option before the command.
    GlobalValue {
        option: &'a str,
        typed: &'a str,
    },
    Option {
        entry: &'static Entry,
        typed: &'a str,
    },
    /// The value of an option, by its long name.
    Value {
        entry: &'static Entry,
        option: String,
        typed: &'a str,
    },
    /// An argument behind those `before` it.
    Argument {
        entry: &'static Entry,
        before: Vec<&'a str>,
        typed: &'a str,
    },
    Unknown,
}

impl<'a> Place<'a> {
    /// What of the word is typed already; of `--name=value` the value.
    pub fn typed(&self) -> &'a str {
        match self {
            Self::Command { typed, .. }
            | Self::Global { typed }
            | Self::GlobalValue { typed, .. }
            | Self::Option { typed, .. }
            | Self::Value { typed, .. }
            | Self::Argument { typed, .. } => typed,
            Self::Unknown => "",
        }
    }
}

/// The place of `typed` behind the words `before` it.
pub fn place<'a>(before: &'a [String], typed: &'a str) -> Place<'a> {
    let mut rest = before.iter().map(String::as_str);
    let first = loop {
        let Some(word) = rest.next() else {
            return beginning(typed);
        };
        let takes_value = matches!(
            word,
            "--config" | "--log-level" | "-l" | "-H" | "--host" | "-c" | "--context"
        );
        if takes_value && rest.next().is_none() {
            return Place::GlobalValue {
                option: word,
                typed,
            };
        }
        if !takes_value && !word.starts_with('-') {
            break word;
        }
    };
    let rest: Vec<&str> = rest.collect();
    if first == "help" {
        return help(&rest, typed);
    }
    at(first, &rest, typed)
}

/// Behind a command or a management command.
fn at<'a>(path: &str, rest: &[&'a str], typed: &'a str) -> Place<'a> {
    let Some(noun) = NOUNS.iter().find(|n| n.name == path) else {
        return below(path, rest, typed);
    };
    match rest.split_first() {
        None if typed.starts_with('-') => Place::Unknown,
        None => Place::Command {
            noun: Some(noun.name),
            typed,
        },
        Some((verb, rest)) => at(&format!("{path} {verb}"), rest, typed),
    }
}

/// Nothing but options stands before it.
fn beginning(typed: &str) -> Place<'_> {
    match typed.split_once('=') {
        Some((option, typed)) if option.starts_with("--") => Place::GlobalValue { option, typed },
        _ if typed.starts_with('-') => Place::Global { typed },
        _ => Place::Command { noun: None, typed },
    }
}

fn help<'a>(path: &[&'a str], typed: &'a str) -> Place<'a> {
    let full = path.join(" ");
    match NOUNS.iter().find(|n| n.name == full) {
        _ if path.is_empty() => Place::Command { noun: None, typed },
        Some(noun) => Place::Command {
            noun: Some(noun.name),
            typed,
        },
        None => Place::Unknown,
    }
}

fn below<'a>(path: &str, words: &[&'a str], typed: &'a str) -> Place<'a> {
    let Some(entry) = router::find(path) else {
        return Place::Unknown;
    };
    let command = parse::build(entry);
    let args: Vec<&Arg> = command.get_arguments().collect();
    let mut before = Vec::new();
    let mut words = words.iter().copied();
    let mut only_arguments = false;
    while let Some(word) = words.next() {
        // Behind the image of `run` everything is the container's command.
        if only_arguments || word == "-" || !word.starts_with('-') {
            only_arguments |= trails(&args, before.len());
            before.push(word);
        } else if word == "--" {
            only_arguments = true;
        } else if let Some(option) = waits_for_value(&args, word)
            && words.next().is_none()
        {
            return Place::Value {
                entry,
                option,
                typed,
            };
        }
    }
    if only_arguments || !typed.starts_with('-') {
        return Place::Argument {
            entry,
            before,
            typed,
        };
    }
    match typed.split_once('=') {
        Some((option, typed)) => Place::Value {
            entry,
            option: option.trim_start_matches('-').to_string(),
            typed,
        },
        None => Place::Option { entry, typed },
    }
}

/// Whether the argument number `n` is followed by words that are not ours.
fn trails(args: &[&Arg], n: usize) -> bool {
    let positional = args.iter().filter(|a| a.is_positional());
    positional
        .skip(n)
        .take(2)
        .any(|a| a.is_trailing_var_arg_set())
}

/// The long name of the option that takes the word behind `word` as its value.
fn waits_for_value(args: &[&Arg], word: &str) -> Option<String> {
    let takes = |arg: &&&Arg| !parse::is_switch(arg);
    let found = match word.strip_prefix("--") {
        Some(long) => args.iter().find(|a| is_called(a, long)).filter(takes)?,
        None => {
            // In `-itv` the last letter may wait; in `-vx`, `x` is its value.
            let mut letters = word.char_indices().skip(1);
            loop {
                let (at, letter) = letters.next()?;
                let arg = args.iter().find(|a| a.get_short() == Some(letter))?;
                if takes(&arg) {
                    break (at + letter.len_utf8() == word.len()).then_some(arg)?;
                }
            }
        }
    };
    found.get_long().map(str::to_string)
}

fn is_called(arg: &Arg, long: &str) -> bool {
    arg.get_long() == Some(long)
        || arg
            .get_all_aliases()
            .is_some_and(|names| names.contains(&long))
}

/// All options of a command that its help shows.
pub fn options(entry: &Entry) -> Vec<Offer> {
    let command = parse::build(entry);
    let mut offers: Vec<Offer> = command
        .get_arguments()
        .filter(|a| !a.is_positional() && !a.is_hide_set())
        .filter_map(|a| {
            let about = a.get_help().map(ToString::to_string).unwrap_or_default();
            Some(Offer::new(format!("--{}", a.get_long()?), about))
        })
        .collect();
    offers.sort_by(|a, b| a.value.cmp(&b.value));
    offers
}
