//! `wherry build`.

use super::bases::Bases;
use super::context::{self, Loaded};
use super::fields::{self, Named, Output, refused};
use super::json::Json;
use super::plain::Plain;
use super::record::Recorder;
use super::show::{self, Text};
use super::terminal::Terminal;
use crate::build::checks::{self, Choice, Warning};
use crate::build::exec::chain::Chain;
use crate::build::exec::schedule::{self, Stopped};
use crate::build::exec::stage::Contents;
use crate::build::exec::work::{self, Work};
use crate::build::exec::{Build, Limits, Options};
use crate::build::export::{self, Files, Made};
use crate::build::files::hashes::Hashes;
use crate::build::files::ignore::Ignore;
use crate::build::files::tree::Tree;
use crate::build::keep;
use crate::build::parse::Dockerfile;
use crate::build::parse::place::Fault;
use crate::build::plan::{self, Context, Plan};
use crate::build::progress::{Id, Outcome, Progress, Silent, Vertex};
use crate::cli::container::flags::{address, labels, ulimit};
use crate::cli::{Front, Verb, stdout};
use crate::engine::Engine;
use crate::error::{Context as _, Error, Result};
use crate::image::{Digest, Platform, Reference};
use crate::record::container::Ulimit;
use crate::sys::pty;
use crate::text::size;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct BuildArgs {
    /// Add a custom host-to-IP mapping (format: "host:ip")
    #[arg(long, value_parser = address::extra_host)]
    add_host: Vec<String>,
    /// Allow extra privileged entitlement (e.g., "network.host")
    #[arg(long)]
    allow: Vec<String>,
    /// Add annotation to the image
    #[arg(long)]
    annotation: Vec<String>,
    /// Attestation parameters (format: "type=sbom,generator=image")
    #[arg(long)]
    attest: Vec<String>,
    /// Set build-time variables
    #[arg(long)]
    build_arg: Vec<String>,
    /// Additional build contexts (e.g., name=path)
    #[arg(long, value_parser = fields::build_context)]
    build_context: Vec<(String, Named)>,
    /// Override the configured builder instance
    #[arg(long)]
    builder: Option<String>,
    /// External cache sources (e.g., "user/app:cache", "type=local,src=path/to/dir")
    #[arg(long)]
    cache_from: Vec<String>,
    /// Cache export destinations (e.g., "user/app:cache", "type=local,dest=path/to/dir")
    #[arg(long)]
    cache_to: Vec<String>,
    /// Set method for evaluating build ("check", "outline", "targets")
    #[arg(long, default_value = "build")]
    call: String,
    /// Set the parent cgroup for the "RUN" instructions during build
    #[arg(long, default_value = "", hide_default_value = true)]
    cgroup_parent: String,
    /// Shorthand for "--call=check"
    #[arg(long)]
    check: bool,
    /// Compress the build context using gzip
    #[arg(long, hide = true)]
    compress: bool,
    /// Limit the CPU CFS (Completely Fair Scheduler) period
    #[arg(long, value_name = "int64", default_value_t = 0, hide = true)]
    cpu_period: i64,
    /// Limit the CPU CFS (Completely Fair Scheduler) quota
    #[arg(long, value_name = "int64", default_value_t = 0, hide = true)]
    cpu_quota: i64,
    /// CPU shares (relative weight)
    #[arg(short, long, default_value_t = 0, hide = true)]
    cpu_shares: u64,
    /// CPUs in which to allow execution (0-3, 0,1)
    #[arg(long, hide = true)]
    cpuset_cpus: Option<String>,
    /// MEMs in which to allow execution (0-3, 0,1)
    #[arg(long, hide = true)]
    cpuset_mems: Option<String>,
    /// Enable debug logging
    #[arg(short = 'D', long)]
    debug: bool,
    /// Name of the Dockerfile (default: "PATH/Dockerfile")
    #[arg(short, long)]
    file: Option<String>,
    /// Always remove intermediate containers
    #[arg(long, hide = true)]
    force_rm: bool,
    /// Write the image ID to a file
    #[arg(long)]
    iidfile: Option<PathBuf>,
    /// Set metadata for an image
    #[arg(long, value_parser = labels::parse)]
    label: Vec<(String, String)>,
    /// Shorthand for "--output=type=docker"
    #[arg(long)]
    load: bool,
    /// Memory limit
    #[arg(short, long, value_name = "bytes", value_parser = size::parse, hide = true)]
    memory: Option<i64>,
    /// Swap limit equal to memory plus swap: -1 to enable unlimited swap
    #[arg(long, value_name = "bytes", value_parser = swap, hide = true)]
    memory_swap: Option<i64>,
    /// Write build result metadata to a file
    #[arg(long)]
    metadata_file: Option<PathBuf>,
    /// Set the networking mode for the "RUN" instructions during build
    #[arg(long, default_value = "default", value_parser = ["default", "none", "host"])]
    network: String,
    /// Do not use cache when building the image
    #[arg(long)]
    no_cache: bool,
    /// Do not cache specified stages
    #[arg(long)]
    no_cache_filter: Vec<String>,
    /// Output destination (format: "type=local,dest=path")
    #[arg(short, long, value_parser = fields::output)]
    output: Vec<Output>,
    /// Set target platform for build
    #[arg(long)]
    platform: Vec<String>,
    /// Set type of progress output ("auto", "none", "plain", "quiet", "rawjson", "tty")
    #[arg(long, default_value = "auto", value_parser = ["auto", "none", "plain", "quiet", "rawjson", "tty"])]
    progress: String,
    /// Shorthand for "--attest=type=provenance"
    #[arg(long)]
    provenance: Option<String>,
    /// Always attempt to pull all referenced images
    #[arg(long)]
    pull: bool,
    /// Shorthand for "--output=type=registry,unpack=false"
    #[arg(long)]
    push: bool,
    /// Suppress the build output and print image ID on success
    #[arg(short, long)]
    quiet: bool,
    /// Limits of the "RUN" instructions
    #[arg(long)]
    resource: Vec<String>,
    /// Remove intermediate containers after a successful build
    #[arg(long, default_value = "true", hide = true)]
    rm: bool,
    /// Shorthand for "--attest=type=sbom"
    #[arg(long)]
    sbom: Option<String>,
    /// Secret to expose to the build (format: "id=mysecret[,src=/local/secret]")
    #[arg(long)]
    secret: Vec<String>,
    /// Shared memory size for build containers
    #[arg(long, value_name = "bytes", value_parser = size::parse)]
    shm_size: Option<i64>,
    /// Squash newly built layers into a single new layer
    #[arg(long, hide = true)]
    squash: bool,
    /// SSH agent socket to expose to the build (format: "default|<id>[=<socket>]")
    #[arg(long)]
    ssh: Vec<String>,
    /// Image identifier (format: "[registry/]repository[:tag]")
    #[arg(short, long, value_parser = Reference::parse)]
    tag: Vec<Reference>,
    /// Set the target build stage to build
    #[arg(long, default_value = "", hide_default_value = true)]
    target: String,
    /// Ulimit options
    #[arg(long, value_name = "ulimit", value_parser = ulimit::parse)]
    ulimit: Vec<Ulimit>,
    #[arg(required = true, value_name = "PATH | URL | -")]
    context: String,
}

fn swap(text: &str) -> Result<i64> {
    match text {
        "-1" => Ok(-1),
        text => size::parse(text),
    }
}

/// What is asked for instead of a build.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Build,
    Check,
    Targets,
    Outline,
}

impl Verb for BuildArgs {
    fn run(self, front: &Front) -> Result<u8> {
        self.refuse()?;
        let call = self.call()?;
        let variable = |name: &str| std::env::var(name).ok();
        let request = self.request(&variable)?;
        let options = self.options(&request, &variable)?;
        let engine = Engine::open()?;
        work::sweep(&engine)?;
        let work = Work::new(&engine);
        let done = Job {
            front,
            engine: &engine,
            work: &work,
            args: &self,
            request,
            options,
        }
        .run(call);
        // What a context was unpacked to, say.
        work.end()?;
        done
    }
}

impl BuildArgs {
    /// Options that are known and do not work, by name.
    fn refuse(&self) -> Result<()> {
        let given = [
            (!self.annotation.is_empty(), "--annotation"),
            (!self.attest.is_empty(), "--attest"),
            (!self.cache_from.is_empty(), "--cache-from"),
            (!self.cache_to.is_empty(), "--cache-to"),
            (!self.resource.is_empty(), "--resource"),
            (self.push, "--push"),
            (self.squash, "--squash"),
            (self.debug, "--debug"),
            (!self.rm, "--rm=false"),
            (
                self.builder.as_deref().is_some_and(|b| b != "default"),
                "--builder",
            ),
            (is_on(self.provenance.as_deref()), "--provenance"),
            (is_on(self.sbom.as_deref()), "--sbom"),
            (
                self.platform.iter().any(|p| p.contains(',')) || self.platform.len() > 1,
                "--platform with several platforms",
            ),
        ];
        if let Some((_, option)) = given.iter().find(|(given, _)| *given) {
            return Err(refused(option));
        }
        match self.allow.iter().find(|what| *what != "network.host") {
            Some(what) => Err(refused(&format!("--allow {what}"))),
            None => Ok(()),
        }
    }

    fn call(&self) -> Result<Call> {
        match self.call.as_str() {
            _ if self.check => Ok(Call::Check),
            "build" => Ok(Call::Build),
            "check" | "lint" => Ok(Call::Check),
            "targets" => Ok(Call::Targets),
            "outline" => Ok(Call::Outline),
            other => Err(Error::usage(format!("invalid call {other:?}"))
                .hint("build, check, outline or targets")),
        }
    }

    fn request(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<plan::Request> {
        let mut arguments = BTreeMap::new();
        for text in &self.build_arg {
            match text.split_once('=') {
                Some((name, value)) => arguments.insert(name.to_string(), value.to_string()),
                // The caller's own; one that is not set is not given.
                None => match variable(text) {
                    Some(value) => arguments.insert(text.clone(), value),
                    None => arguments.remove(text),
                },
            };
        }
        let contexts = self.build_context.iter().map(|(name, named)| {
            let context = match named {
                Named::Image(image) => Context::Image(image.clone()),
                Named::Directory(_) => Context::Files,
            };
            (name.clone(), context)
        });
        Ok(plan::Request {
            target: self.target.clone(),
            labels: self.label.iter().cloned().collect(),
            platform: self
                .platform
                .first()
                .map(|text| Platform::parse(text))
                .transpose()?,
            contexts: contexts.collect(),
            allows_host_network: self.network == "host"
                || self.allow.iter().any(|a| a == "network.host"),
            arguments,
        })
    }

    fn options(
        &self,
        request: &plan::Request,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Options> {
        let secrets = self
            .secret
            .iter()
            .map(|text| fields::secret(text, variable));
        let agents = self
            .ssh
            .iter()
            .map(|text| fields::agent(text, variable("SSH_AUTH_SOCK")));
        let given = request.arguments.get("SOURCE_DATE_EPOCH").cloned();
        let epoch = given
            .or_else(|| variable("SOURCE_DATE_EPOCH"))
            .filter(|text| !text.is_empty());
        let epoch = epoch.map(|text| match text.parse::<i64>() {
            Ok(seconds) if jiff::Timestamp::from_second(seconds).is_ok() => Ok(seconds),
            _ => Err(Error::invalid(format!(
                "invalid SOURCE_DATE_EPOCH: {text:?}"
            ))),
        });
        Ok(Options {
            no_cache: self.no_cache,
            anew: self
                .no_cache_filter
                .iter()
                .flat_map(|names| names.split(','))
                .map(str::to_string)
                .collect(),
            network: self.network.clone(),
            extra_hosts: self.add_host.clone(),
            shm_size: self.shm_size.unwrap_or(0),
            ulimits: self.ulimit.clone(),
            limits: Limits {
                memory: self.memory.unwrap_or(0),
                memory_swap: self.memory_swap.unwrap_or(0),
                cpu_shares: self.cpu_shares,
                cpu_period: self.cpu_period,
                cpu_quota: self.cpu_quota,
                cpuset_cpus: self.cpuset_cpus.clone().unwrap_or_default(),
                cpuset_mems: self.cpuset_mems.clone().unwrap_or_default(),
                cgroup_parent: self.cgroup_parent.clone(),
            },
            epoch: epoch.transpose()?,
            secrets: secrets.collect::<Result<_>>()?,
            agents: agents.collect::<Result<_>>()?,
            parallel: std::thread::available_parallelism()
                .map_or(2, usize::from)
                .max(2),
        })
    }

    /// How the build is told of.
    fn progress(&self, quiet: bool) -> Box<dyn Progress> {
        let err = std::io::stderr();
        let wanted = match self.progress.as_str() {
            _ if quiet => "quiet".to_string(),
            "auto" => std::env::var("BUILDKIT_PROGRESS").unwrap_or_else(|_| "auto".into()),
            other => other.to_string(),
        };
        let is_terminal = err.is_terminal();
        match wanted.as_str() {
            "quiet" | "none" => Box::new(Silent),
            "rawjson" => Box::new(Json::new(err)),
            "tty" | "auto" if is_terminal => {
                let size = pty::size(&err).ok();
                let (columns, rows) = size.map_or((80, 24), |size| (size.columns, size.rows));
                Box::new(Terminal::new(err, columns, rows))
            }
            _ => Box::new(Plain::new(err, is_terminal)),
        }
    }
}

fn is_on(value: Option<&str>) -> bool {
    value.is_some_and(|value| !matches!(value, "false" | "0" | "disabled"))
}

/// One run of the command.
struct Job<'a> {
    front: &'a Front,
    engine: &'a Engine,
    work: &'a Work,
    args: &'a BuildArgs,
    request: plan::Request,
    options: Options,
}

impl Job<'_> {
    fn run(&self, call: Call) -> Result<u8> {
        let quiet = self.args.quiet || self.args.progress == "quiet";
        let loaded = context::load(
            self.engine,
            self.work,
            &self.args.context,
            self.args.file.as_deref(),
        )?;
        let text = Text {
            name: &loaded.name,
            text: &loaded.dockerfile,
        };
        let told = |fault: &Fault| {
            show::failure(None, fault.place, &text, &fault.error);
            Ok(1)
        };
        let file = match Dockerfile::parse(&loaded.dockerfile) {
            Ok(file) => file,
            Err(fault) => return told(&fault),
        };
        match call {
            Call::Targets => return targets(&file),
            Call::Outline => return outline(&file),
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
        );
        let plan = match plan::plan(&file, &self.request, &mut bases) {
            Ok(plan) => plan,
            Err(fault) => return told(&fault),
        };
        let warnings = checks::check(&file, &plan.notes, &choice);
        if call == Call::Check {
            stdout::print(&show::check(&warnings, &text))?;
            return Ok(u8::from(!warnings.is_empty()));
        }
        if choice.is_error && !warnings.is_empty() {
            stdout::print(&show::check(&warnings, &text))?;
            let error =
                Error::invalid("lint violation found for rules: ".to_string() + &rules(&warnings));
            show::failure(None, None, &text, &error);
            return Ok(1);
        }
        let status = self.build(&loaded, &plan, quiet)?;
        if status == 0 && !quiet {
            self.warn(&plan, &warnings);
        }
        Ok(status)
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

    fn build(&self, loaded: &Loaded, plan: &Plan, quiet: bool) -> Result<u8> {
        let text = Text {
            name: &loaded.name,
            text: &loaded.dockerfile,
        };
        let mut named = BTreeMap::new();
        for (name, context) in &self.args.build_context {
            if let Named::Directory(dir) = context {
                named.insert(name.clone(), Tree::open(dir, Ignore::default())?);
            }
        }
        let build = Build {
            engine: self.engine,
            steps: &self.work.steps,
            plan,
            context: loaded.tree.as_ref(),
            named: &named,
            options: &self.options,
        };
        let mut progress = Recorder::new(self.args.progress(quiet));
        announce(&mut progress, loaded);
        let load = |name: &str| self.hashes(name, loaded);
        let contents = Contents::look(&build, &load);
        let chains = contents
            .map_err(|(place, step, error)| Stopped::Failed {
                place,
                step: Some(step),
                error,
            })
            .and_then(|contents| schedule::carry_out(&build, &contents, self.work, &mut progress));
        let chains = match chains {
            Ok(chains) => chains,
            Err(stopped) => return Ok(fail(progress, stopped, plan, &text)),
        };
        let export: Vertex = Vertex {
            id: (usize::MAX, 2),
            name: "exporting to image".into(),
        };
        progress.begin(&export);
        let chain = chains
            .last()
            .ok_or_else(|| Error::internal("nothing was built"))?;
        let (tags, made) = self.export(plan, chain, &mut progress, export.id)?;
        progress.end(export.id, Outcome::Done);
        drop(progress);
        self.tell(&made, &tags, quiet)?;
        keep::within_budget(self.engine)?;
        Ok(0)
    }

    /// Into the store, unless only files are wanted.
    fn export(
        &self,
        plan: &Plan,
        chain: &Chain,
        progress: &mut dyn Progress,
        id: Id,
    ) -> Result<(Vec<Reference>, Option<Made>)> {
        let mut tags = self.args.tag.clone();
        let mut into_store = self.args.output.is_empty() || self.args.load;
        for output in &self.args.output {
            match output {
                Output::Image { name } => {
                    into_store = true;
                    tags.extend(name.as_deref().map(Reference::parse).transpose()?);
                }
                Output::Local(dir) => {
                    std::fs::create_dir_all(dir)
                        .context(|| format!("cannot make directory \"{}\"", dir.display()))?;
                    let to = open(dir, File::options().read(true))?;
                    export::files(self.engine, chain, &Files::Directory(&to))?;
                }
                Output::Tar(path) if path.as_os_str() == "-" => {
                    let out = std::io::stdout().as_fd().try_clone_to_owned();
                    let to = File::from(out.context(|| "cannot write to standard output")?);
                    if to.is_terminal() {
                        return Err(Error::invalid("refusing to write an archive to a terminal"));
                    }
                    export::files(self.engine, chain, &Files::Tar(&to))?;
                }
                Output::Tar(path) => {
                    let to = open(
                        path,
                        File::options().write(true).create(true).truncate(true),
                    )?;
                    export::files(self.engine, chain, &Files::Tar(&to))?;
                }
            }
        }
        if !into_store {
            return Ok((tags, None));
        }
        let made = export::write(self.engine, plan.target(), chain, self.options.epoch)?;
        export::name(self.engine, &made, &tags)?;
        progress.log(id, format!("writing image {}\n", made.id).as_bytes());
        for tag in &tags {
            progress.log(id, format!("naming to {}\n", tag.canonical()).as_bytes());
        }
        Ok((tags, Some(made)))
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

    fn tell(&self, made: &Option<Made>, tags: &[Reference], quiet: bool) -> Result<()> {
        // Files have no ID.
        let Some(Made { id, manifest }) = made else {
            return Ok(());
        };
        if let Some(path) = &self.args.iidfile {
            std::fs::write(path, id.as_str())
                .context(|| format!("cannot write \"{}\"", path.display()))?;
        }
        if let Some(path) = &self.args.metadata_file {
            let names: Vec<String> = tags.iter().map(Reference::canonical).collect();
            let mut metadata = json!({
                "containerimage.config.digest": id,
                "containerimage.digest": manifest.digest,
            });
            if !names.is_empty() {
                metadata["image.name"] = json!(names.join(","));
            }
            let text =
                serde_json::to_string_pretty(&metadata).context(|| "cannot write the metadata")?;
            std::fs::write(path, text + "\n")
                .context(|| format!("cannot write \"{}\"", path.display()))?;
        }
        match quiet {
            true => stdout::line(id.as_str()),
            false => Ok(()),
        }
    }
}

fn open(path: &Path, options: &std::fs::OpenOptions) -> Result<File> {
    options
        .open(path)
        .context(|| format!("cannot open \"{}\"", path.display()))
}

/// What was loaded, as BuildKit tells it.
fn announce(progress: &mut dyn Progress, loaded: &Loaded) {
    let vertex = Vertex {
        id: (usize::MAX, 0),
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

/// Tells why; the status.
fn fail(progress: Recorder, stopped: Stopped, plan: &Plan, text: &Text<'_>) -> u8 {
    match stopped {
        Stopped::Interrupted(signal) => {
            drop(progress);
            show::failure(
                None,
                None,
                text,
                &Error::conflict("Canceled: context canceled"),
            );
            128 + u8::try_from(signal).unwrap_or(2)
        }
        Stopped::Failed { place, step, error } => {
            let id: Id = (place, step.unwrap_or(usize::MAX));
            let known = progress.finish(id);
            let stage = plan.stages.get(place);
            let at = stage.map(|stage| match step.and_then(|step| stage.steps.get(step)) {
                Some(step) => step.place,
                None => stage.head,
            });
            show::failure(known.as_ref(), at, text, &error);
            1
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
