//! `wherry buildx bake`: several builds, as files say.

use super::access::Allowed;
use super::command::{BuildArgs, Done};
use super::context::is_remote;
use super::fields::refused;
use crate::build::bake::{self, Chosen, Definition, Override, Target};
use crate::cli::parse::pflag;
use crate::cli::{Front, Verb, stdout};
use crate::error::{Context, Error, Result};
use crate::text::glob::Glob;
use clap::{Args, FromArgMatches};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Those that are read when none is named, the later ones over the earlier ones.
const FILES: [&str; 4] = [
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
];
/// A path from where the command was called.
const HERE: &str = "cwd://";

#[derive(clap::Args)]
pub struct BakeArgs {
    /// Allow build to access specified resources
    #[arg(long)]
    allow: Vec<String>,
    /// Override the configured builder instance
    #[arg(long)]
    builder: Option<String>,
    /// Set method for evaluating build ("check", "outline", "targets")
    #[arg(long, default_value = "build")]
    call: String,
    /// Shorthand for "--call=check"
    #[arg(long)]
    check: bool,
    /// Start a shell where a step has failed
    #[arg(short = 'D', long)]
    debug: bool,
    /// Build definition file
    #[arg(short, long)]
    file: Vec<String>,
    /// List targets or variables
    #[arg(long, value_parser = ["targets", "variables"])]
    list: Option<String>,
    /// Shorthand for "--set=*.output=type=docker"
    #[arg(long)]
    load: bool,
    /// Write build result metadata to a file
    #[arg(long)]
    metadata_file: Option<PathBuf>,
    /// Do not use cache when building the image
    #[arg(long)]
    no_cache: bool,
    /// Print the options without building
    #[arg(long)]
    print: bool,
    /// Set type of progress output ("auto", "none", "plain", "quiet", "rawjson", "tty")
    #[arg(long, default_value = "auto", value_parser = ["auto", "none", "plain", "quiet", "rawjson", "tty"])]
    progress: String,
    /// Shorthand for "--set=*.attest=type=provenance"
    #[arg(long)]
    provenance: Option<String>,
    /// Always attempt to pull all referenced images
    #[arg(long)]
    pull: bool,
    /// Shorthand for "--set=*.output=type=registry"
    #[arg(long)]
    push: bool,
    /// Shorthand for "--set=*.attest=type=sbom"
    #[arg(long)]
    sbom: Option<String>,
    /// Override target value (e.g., "targetpattern.key=value")
    #[arg(long, value_parser = override_of)]
    set: Vec<Override>,
    /// Set a variable value (e.g., "name=value")
    #[arg(long, value_parser = variable)]
    var: Vec<(String, String)>,
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

fn override_of(text: &str) -> Result<Override> {
    let parts = text.split_once('=').and_then(|(name, value)| {
        let (pattern, key) = name.split_once('.')?;
        Some((pattern, key, value))
    });
    let (pattern, key, value) = parts.ok_or_else(|| {
        Error::usage(format!(
            "invalid override {text:?}, expected target.name=value"
        ))
    })?;
    Ok(Override {
        targets: Glob::parse(pattern)?,
        pattern: pattern.to_owned(),
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

fn variable(text: &str) -> Result<(String, String)> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair
        .ok_or_else(|| Error::usage(format!("invalid variable {text:?}, expected name=value")))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Verb for BakeArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let definition = self.definition()?;
        match self.list.as_deref() {
            Some("targets") => return stdout::print(&targets(&definition)).map(|()| 0),
            Some(_) => return stdout::print(&variables(&definition)).map(|()| 0),
            None => {}
        }
        let chosen = bake::choose(&definition, &self.targets, &self.set)?;
        if self.print {
            let text = serde_json::to_string_pretty(&shown(&chosen));
            stdout::line(&text.context(|| "cannot print the targets")?)?;
            return Ok(0);
        }
        self.build(front, &chosen)
    }
}

impl BakeArgs {
    fn definition(&self) -> Result<Definition> {
        let mut files = Vec::new();
        for name in self.names()? {
            files.push(bake::read(&name, &content(&name)?)?);
        }
        let given = |name: &str| {
            let mut own = self.var.iter().rev();
            let own = own.find(|(known, _)| known == name);
            own.map(|(_, value)| value.clone())
                .or_else(|| std::env::var(name).ok())
        };
        let definition = bake::evaluate(&files, &given)?;
        let known = |name: &String| definition.variables.iter().any(|known| known.name == *name);
        match self.var.iter().find(|(name, _)| !known(name)) {
            Some((name, _)) => Err(Error::not_found(format!("there is no variable {name:?}"))),
            None => Ok(definition),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        let is_compose = |name: &String| name.ends_with(".yml") || name.ends_with(".yaml");
        if let Some(name) = self.file.iter().find(|name| is_compose(name)) {
            return Err(refused(&format!("--file {name}: a compose file")));
        }
        if !self.file.is_empty() {
            let names = self
                .file
                .iter()
                .map(|name| name.strip_prefix(HERE).unwrap_or(name));
            return Ok(names.map(str::to_owned).collect());
        }
        let there = FILES.iter().filter(|name| Path::new(name).exists());
        let names: Vec<String> = there.map(|name| (*name).to_owned()).collect();
        match names.is_empty() {
            true => Err(Error::not_found(
                "couldn't find a bake definition: there is no docker-bake.hcl and no docker-bake.json here",
            )
            .hint("--file names one that is elsewhere; compose files are not read")),
            false => Ok(names),
        }
    }

    fn build(&self, front: &Front, chosen: &Chosen) -> Result<u8> {
        let allowed = Allowed::parse(&self.allow)?;
        // All options are looked at before anything is done.
        let mut builds = Vec::new();
        for (name, target) in &chosen.targets {
            let args = self.arguments(chosen, name, target, &allowed);
            builds.push((
                name,
                target,
                args.map_err(|e| e.within(format!("target {name:?}")))?,
            ));
        }
        let mut images: HashMap<&str, String> = HashMap::new();
        let mut metadata = Map::new();
        for (name, target, mut args) in builds {
            for (context, other) in target.needs() {
                let id = images.get(other).cloned().unwrap_or_default();
                args.add_context(context, id);
            }
            if chosen.targets.len() > 1 && !args.is_quiet() {
                front.note(&format!("target {name}"));
            }
            let Done {
                status,
                image,
                metadata: its,
            } = args.carry_out(front)?;
            if status != 0 {
                return Ok(status);
            }
            images.extend(image.map(|id| (name.as_str(), id.to_string())));
            metadata.extend(its.map(|its| (name.clone(), its)));
        }
        if let Some(path) = &self.metadata_file {
            let text =
                serde_json::to_string_pretty(&metadata).context(|| "cannot write the metadata")?;
            std::fs::write(path, text + "\n")
                .context(|| format!("cannot write \"{}\"", path.display()))?;
        }
        Ok(0)
    }

    /// The options of `build` that do what a target says, and what this command's
    /// own say of all.
    fn arguments(
        &self,
        chosen: &Chosen,
        name: &str,
        target: &Target,
        allowed: &Allowed,
    ) -> Result<BuildArgs> {
        let context = target.text("context").unwrap_or(".");
        let here = context.strip_prefix(HERE).unwrap_or(context);
        let context = if here.is_empty() { "." } else { here };
        let is_directory = !is_remote(context);
        let mut target = target.clone();
        let inline = target.text("dockerfile-inline").map(str::to_owned);
        let file = match (&inline, target.text("dockerfile")) {
            (Some(_), _) if !is_directory => {
                return Err(refused(
                    "dockerfile-inline with a context that is no directory",
                ));
            }
            (Some(_), _) => Some("-".to_owned()),
            (None, Some(path)) => Some(match path.strip_prefix(HERE) {
                Some(path) => path.to_owned(),
                None if is_directory => Path::new(context).join(path).display().to_string(),
                None => path.to_owned(),
            }),
            (None, None) => None,
        };
        target.fields.remove("dockerfile");
        let mut words = target.options();
        words.extend(file.map(|file| format!("--file={file}")));
        words.push(format!("--progress={}", self.progress));
        for what in &allowed.others {
            words.push(format!("--allow={what}"));
        }
        let options = [
            ("--builder", &self.builder),
            ("--provenance", &self.provenance),
            ("--sbom", &self.sbom),
        ];
        for (option, value) in options {
            words.extend(value.as_ref().map(|value| format!("{option}={value}")));
        }
        let is_asked = !chosen.unasked.iter().any(|other| other == name);
        let flags = [
            ("--pull", self.pull),
            ("--no-cache", self.no_cache),
            ("--debug", self.debug),
            ("--push", self.push && is_asked),
            ("--load", self.load && is_asked),
            ("--check", self.check),
        ];
        let given = flags.iter().filter(|(_, given)| *given);
        words.extend(given.map(|(flag, _)| (*flag).to_owned()));
        if self.call != "build" {
            words.push(format!("--call={}", self.call));
        }
        let is_needed = chosen
            .targets
            .iter()
            .any(|(_, other)| other.needs().any(|(_, needed)| needed == name));
        if is_needed && target.fields.contains_key("output") {
            // The others take it from the store.
            words.push("--output=type=image".into());
        }
        words.push("--".into());
        words.push(context.to_owned());
        let mut args = parsed(words)?;
        args.dockerfile = inline;
        let (_, _, options) = args.wanted()?;
        allowed.check(&args, &options)?;
        Ok(args)
    }
}

fn parsed(words: Vec<String>) -> Result<BuildArgs> {
    let command = pflag(BuildArgs::augment_args(clap::Command::new("build")));
    let told = |e: clap::Error| {
        let text = e.to_string();
        let line = text.lines().next().unwrap_or_default();
        Error::usage(line.strip_prefix("error: ").unwrap_or(line))
    };
    let matches = command.try_get_matches_from(words).map_err(told)?;
    BuildArgs::from_arg_matches(&matches).map_err(told)
}

/// `-`: standard input.
fn content(name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = match name {
        "-" => std::io::stdin().lock().read_to_end(&mut bytes),
        name => std::fs::File::open(name).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    read.context(|| format!("cannot read \"{name}\""))?;
    Ok(bytes)
}

fn shown(chosen: &Chosen) -> Value {
    let groups = chosen.groups.iter();
    let groups: Map<String, Value> = groups
        .map(|(name, members)| (name.clone(), json!({"targets": members})))
        .collect();
    let targets = chosen.targets.iter();
    let targets: Map<String, Value> = targets
        .map(|(name, target)| (name.clone(), target.shown()))
        .collect();
    json!({"group": groups, "target": targets})
}

fn targets(definition: &Definition) -> String {
    let mut out = String::from("TARGET                DESCRIPTION\n");
    let groups = definition.groups.iter().map(|(name, group)| {
        let about = match group.description.as_str() {
            "" => group.members.join(", "),
            about => about.to_owned(),
        };
        (name, about)
    });
    let targets = definition.targets.iter().map(|(name, target)| {
        let about = target.text("description").unwrap_or_default();
        (name, about.to_owned())
    });
    for (name, about) in groups.chain(targets) {
        let _ = writeln!(out, "{}", format!("{name:<22}{about}").trim_end());
    }
    out
}

fn variables(definition: &Definition) -> String {
    let mut out = String::from("VARIABLE              VALUE                 DESCRIPTION\n");
    for variable in &definition.variables {
        let value = match &variable.value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let line = format!("{:<22}{value:<22}{}", variable.name, variable.description);
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}
