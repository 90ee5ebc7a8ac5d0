//! `--change` of `commit` and `import`: one instruction of a Dockerfile,
//! applied to the `config` of an image (moby, builder/dockerfile/builder.go,
//! BuildFromConfig, allows these).

use crate::error::{Error, Result};
use crate::text::dockerfile::expand::Expander;
use crate::text::dockerfile::words::{assignments, json_array};
use crate::text::path::absolute;
use serde_json::{Map, Value, json};

/// Applies `changes` in their order to a `config`.
pub fn apply(config: &mut Map<String, Value>, changes: &[String]) -> Result<()> {
    let mut command_given = false;
    for line in changes.iter().flat_map(|change| lines(change)) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
        let name = word.to_ascii_uppercase();
        let mut change = Change {
            config,
            name: &name,
            rest: rest.trim(),
        };
        if change.rest.is_empty() && name != "CMD" && name != "ENTRYPOINT" {
            return Err(Error::invalid(format!(
                "{name} requires at least one argument"
            )));
        }
        match name.as_str() {
            "CMD" => {
                command_given = true;
                let words = change.command();
                change.set("Cmd", json!(words));
            }
            "ENTRYPOINT" => {
                let words = change.command();
                change.set("Entrypoint", json!(words));
                // As in a Dockerfile: a new entrypoint voids an old command.
                if !command_given {
                    change.config.remove("Cmd");
                }
            }
            "ENV" => change.environment()?,
            "EXPOSE" => change.expose()?,
            "HEALTHCHECK" => change.healthcheck()?,
            "LABEL" => change.labels()?,
            "ONBUILD" => change.on_build()?,
            "STOPSIGNAL" => change.stop_signal()?,
            "USER" => {
                let user = change.expanded(change.rest)?;
                change.set("User", json!(user));
            }
            "VOLUME" => change.volumes()?,
            "WORKDIR" => change.working_dir()?,
            _ => {
                return Err(Error::invalid(format!(
                    "{word} is not a valid change command"
                )));
            }
        }
    }
    Ok(())
}

/// Logical lines: continued ones joined, comments and blanks left out.
fn lines(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if line.trim_start().starts_with('#') || (!open && line.trim().is_empty()) {
            continue;
        }
        let (part, goes_on) = match line.trim_end().strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match out.last_mut().filter(|_| open) {
            Some(last) => last.push_str(part),
            None => out.push(part.trim_start().to_owned()),
        }
        open = goes_on;
    }
    out
}

struct Change<'a> {
    config: &'a mut Map<String, Value>,
    name: &'a str,
    rest: &'a str,
}

impl Change<'_> {
    fn set(&mut self, key: &str, value: Value) {
        self.config.insert(key.into(), value);
    }

    fn bad(&self, why: &str) -> Error {
        Error::invalid(format!("{} {}: {why}", self.name, self.rest))
    }

    /// Exec form as it is, anything else for the shell.
    fn command(&self) -> Vec<String> {
        if let Some(words) = json_array(self.rest) {
            return words;
        }
        if self.rest.is_empty() {
            return Vec::new();
        }
        let shell = self.config.get("Shell").and_then(Value::as_array);
        let shell = shell.map(|words| words.iter().filter_map(Value::as_str).collect());
        let shell: Vec<&str> = shell.unwrap_or_default();
        let shell = match shell.is_empty() {
            true => vec!["/bin/sh", "-c"],
            false => shell,
        };
        let words = shell.into_iter().chain([self.rest]);
        words.map(str::to_owned).collect()
    }

    /// `NAME=VALUE` pairs, or the old form `NAME VALUE` of a single one.
    fn pairs(&self) -> Result<Vec<(String, String)>> {
        let words = assignments(self.rest, '\\').into_iter();
        let words: Vec<String> = words.map(|(_, word)| word).collect();
        if !words.first().is_some_and(|first| first.contains('=')) {
            let (name, value) = self
                .rest
                .split_once(char::is_whitespace)
                .ok_or_else(|| self.bad("must have two arguments"))?;
            return Ok(vec![(name.to_owned(), self.expanded(value.trim_start())?)]);
        }
        let pair = |word: &String| {
            let (name, value) = word.split_once('=').ok_or_else(|| {
                self.bad(&format!(
                    "can't find = in \"{word}\". Must be of the form: name=value"
                ))
            })?;
            let name = self.expanded(name)?;
            if name.is_empty() {
                return Err(self.bad("names can not be blank"));
            }
            Ok((name, self.expanded(value)?))
        };
        words.iter().map(pair).collect()
    }

    fn environment(&mut self) -> Result<()> {
        let mut env = strings(self.config.get("Env"));
        for (name, value) in self.pairs()? {
            let line = format!("{name}={value}");
            match env
                .iter_mut()
                .find(|old| old.split('=').next() == Some(&name))
            {
                Some(old) => *old = line,
                None => env.push(line),
            }
        }
        self.set("Env", json!(env));
        Ok(())
    }

    fn labels(&mut self) -> Result<()> {
        for (name, value) in self.pairs()? {
            self.object("Labels").insert(name, json!(value));
        }
        Ok(())
    }

    fn object(&mut self, key: &str) -> &mut Map<String, Value> {
        let value = self.config.entry(key).or_insert(Value::Null);
        if !value.is_object() {
            *value = json!({});
        }
        value.as_object_mut().expect("made an object above")
    }

    fn expose(&mut self) -> Result<()> {
        for word in self.rest.split_whitespace() {
            let word = self.expanded(word)?;
            let (ports, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
            let protocol = protocol.to_ascii_lowercase();
            if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
                return Err(Error::invalid(format!("invalid proto: {protocol}")));
            }
            let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
            let number = |text: &str| {
                text.parse::<u16>()
                    .map_err(|_| Error::invalid(format!("invalid containerPort: {word}")))
            };
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(Error::invalid(format!("invalid containerPort: {word}")));
            }
            for port in first..=last {
                self.object("ExposedPorts")
                    .insert(format!("{port}/{protocol}"), json!({}));
            }
        }
        Ok(())
    }

    fn volumes(&mut self) -> Result<()> {
        let words = match json_array(self.rest) {
            Some(words) => words,
            None => self.rest.split_whitespace().map(str::to_owned).collect(),
        };
        for word in words {
            let volume = self.expanded(&word)?;
            if volume.trim().is_empty() {
                return Err(Error::invalid(
                    "VOLUME specified can not be an empty string",
                ));
            }
            self.object("Volumes").insert(volume, json!({}));
        }
        Ok(())
    }

    fn working_dir(&mut self) -> Result<()> {
        let given = self.expanded(self.rest)?;
        let before = self.config.get("WorkingDir").and_then(Value::as_str);
        let joined = match given.starts_with('/') {
            true => given,
            false => format!("{}/{given}", before.unwrap_or_default()),
        };
        let clean = absolute(&joined);
        self.set("WorkingDir", json!(clean));
        Ok(())
    }

    fn on_build(&mut self) -> Result<()> {
        let trigger = self.rest.split_whitespace().next().unwrap_or_default();
        match trigger.to_ascii_uppercase().as_str() {
            "ONBUILD" => {
                return Err(Error::invalid(
                    "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
                ));
            }
            trigger @ ("MAINTAINER" | "FROM") => {
                return Err(Error::invalid(format!(
                    "{trigger} isn't allowed as an ONBUILD trigger"
                )));
            }
            _ => {}
        }
        let mut triggers = strings(self.config.get("OnBuild"));
        triggers.push(self.rest.to_owned());
        self.set("OnBuild", json!(triggers));
        Ok(())
    }

    fn stop_signal(&mut self) -> Result<()> {
        let signal = self.expanded(self.rest)?;
        crate::text::signal::parse(&signal)?;
        self.set("StopSignal", json!(signal));
        Ok(())
    }

    /// `NONE`, or `[--OPTION=VALUE…] CMD …`.
    fn healthcheck(&mut self) -> Result<()> {
        let mut check = Map::new();
        let mut rest = self.rest;
        while let Some(option) = rest.strip_prefix("--") {
            let (option, after) = option
                .split_once(char::is_whitespace)
                .ok_or_else(|| self.bad("missing command after flags"))?;
            let (key, value) = self.check_option(option)?;
            check.insert(key.into(), value);
            rest = after.trim_start();
        }
        let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let test = match kind.to_ascii_uppercase().as_str() {
            "NONE" if command.trim().is_empty() => vec!["NONE".to_owned()],
            "NONE" => return Err(Error::invalid("HEALTHCHECK NONE takes no arguments")),
            "CMD" => match json_array(command.trim()) {
                Some(words) => ["CMD".to_owned()].into_iter().chain(words).collect(),
                None if command.trim().is_empty() => {
                    return Err(Error::invalid("Missing command after HEALTHCHECK CMD"));
                }
                None => vec!["CMD-SHELL".to_owned(), command.trim().to_owned()],
            },
            kind => {
                return Err(Error::invalid(format!(
                    "Unknown type \"{kind}\" in HEALTHCHECK (try CMD)"
                )));
            }
        };
        let mut all = Map::from_iter([("Test".to_owned(), json!(test))]);
        all.extend(check);
        self.set("Healthcheck", Value::Object(all));
        Ok(())
    }

    fn check_option(&self, option: &str) -> Result<(&'static str, Value)> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let duration = |key| {
            let read = crate::text::moment::duration(value)
                .and_then(|length| i64::try_from(length.as_nanos()).ok());
            match read {
                Some(0) => Ok((key, json!(0))),
                Some(length) if length < 1_000_000 => {
                    Err(self.bad(&format!("--{name} cannot be less than 1ms")))
                }
                Some(length) => Ok((key, json!(length))),
                None => Err(self.bad(&format!("--{name}: invalid duration \"{value}\""))),
            }
        };
        match name {
            "interval" => duration("Interval"),
            "timeout" => duration("Timeout"),
            "start-period" => duration("StartPeriod"),
            "start-interval" => duration("StartInterval"),
            "retries" => match value.parse::<u32>() {
                Ok(retries) if retries > 0 => Ok(("Retries", json!(retries))),
                _ => Err(self.bad("--retries must be at least 1")),
            },
            _ => Err(Error::invalid(format!("unknown flag: --{name}"))),
        }
    }

    /// Quotes, escapes and variables of the config's environment resolved.
    fn expanded(&self, word: &str) -> Result<String> {
        let env = strings(self.config.get("Env"));
        let lookup = |name: &str| {
            env.iter().find_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key == name).then(|| value.to_owned())
            })
        };
        let expanded = Expander::new(&lookup, '\\').word(word);
        expanded
            .map(|expanded| expanded.value)
            .map_err(|why| self.bad(&why))
    }
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array);
    let list = list.map(|l| {
        l.iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    });
    list.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(config: Value, changes: &[&str]) -> Value {
        let mut config = config.as_object().unwrap().clone();
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        apply(&mut config, &changes).unwrap();
        Value::Object(config)
    }

    #[test]
    fn instructions() {
        let start = json!({"Env": ["A=1", "P=/bin"], "Cmd": ["old"], "WorkingDir": "/a"});
        for (change, key, want) in [
            ("CMD [\"a\", \"b c\"]", "/Cmd", json!(["a", "b c"])),
            ("cmd echo $A", "/Cmd", json!(["/bin/sh", "-c", "echo $A"])),
            ("ENTRYPOINT [\"e\"]", "/Cmd", Value::Null),
            (
                "ENV B=2 C=\"x y\" A=${P}:z",
                "/Env",
                json!(["A=/bin:z", "P=/bin", "B=2", "C=x y"]),
            ),
            ("ENV B one two", "/Env/2", json!("B=one two")),
            ("ENV B=\\\"$A\\\"", "/Env/2", json!("B=\"1\"")),
            (
                "ENV B='$A' C=${X:-d} D=${A:+y}",
                "/Env",
                json!(["A=1", "P=/bin", "B=$A", "C=d", "D=y"]),
            ),
            (
                "EXPOSE 80 90-91/udp",
                "/ExposedPorts",
                json!({"80/tcp": {}, "90/udp": {}, "91/udp": {}}),
            ),
            (
                "LABEL a=b \"c d\"=\"e f\"",
                "/Labels",
                json!({"a": "b", "c d": "e f"}),
            ),
            ("ONBUILD RUN x", "/OnBuild", json!(["RUN x"])),
            ("STOPSIGNAL SIGUSR1", "/StopSignal", json!("SIGUSR1")),
            ("USER a:b", "/User", json!("a:b")),
            (
                "VOLUME [\"/x\", \"/y\"]",
                "/Volumes",
                json!({"/x": {}, "/y": {}}),
            ),
            ("VOLUME /x /y", "/Volumes", json!({"/x": {}, "/y": {}})),
            ("WORKDIR b/../c", "/WorkingDir", json!("/a/c")),
            (
                "HEALTHCHECK --interval=5s --retries=2 CMD a b",
                "/Healthcheck",
                json!({"Test": ["CMD-SHELL", "a b"], "Interval": 5_000_000_000_i64, "Retries": 2}),
            ),
            ("HEALTHCHECK NONE", "/Healthcheck/Test", json!(["NONE"])),
            ("# note\nUSER \\\n  me", "/User", json!("me")),
        ] {
            let made = applied(start.clone(), &[change]);
            assert_eq!(
                made.pointer(key).cloned().unwrap_or_default(),
                want,
                "{change}"
            );
        }
        let both = applied(start, &["CMD [\"c\"]", "ENTRYPOINT [\"e\"]"]);
        assert_eq!(both["Cmd"], json!(["c"]));
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        for (change, part) in [
            ("RUN x", "RUN is not a valid change command"),
            ("FROM x", "FROM is not"),
            ("ENV", "requires at least one argument"),
            ("ENV A", "must have two arguments"),
            ("ENV A=1 B", "can't find = in \"B\""),
            ("ENV A=\"x", "quote"),
            ("EXPOSE 99999", "invalid containerPort"),
            ("EXPOSE 80/x", "invalid proto"),
            ("ONBUILD ONBUILD RUN x", "ONBUILD ONBUILD"),
            ("ONBUILD FROM x", "isn't allowed"),
            ("STOPSIGNAL NOPE", "Invalid signal"),
            ("HEALTHCHECK --foo=1 CMD x", "--foo"),
            ("HEALTHCHECK WHAT x", "WHAT"),
            ("USER ${A", "missing '}'"),
        ] {
            let error = apply(&mut Map::new(), &[change.to_owned()]).unwrap_err();
            assert!(error.message().contains(part), "{change}: {error}");
        }
    }
}
