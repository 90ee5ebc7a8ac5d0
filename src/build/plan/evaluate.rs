//! One stage: each instruction changes the settings or becomes a step.

use super::arguments::{self, Local};
use super::graph::{Planner, near};
use super::settings::{History, Settings};
use super::{Action, Copy, Note, Repository, Run, Source, Step, mount, path, ports};
use crate::build::exec::add;
use crate::build::parse::expand::{Expanded, Expander};
use crate::build::parse::heredoc::Heredoc;
use crate::build::parse::instruction::{
    Argument, Command, Copy as CopyText, Healthcheck, Instruction, Kind, Pair, Run as RunText,
};
use crate::build::parse::place::{Fault, Parsed, Place};
use crate::error::Error;
use serde_json::json;
use std::collections::BTreeSet;

/// BuildKit's mark in the history, which tools look for.
const COMMENT: &str = "buildkit.dockerfile.v0";

pub struct Evaluation<'p, 'a> {
    planner: &'p mut Planner<'a>,
    index: usize,
    settings: Settings,
    local: Local,
    steps: Vec<Step>,
    /// Steps that make layers so far.
    pub number: usize,
    /// CMD was given in this stage: a later ENTRYPOINT does not reset it.
    has_cmd: bool,
}

type Finished = (Settings, Vec<Step>, Local, usize);

impl<'p, 'a> Evaluation<'p, 'a> {
    pub fn new(
        planner: &'p mut Planner<'a>,
        index: usize,
        settings: Settings,
        local: Local,
    ) -> Self {
        Self {
            planner,
            index,
            settings,
            local,
            steps: Vec::new(),
            number: 0,
            has_cmd: false,
        }
    }

    pub fn finish(self) -> Finished {
        (self.settings, self.steps, self.local, self.number)
    }

    pub fn take(&mut self, one: &Instruction) -> Parsed<()> {
        match &one.kind {
            Kind::Run(run) => self.run(one, run),
            Kind::Copy(copy) => self.copy(one, copy),
            Kind::Workdir(dir) => self.workdir(one, dir),
            Kind::Arg(arguments) => self.arg(one, arguments),
            Kind::Env(pairs) => {
                let pairs = self.pairs(one, pairs)?;
                for (name, value) in &pairs {
                    self.settings.set_env(name, value);
                    self.local.hide(name);
                }
                self.setting(one, &format!("ENV {}", assignments(&pairs)));
                Ok(())
            }
            Kind::Label(pairs) => {
                let pairs = self.pairs(one, pairs)?;
                self.settings.config.labels.extend(pairs.clone());
                self.setting(one, &format!("LABEL {}", assignments(&pairs)));
                Ok(())
            }
            Kind::Expose(ports) => self.expose(one, ports),
            Kind::Volume(volumes) => self.volume(one, volumes),
            Kind::Healthcheck(check) => {
                self.settings.config.healthcheck = Some(health(check));
                self.setting(one, &format!("HEALTHCHECK {}", health(check)));
                Ok(())
            }
            _ => self.simple(one),
        }
    }

    /// Those with one text or a command.
    fn simple(&mut self, one: &Instruction) -> Parsed<()> {
        let told = match &one.kind {
            Kind::User(user) => {
                self.settings.config.user = self.expand(one, user)?;
                format!("USER {}", self.settings.config.user)
            }
            Kind::StopSignal(signal) => {
                let signal = self.expand(one, signal)?;
                crate::container::kill::parse_signal(&signal)
                    .map_err(|e| Fault::at(one.place, e))?;
                self.settings.config.stop_signal = signal.clone();
                format!("STOPSIGNAL {signal}")
            }
            Kind::Cmd(command) => {
                let words = self.words_of(command);
                self.has_cmd = true;
                let told = format!("CMD {}", quoted(&words));
                self.settings.config.cmd = Some(words);
                self.settings.config.args_escaped = true;
                told
            }
            Kind::Entrypoint(command) => {
                let words = self.words_of(command);
                if !self.has_cmd {
                    self.settings.config.cmd = None;
                }
                let told = format!("ENTRYPOINT {}", quoted(&words));
                self.settings.config.entrypoint = Some(words);
                told
            }
            Kind::Shell(words) => {
                self.settings.config.shell.clone_from(words);
                format!("SHELL [{}]", words.join(" "))
            }
            Kind::OnBuild(text) => {
                self.settings.config.on_build.push(text.clone());
                format!("ONBUILD {text}")
            }
            Kind::Maintainer(author) => {
                self.settings.author.clone_from(author);
                format!("MAINTAINER {author}")
            }
            _ => return Ok(()),
        };
        self.setting(one, &told);
        Ok(())
    }

    fn words_of(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(line) => {
                let mut words = self.settings.shell();
                words.push(line.clone());
                words
            }
        }
    }

    fn setting(&mut self, one: &Instruction, created_by: &str) {
        self.step(one, Action::Settings, created_by.to_string());
    }

    /// Adds the step and its place in the history.
    fn step(&mut self, one: &Instruction, action: Action, created_by: String) {
        let makes_layer = !matches!(action, Action::Settings);
        self.number += usize::from(makes_layer);
        self.settings.history.push(History {
            created_by: created_by.clone(),
            comment: COMMENT.into(),
            author: self.settings.author.clone(),
            empty_layer: !makes_layer,
            created: None,
        });
        self.steps.push(Step {
            place: one.place,
            text: shown(one),
            created_by,
            action,
            number: self.number,
        });
    }

    fn expand_with<T>(
        &mut self,
        one: &Instruction,
        text: &str,
        how: impl Fn(&Expander<'_>) -> Result<Expanded<T>, String>,
    ) -> Parsed<T> {
        let (settings, local) = (&self.settings, &self.local);
        let lookup = |name: &str| arguments::lookup(settings, local, name);
        let by = Expander::new(&lookup, self.planner.file.directives.escape);
        let found = how(&by).map_err(|e| {
            Fault::at(
                one.place,
                Error::invalid(format!("failed to process \"{text}\": {e}")),
            )
        })?;
        self.planner.spend(one.place, found.size)?;
        let declared: BTreeSet<&str> = local.names().collect();
        for name in found
            .unset
            .iter()
            .filter(|name| !declared.contains(name.as_str()))
        {
            let known: Vec<String> = settings
                .config
                .env
                .iter()
                .filter_map(|v| v.split_once('=').map(|(n, _)| n.to_string()))
                .chain(declared.iter().map(ToString::to_string))
                .collect();
            let note = Note::Unset {
                place: one.place,
                name: name.clone(),
                near: near(name, known.iter()),
            };
            if !self.planner.plan.notes.contains(&note) {
                self.planner.plan.notes.push(note);
            }
        }
        Ok(found.value)
    }

    fn expand(&mut self, one: &Instruction, text: &str) -> Parsed<String> {
        self.expand_with(one, text, |by| by.word(text))
    }

    fn expand_option(
        &mut self,
        one: &Instruction,
        text: Option<&String>,
    ) -> Parsed<Option<String>> {
        text.map(|text| self.expand(one, text)).transpose()
    }

    fn expand_all(&mut self, one: &Instruction, texts: &[String]) -> Parsed<Vec<String>> {
        texts.iter().map(|text| self.expand(one, text)).collect()
    }

    /// All with the values from before the instruction.
    fn pairs(&mut self, one: &Instruction, pairs: &[Pair]) -> Parsed<Vec<(String, String)>> {
        pairs
            .iter()
            .map(|pair| {
                let name = self.expand(one, &pair.name)?;
                if name.is_empty() {
                    return Err(Fault::at(
                        one.place,
                        Error::invalid(format!("{} names can not be blank", one.name)),
                    ));
                }
                Ok((name, self.expand(one, &pair.value)?))
            })
            .collect()
    }

    fn arg(&mut self, one: &Instruction, list: &[Argument]) -> Parsed<()> {
        let mut told = Vec::new();
        for argument in list {
            let name = self.expand(one, &argument.name)?;
            self.planner.used.insert(name.clone());
            let given = self.planner.request.arguments.get(&name).cloned();
            let value = match (given, &argument.default) {
                (Some(given), _) => Some(given),
                (None, Some(default)) => Some(self.expand(one, default)?),
                (None, None) => self.planner.global.values.get(&name).cloned(),
            };
            told.push(match &value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            });
            self.local.set(&name, value);
        }
        self.setting(one, &format!("ARG {}", told.join(" ")));
        Ok(())
    }

    fn workdir(&mut self, one: &Instruction, dir: &str) -> Parsed<()> {
        let dir = self.expand(one, dir)?;
        if dir.is_empty() {
            return Err(Fault::at(
                one.place,
                Error::invalid("WORKDIR requires exactly one argument"),
            ));
        }
        if !dir.starts_with('/') && self.settings.config.working_dir.is_empty() {
            self.planner.plan.notes.push(Note::RelativeWorkdir {
                place: one.place,
                path: dir.clone(),
            });
        }
        let dir = path::join(self.settings.working_dir(), &dir);
        self.settings.config.working_dir.clone_from(&dir);
        let created_by = format!("WORKDIR {dir}");
        match dir == "/" {
            true => self.setting(one, &created_by),
            false => {
                let user = self.settings.config.user.clone();
                self.step(one, Action::Directory { path: dir, user }, created_by);
            }
        }
        Ok(())
    }

    fn expose(&mut self, one: &Instruction, list: &[String]) -> Parsed<()> {
        let mut all = Vec::new();
        for text in list {
            for word in self.expand_with(one, text, |by| by.words(text))? {
                let ports = ports::expose(&word).map_err(|e| Fault::at(one.place, e))?;
                self.planner
                    .spend(one.place, ports.iter().map(String::len).sum())?;
                all.extend(ports);
            }
        }
        let exposed = &mut self.settings.config.exposed_ports;
        exposed.extend(
            all.iter()
                .map(|port| (port.clone(), serde_json::Map::new())),
        );
        self.setting(one, &format!("EXPOSE [{}]", all.join(" ")));
        Ok(())
    }

    fn volume(&mut self, one: &Instruction, list: &[String]) -> Parsed<()> {
        let list = self.expand_all(one, list)?;
        if list.iter().any(String::is_empty) {
            return Err(Fault::at(
                one.place,
                Error::invalid("VOLUME specified can not be an empty string"),
            ));
        }
        let volumes = &mut self.settings.config.volumes;
        volumes.extend(list.iter().map(|v| (v.clone(), serde_json::Map::new())));
        self.setting(one, &format!("VOLUME [{}]", list.join(" ")));
        Ok(())
    }

    fn run(&mut self, one: &Instruction, run: &RunText) -> Parsed<()> {
        refuse(one, run)?;
        let (words, script) = self.command_of_run(one, run)?;
        let mut mounts = Vec::new();
        for text in &run.mounts {
            mounts.push(self.mount(one, text)?);
        }
        let network = self.network(one, run)?;
        let (env, unkeyed) =
            arguments::environment(&self.settings, &self.local, self.planner.request);
        let shown = self.local.shown();
        let values = env.iter().chain(&shown).map(String::len).sum();
        self.planner.spend(one.place, values)?;
        let mut told = match shown.len() {
            0 => String::new(),
            n => format!("|{n} {} ", shown.join(" ")),
        };
        told += &words.join(" ");
        let action = Action::Run(Box::new(Run {
            words,
            script,
            env,
            unkeyed,
            directory: self.settings.working_dir().to_string(),
            user: self.settings.config.user.clone(),
            mounts,
            network,
        }));
        self.step(one, action, format!("RUN {told} # buildkit"));
        Ok(())
    }

    /// What is run, with heredocs as BuildKit has them: one alone is the script
    /// of the shell, or of its `#!`; others go to the shell as they stand there.
    fn command_of_run(
        &self,
        one: &Instruction,
        run: &RunText,
    ) -> Parsed<(Vec<String>, Option<Heredoc>)> {
        let (Command::Shell(line), Some(first)) = (&run.command, run.heredocs.first()) else {
            return Ok((self.words_of(&run.command), None));
        };
        let alone = Heredoc::of_word(line).is_some();
        if alone && first.data.starts_with("#!") {
            if first.name.contains('/') {
                return Err(Fault::at(
                    one.place,
                    Error::invalid("the name of a heredoc cannot contain a slash"),
                ));
            }
            return Ok((
                vec![format!("/dev/pipes/{}", first.name)],
                Some(first.clone()),
            ));
        }
        let text = match alone {
            true => first.content(),
            false => run.heredocs.iter().fold(line.clone(), |text, heredoc| {
                format!("{text}\n{}{}", heredoc.data, heredoc.name)
            }),
        };
        Ok((self.words_of(&Command::Shell(text)), None))
    }

    fn network(&self, one: &Instruction, run: &RunText) -> Parsed<Option<String>> {
        match run.network.as_deref() {
            None | Some("default") => Ok(None),
            Some("none") => Ok(Some("none".into())),
            Some("host") if self.planner.request.allows_host_network => Ok(Some("host".into())),
            Some("host") => Err(Fault::at(
                one.place,
                Error::new(crate::error::Kind::Denied, "network.host is not allowed").hint(
                    "give the build `--allow network.host`, or `--network host` for all of it",
                ),
            )),
            Some(other) => Err(Fault::at(
                one.place,
                Error::invalid(format!("invalid network mode {other:?}"))
                    .hint("default, none or host"),
            )),
        }
    }

    fn mount(&mut self, one: &Instruction, text: &str) -> Parsed<mount::Mount> {
        let place = one.place;
        let fields = {
            let mut expand = |_: &str, value: &str| self.expand(one, value).map_err(|f| f.error);
            mount::fields(text, &mut expand).map_err(|e| Fault::at(place, e))?
        };
        let from = match &fields.from {
            Some(name) => Some(self.planner.source(self.index, name, place)?),
            None => None,
        };
        fields
            .mount(from, self.settings.working_dir())
            .map_err(|e| Fault::at(place, e))
    }

    fn copy(&mut self, one: &Instruction, text: &CopyText) -> Parsed<()> {
        let from = match &text.from {
            None => Source::Context,
            Some(name) => self.planner.source(self.index, name, one.place)?,
        };
        let mut contents = text.contents.clone();
        for heredoc in contents.iter_mut().filter(|h| h.expand) {
            let data = heredoc.data.clone();
            heredoc.data = self.expand_with(one, &data, |by| {
                let raw = Expander { raw: true, ..*by };
                raw.word(&data)
            })?;
        }
        let target = self.expand(one, &text.target)?;
        let mut copy = Copy {
            add: text.add,
            from,
            sources: self.expand_all(one, &text.sources)?,
            contents,
            target: path::join_target(self.settings.working_dir(), &target),
            chown: self.expand_option(one, text.chown.as_ref())?,
            chmod: self.expand_option(one, text.chmod.as_ref())?,
            link: text.link,
            parents: text.parents,
            excludes: self.expand_all(one, &text.excludes)?,
            checksum: self.expand_option(one, text.checksum.as_ref())?,
            keep_git_dir: text.keep_git_dir.unwrap_or(false),
            unpack: text.unpack,
        };
        if copy.sources.iter().any(String::is_empty) {
            return Err(Fault::at(
                one.place,
                Error::invalid(format!("{} source must not be an empty string", one.name)),
            ));
        }
        if copy.sources.len() + copy.contents.len() > 1 && !copy.target.ends_with('/') {
            return Err(Fault::at(
                one.place,
                Error::invalid(format!(
                    "when using {} with more than one source file, the destination must be a directory and end with a /",
                    one.name
                )),
            ));
        }
        let mut told = one.name.to_string();
        for (flag, value) in [("chown", &copy.chown), ("chmod", &copy.chmod)] {
            if let Some(value) = value {
                told += &format!(" --{flag}={value}");
            }
        }
        let names = copy.contents.iter().map(|h| &h.name);
        for source in copy.sources.iter().chain(names).chain([&target]) {
            told += &format!(" {source}");
        }
        if copy.add {
            self.repository(one.place, &mut copy)?;
        }
        self.step(one, Action::Copy(Box::new(copy)), told + " # buildkit");
        Ok(())
    }

    /// ADD of a repository is a copy of all its files.
    fn repository(&mut self, place: Place, copy: &mut Copy) -> Parsed<()> {
        let Some(url) = copy.sources.iter().find(|source| add::is_git(source)) else {
            return Ok(());
        };
        let url = url.clone();
        if copy.sources.len() + copy.contents.len() > 1 {
            return Err(Fault::at(
                place,
                Error::unsupported(format!(
                    "ADD of a repository beside other sources is not supported: {url}"
                ))
                .hint("add it by an instruction of its own"),
            ));
        }
        let checksum = copy.checksum.take();
        // No name of a context has a blank.
        let kind = if copy.keep_git_dir {
            "git, whole"
        } else {
            "git"
        };
        let name = format!("{kind} {} {url}", checksum.as_deref().unwrap_or_default());
        let repository = Repository {
            url,
            keep_git_dir: copy.keep_git_dir,
            checksum,
            place,
        };
        self.planner
            .plan
            .repositories
            .insert(name.clone(), repository);
        copy.from = Source::Named(name);
        copy.sources = vec![".".into()];
        Ok(())
    }

    /// The stage's first files are all of this context.
    pub fn begin_with(&mut self, head: &Instruction, name: &str) {
        let copy = Copy {
            add: false,
            from: Source::Named(name.to_owned()),
            sources: vec![".".into()],
            contents: Vec::new(),
            target: "/".into(),
            chown: None,
            chmod: None,
            link: false,
            parents: false,
            excludes: Vec::new(),
            checksum: None,
            keep_git_dir: false,
            unpack: None,
        };
        let told = format!("FROM {name} # buildkit");
        self.step(head, Action::Copy(Box::new(copy)), told);
    }
}

/// What no step is given.
fn refuse(one: &Instruction, run: &RunText) -> Parsed<()> {
    let unsupported = |message: &str, hint: &str| {
        Err(Fault::at(one.place, Error::unsupported(message).hint(hint)))
    };
    match run.security.as_deref() {
        None | Some("sandbox") => {}
        Some("insecure") => {
            return unsupported(
                "RUN --security=insecure is not supported",
                "steps have a container's rights and no more",
            );
        }
        Some(other) => {
            return Err(Fault::at(
                one.place,
                Error::invalid(format!("security {other:?} is not valid")),
            ));
        }
    }
    match run.devices.is_empty() {
        true => Ok(()),
        false => unsupported(
            "RUN --device is not supported",
            "steps have no devices of the host",
        ),
    }
}

/// As the user wrote it, its heredocs told by their first line.
fn shown(one: &Instruction) -> String {
    let rest = one
        .text
        .split_once(char::is_whitespace)
        .map_or("", |(_, rest)| rest.trim());
    let heredocs = match &one.kind {
        Kind::Run(run) => &run.heredocs[..],
        Kind::Copy(copy) => &copy.contents[..],
        _ => &[],
    };
    let mut text = format!("{} {rest}", one.name);
    if let Some(first) = heredocs.first() {
        let content = first.content();
        let line = content.lines().next().unwrap_or_default();
        let more = if content.lines().count() > 1 {
            "..."
        } else {
            ""
        };
        text += &format!(" ({line}{more})");
    }
    text
}

fn assignments(pairs: &[(String, String)]) -> String {
    let all: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    all.join(" ")
}

/// As Go's `%q` writes a list.
fn quoted(words: &[String]) -> String {
    let all: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", all.join(" "))
}

fn health(check: &Healthcheck) -> serde_json::Value {
    let mut out = json!({"Test": check.test});
    for (name, value) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
        ("Retries", check.retries),
    ] {
        if value != 0 {
            out[name] = json!(value);
        }
    }
    out
}
