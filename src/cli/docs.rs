//! What manual pages say of the commands: from the same table and clap
//! definitions that parse, so that they cannot differ.

use super::verb::Entry;
use super::{help, parse, router};

/// Options below one heading; general ones have none.
pub struct Group {
    pub title: Option<String>,
    pub options: Vec<Explained>,
}

/// An option as a manual page shows it.
pub struct Explained {
    pub short: Option<char>,
    pub long: String,
    /// What stands for its value; `None`: a switch.
    pub value: Option<String>,
    pub about: String,
}

/// The options of a command, in the order of its help.
pub fn options(entry: &Entry) -> Vec<Group> {
    let command = parse::build(entry);
    help::groups(&command)
        .into_iter()
        .map(|(title, args)| Group {
            title: (title != help::GENERAL).then(|| title.to_string()),
            options: args
                .into_iter()
                .map(|arg| Explained {
                    short: arg.get_short(),
                    long: arg.get_long().unwrap_or_default().to_string(),
                    value: help::value_type(arg),
                    about: help::right(arg),
                })
                .collect(),
        })
        .collect()
}

/// The options that stand before the command.
pub fn globals() -> Vec<Explained> {
    let explained = |(left, about): &(&str, &str)| {
        let mut words = left.split_whitespace();
        let first = words.next()?;
        let (short, long) = match first.strip_suffix(',') {
            Some(short) => (short.chars().nth(1), words.next()?),
            None => (None, first),
        };
        Some(Explained {
            short,
            long: long.trim_start_matches('-').to_string(),
            value: words.next().map(str::to_string),
            about: (*about).to_string(),
        })
    };
    help::GLOBALS.iter().filter_map(explained).collect()
}

/// Whether these words (without the program's name) are a command line that is
/// understood; the error says what is not.
pub fn understands(words: &[&str]) -> Result<(), String> {
    let depths = (1..=3)
        .rev()
        .filter_map(|depth| Some((words.get(..depth)?, depth)));
    let mut found =
        depths.filter_map(|(path, depth)| Some((router::find(&path.join(" "))?, depth)));
    let (entry, depth) = found
        .next()
        .ok_or_else(|| format!("no command {}", words.first().unwrap_or(&"")))?;
    let rest = &words[depth..];
    let parsed = parse::build(entry).try_get_matches_from(rest);
    parsed.map(drop).map_err(|e| e.to_string())
}
