//! Starting a container that exists.

use super::fill::Volumes;
use super::network::endpoints::Leases;
use super::plan::namespaces::{Namespaces, Whose, container_of};
use super::plan::{Layers, Material, Shared};
use super::room::Room;
use super::{donor, network, plan, state};
use crate::cgroup::limits::Limits;
use crate::cgroup::{Place, devices};
use crate::engine::Engine;
use crate::error::{Context, Error, Kind as ErrorKind, Result};
use crate::host::Need;
use crate::image::digest::Digest;
use crate::monitor::job::{Given, Job};
use crate::monitor::protocol::Attach;
use crate::monitor::spawn::{self, Client};
use crate::record::container::{Container, State, Status};
use crate::record::containers;
use crate::record::mount::Kind;
use crate::runtime::beside::Join;
use crate::runtime::plan::Step as MountStep;
use crate::userns::enter::Userns;
use crate::userns::map::Maps;
use crate::volume::chown;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What `start` found.
pub enum Started {
    /// It runs now, and we are attached.
    Now(Launched),
    /// It ran already.
    Before,
}

/// A container that runs because of us.
pub struct Launched {
    pub client: Client,
    /// What the user is to be told.
    pub warnings: Vec<String>,
}

/// Starts the container `wanted` names, attached to those of its streams.
pub fn start(engine: &Engine, wanted: &str, size: (u16, u16), attach: Attach) -> Result<Started> {
    let id = containers::find(&engine.paths, wanted)?;
    let volumes = unready(engine, &id)?;
    let _lock = containers::lock(&engine.paths, &id)?;
    let mut now = state::settle(&engine.paths, &id)?;
    match now.status {
        Status::Created | Status::Exited => {}
        // As Docker: one between two runs counts as one that runs.
        Status::Running | Status::Restarting => return Ok(Started::Before),
        Status::Paused => {
            return Err(Error::conflict(
                "cannot start a paused container, try unpause instead",
            ));
        }
        other => {
            return Err(Error::conflict(format!(
                "container {id} is {}",
                other.word()
            )));
        }
    }
    let container = containers::config(&engine.paths, &id)?;
    if let Some(volumes) = volumes {
        volumes.fill(engine, &container)?;
        now.volumes_ready = true;
    }
    let way = Way::prepare(engine)?;
    launch(engine, container, now, size, attach, way).map(Started::Now)
}

/// The volumes of a container whose making was killed before it had them.
fn unready(engine: &Engine, id: &str) -> Result<Option<Volumes>> {
    if containers::state(&engine.paths, id)?.volumes_ready {
        return Ok(None);
    }
    let container = containers::config(&engine.paths, id)?;
    let named = Volumes::hold_named(engine, &container)?;
    named.and_anonymous(engine, &container).map(Some)
}

/// The user namespace to start in, which may still be on its way: prepared
/// early, it is there when it is needed.
pub struct Way {
    /// `None` for root.
    pub(super) maps: Option<Maps>,
    pub(super) userns: Userns,
}

impl Way {
    pub fn prepare(engine: &Engine) -> Result<Self> {
        if nix::unistd::geteuid().is_root() {
            return Ok(Self {
                maps: None,
                userns: Userns::Own,
            });
        }
        let maps = Maps::of_caller()?;
        let userns = Userns::find(&engine.paths, &maps)?;
        Ok(Self {
            maps: Some(maps),
            userns,
        })
    }
}

/// Starts a container whose lock the caller holds.
pub fn launch(
    engine: &Engine,
    mut container: Container,
    state: State,
    size: (u16, u16),
    attach: Attach,
    way: Way,
) -> Result<Launched> {
    container.host_config.console_size = [size.0, size.1];
    launch_step(engine, container, state, attach, way, None)
}

/// What no user can ask for: that of a build's step.
pub struct Step<'a> {
    /// Mounted last.
    pub mounts: Vec<MountStep>,
    /// The network that it is in, where `NetworkMode` is its mode.
    pub room: Option<&'a Room>,
}

/// Starts a container, or what a build makes a container of: that ends with the
/// caller.
pub fn launch_step(
    engine: &Engine,
    mut container: Container,
    state: State,
    attach: Attach,
    way: Way,
    step: Option<Step<'_>>,
) -> Result<Launched> {
    network::add_environment(engine, &mut container)?;
    let Way { maps, userns } = way;
    let material = material(engine, &container)?;
    let room = step.as_ref().and_then(|step| step.room);
    let (shared, donor) = shared(engine, &container, maps.is_some(), room)?;
    let plan = plan::build(&engine.paths, &container, &material, maps.as_ref(), shared)?;
    let mut leases = Leases::new(&engine.paths, &container.id);
    let mut network = network::Attachment::prepare(engine, &container, &state, &mut leases)?;
    let cgroup = make_cgroup(&container)?;
    let mut job = Job {
        paths: engine.paths.clone(),
        id: container.id.clone(),
        plan,
        user: container.config.user.clone(),
        group_add: container.host_config.group_add.clone().unwrap_or_default(),
        volumes: container.mounts.iter().any(|point| point.anonymous),
        given: given(engine, &container)?,
        ids: container.ids,
        open_stdin: container.config.open_stdin,
        stdin_once: container.config.stdin_once,
        attach,
        auto_remove: container.host_config.auto_remove,
        ends_with_starter: false,
        checks: plan::health::checks(&container, || donor::real(&engine.paths, &container))?,
        restart: container.host_config.restart_policy.clone(),
        log: plan::logging::target(&container, &state.name)?,
        files: match donor.filter(|_| of_donor(&container)) {
            Some(id) => donor::files(&engine.paths, &id)?,
            None => network.files(&container)?,
        },
        net: network.net(),
        uplink: network.uplink(),
        cgroup,
        state: State {
            ports: network.ports(),
            networks: network.networks(),
            manually_stopped: false,
            manually_restarted: false,
            restart_count: 0,
            ..state
        },
        listeners: network.take_listeners(),
    };
    if let Some(step) = step {
        job.plan.add_steps(step.mounts);
        job.auto_remove = false;
        job.ends_with_starter = true;
    }
    let client = spawn::spawn(job, userns, |paths| network.connect(paths))
        .inspect_err(|_| network.abandon())?;
    leases.keep();
    Ok(Launched {
        client,
        warnings: network.warnings(),
    })
}

/// What the container shares, and the ID of the one it joins.
fn shared(
    engine: &Engine,
    container: &Container,
    rootless: bool,
    room: Option<&Room>,
) -> Result<(Shared, Option<String>)> {
    let (namespaces, donor) = match room {
        Some(room) => (Namespaces::of(&container.host_config)?, Some(room.donor()?)),
        None => donor::find(engine, container)?,
    };
    let memory = match &donor {
        Some(donor) if namespaces.ipc == Whose::Donor => Some(donor::shared_memory(donor)?),
        _ => None,
    };
    let id = donor.as_ref().map(|donor| donor.id.clone());
    let own_userns = if rootless { libc::CLONE_NEWUSER } else { 0 };
    let join = donor.map(|donor| Join {
        init: donor.init,
        namespaces: namespaces.flags(Whose::Donor) | own_userns,
        oom_score_adj: container.host_config.oom_score_adj,
    });
    let shared = Shared {
        namespaces,
        // Root's donor may have nothing that is not the host's.
        join: join.filter(|join| join.namespaces != 0),
        memory,
    };
    Ok((shared, id))
}

/// It is in the network of the container that it joins.
fn of_donor(container: &Container) -> bool {
    container_of(&container.host_config.network_mode).is_some()
}

/// What the container's root and mounts are made of.
pub(super) fn material(engine: &Engine, container: &Container) -> Result<Material> {
    let of_images = container
        .mounts
        .iter()
        .filter(|point| point.kind == Kind::Image);
    Ok(Material {
        layers: match container.rootfs {
            Some(_) => Layers::default(),
            None => layers(engine, &container.layers)?,
        },
        images: of_images
            .map(|point| layers(engine, &point.layers))
            .collect::<Result<_>>()?,
        mounted: donor::volumes(engine, container)?,
    })
}

/// What `:U` gives to the container's user.
fn given(engine: &Engine, container: &Container) -> Result<Vec<Given>> {
    let mut all = Vec::new();
    for point in container.mounts.iter().filter(|point| point.chowns) {
        let path = match point.kind {
            Kind::Volume => engine.paths.volume_data(&point.name),
            _ => std::fs::canonicalize(&point.source)
                .context(|| format!("cannot give \"{}\" away", point.source))?,
        };
        if point.kind == Kind::Bind && chown::is_kept(&path) {
            return Err(Error::new(
                ErrorKind::Denied,
                format!(
                    "\"{}\" cannot be given to the container's user: the host needs it as it is",
                    path.display()
                ),
            )
            .hint("leave out the U of the mount, or bind a directory below"));
        }
        all.push(Given {
            path,
            subpath: point.subpath.clone(),
        });
    }
    Ok(all)
}

/// An image's layers, lowest first.
pub fn layers(engine: &Engine, layers: &[String]) -> Result<Layers> {
    let diff_ids = layers
        .iter()
        .map(|id| Digest::parse(id))
        .collect::<Result<Vec<_>>>()?;
    let store = engine.store()?;
    Ok(Layers {
        dirs: store.lower_dirs(&diff_ids)?,
        need_fuse: store.needs_fuse(&diff_ids),
    })
}

/// Refuses what this host cannot hold the container to.
pub fn check_limits(container: &Container) -> Result<(Limits, Option<Place>)> {
    let host = &container.host_config;
    let limits = plan::limits::cgroup(host)?;
    let place = Place::find(&host.cgroup_parent);
    limits.check(place.as_ref())?;
    if place.is_none() && !host.cgroup_parent.is_empty() {
        return Err(crate::cgroup::limits::no_place("--cgroup-parent"));
    }
    Ok((limits, place))
}

fn make_cgroup(container: &Container) -> Result<Option<(PathBuf, OwnedFd)>> {
    let (limits, place) = check_limits(container)?;
    let Some(place) = place else {
        refuse_open_devices(container)?;
        return Ok(None);
    };
    let made = place.make(&container.id)?;
    if let Err(e) = limits
        .apply(&made.0)
        .and_then(|()| restrict_devices(container, &made.1))
    {
        crate::cgroup::remove(&made.0);
        return Err(e);
    }
    Ok(Some(made))
}

/// Root without a cgroup has nothing that keeps a container from the host's
/// disks.
fn refuse_open_devices(container: &Container) -> Result<()> {
    if !nix::unistd::geteuid().is_root() || container.host_config.privileged {
        return Ok(());
    }
    Err(Error::unsupported(
        "cannot keep the container from the host's devices: cgroup v2 is not mounted",
    )
    .hint(Need::RootCgroup.hint()))
}

/// Root's containers can make device nodes; which they can open is limited by
/// their cgroup.
fn restrict_devices(container: &Container, cgroup: &OwnedFd) -> Result<()> {
    if !nix::unistd::geteuid().is_root() || container.host_config.privileged {
        return Ok(());
    }
    devices::restrict(cgroup, &plan::devices::rules(&container.host_config)?)
}
