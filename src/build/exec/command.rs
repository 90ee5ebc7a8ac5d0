//! A RUN: a container like any other, but that nobody else sees, whose output
//! comes here, and whose writes become a layer. Those of a stage share a network:
//! none of them may change it, and what one has left open ends with it.

use super::chain::Chain;
use super::mounts::{self, Prepared};
use super::points::{self, Point};
use super::{Build, Limits};
use crate::build::plan::{Run, Source as From};
use crate::container::attach::attach;
use crate::container::network::endpoints::has_networks;
use crate::container::plan::security;
use crate::container::relay::{Outcome, RelayOptions};
use crate::container::remove;
use crate::container::room::Room;
use crate::container::start::{Step, Way, launch_step};
use crate::engine::Engine;
use crate::error::{self, Context, Error, Result};
use crate::fs::replace::Durability;
use crate::image::Platform;
use crate::monitor::protocol::{self, Attach, Kind};
use crate::record::container::{Config, Container, HostConfig, LogConfig, State, VERSION};
use crate::record::containers::{self, New};
use crate::store::StepLayer;
use crate::sys::procfs::Process;
use crate::sys::signal;
use crate::text::{id, time};
use crate::userns::task;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// BuildKit's name for the host that steps run on.
const HOSTNAME: &str = "buildkitsandbox";

/// What the RUNs of a stage have together.
#[derive(Default)]
pub struct Shared {
    network: Network,
    /// What a step has written that has failed, kept for `--debug`.
    pub failed: Option<PathBuf>,
}

/// Where a build has failed: enough to look around there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scene {
    /// Before the step.
    pub chain: Chain,
    /// What it has written.
    pub upper: PathBuf,
}

/// The network of a stage's steps.
#[derive(Default)]
pub enum Network {
    /// None of them has needed it yet.
    #[default]
    Unused,
    Shared(Box<Room>),
    /// Each gets its own: this host needs a process of another program for it.
    Apart,
}

impl Network {
    /// Puts `container` into it, if it is for it.
    fn enter(&mut self, engine: &Engine, container: &mut Container) -> Option<&Room> {
        if !has_networks(&container.host_config) {
            return None;
        }
        if matches!(self, Self::Unused) {
            let made = Room::begin(engine, container);
            *self = made.map_or(Self::Apart, |room| Self::Shared(Box::new(room)));
        }
        let Self::Shared(room) = self else {
            return None;
        };
        container.host_config.network_mode = room.mode();
        Some(room)
    }
}

/// Runs it on the files of `chain`; gives what it has changed. `log` gets its
/// output.
pub fn run(
    build: &Build<'_>,
    chain: &Chain,
    run: &Run,
    platform: &str,
    layers: &dyn Fn(&From) -> Result<Vec<StepLayer>>,
    shared: &mut Shared,
    log: &mut dyn FnMut(&[u8]),
) -> Result<Option<StepLayer>> {
    let mut container = container(build, chain, run, platform)?;
    let room = shared.network.enter(build.steps, &mut container);
    let (dir, state) = enlist(build, &container)?;
    let (step, points) = furnish(build, chain, run, layers, &mut container, room)?;
    let status = start_and_wait(build, &container, state, step, log).map_err(|error| {
        let _ = remove::remove_alone(build.steps, &container.id, true, true);
        foreign(error, platform)
    })?;
    if status != 0 {
        if build.options.debug {
            shared.failed = Some(dir.join("upper"));
        } else {
            let _ = remove::remove_alone(build.steps, &container.id, true, true);
        }
        return Err(unsuccessful(run, status));
    }
    let upper = dir.join("upper");
    let made = task::run(&build.engine.paths, || {
        points::remove(&upper, &points)?;
        super::files::layer(build, &upper)
    })?;
    // Small files, which go with those of all other steps when the build ends.
    let paths = &build.steps.paths;
    containers::hide(paths, &container.id, "")?;
    let _ = std::fs::remove_dir_all(paths.run_container(&container.id));
    Ok(made)
}

/// That a program cannot be started may be because of the platform.
fn foreign(error: Error, platform: &str) -> Error {
    let runs = |stage: Platform| Platform::host().runs(&stage);
    if error.kind() != error::Kind::NotExecutable || Platform::parse(platform).is_ok_and(runs) {
        return error;
    }
    error.hint(format!(
        "the stage is for {platform}: do it on $BUILDPLATFORM, or let the kernel run such programs (binfmt_misc, the package qemu-user-static)"
    ))
}

/// A shell where `run` has failed, with its files, mounts and variables, on the
/// caller's terminal; how that ended.
pub fn look_around(
    build: &Build<'_>,
    scene: &Scene,
    run: &Run,
    platform: &str,
    layers: &dyn Fn(&From) -> Result<Vec<StepLayer>>,
    size: (u16, u16),
) -> Result<Outcome> {
    let shell = Run {
        words: vec!["/bin/sh".into()],
        script: None,
        ..run.clone()
    };
    let mut container = container(build, &scene.chain, &shell, platform)?;
    container.config.tty = true;
    container.config.open_stdin = true;
    container.config.attach_stdin = true;
    container.host_config.console_size = [size.0, size.1];
    let (dir, state) = enlist(build, &container)?;
    task::run(&build.engine.paths, || {
        std::fs::rename(&scene.upper, dir.join("upper"))
            .context(|| "cannot use what the step has written")
    })?;
    let (step, _) = furnish(build, &scene.chain, &shell, layers, &mut container, None)?;
    let streams = Attach {
        stdin: true,
        stdout: true,
        stderr: true,
    };
    let way = Way::prepare(build.steps)?;
    let launched = launch_step(build.steps, container, state, streams, way, Some(step))?;
    let options = RelayOptions {
        attach: streams,
        terminal: true,
        redraw: false,
        signals: true,
        detach_keys: Vec::new(),
    };
    attach(launched.client, &options)
}

/// Makes the records of a step's container; its directory, and what it begins with.
fn enlist(build: &Build<'_>, container: &Container) -> Result<(PathBuf, State)> {
    let paths = &build.steps.paths;
    let state = State::nameless(&container.id, Process::me());
    // Nobody else knows of it: its lock is not needed.
    drop(New::begin(paths, &container.id)?.finish(container, &state, Durability::Fast)?);
    Ok((paths.container(&container.id), state))
}

/// Mounts and variables of `run`, and the mount points that are made for it.
fn furnish<'r>(
    build: &Build<'_>,
    chain: &Chain,
    run: &Run,
    layers: &dyn Fn(&From) -> Result<Vec<StepLayer>>,
    container: &mut Container,
    room: Option<&'r Room>,
) -> Result<(Step<'r>, Vec<Point>)> {
    let dir = build.steps.paths.container(&container.id);
    let mut prepared: Prepared = mounts::prepare(build, chain, run, &dir, layers)?;
    // Not in the record: some of it is secret.
    container.config.env.append(&mut prepared.env);
    let step = Step {
        mounts: prepared.steps,
        room,
    };
    Ok((step, prepared.points))
}

/// BuildKit's sentence, which scripts look for.
fn unsuccessful(run: &Run, status: i32) -> Error {
    Error::invalid(format!(
        "process {:?} did not complete successfully: exit code: {status}",
        run.words.join(" ")
    ))
}

fn container(build: &Build<'_>, chain: &Chain, run: &Run, platform: &str) -> Result<Container> {
    let options = build.options;
    let mut words = run.words.iter().cloned();
    let path = words
        .next()
        .ok_or_else(|| Error::invalid("RUN has no command"))?;
    let Limits {
        memory,
        memory_swap,
        cpu_shares,
        cpu_period,
        cpu_quota,
        cpuset_cpus,
        cpuset_mems,
        cgroup_parent,
    } = options.limits.clone();
    let network = run
        .network
        .clone()
        .unwrap_or_else(|| match options.network.as_str() {
            "" | "default" => "bridge".into(),
            other => other.into(),
        });
    let mut host = HostConfig {
        network_mode: network,
        // Nothing of it outlives the step but what is packed.
        auto_remove: true,
        extra_hosts: Some(options.extra_hosts.clone()),
        ulimits: options.ulimits.clone(),
        log_config: LogConfig {
            driver: "none".into(),
            ..LogConfig::default()
        },
        memory,
        memory_swap,
        cpu_shares,
        cpu_period,
        cpu_quota,
        cpuset_cpus,
        cpuset_mems,
        cgroup_parent,
        ..HostConfig::default()
    };
    if options.shm_size > 0 {
        host.shm_size = options.shm_size;
    }
    (host.masked_paths, host.readonly_paths) = security::default_paths(&host);
    Ok(Container {
        version: VERSION,
        id: id::random()?,
        created: time::now(),
        path,
        args: words.collect(),
        layers: chain.diff_ids().iter().map(ToString::to_string).collect(),
        platform: platform.to_string(),
        config: Config {
            hostname: HOSTNAME.into(),
            user: run.user.clone(),
            env: run.env.clone(),
            working_dir: run.directory.clone(),
            attach_stdout: true,
            attach_stderr: true,
            ..Config::default()
        },
        host_config: host,
        ..Container::default()
    })
}

/// The status that the program ended with.
fn start_and_wait(
    build: &Build<'_>,
    container: &Container,
    state: State,
    step: Step<'_>,
    log: &mut dyn FnMut(&[u8]),
) -> Result<i32> {
    let way = Way::prepare(build.steps)?;
    let launched = launch_step(
        build.steps,
        container.clone(),
        state,
        Attach::OUTPUT,
        way,
        Some(step),
    )?;
    for warning in &launched.warnings {
        log(format!("WARNING: {warning}\n").as_bytes());
    }
    let monitor = containers::state(&build.steps.paths, &container.id)?.monitor;
    let mut buffer = vec![0; protocol::MAX_PAYLOAD + 1];
    let mut status = None;
    loop {
        let message = launched
            .client
            .socket
            .receive(&mut buffer)
            .context(|| "cannot hear from the step's monitor")?;
        let Some(message) = message else { break };
        match (message.kind, message.payload) {
            (Kind::Stdout | Kind::Stderr, bytes) => log(bytes),
            (Kind::Exited, &[a, b, c, d]) => status = Some(i32::from_ne_bytes([a, b, c, d])),
            (Kind::Failed, payload) => return Err(protocol::parse_error(payload)),
            _ => {}
        }
    }
    let status = status.ok_or_else(|| Error::internal("the step's monitor was killed"))?;
    // It is our child, and holds the last mount of the files.
    if let Some(monitor) = monitor {
        let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(monitor.pid), None);
    }
    while signal::reap_any().is_ok_and(|ended| ended.is_some()) {}
    Ok(status)
}
