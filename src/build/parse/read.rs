//! Second pass: from a logical line to what it says. Shapes are checked here;
//! values that hold variables are checked once they are expanded.

use super::heredoc::Heredoc;
use super::instruction::{
    Argument, Command, Copy, From, Healthcheck, Instruction, Kind, Pair, Run,
};
use super::lines::Line;
use super::options::Options;
use super::place::{Fault, Parsed};
use super::words;
use crate::text::moment;

/// Names of all instructions.
pub const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Reads one instruction.
pub fn instruction(line: &Line, escape: char) -> Parsed<Instruction> {
    let upper = line.word.to_ascii_uppercase();
    let Some(name) = NAMES.into_iter().find(|name| *name == upper) else {
        return Err(unknown(line));
    };
    let mut options = Options::of(line, escape);
    let kind = match name {
        "FROM" => from(line, &mut options)?,
        "RUN" => run(line, &mut options)?,
        "COPY" | "ADD" => copy(line, &mut options, name == "ADD")?,
        "HEALTHCHECK" => healthcheck(line, &mut options)?,
        _ => {
            options.end()?;
            plain(line, name, options.arguments, options.offset, escape)?
        }
    };
    options.end()?;
    Ok(Instruction {
        place: line.place,
        name,
        text: format!("{} {}", line.word, line.rest)
            .trim_end()
            .to_string(),
        comment: line.comment.clone(),
        kind,
    })
}

fn unknown(line: &Line) -> Fault {
    let word = line.word.to_ascii_uppercase();
    let near = NAMES
        .iter()
        .filter(|name| strsim::osa_distance(name, &word) <= name.len().div_ceil(3))
        .min_by_key(|name| strsim::osa_distance(name, &word));
    let near = near.map(|near| format!(" (did you mean {near}?)"));
    line.fault(format!(
        "unknown instruction: {}{}",
        line.word,
        near.unwrap_or_default()
    ))
}

/// The instructions without flags.
fn plain(line: &Line, name: &'static str, text: &str, offset: usize, escape: char) -> Parsed<Kind> {
    let list = || {
        let list = words_or_json(line, text)?;
        match list.is_empty() {
            true => Err(at_least_one(line, name)),
            false => Ok(list),
        }
    };
    let one = || match text.is_empty() {
        true => Err(line.fault(format!("{name} requires exactly one argument"))),
        false => Ok(text.to_string()),
    };
    Ok(match name {
        "ENV" => Kind::Env(pairs(line, name, text, offset, escape)?),
        "LABEL" => Kind::Label(pairs(line, name, text, offset, escape)?),
        "ARG" => Kind::Arg(arguments(line, text, escape)?),
        "WORKDIR" => Kind::Workdir(one()?),
        "USER" => Kind::User(one()?),
        "STOPSIGNAL" => Kind::StopSignal(one()?),
        "MAINTAINER" => Kind::Maintainer(one()?),
        "EXPOSE" => {
            let ports: Vec<String> = text.split_whitespace().map(str::to_string).collect();
            match ports.is_empty() {
                true => return Err(at_least_one(line, name)),
                false => Kind::Expose(ports),
            }
        }
        "VOLUME" => {
            let volumes = list()?;
            if volumes.iter().any(|v| v.trim().is_empty()) {
                return Err(line.fault("VOLUME specified can not be an empty string"));
            }
            Kind::Volume(volumes)
        }
        "CMD" => Kind::Cmd(command(line, text)?),
        "ENTRYPOINT" => Kind::Entrypoint(command(line, text)?),
        "SHELL" => match words::json_array(text) {
            Some(shell) if !shell.is_empty() => Kind::Shell(shell),
            Some(_) => return Err(at_least_one(line, name)),
            None => {
                return Err(line
                    .fault("SHELL requires the arguments to be in JSON form")
                    .hint("as in SHELL [\"/bin/bash\", \"-c\"]"));
            }
        },
        _ => Kind::OnBuild(on_build(line, text)?),
    })
}

fn at_least_one(line: &Line, name: &str) -> Fault {
    line.fault(format!("{name} requires at least one argument"))
}

fn from(line: &Line, options: &mut Options<'_>) -> Parsed<Kind> {
    let platform = options.one("platform")?;
    options.end()?;
    let words: Vec<&str> = options.arguments.split_whitespace().collect();
    let (image, as_word, alias) = match words[..] {
        [image] => (image, "", None),
        [image, word, alias] if word.eq_ignore_ascii_case("as") => (image, word, Some(alias)),
        _ => return Err(line.fault("FROM requires either one or three arguments")),
    };
    if let Some(alias) = alias.filter(|alias| !is_stage_name(&alias.to_ascii_lowercase())) {
        return Err(line.fault(format!(
            "invalid name for build stage: {alias:?}, name can't start with a number or contain symbols"
        )));
    }
    Ok(Kind::From(From {
        image: image.to_string(),
        platform,
        alias: alias.map(str::to_string),
        as_word: as_word.to_string(),
    }))
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c))
}

fn run(line: &Line, options: &mut Options<'_>) -> Parsed<Kind> {
    let run = Run {
        mounts: options.all("mount")?,
        network: options.one("network")?,
        security: options.one("security")?,
        devices: options.all("device")?,
        command: command(line, options.arguments)?,
        heredocs: line.heredocs.clone(),
    };
    options.end()?;
    if run.command.is_empty() {
        return Err(at_least_one(line, "RUN"));
    }
    Ok(Kind::Run(run))
}

fn copy(line: &Line, options: &mut Options<'_>, add: bool) -> Parsed<Kind> {
    let name = if add { "ADD" } else { "COPY" };
    let mut copy = Copy {
        add,
        chown: options.one("chown")?,
        chmod: options.one("chmod")?,
        link: options.switch("link")?.unwrap_or(false),
        excludes: options.all("exclude")?,
        ..Copy::default()
    };
    if add {
        copy.checksum = options.one("checksum")?;
        copy.keep_git_dir = options.switch("keep-git-dir")?;
        copy.unpack = options.switch("unpack")?;
    } else {
        copy.from = options.one("from")?;
        copy.parents = options.switch("parents")?.unwrap_or(false);
    }
    options.end()?;
    let mut words = words_or_json(line, options.arguments)?;
    if words.len() < 2 {
        return Err(line.fault(format!(
            "{name} requires at least two arguments, but only {} {} provided. Destination could not be determined",
            words.len(),
            if words.len() == 1 { "was" } else { "were" }
        )));
    }
    copy.target = words.pop().unwrap_or_default();
    if !line.heredocs.is_empty() && Heredoc::of_word(&copy.target).is_some() {
        return Err(line.fault(format!("{name} cannot accept a heredoc as a destination")));
    }
    // In the order of the words; every heredoc of the line is one of them.
    let mut heredocs = line.heredocs.iter();
    for word in words {
        match Heredoc::of_word(&word).and_then(|_| heredocs.next()) {
            Some(heredoc) => copy.contents.push(heredoc.clone()),
            None => copy.sources.push(word),
        }
    }
    if copy.sources.iter().any(String::is_empty) {
        return Err(line.fault(format!("{name} source must not be an empty string")));
    }
    Ok(Kind::Copy(copy))
}

fn healthcheck(line: &Line, options: &mut Options<'_>) -> Parsed<Kind> {
    let time = |name: &'static str, options: &mut Options<'_>| -> Parsed<i64> {
        let Some(text) = options.one(name)? else {
            return Ok(0);
        };
        let duration = moment::duration(&text)
            .and_then(|duration| i64::try_from(duration.as_nanos()).ok())
            .ok_or_else(|| line.fault(format!("--{name}: invalid duration {text:?}")))?;
        match duration {
            0 => Ok(0),
            n if n < 1_000_000 => {
                Err(line.fault(format!("--{name} {text:?} cannot be less than 1ms")))
            }
            n => Ok(n),
        }
    };
    let mut check = Healthcheck {
        interval: time("interval", options)?,
        timeout: time("timeout", options)?,
        start_period: time("start-period", options)?,
        start_interval: time("start-interval", options)?,
        ..Healthcheck::default()
    };
    if let Some(retries) = options.one("retries")? {
        check.retries = match retries.parse() {
            Ok(n @ 0..=0x7fff_ffff_i64) => n,
            Ok(_) => return Err(line.fault(format!("--retries cannot be negative ({retries})"))),
            Err(_) => return Err(line.fault(format!("--retries {retries:?} is not a number"))),
        };
    }
    options.end()?;
    let (word, rest) = match options.arguments.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (options.arguments, ""),
    };
    check.test = match word.to_ascii_uppercase().as_str() {
        "" => return Err(at_least_one(line, "HEALTHCHECK")),
        "NONE" if rest.is_empty() => vec!["NONE".into()],
        "NONE" => return Err(line.fault("HEALTHCHECK NONE takes no arguments")),
        "CMD" if rest.is_empty() => {
            return Err(line.fault("missing command after HEALTHCHECK CMD"));
        }
        "CMD" => match command(line, rest)? {
            Command::Shell(text) => vec!["CMD-SHELL".into(), text],
            Command::Exec(words) if words.is_empty() => {
                return Err(line.fault("missing command after HEALTHCHECK CMD"));
            }
            Command::Exec(words) => std::iter::once("CMD".into()).chain(words).collect(),
        },
        _ => {
            return Err(line.fault(format!("unknown type {word:?} in HEALTHCHECK (try CMD)")));
        }
    };
    Ok(Kind::Healthcheck(check))
}

fn on_build(line: &Line, text: &str) -> Parsed<String> {
    let word = text.split_whitespace().next().unwrap_or_default();
    match word.to_ascii_uppercase().as_str() {
        "" => Err(at_least_one(line, "ONBUILD")),
        "ONBUILD" => Err(line.fault("chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
        name @ ("FROM" | "MAINTAINER") => {
            Err(line.fault(format!("{name} isn't allowed as an ONBUILD trigger")))
        }
        name if NAMES.contains(&name) => {
            let mut text = text.to_string();
            // Images keep a trigger as text: its heredocs go with it.
            for heredoc in &line.heredocs {
                text += &format!("\n{}{}", heredoc.data, heredoc.name);
            }
            Ok(text)
        }
        name => Err(line.fault(format!("unknown instruction: {name}"))),
    }
}

/// JSON or blanks between words.
fn words_or_json(line: &Line, text: &str) -> Parsed<Vec<String>> {
    if words::is_other_array(text) {
        return Err(only_strings(line));
    }
    Ok(words::json_array(text)
        .unwrap_or_else(|| text.split_whitespace().map(str::to_string).collect()))
}

fn command(line: &Line, text: &str) -> Parsed<Command> {
    if words::is_other_array(text) {
        return Err(only_strings(line));
    }
    Ok(match words::json_array(text) {
        Some(words) => Command::Exec(words),
        None => Command::Shell(text.to_string()),
    })
}

fn only_strings(line: &Line) -> Fault {
    line.fault("when using JSON array syntax, arrays must be comprised of strings only")
}

/// `NAME=value …`, or the old `NAME value with blanks`.
fn pairs(line: &Line, name: &str, text: &str, offset: usize, escape: char) -> Parsed<Vec<Pair>> {
    let words = words::assignments(text, escape);
    let Some((_, first)) = words.first() else {
        return Err(at_least_one(line, name));
    };
    if !first.contains('=') {
        let (key, value) = text
            .split_once(char::is_whitespace)
            .ok_or_else(|| line.fault(format!("{name} must have two arguments")))?;
        return Ok(vec![Pair {
            name: key.to_string(),
            value: value.trim_start().to_string(),
            legacy: true,
        }]);
    }
    words
        .into_iter()
        .map(|(at, word)| match word.split_once('=') {
            Some(("", _)) => Err(line.fault(format!("{name} names can not be blank"))),
            Some((key, value)) => Ok(Pair {
                name: key.to_string(),
                value: value.to_string(),
                legacy: false,
            }),
            None => Err(Fault::parse(
                line.spot(offset + at),
                format!("can't find = in {word:?}. Must be of the form: name=value"),
            )),
        })
        .collect()
}

fn arguments(line: &Line, text: &str, escape: char) -> Parsed<Vec<Argument>> {
    let words = words::assignments(text, escape);
    if words.is_empty() {
        return Err(at_least_one(line, "ARG"));
    }
    words
        .into_iter()
        .map(|(_, word)| {
            let (name, default) = match word.split_once('=') {
                Some((name, default)) => (name.to_string(), Some(default.to_string())),
                None => (word, None),
            };
            match name.is_empty() {
                true => Err(line.fault("ARG names can not be blank")),
                false => Ok(Argument { name, default }),
            }
        })
        .collect()
}
