//! One run of `wherry build`: from the Dockerfile to the image.

use super::bases::Bases;
use super::caches::{self, CacheTo};
use super::command::{BuildArgs, Call, Done};
use super::context::{self, Loaded};
use super::fields::{self, Named};
use super::outputs::{Outputs, Written};
use super::record::Recorder;
use super::show::{self, Text};
use crate::build::checks::{self, Choice, Warning};
use crate::build::exec::chain::Chain;
use crate::build::exec::command;
use crate::build::exec::schedule::{self, Remains, Stopped};
use crate::build::exec::stage::{self, Contents};
use crate::build::exec::work::Work;
use crate::build::exec::{Build, Options};
use crate::build::export::{Made, Wanted};
use crate::build::files::hashes::Hashes;
use crate::build::files::ignore::Ignore;
use crate::build::files::tree::Tree;
use crate::build::keep;
use crate::build::parse::Dockerfile;
use crate::build::parse::place::Fault;
use crate::build::plan::{self, Action, Plan, Source};
use crate::build::progress::{Beside, Id, Outcome, Progress, Vertex};
use crate::cli::container::streams;
use crate::cli::{Front, stdout};
use crate::engine::Engine;
use crate::error::{Context as _, Error, Result};
use crate::image::{Digest, Reference};
use crate::store::StepLayer;
use crate::transfer::cache::Steps;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{IsTerminal, Read};
use std::path::Path;

/// Everything that it is given.
pub(super) struct Job<'a> {
    pub(super) front: &'a Front,
    pub(super) engine: &'a Engine,
    pub(super) work: &'a Work,
    pub(super) args: &'a BuildArgs,
    pub(super) request: plan::Request,
    pub(super) options: Options,
}

impl Job<'_> {
    pub(super) fn run(&self, call: Call) -> Result<Done> {
        let quiet = self.args.quiet || self.args.progress == "quiet";
        let loaded = self.load()?;
        let text = Text {
            name: &loaded.name,
            text: &loaded.dockerfile,
        };
        let told = |fault: &Fault| {
            show::failure(None, fault.place, &text, &fault.error);
            Ok(Done::from(1))
        };
        let file = match Dockerfile::parse(&loaded.dockerfile) {
            Ok(file) => file,
            Err(fault) => return told(&fault),
        };
        match call {
            Call::Targets => return targets(&file).map(Done::from),
            Call::Outline => return outline(&file).map(Done::from),
            Call::Build | Call::Check => {}
        }
        let choice = self.choice(&file)?;
        // From here on nothing in the store goes.
        let _lease = self.engine.store()?.lease()?;
        let mut bases = Bases::new(
            self.engine,
            self.front,
            self.args.pull,
            quiet || self.args.progress == "rawjson",
            self.layouts(),
        );
        let plan = match plan::plans(&file, &self.request, &mut bases) {
            Ok(plan) => plan,
            Err(fault) => return told(&fault),
        };
        let warnings = checks::check(&file, &plan.notes, &choice);
        if call == Call::Check {
            stdout::print(&show::check(&warnings, &text))?;
            return Ok(Done::from(u8::from(!warnings.is_empty())));
        }
        if choice.is_error && !warnings.is_empty() {
            stdout::print(&show::check(&warnings, &text))?;
            let error =
                Error::invalid("lint violation found for rules: ".to_string() + &rules(&warnings));
            show::failure(None, None, &text, &error);
            return Ok(Done::from(1));
        }
        let done = self.build(&loaded, &plan, quiet)?;
        if done.status == 0 && !quiet {
            self.warn(&plan, &warnings);
        }
        Ok(done)
    }

    fn load(&self) -> Result<Loaded> {
        let (place, file) = (&self.args.context, self.args.file.as_deref());
        let mut input: Box<dyn Read> = match &self.args.dockerfile {
            Some(text) => Box::new(text.as_bytes()),
            None => Box::new(std::io::stdin().lock()),
        };
        context::load(self.engine, self.work, place, file, &mut *input)
    }

    /// Values of `--build-context` that are OCI layouts.
    fn layouts(&self) -> HashSet<String> {
        let images = self
            .args
            .build_context
            .iter()
            .filter_map(|(_, context)| match context {
                Named::Image(image) => Some(image),
                _ => None,
            });
        let layouts = images.filter(|image| image.starts_with(fields::LAYOUT));
        layouts.cloned().collect()
    }

    fn choice(&self, file: &Dockerfile) -> Result<Choice> {
        let given = self.request.arguments.get("BUILDKIT_DOCKERFILE_CHECK");
        match given.or(file.directives.check.as_ref()) {
            Some(text) => Choice::parse(text),
            None => Ok(Choice::default()),
        }
    }

    fn warn(&self, plan: &Plan, warnings: &[Warning]) {
        if !plan.unused_arguments.is_empty() {
            self.front.warn(&format!(
                "One or more build-args [{}] were not consumed",
                plan.unused_arguments.join(" ")
            ));
        }
        if self.args.progress != "rawjson" {
            show::findings(warnings);
        }
    }

    fn build(&self, loaded: &Loaded, plan: &Plan, quiet: bool) -> Result<Done> {
        let text = Text {
            name: &loaded.name,
            text: &loaded.dockerfile,
        };
        let mut progress = Recorder::new(self.args.progress(quiet));
        announce(&mut progress, loaded);
        let named = match self.named(plan, &mut progress) {
            Ok(named) => named,
            Err(fault) => {
                drop(progress);
                show::failure(None, fault.place, &text, &fault.error);
                return Ok(Done::from(1));
            }
        };
        let imports = caches::import(
            self.engine,
            self.front,
            &self.args.cache_from,
            &mut progress,
        )?;
        let build = Build {
            engine: self.engine,
            steps: &self.work.steps,
            plan,
            context: loaded.tree.as_ref(),
            named: &named,
            options: &self.options,
            imports: &imports,
        };
        let load = |name: &str| self.hashes(name, loaded);
        let carried_out = Contents::look(&build, &load)
            .map_err(|(place, step, error)| Stopped::Failed {
                place,
                step: Some(step),
                error,
                remains: None,
            })
            .and_then(|contents| {
                let done = schedule::carry_out(&build, &contents, self.work, &mut progress)?;
                Ok((contents, done))
            });
        let (contents, chains) = match carried_out {
            Ok(done) => done,
            Err(stopped) => {
                let (status, remains) = fail(progress, stopped, plan, &text);
                if let Some(remains) = remains {
                    self.look_around(&build, &remains)?;
                }
                return Ok(Done::from(status));
            }
        };
        let steps = match self.args.cache_to.is_empty() {
            true => Steps::new(),
            false => schedule::look_back(&build, &contents, &chains)?,
        };
        self.export(plan, &chains, &steps, progress, quiet)
    }

    /// What comes of the stages; `steps` are for the caches.
    fn export(
        &self,
        plan: &Plan,
        chains: &[Chain],
        steps: &Steps,
        mut progress: Recorder,
        quiet: bool,
    ) -> Result<Done> {
        let export: Vertex = Vertex {
            id: Beside::Image.id(0),
            name: "exporting to image".into(),
        };
        progress.begin(&export);
        let inline = self.args.cache_to.iter().any(CacheTo::is_inline);
        let outputs = Outputs {
            engine: self.engine,
            args: self.args,
            wanted: Wanted {
                epoch: self.options.epoch,
                inline: inline.then_some(steps),
                squash: self.args.squash,
            },
            plan,
            chains,
        };
        let written = outputs.write(&mut progress, export.id)?;
        progress.end(export.id, Outcome::Done);
        let targets = plan.targets.iter().map(|target| &chains[target.place]);
        let layers: Vec<StepLayer> = targets.flat_map(|chain| chain.layers.clone()).collect();
        let (engine, wanted) = (self.engine, &self.args.cache_to);
        caches::export(engine, self.front, wanted, steps, &layers, &mut progress)?;
        drop(progress);
        outputs.push(self.front, &written.tags, quiet)?;
        let metadata = self.tell(&written, quiet)?;
        // More is kept only when something was done.
        if self.work.has_begun() {
            keep::within_budget(self.engine)?;
        }
        Ok(Done {
            status: 0,
            image: written.own,
            metadata,
        })
    }

    /// Contexts besides the main one, and repositories that ADD wants.
    fn named(
        &self,
        plan: &Plan,
        progress: &mut dyn Progress,
    ) -> std::result::Result<BTreeMap<String, Tree>, Fault> {
        let mut named = BTreeMap::new();
        let (engine, work) = (self.engine, self.work);
        let open = |dir: &Path| Tree::open(dir, Ignore::default());
        for (name, context) in &self.args.build_context {
            let tree = match context {
                Named::Image(_) => continue,
                Named::Directory(dir) => open(dir),
                Named::Repository(url) => fetched(progress, named.len(), url, || {
                    open(&context::repository(work, url, false, None)?)
                }),
                Named::Archive(url) => fetched(progress, named.len(), url, || {
                    open(&context::archive(engine, work, url)?)
                }),
            };
            let tree = tree.map_err(|e| e.within(format!("build context {name}")))?;
            named.insert(name.clone(), tree);
        }
        for (name, wanted) in &plan.repositories {
            let (whole, checksum) = (wanted.keep_git_dir, wanted.checksum.as_deref());
            let tree = fetched(progress, named.len(), &wanted.url, || {
                open(&context::repository(work, &wanted.url, whole, checksum)?)
            });
            let tree = tree.map_err(|e| Fault::at(wanted.place, e))?;
            named.insert(name.clone(), tree);
        }
        Ok(named)
    }

    /// `--debug`: a shell where a RUN has failed.
    fn look_around(&self, build: &Build<'_>, remains: &Remains) -> Result<()> {
        let stage = &build.plan.stages[remains.place];
        let Action::Run(run) = &stage.steps[remains.step].action else {
            return Ok(());
        };
        if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
            self.front
                .warn("--debug: no shell was started, for that needs a terminal");
            return Ok(());
        }
        self.front
            .note("a shell where the step has failed; exit ends the build");
        let layers = |from: &Source| stage::layers(build, from, &remains.finished);
        let platform = stage.platform.to_string();
        let size = streams::size();
        command::look_around(build, &remains.scene, run, &platform, &layers, size).map(drop)
    }

    fn hashes(&self, name: &str, loaded: &Loaded) -> Hashes {
        let dir = match name {
            "" => loaded.dir.clone(),
            name => self
                .args
                .build_context
                .iter()
                .find_map(|(known, named)| match named {
                    Named::Directory(dir) if known == name => std::fs::canonicalize(dir).ok(),
                    _ => None,
                }),
        };
        use std::os::unix::ffi::OsStrExt;
        dir.map_or_else(Hashes::none, |dir| {
            let file = Digest::of(dir.as_os_str().as_bytes()).hex().to_string();
            Hashes::load(self.engine.paths.build().join("hashes").join(file))
        })
    }

    /// The metadata of what has come into the store, or to an archive.
    fn tell(&self, written: &Written, quiet: bool) -> Result<Option<Value>> {
        // Files have no ID.
        let Some(Made { id, manifest }) = &written.made else {
            return Ok(None);
        };
        if let Some(path) = &self.args.iidfile {
            std::fs::write(path, id.as_str())
                .context(|| format!("cannot write \"{}\"", path.display()))?;
        }
        let names = written.tags.iter().map(Reference::canonical);
        let names: Vec<String> = names.collect();
        let mut metadata = json!({"containerimage.digest": manifest.digest});
        if !manifest.is_index() {
            metadata["containerimage.config.digest"] = json!(id);
        }
        if !names.is_empty() {
            metadata["image.name"] = json!(names.join(","));
        }
        if let Some(path) = &self.args.metadata_file {
            let text =
                serde_json::to_string_pretty(&metadata).context(|| "cannot write the metadata")?;
            std::fs::write(path, text + "\n")
                .context(|| format!("cannot write \"{}\"", path.display()))?;
        }
        if quiet {
            stdout::line(id.as_str())?;
        }
        Ok(Some(metadata))
    }
}

/// Tells of what comes from elsewhere.
fn fetched(
    progress: &mut dyn Progress,
    number: usize,
    url: &str,
    fetch: impl FnOnce() -> Result<Tree>,
) -> Result<Tree> {
    let vertex = Vertex {
        id: Beside::Fetched.id(number),
        name: format!("[internal] load {url}"),
    };
    progress.begin(&vertex);
    let tree = fetch();
    let outcome = match &tree {
        Ok(_) => Outcome::Done,
        Err(e) => Outcome::Failed(e.message().to_owned()),
    };
    progress.end(vertex.id, outcome);
    tree
}

/// What was loaded, as BuildKit tells it.
fn announce(progress: &mut dyn Progress, loaded: &Loaded) {
    let vertex = Vertex {
        id: Beside::Definition.id(0),
        name: format!("[internal] load build definition from {}", loaded.name),
    };
    progress.begin(&vertex);
    progress.log(
        vertex.id,
        format!(
            "transferring dockerfile: {}B done\n",
            loaded.dockerfile.len()
        )
        .as_bytes(),
    );
    progress.end(vertex.id, Outcome::Done);
}

fn rules(warnings: &[Warning]) -> String {
    let rules: BTreeSet<&str> = warnings.iter().map(|w| w.rule).collect();
    rules.into_iter().collect::<Vec<_>>().join(", ")
}

/// Tells why; the status, and what was kept.
fn fail(
    progress: Recorder,
    stopped: Stopped,
    plan: &Plan,
    text: &Text<'_>,
) -> (u8, Option<Box<Remains>>) {
    match stopped {
        Stopped::Interrupted(signal) => {
            drop(progress);
            show::failure(
                None,
                None,
                text,
                &Error::conflict("Canceled: context canceled"),
            );
            (128 + u8::try_from(signal).unwrap_or(2), None)
        }
        Stopped::Failed {
            place,
            step,
            error,
            remains,
        } => {
            let id: Id = (place, step.unwrap_or(usize::MAX));
            let known = progress.finish(id);
            let stage = plan.stages.get(place);
            let at = stage.map(|stage| match step.and_then(|step| stage.steps.get(step)) {
                Some(step) => step.place,
                None => stage.head,
            });
            show::failure(known.as_ref(), at, text, &error);
            (1, remains)
        }
    }
}

/// `--call targets`.
fn targets(file: &Dockerfile) -> Result<u8> {
    let mut out = String::from("TARGET                DESCRIPTION\n");
    for (index, stage) in file.stages.iter().enumerate() {
        let default = if index + 1 == file.stages.len() {
            " (default)"
        } else {
            ""
        };
        let name = stage.name.clone().unwrap_or_else(|| format!("({index})")) + default;
        let about = stage.head.comment.last().map_or("", String::as_str);
        let about = about
            .strip_prefix(stage.name.as_deref().unwrap_or_default())
            .unwrap_or(about);
        out += format!("{name:<22}{}", about.trim()).trim_end();
        out.push('\n');
    }
    stdout::print(&out)?;
    Ok(0)
}

/// `--call outline`: the arguments that a build can be given.
fn outline(file: &Dockerfile) -> Result<u8> {
    use crate::build::parse::instruction::Kind;
    let mut out = String::from("BUILD ARG             VALUE                 DESCRIPTION\n");
    let all = file
        .global
        .iter()
        .chain(file.stages.iter().flat_map(|stage| &stage.body));
    let mut seen = BTreeSet::new();
    for one in all {
        let Kind::Arg(arguments) = &one.kind else {
            continue;
        };
        for argument in arguments.iter().filter(|a| seen.insert(a.name.clone())) {
            let about = one.comment.last().map_or("", String::as_str);
            let value = argument.default.as_deref().unwrap_or_default();
            out += format!("{:<22}{value:<22}{about}", argument.name).trim_end();
            out.push('\n');
        }
    }
    stdout::print(&out)?;
    Ok(0)
}
