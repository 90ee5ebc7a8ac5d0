//! Build checks: what a Dockerfile says that it had better not, by the names
//! that BuildKit's linter has given its rules.

use super::parse::Dockerfile;
use super::parse::instruction::{Command, Instruction, Kind};
use super::parse::lines::Line;
use super::parse::place::Place;
use super::plan::Note;
use crate::error::{Error, Result};
use crate::image::Reference;
use std::collections::BTreeMap;

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// `StageNameCasing`.
    pub rule: &'static str,
    pub message: String,
    pub place: Place,
}

/// Where Docker explains the rules.
const EXPLAINED: &str = "https://docs.docker.com/go/dockerfile/rule/";

impl Warning {
    pub fn url(&self) -> String {
        let mut name = String::new();
        let mut before = false;
        for c in self.rule.chars() {
            if c.is_ascii_uppercase() && before {
                name.push('-');
            }
            before = c.is_ascii_lowercase();
            name.push(c.to_ascii_lowercase());
        }
        format!("{EXPLAINED}{}/", name.replace("jsonargs", "json-args"))
    }
}

/// `# check=skip=A,B;error=true`, and BUILDKIT_DOCKERFILE_CHECK.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    skip: Vec<String>,
    skips_all: bool,
    /// Findings end the build.
    pub is_error: bool,
}

impl Choice {
    pub fn parse(text: &str) -> Result<Self> {
        let mut choice = Self::default();
        for part in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            match part.split_once('=') {
                Some(("skip", "all")) => choice.skips_all = true,
                Some(("skip", rules)) => {
                    choice
                        .skip
                        .extend(rules.split(',').map(|r| r.trim().to_string()));
                }
                Some(("error", word)) => {
                    choice.is_error = match word {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => {
                            return Err(Error::invalid(format!(
                                "failed to parse check option {part:?}"
                            )));
                        }
                    };
                }
                // There are no experimental rules here.
                Some(("experimental", _)) => {}
                _ => return Err(Error::invalid(format!("invalid check option {part:?}"))),
            }
        }
        Ok(choice)
    }

    fn wants(&self, warning: &Warning) -> bool {
        !self.skips_all
            && !self
                .skip
                .iter()
                .any(|rule| rule.eq_ignore_ascii_case(warning.rule))
    }
}

/// All findings in the order of their lines. `notes` come from the plan, and
/// may be missing where there is none.
pub fn check(file: &Dockerfile, notes: &[Note], choice: &Choice) -> Vec<Warning> {
    let mut found = Vec::new();
    lines(&file.lines, &mut found);
    stages(file, &mut found);
    for stage in &file.stages {
        let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
        for one in &stage.body {
            instruction(one, &mut found);
            let once = matches!(
                one.kind,
                Kind::Cmd(_) | Kind::Entrypoint(_) | Kind::Healthcheck(_)
            );
            if once && let Some(earlier) = seen.insert(one.name, one.place) {
                found.push(Warning {
                    rule: "MultipleInstructionsDisallowed",
                    message: format!("Multiple {} instructions should not be used in the same stage because only the last one will be used", one.name),
                    place: earlier,
                });
            }
        }
        let has_shell = stage
            .body
            .iter()
            .any(|one| matches!(one.kind, Kind::Shell(_)));
        for one in stage.body.iter().filter(|_| !has_shell) {
            if let Kind::Cmd(Command::Shell(line)) | Kind::Entrypoint(Command::Shell(line)) =
                &one.kind
                && !line.is_empty()
            {
                found.push(Warning {
                    rule: "JSONArgsRecommended",
                    message: format!("JSON arguments recommended for {} to prevent unintended behavior related to OS signals", one.name),
                    place: one.place,
                });
            }
        }
    }
    found.extend(notes.iter().map(of_note));
    found.retain(|warning| choice.wants(warning));
    found.sort_by_key(|warning| warning.place.first);
    found
}

fn of_note(note: &Note) -> Warning {
    let perhaps = |near: &Option<String>| match near {
        Some(near) => format!(" (did you mean ${near}?)"),
        None => String::new(),
    };
    match note {
        Note::Unset { place, name, near } => Warning {
            rule: "UndefinedVar",
            message: format!("Usage of undefined variable '${name}'{}", perhaps(near)),
            place: *place,
        },
        Note::UnsetInFrom { place, name, near } => Warning {
            rule: "UndefinedArgInFrom",
            message: format!(
                "FROM argument '{name}' is not declared{}",
                perhaps(near).replace('$', "")
            ),
            place: *place,
        },
        Note::RelativeWorkdir { place, path } => Warning {
            rule: "WorkdirRelativePath",
            message: format!(
                "Relative workdir {path:?} can have unexpected results if the base image changes"
            ),
            place: *place,
        },
    }
}

/// What shows in the text alone.
fn lines(lines: &[Line], found: &mut Vec<Warning>) {
    let upper = |line: &&Line| line.word == line.word.to_ascii_uppercase();
    let lower = |line: &&Line| line.word == line.word.to_ascii_lowercase();
    // Most of them decide which case is the file's own.
    let capitals = lines.iter().filter(upper).count() >= lines.iter().filter(lower).count();
    let case = if capitals { "uppercase" } else { "lowercase" };
    for line in lines {
        if line.has_blank {
            found.push(Warning {
                rule: "NoEmptyContinuation",
                message: format!(
                    "Empty continuation line found in: {} {}",
                    line.word, line.rest
                ),
                place: line.place,
            });
        }
        let fits = if capitals { upper(&line) } else { lower(&line) };
        if !fits {
            found.push(Warning {
                rule: "ConsistentInstructionCasing",
                message: format!(
                    "Command '{}' should match the case of the command majority ({case})",
                    line.word
                ),
                place: line.place,
            });
        }
    }
}

fn stages(file: &Dockerfile, found: &mut Vec<Warning>) {
    let mut names: Vec<&str> = Vec::new();
    for stage in &file.stages {
        let place = stage.head.place;
        let mut add = |rule, message: String| {
            found.push(Warning {
                rule,
                message,
                place,
            })
        };
        if let Some(platform) = &stage.from.platform {
            if matches!(platform.as_str(), "$TARGETPLATFORM" | "${TARGETPLATFORM}") {
                add(
                    "RedundantTargetPlatform",
                    format!(
                        "Setting platform to predefined {platform} in FROM is redundant as this is the default behavior"
                    ),
                );
            } else if !platform.contains('$') {
                add(
                    "FromPlatformFlagConstDisallowed",
                    format!("FROM --platform flag should not use constant value {platform:?}"),
                );
            }
        }
        if stage.from.image.contains('$') {
            // With every default there is, is it still a name?
            let globals = file.global.iter().filter_map(|one| match &one.kind {
                Kind::Arg(arguments) => Some(arguments),
                _ => None,
            });
            let defaults: BTreeMap<&str, &str> = globals
                .flatten()
                .filter_map(|a| Some((a.name.as_str(), a.default.as_deref()?)))
                .collect();
            let lookup = |name: &str| defaults.get(name).map(ToString::to_string);
            let expanded = super::parse::expand::Expander::new(&lookup, file.directives.escape)
                .word(&stage.from.image);
            if expanded.is_ok_and(|e| Reference::parse(&e.value).is_err()) {
                add(
                    "InvalidDefaultArgInFrom",
                    format!(
                        "Default value for ARG {} results in empty or invalid base image name",
                        stage.from.image
                    ),
                );
            }
        }
        let (Some(alias), Some(name)) = (&stage.from.alias, &stage.name) else {
            continue;
        };
        if alias != name {
            add(
                "StageNameCasing",
                format!("Stage name '{alias}' should be lowercase"),
            );
        }
        let from_upper = stage.head.text.starts_with("FROM");
        let as_word = &stage.from.as_word;
        let as_upper = *as_word == as_word.to_ascii_uppercase();
        if from_upper != as_upper {
            let from_word = if from_upper { "FROM" } else { "from" };
            add(
                "FromAsCasing",
                format!("'{as_word}' and '{from_word}' keywords' casing do not match"),
            );
        }
        if names.contains(&name.as_str()) {
            add(
                "DuplicateStageName",
                format!("Duplicate stage name {alias:?}, stage names should be unique"),
            );
        }
        if matches!(name.as_str(), "scratch" | "context") {
            add(
                "ReservedStageName",
                format!("Stage name should not use the same name as reserved stage {name:?}"),
            );
        }
        names.push(name);
    }
}

fn instruction(one: &Instruction, found: &mut Vec<Warning>) {
    let mut add = |rule, message: String| {
        found.push(Warning {
            rule,
            message,
            place: one.place,
        });
    };
    match &one.kind {
        Kind::Maintainer(_) => add(
            "MaintainerDeprecated",
            "Maintainer instruction is deprecated in favor of using label".into(),
        ),
        Kind::Env(pairs) | Kind::Label(pairs) => {
            for pair in pairs {
                if pair.legacy {
                    add(
                        "LegacyKeyValueFormat",
                        format!(
                            "\"{0} key=value\" should be used instead of legacy \"{0} key value\" format",
                            one.name
                        ),
                    );
                }
                if one.name == "ENV" && is_secret(&pair.name) {
                    add(
                        "SecretsUsedInArgOrEnv",
                        format!(
                            "Do not use ARG or ENV instructions for sensitive data (ENV {:?})",
                            pair.name
                        ),
                    );
                }
            }
        }
        Kind::Arg(arguments) => {
            for argument in arguments.iter().filter(|a| is_secret(&a.name)) {
                add(
                    "SecretsUsedInArgOrEnv",
                    format!(
                        "Do not use ARG or ENV instructions for sensitive data (ARG {:?})",
                        argument.name
                    ),
                );
            }
        }
        Kind::Expose(ports) => {
            for port in ports.iter().filter(|port| !port.contains('$')) {
                let (numbers, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
                if protocol != protocol.to_ascii_lowercase() {
                    add(
                        "ExposeProtoCasing",
                        format!(
                            "Defined protocol '{port}' in EXPOSE instruction should be lowercase"
                        ),
                    );
                }
                if numbers.contains(':') {
                    add(
                        "ExposeInvalidFormat",
                        format!(
                            "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
                        ),
                    );
                }
            }
        }
        _ => {}
    }
}

/// A word of the name says so (BuildKit, secretsRegexp).
fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 11] = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
        "pwd",
    ];
    let words: Vec<String> = name.split('_').map(str::to_ascii_lowercase).collect();
    let has = |word: &str| words.iter().any(|w| w == word);
    WORDS.iter().any(|word| has(word)) && !has("public")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<(&'static str, usize)> {
        let file = Dockerfile::parse(text.as_bytes()).unwrap();
        let found = check(&file, &[], &Choice::default());
        found.iter().map(|w| (w.rule, w.place.first)).collect()
    }

    #[test]
    fn findings() {
        for (text, want) in [
            ("FROM a AS b\nRUN x\n", &[][..]),
            ("FROM a AS B\n", &[("StageNameCasing", 1)]),
            ("FROM a as b\n", &[("FromAsCasing", 1)]),
            ("FROM a\nRUN x \\\n\n y\n", &[("NoEmptyContinuation", 2)]),
            (
                "FROM a\nRUN x\nrun y\n",
                &[("ConsistentInstructionCasing", 3)],
            ),
            ("from a\nrun x\n", &[]),
            ("FROM a AS b\nFROM c AS b\n", &[("DuplicateStageName", 2)]),
            ("FROM a AS scratch\n", &[("ReservedStageName", 1)]),
            ("FROM a\nCMD x\n", &[("JSONArgsRecommended", 2)]),
            ("FROM a\nSHELL [\"b\"]\nCMD x\n", &[]),
            ("FROM a\nMAINTAINER me\n", &[("MaintainerDeprecated", 2)]),
            (
                "FROM a\nCMD [\"x\"]\nCMD [\"y\"]\n",
                &[("MultipleInstructionsDisallowed", 2)],
            ),
            ("FROM a\nENV a b\n", &[("LegacyKeyValueFormat", 2)]),
            (
                "FROM --platform=$TARGETPLATFORM a\n",
                &[("RedundantTargetPlatform", 1)],
            ),
            (
                "FROM --platform=linux/amd64 a\n",
                &[("FromPlatformFlagConstDisallowed", 1)],
            ),
            (
                "FROM a\nARG AWS_SECRET_ACCESS_KEY\nENV PUBLIC_KEY=1 monkey=2\n",
                &[("SecretsUsedInArgOrEnv", 2)],
            ),
            ("ARG T\nFROM a:$T\n", &[("InvalidDefaultArgInFrom", 2)]),
            ("ARG T=1\nFROM a:$T\n", &[]),
            (
                "FROM a\nEXPOSE 80/TCP 1:2\n",
                &[("ExposeProtoCasing", 2), ("ExposeInvalidFormat", 2)],
            ),
        ] {
            assert_eq!(rules(text), want, "{text}");
        }
    }

    #[test]
    fn choices() {
        let choice = Choice::parse("skip=StageNameCasing, FromAsCasing;error=true").unwrap();
        assert!(choice.is_error);
        let file = Dockerfile::parse(b"FROM a as B\nMAINTAINER x\n").unwrap();
        let left: Vec<_> = check(&file, &[], &choice).iter().map(|w| w.rule).collect();
        assert_eq!(left, ["MaintainerDeprecated"]);
        assert!(check(&file, &[], &Choice::parse("skip=all").unwrap()).is_empty());
        assert!(Choice::parse("what").is_err() && Choice::parse("error=x").is_err());
        let url = |rule| {
            Warning {
                rule,
                message: String::new(),
                place: Place::line(1),
            }
            .url()
        };
        assert!(url("StageNameCasing").ends_with("/stage-name-casing/"));
        assert!(url("JSONArgsRecommended").ends_with("/json-args-recommended/"));
    }
}
