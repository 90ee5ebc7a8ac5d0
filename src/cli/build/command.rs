//! `wherry build`: its options, and what they ask for.

use super::caches::{self, CacheFrom, CacheTo};
use super::fields::{self, Named, Output, refused};
use super::job::Job;
use super::json::Json;
use super::plain::Plain;
use super::terminal::Terminal;
use crate::build::exec::work::{self, Work};
use crate::build::exec::{Limits, Options};
use crate::build::plan::{self, Context};
use crate::build::progress::{Progress, Silent};
use crate::cli::annotation::Annotation;
use crate::cli::container::flags::{address, labels, ulimit};
use crate::cli::{Front, Verb};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::{Digest, Platform, Reference};
use crate::record::container::Ulimit;
use crate::sys::pty;
use crate::text::size;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct BuildArgs {
    /// Add a custom host-to-IP mapping (format: "host:ip")
    #[arg(long, value_parser = address::extra_host)]
    add_host: Vec<String>,
    /// Allow extra privileged entitlement (e.g., "network.host")
    #[arg(long)]
    allow: Vec<String>,
    /// Add annotation to the image
    #[arg(long, value_parser = fields::annotation)]
    pub(super) annotation: Vec<Annotation>,
    /// Attestation parameters (format: "type=sbom,generator=image")
    #[arg(long)]
    attest: Vec<String>,
    /// Set build-time variables
    #[arg(long)]
    build_arg: Vec<String>,
    /// Additional build contexts (e.g., name=path)
    #[arg(long, value_parser = fields::build_context)]
    pub(super) build_context: Vec<(String, Named)>,
    /// Override the configured builder instance
    #[arg(long)]
    builder: Option<String>,
    /// External cache sources (e.g., "user/app:cache", "type=local,src=path/to/dir")
    #[arg(long, value_parser = caches::cache_from)]
    pub(super) cache_from: Vec<CacheFrom>,
    /// Cache export destinations (e.g., "user/app:cache", "type=local,dest=path/to/dir")
    #[arg(long, value_parser = caches::cache_to)]
    pub(super) cache_to: Vec<CacheTo>,
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
    /// Start a shell where a step has failed
    #[arg(short = 'D', long)]
    debug: bool,
    /// Name of the Dockerfile (default: "PATH/Dockerfile")
    #[arg(short, long)]
    pub(super) file: Option<String>,
    /// Always remove intermediate containers
    #[arg(long, hide = true)]
    force_rm: bool,
    /// Write the image ID to a file
    #[arg(long)]
    pub(super) iidfile: Option<PathBuf>,
    /// Set metadata for an image
    #[arg(long, value_parser = labels::parse)]
    label: Vec<(String, String)>,
    /// Shorthand for "--output=type=docker"
    #[arg(long)]
    pub(super) load: bool,
    /// Memory limit
    #[arg(short, long, value_name = "bytes", value_parser = size::parse, hide = true)]
    memory: Option<i64>,
    /// Swap limit equal to memory plus swap: -1 to enable unlimited swap
    #[arg(long, value_name = "bytes", value_parser = swap, hide = true)]
    memory_swap: Option<i64>,
    /// Write build result metadata to a file
    #[arg(long)]
    pub(super) metadata_file: Option<PathBuf>,
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
    pub(super) output: Vec<Output>,
    /// Set target platform for build
    #[arg(long)]
    platform: Vec<String>,
    /// Set type of progress output ("auto", "none", "plain", "quiet", "rawjson", "tty")
    #[arg(long, default_value = "auto", value_parser = ["auto", "none", "plain", "quiet", "rawjson", "tty"])]
    pub(super) progress: String,
    /// Shorthand for "--attest=type=provenance"
    #[arg(long)]
    provenance: Option<String>,
    /// Always attempt to pull all referenced images
    #[arg(long)]
    pub(super) pull: bool,
    /// Shorthand for "--output=type=registry,unpack=false"
    #[arg(long)]
    pub(super) push: bool,
    /// Suppress the build output and print image ID on success
    #[arg(short, long)]
    pub(super) quiet: bool,
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
    pub(super) squash: bool,
    /// SSH agent socket to expose to the build (format: "default|<id>[=<socket>]")
    #[arg(long)]
    ssh: Vec<String>,
    /// Image identifier (format: "[registry/]repository[:tag]")
    #[arg(short, long, value_parser = Reference::parse)]
    pub(super) tag: Vec<Reference>,
    /// Set the target build stage to build
    #[arg(long, default_value = "", hide_default_value = true)]
    target: String,
    /// Ulimit options
    #[arg(long, value_name = "ulimit", value_parser = ulimit::parse)]
    ulimit: Vec<Ulimit>,
    #[arg(required = true, value_name = "PATH | URL | -")]
    pub(super) context: String,
    /// What `--file -` is, when that is not standard input.
    #[arg(skip)]
    pub(super) dockerfile: Option<String>,
}

/// The only thing that `--allow` knows.
pub(super) const HOST_NETWORK: &str = "network.host";

/// How a build has ended.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) status: u8,
    /// The image for this machine, when it is in the store.
    pub(super) image: Option<Digest>,
    /// As `--metadata-file` gets it.
    pub(super) metadata: Option<Value>,
}

impl From<u8> for Done {
    fn from(status: u8) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }
}

fn swap(text: &str) -> Result<i64> {
    match text {
        "-1" => Ok(-1),
        text => size::parse(text),
    }
}

/// What is asked for instead of a build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Build,
    Check,
    Targets,
    Outline,
}

impl Verb for BuildArgs {
    fn run(self, front: &Front) -> Result<u8> {
        self.carry_out(front).map(|done| done.status)
    }
}

impl BuildArgs {
    pub(super) fn carry_out(&self, front: &Front) -> Result<Done> {
        let (call, request, options) = self.wanted()?;
        let engine = Engine::open()?;
        work::sweep(&engine)?;
        let work = Work::new(&engine);
        let done = Job {
            front,
            engine: &engine,
            work: &work,
            args: self,
            request,
            options,
        }
        .run(call);
        // What a context was unpacked to, say.
        work.end()?;
        done
    }

    /// All that the options say, looked at before anything is done.
    pub(super) fn wanted(&self) -> Result<(Call, plan::Request, Options)> {
        self.refuse()?;
        let call = self.call()?;
        let variable = |name: &str| std::env::var(name).ok();
        let request = self.request(&variable)?;
        let options = self.options(&request, &variable)?;
        Ok((call, request, options))
    }

    /// Or lets its steps do so.
    pub(super) fn uses_host_network(&self) -> bool {
        self.network == "host" || self.allow.iter().any(|what| what == HOST_NETWORK)
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet || matches!(self.progress.as_str(), "quiet" | "none" | "rawjson")
    }

    /// `--build-context NAME=docker-image://ID`.
    pub(super) fn add_context(&mut self, name: &str, image: String) {
        let context = (name.to_owned(), Named::Image(image));
        self.build_context.push(context);
    }

    /// Options that are known and do not work, by name.
    fn refuse(&self) -> Result<()> {
        let given = [
            (self.attest.iter().any(|a| fields::attests(a)), "--attest"),
            (!self.resource.is_empty(), "--resource"),
            (!self.rm, "--rm=false"),
            (
                self.builder.as_deref().is_some_and(|b| b != "default"),
                "--builder",
            ),
            (is_on(self.provenance.as_deref()), "--provenance"),
            (is_on(self.sbom.as_deref()), "--sbom"),
        ];
        if let Some((_, option)) = given.iter().find(|(given, _)| *given) {
            return Err(refused(option));
        }
        let of_index = self.annotation.iter().flat_map(Annotation::kinds);
        if let [_] = self.platforms()?[..]
            && let Some(kind) = of_index.into_iter().find(|kind| *kind != "manifest")
        {
            // As BuildKit: an image for one platform has no index.
            return Err(Error::unsupported(format!(
                "{kind} annotations not supported for single platform export"
            ))
            .hint("name several with --platform, or make an index with `wherry manifest create`"));
        }
        let pushes = |output: &Output| matches!(output, Output::Image { push: true, .. });
        let names = |output: &Output| matches!(output, Output::Image { name: Some(_), .. });
        let is_named = !self.tag.is_empty() || self.output.iter().any(names);
        if !is_named && (self.push || self.output.iter().any(pushes)) {
            return Err(Error::usage("tag is needed when pushing to registry")
                .hint("name the image with --tag"));
        }
        match self.allow.iter().find(|what| *what != HOST_NETWORK) {
            Some(what) => Err(refused(&format!("--allow {what}"))),
            None => Ok(()),
        }
    }

    /// Those that are asked for, each once; else this machine's.
    fn platforms(&self) -> Result<Vec<Platform>> {
        let mut platforms = Vec::new();
        let given = self.platform.iter().flat_map(|list| list.split(','));
        for text in given.map(str::trim).filter(|text| !text.is_empty()) {
            let platform = Platform::parse(text)?;
            if !platforms.contains(&platform) {
                platforms.push(platform);
            }
        }
        if platforms.is_empty() {
            platforms.push(Platform::host());
        }
        Ok(platforms)
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
                Named::Directory(_) | Named::Repository(_) | Named::Archive(_) => Context::Files,
            };
            (name.clone(), context)
        });
        Ok(plan::Request {
            target: self.target.clone(),
            labels: self.label.iter().cloned().collect(),
            platforms: self.platforms()?,
            contexts: contexts.collect(),
            allows_host_network: self.uses_host_network(),
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
            debug: self.debug,
            secrets: secrets.collect::<Result<_>>()?,
            agents: agents.collect::<Result<_>>()?,
            parallel: std::thread::available_parallelism()
                .map_or(2, usize::from)
                .max(2),
        })
    }

    /// How the build is told of.
    pub(super) fn progress(&self, quiet: bool) -> Box<dyn Progress> {
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
