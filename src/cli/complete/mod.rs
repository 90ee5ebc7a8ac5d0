//! `wherry __complete WORD…`: what the last word could become. The scripts in
//! completions/ ask it at each press of the key, so that they know every
//! option and the names of what there is. The answer is that of Cobra, the
//! library of Docker's own client: a line `VALUE[\tDESCRIPTION]` for each, then
//! `:` and a number that says what the shell is to do. So Docker's scripts work
//! with a link called `docker`, too.
//!
//! No more than one command's options are built: an answer takes milliseconds.

mod names;
mod values;
mod words;

pub use values::LOG_DRIVERS;

use super::{help, stdout};
use crate::error::Result;
use crate::text::escape::visible;
use std::ffi::OsString;

/// The first words that ask for completion, and whether with descriptions.
const ENTRIES: [(&str, bool); 2] = [("__complete", true), ("__completeNoDesc", false)];

/// One thing that the word could become.
#[derive(Debug, PartialEq, Eq)]
pub struct Offer {
    value: String,
    about: String,
}

impl Offer {
    fn new(value: impl Into<String>, about: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            about: about.into(),
        }
    }
}

/// What the shell is to do when nothing is offered, and behind what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shell {
    /// No files.
    Nothing = 4,
    /// The word is not complete yet: no blank behind it. No files.
    GoOn = 6,
    Files = 0,
    Directories = 16,
}

/// Offers, and what the shell is to do.
struct Answer(Vec<Offer>, Shell);

impl Answer {
    fn nothing() -> Self {
        Self(Vec::new(), Shell::Nothing)
    }
}

/// Whether completion is asked for: then the words, and whether the answer is
/// to have descriptions.
pub fn asked(args: &[OsString]) -> Option<(&[OsString], bool)> {
    let (first, rest) = args.split_first()?;
    let known = ENTRIES.iter().find(|(name, _)| first == name)?;
    Some((rest, known.1))
}

/// Prints what the last of `words` could become.
pub fn run(words: &[OsString], describe: bool) -> Result<u8> {
    let words: Vec<String> = words
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let (typed, before) = match words.split_last() {
        Some((typed, before)) => (typed.as_str(), before),
        None => ("", &[][..]),
    };
    let place = words::place(before, typed);
    let Answer(mut offers, shell) = answer(&place);
    offers.retain(|offer| offer.value.starts_with(place.typed()));
    let mut text = String::new();
    for offer in offers {
        text.push_str(&visible(&offer.value));
        if describe && !offer.about.is_empty() {
            text.push('\t');
            text.push_str(&first_line(&offer.about));
        }
        text.push('\n');
    }
    text.push_str(&format!(":{}\n", shell as u8));
    stdout::bytes(text.as_bytes())?;
    Ok(0)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
}

fn answer(place: &words::Place<'_>) -> Answer {
    match place {
        words::Place::Command { noun, .. } => {
            let offers = help::names(*noun);
            let offers = offers
                .into_iter()
                .map(|(name, about)| Offer::new(name, about));
            Answer(offers.collect(), Shell::Nothing)
        }
        words::Place::Global { .. } => Answer(globals(), Shell::Nothing),
        words::Place::GlobalValue { option, .. } => values::global(option),
        words::Place::Option { entry, .. } => Answer(words::options(entry), Shell::Nothing),
        words::Place::Value {
            entry,
            option,
            typed,
        } => values::option(entry, option, typed),
        words::Place::Argument { entry, before, .. } => values::argument(entry, before),
        words::Place::Unknown => Answer::nothing(),
    }
}

fn globals() -> Vec<Offer> {
    help::GLOBALS
        .iter()
        .filter_map(|(left, about)| {
            let long = left.split_whitespace().find(|w| w.starts_with("--"))?;
            Some(Offer::new(long, *about))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the last of these words could become, and the number.
    fn offered(line: &str) -> (Vec<String>, Shell) {
        let words: Vec<String> = line.split(' ').map(str::to_string).collect();
        let (typed, before) = words.split_last().unwrap();
        let place = words::place(before, typed);
        let Answer(offers, shell) = answer(&place);
        let values = offers.into_iter().map(|o| o.value);
        let fitting = values.filter(|v| v.starts_with(place.typed()));
        (fitting.collect(), shell)
    }

    #[test]
    fn every_place_on_the_line() {
        for (line, want, shell) in [
            ("sto", &["stop"][..], Shell::Nothing),
            ("help imag", &["image", "images"], Shell::Nothing),
            ("container sto", &["stop"], Shell::Nothing),
            ("--con", &["--config"], Shell::Nothing),
            ("--config ", &[], Shell::Directories),
            ("--log-level=w", &["warn"], Shell::Nothing),
            ("-D -l w", &["warn"], Shell::Nothing),
            ("-D run --pul", &["--pull"], Shell::Nothing),
            ("run --pull a", &["always"], Shell::Nothing),
            ("run --pull=a", &["always"], Shell::Nothing),
            ("run --net h", &["host"], Shell::Nothing),
            ("run --network c", &["container:"], Shell::GoOn),
            ("run -ite PATH --pull a", &["always"], Shell::Nothing),
            ("run -eA --pull a", &["always"], Shell::Nothing),
            ("run -v ", &[], Shell::Files),
            ("run --rootfs ", &[], Shell::Directories),
            ("run --cap-add SYS_PT", &["SYS_PTRACE"], Shell::Nothing),
            ("run --log-opt max-f", &["max-file="], Shell::GoOn),
            ("run --log-driver jo", &["journald"], Shell::Nothing),
            // Behind the image everything is the container's command.
            ("run image --pul", &[], Shell::Nothing),
            ("run image --pull a", &[], Shell::Nothing),
            ("exec web --", &[], Shell::Nothing),
            ("ps -f stat", &["status="], Shell::GoOn),
            ("ps -f status=p", &["status=paused"], Shell::Nothing),
            ("ps --filter=status=p", &["status=paused"], Shell::Nothing),
            ("kill -s SIGKI", &["SIGKILL"], Shell::Nothing),
            ("inspect --type im", &["image"], Shell::Nothing),
            ("inspect --format j", &["json"], Shell::Nothing),
            ("nope ", &[], Shell::Nothing),
            ("container nope --", &[], Shell::Nothing),
        ] {
            let want: Vec<String> = want.iter().map(ToString::to_string).collect();
            assert_eq!(offered(line), (want, shell), "{line}");
        }
    }

    #[test]
    fn commands_are_named_by_their_canonical_names() {
        for path in values::paths() {
            // Others come with their commands.
            let Some(entry) = crate::cli::router::find(path) else {
                continue;
            };
            assert_eq!(entry.paths[0], path, "not the canonical name");
        }
    }
}
