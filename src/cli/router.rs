//! From the words of the command line to one command: the options before the
//! command, then its name in the table. No clap here: this runs on every call.

use super::commands::{COMMANDS, NOUNS};
use super::front::Front;
use super::verb::Entry;
use super::{complete, help, parse, report, stdout};
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Runs the command that `args` (with the program's name first) ask for and
/// gives the exit status.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut front = Front {
        program: program(args.first()),
        ..Front::default()
    };
    let args = args.get(1..).unwrap_or_default();
    let outcome = match complete::asked(args) {
        Some((words, describe)) => complete::run(words, describe),
        None => dispatch(&mut front, args),
    };
    outcome.unwrap_or_else(|e| report::show(&e, &front))
}

/// `docker` when called by that name, else `wherry`.
fn program(argv0: Option<&OsString>) -> String {
    match argv0.and_then(|a| Path::new(a).file_name()) {
        Some(name) if name == "docker" => "docker".into(),
        _ => "wherry".into(),
    }
}

/// What the options before the command ask for.
enum Wish {
    Command,
    Help,
    Version,
}

fn dispatch(front: &mut Front, args: &[OsString]) -> Result<u8> {
    let mut rest = args;
    let wish = match globals(front, &mut rest) {
        Ok(wish) => wish,
        Err(e) => {
            let usage = format!("{} [OPTIONS] COMMAND [ARG...]", front.program);
            return Ok(parse::flag_error(&e, front, &usage));
        }
    };
    match wish {
        Wish::Version => {
            stdout::line(&version_line(&front.program))?;
            return Ok(0);
        }
        Wish::Help => {
            stdout::print(&help::program(front))?;
            return Ok(0);
        }
        Wish::Command => {}
    }
    let words: Vec<&str> = rest.iter().map_while(|a| a.to_str()).collect();
    match words.as_slice() {
        [] if rest.is_empty() => {
            report::stderr(&help::program(front));
            Ok(0)
        }
        ["help", path @ ..] => help_of(front, path),
        _ => command(front, rest, &words),
    }
}

/// `wherry --version`.
pub fn version_line(program: &str) -> String {
    // Scripts look for "Docker version X" of the program called docker.
    let name = if program == "docker" {
        "Docker (wherry)"
    } else {
        program
    };
    format!("{name} version {}", env!("CARGO_PKG_VERSION"))
}

fn command(front: &mut Front, rest: &[OsString], words: &[&str]) -> Result<u8> {
    // The longest that there is: `buildx imagetools` comes before `buildx`.
    let nouns = (1..=2)
        .rev()
        .filter_map(|depth| Some((depth, words.get(..depth)?.join(" "))));
    let mut nouns = nouns.filter(|(_, noun)| NOUNS.iter().any(|n| n.name == noun));
    let Some((depth, noun)) = nouns.next() else {
        let word = rest[0].to_string_lossy();
        return match find(&word) {
            Some(entry) => {
                front.command = word.into_owned();
                parse::run(entry, front, &rest[1..])
            }
            None => unknown(front, "", &word, &rest[1..]),
        };
    };
    front.command.clone_from(&noun);
    let Some(word) = rest.get(depth) else {
        report::stderr(&help::noun(front, &noun));
        return Ok(0);
    };
    let word = word.to_string_lossy();
    if matches!(&*word, "--help" | "-h") {
        stdout::print(&help::noun(front, &noun))?;
        return Ok(0);
    }
    if word.starts_with('-') {
        let usage = format!("{} COMMAND", front.full());
        return Ok(parse::flag_error(&unknown_flag(&word), front, &usage));
    }
    match find(&format!("{noun} {word}")) {
        Some(entry) => {
            front.command = format!("{noun} {word}");
            parse::run(entry, front, &rest[depth + 1..])
        }
        None => unknown(front, &noun, &word, &rest[depth + 1..]),
    }
}

/// The command with this full name.
pub fn find(path: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.paths.contains(&path))
}

/// `help`, `help container`, `help container run`, `help run`.
fn help_of(front: &mut Front, path: &[&str]) -> Result<u8> {
    let full = path.join(" ");
    let text = if path.is_empty() {
        help::program(front)
    } else if let Some(entry) = find(&full) {
        front.command = full;
        help::entry(front, entry)
    } else if NOUNS.iter().any(|n| n.name == full) {
        front.command.clone_from(&full);
        help::noun(front, &full)
    } else {
        return unknown(front, "", path[0], &[]);
    };
    stdout::print(&text)?;
    Ok(0)
}

/// Docker's management commands that there is nothing to manage for, and why.
const ABSENT: [(&str, &str); 10] = [
    ("checkpoint", "processes are not saved and restored"),
    ("config", SWARM),
    (
        "context",
        "there is one context, this machine, and no daemon to choose",
    ),
    ("node", SWARM),
    ("plugin", "there are no plugins: drivers are built in"),
    ("secret", SWARM),
    ("service", SWARM),
    ("stack", SWARM),
    ("swarm", SWARM),
    (
        "trust",
        "content trust is not supported; a name with a digest says what is meant",
    ),
];
const SWARM: &str = "swarms are not supported: containers run on this machine";

/// The same below `buildx`.
const ABSENT_OF_BUILDX: [(&str, &str); 11] = [
    ("create", ONE_BUILDER),
    (
        "debug",
        "`build --debug` starts a shell where a step has failed",
    ),
    ("dial-stdio", ONE_BUILDER),
    ("diskusage", "it is called `buildx du`"),
    (
        "history",
        "past builds are not recorded; `buildx du` shows what they have kept",
    ),
    ("install", "`build` is this builder already"),
    ("policy", "there are no policies"),
    ("rm", ONE_BUILDER),
    ("stop", "nothing runs when nothing is built"),
    ("uninstall", "`build` is this builder already"),
    ("use", ONE_BUILDER),
];
const ONE_BUILDER: &str = "there is one builder, this program, and nothing to choose";

/// An unknown word: with `--help` the help of what stands above it, else an
/// error that names the nearest known word.
fn unknown(front: &Front, noun: &str, word: &str, rest: &[OsString]) -> Result<u8> {
    if rest.iter().any(|a| a == "--help") {
        let text = match noun {
            "" => help::program(front),
            noun => help::noun(front, noun),
        };
        stdout::print(&text)?;
        return Ok(0);
    }
    let program = &front.program;
    let full = front.full();
    let mut text = format!(
        "{program}: unknown command: {full} {}\n",
        crate::text::escape::visible(word)
    );
    let absent: &[(&str, &str)] = match noun {
        "" => &ABSENT,
        "buildx" => &ABSENT_OF_BUILDX,
        _ => &[],
    };
    if let Some((_, why)) = absent.iter().find(|(w, _)| *w == word) {
        text.push_str(&format!("hint: {why}\n"));
    } else if let Some(near) = nearest(noun, word) {
        text.push_str(&format!("hint: did you mean `{program} {near}`?\n"));
    }
    text.push_str(&format!("\nRun '{full} --help' for more information\n"));
    report::stderr(&text);
    Ok(1)
}

/// The known command nearest to `word` below `noun` (empty: the program).
fn nearest(noun: &str, word: &str) -> Option<String> {
    let prefix = if noun.is_empty() {
        String::new()
    } else {
        format!("{noun} ")
    };
    let nouns = help::nouns_below(noun).map(|(name, _)| name);
    COMMANDS
        .iter()
        .flat_map(|entry| entry.paths.iter().copied())
        .filter_map(|path| path.strip_prefix(&*prefix))
        .filter(|last| !last.contains(' '))
        .chain(nouns)
        .map(|last| (strsim::osa_distance(word, last), last))
        .filter(|(distance, last)| *distance <= last.len().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, last)| format!("{prefix}{last}"))
}

/// Takes the options that stand before the command off `args`.
fn globals(front: &mut Front, args: &mut &[OsString]) -> Result<Wish> {
    while let Some((first, rest)) = args.split_first() {
        let word = first.to_string_lossy().into_owned();
        if !word.starts_with('-') || word == "-" {
            break;
        }
        *args = rest;
        if let Some(long) = word.strip_prefix("--") {
            if long.is_empty() {
                break;
            }
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (long, None),
            };
            if let Some(wish) = global(front, Given::Long(name), value, args)? {
                return Ok(wish);
            }
        } else if let Some(wish) = shorts(front, &word[1..], args)? {
            return Ok(wish);
        }
    }
    Ok(Wish::Command)
}

/// A group of short options: `-D`, `-Dl debug`, `-ldebug`.
fn shorts(front: &mut Front, group: &str, args: &mut &[OsString]) -> Result<Option<Wish>> {
    let mut rest = group;
    while let Some(letter) = rest.chars().next() {
        let given = Given::Short(letter, rest);
        rest = &rest[letter.len_utf8()..];
        let takes_value = matches!(letter, 'l' | 'H' | 'c');
        let value = (takes_value && !rest.is_empty())
            .then(|| rest.strip_prefix('=').unwrap_or(rest).to_string());
        if let Some(wish) = global(front, given, value, args)? {
            return Ok(Some(wish));
        }
        if takes_value {
            break;
        }
    }
    Ok(None)
}

/// An option as it was typed.
#[derive(Clone, Copy)]
enum Given<'a> {
    Long(&'a str),
    /// The letter, and the group from it on.
    Short(char, &'a str),
}

impl Given<'_> {
    fn missing_value(self) -> Error {
        Error::usage(match self {
            Self::Long(name) => format!("flag needs an argument: --{name}"),
            Self::Short(letter, group) => {
                format!("flag needs an argument: '{letter}' in -{group}")
            }
        })
    }
}

fn global(
    front: &mut Front,
    given: Given<'_>,
    value: Option<String>,
    args: &mut &[OsString],
) -> Result<Option<Wish>> {
    let mut take = || match value.clone() {
        Some(value) => Ok(OsString::from(value)),
        None => match args.split_first() {
            Some((first, rest)) => {
                *args = rest;
                Ok(first.clone())
            }
            None => Err(given.missing_value()),
        },
    };
    match given {
        Given::Long("help") | Given::Short('h', _) => return Ok(Some(Wish::Help)),
        Given::Long("version") | Given::Short('v', _) => return Ok(Some(Wish::Version)),
        Given::Long("debug") | Given::Short('D', _) => {
            front.debug = value.is_none_or(|v| !matches!(v.as_str(), "false" | "0" | "f" | "F"));
        }
        Given::Long("log-level") | Given::Short('l', _) => {
            log_level(front, &take()?.to_string_lossy())?;
        }
        Given::Long("config") => front.config = Some(PathBuf::from(take()?)),
        Given::Long(
            name @ ("host" | "context" | "tls" | "tlscacert" | "tlscert" | "tlskey" | "tlsverify"),
        ) => return Err(no_daemon(&format!("--{name}"))),
        Given::Short(letter @ ('H' | 'c'), _) => return Err(no_daemon(&format!("-{letter}"))),
        Given::Long(name) => return Err(unknown_flag(&format!("--{name}"))),
        Given::Short(letter, group) => {
            return Err(Error::usage(format!(
                "unknown shorthand flag: '{letter}' in -{group}"
            )));
        }
    }
    Ok(None)
}

fn unknown_flag(word: &str) -> Error {
    Error::usage(match word.strip_prefix("--") {
        Some(name) => format!(
            "unknown flag: --{}",
            name.split_once('=').map_or(name, |(name, _)| name)
        ),
        None => format!(
            "unknown shorthand flag: '{}' in {word}",
            word.chars().nth(1).unwrap_or('-')
        ),
    })
}

fn log_level(front: &mut Front, level: &str) -> Result<()> {
    match level {
        "debug" => front.debug = true,
        "info" | "warn" => {}
        "error" | "fatal" => front.quiet = true,
        _ => {
            return Err(
                Error::invalid(format!("unable to parse logging level: {level}"))
                    .hint("one of debug, info, warn, error, fatal"),
            );
        }
    }
    Ok(())
}

fn no_daemon(option: &str) -> Error {
    Error::usage(format!(
        "{option} is not supported: there is no daemon to connect to"
    ))
    .hint("wherry does the work itself; leave the option out")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> (Result<Wish>, Front, Vec<String>) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut front = Front::default();
        let mut rest = words.as_slice();
        let wish = globals(&mut front, &mut rest);
        let rest = rest
            .iter()
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        (wish, front, rest)
    }

    #[test]
    fn options_before_the_command() {
        let (wish, front, rest) = read(&["-Dl", "error", "--config=/c", "ps", "-D"]);
        assert!(matches!(wish, Ok(Wish::Command)));
        assert!(front.debug && front.quiet);
        assert_eq!(front.config.as_deref(), Some(Path::new("/c")));
        assert_eq!(rest, ["ps", "-D"]);
        assert!(matches!(read(&["-v"]).0, Ok(Wish::Version)));
        assert!(matches!(read(&["-Dv", "x"]).0, Ok(Wish::Version)));
        assert!(matches!(read(&["--help"]).0, Ok(Wish::Help)));
        assert!(read(&["-ldebug", "ps"]).1.debug);
    }

    #[test]
    fn bad_options_before_the_command() {
        for (words, want) in [
            (&["--nope=1"][..], "unknown flag: --nope"),
            (&["-Dz"], "unknown shorthand flag: 'z' in -z"),
            (&["--config"], "flag needs an argument: --config"),
            (&["-l"], "flag needs an argument: 'l' in -l"),
            (&["-l", "loud"], "unable to parse logging level: loud"),
            (
                &["-H", "x"],
                "-H is not supported: there is no daemon to connect to",
            ),
            (
                &["--tlsverify"],
                "--tlsverify is not supported: there is no daemon to connect to",
            ),
        ] {
            assert_eq!(read(words).0.err().unwrap().message(), want);
        }
    }

    #[test]
    fn every_path_is_named_once_and_every_noun_exists() {
        let mut seen = std::collections::BTreeSet::new();
        for path in COMMANDS.iter().flat_map(|entry| entry.paths) {
            assert!(seen.insert(path), "{path} is in the table twice");
            if let Some((noun, _)) = path.split_once(' ') {
                assert!(
                    NOUNS.iter().any(|n| n.name == noun),
                    "{noun} is not in NOUNS"
                );
            }
        }
    }
}
