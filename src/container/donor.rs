//! The container whose namespaces another one joins (`--pid container:X` and
//! its like).

use super::plan::namespaces::{self, Namespaces, Whose};
use super::{kill, state};
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::paths::Paths;
use crate::record::container::{Container, HostConfig, Status};
use crate::record::containers;
use crate::sys::{clone, mount, ns};
use crate::volume::users::{self, Users};
use crate::volume::{self, driver};
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};

/// A running container to be joined.
pub struct Donor {
    pub id: String,
    /// Its first process, opened before anything was cloned.
    pub init: OwnedFd,
    pub container: Container,
}

/// Writes IDs for the names in the modes, so that a container that is renamed
/// is still the same; gives the donor's record.
pub fn resolve(paths: &Paths, host: &mut HostConfig) -> Result<Option<Container>> {
    let mut donor = None;
    for mode in [
        &mut host.pid_mode,
        &mut host.ipc_mode,
        &mut host.network_mode,
    ] {
        if let Some(name) = namespaces::container_of(mode) {
            let id = containers::find(paths, name)?;
            *mode = format!("container:{id}");
            donor = Some(containers::config(paths, &id)?);
        }
    }
    Ok(donor)
}

/// The namespaces of `container` as they really are, and who is joined.
pub fn find(engine: &Engine, container: &Container) -> Result<(Namespaces, Option<Donor>)> {
    let host = &container.host_config;
    let wanted = Namespaces::of(host)?;
    let Some(id) = &wanted.donor else {
        return Ok((wanted, None));
    };
    let donor = open(engine, id, host)?;
    let ipc = donor.container.host_config.ipc_mode.as_str();
    let shareable = matches!(ipc, "shareable" | "host") || namespaces::container_of(ipc).is_some();
    if wanted.ipc == Whose::Donor && !shareable {
        return Err(Error::conflict(format!(
            "can't join IPC of container {id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
        )));
    }
    let its = real(&engine.paths, &donor.container)?;
    Ok((wanted.with_donor(&its), Some(donor)))
}

/// The namespaces of a container, through those that it joined in its turn.
/// One that is gone cannot tell: then what it had was its own.
pub fn real(paths: &Paths, container: &Container) -> Result<Namespaces> {
    let mut chain = vec![Namespaces::of(&container.host_config)?];
    while let Some(id) = chain.last().and_then(|last| last.donor.clone()) {
        match containers::config(paths, &id) {
            Ok(next) if chain.len() < 100 => chain.push(Namespaces::of(&next.host_config)?),
            _ => break,
        }
    }
    let mut chain = chain.into_iter().rev();
    let last = chain
        .next()
        .ok_or_else(|| Error::internal("no namespaces"))?;
    Ok(chain.fold(last, |donor, next| next.with_donor(&donor)))
}

fn open(engine: &Engine, id: &str, host: &HostConfig) -> Result<Donor> {
    let container = containers::config(&engine.paths, id)?;
    let now = state::started(engine, id)?;
    let kinds = [
        ("PID", &host.pid_mode),
        ("IPC", &host.ipc_mode),
        ("network", &host.network_mode),
    ];
    let kind = kinds
        .into_iter()
        .find(|(_, mode)| namespaces::container_of(mode).is_some());
    let stopped = || {
        Error::conflict(format!(
            "cannot join {} of a non running container: {id}",
            kind.map_or("namespaces", |(kind, _)| kind)
        ))
        .hint(format!(
            "`wherry start {}` starts it",
            crate::text::id::short(id)
        ))
    };
    if !matches!(now.status, Status::Running | Status::Paused) {
        return Err(stopped());
    }
    Ok(Donor {
        id: id.into(),
        init: kill::open_init(id, &now).map_err(|_| stopped())?,
        container,
    })
}

/// A detached copy of its /dev/shm, which goes with its IPC namespace.
pub fn shared_memory(donor: &Donor) -> Result<OwnedFd> {
    mounted(&donor.init, c"/dev/shm")
        .context(|| format!("cannot share /dev/shm of container {}", donor.id))
}

/// Mounts of volumes that are file systems of their own (`type=tmpfs`), from
/// the containers that have mounted them already, by name: all of a volume's
/// containers share one.
pub fn volumes(engine: &Engine, container: &Container) -> Result<HashMap<String, OwnedFd>> {
    let mut found = HashMap::new();
    let mut users = None;
    for name in users::names(container) {
        let volume = volume::get(&engine.paths, &name)?;
        if !matches!(driver::backing(&volume)?, driver::Backing::Mounted { .. }) {
            continue;
        }
        let users: &Users = match &users {
            Some(users) => users,
            None => users.insert(Users::read(&engine.paths)?),
        };
        let others = users.of(&name).iter().filter(|id| **id != container.id);
        let mount = others.filter_map(|id| volume_of(engine, id, &name)).next();
        found.extend(mount.map(|mount| (name, mount)));
    }
    Ok(found)
}

/// The volume as a running container has it.
fn volume_of(engine: &Engine, id: &str, name: &str) -> Option<OwnedFd> {
    let container = containers::config(&engine.paths, id).ok()?;
    let now = state::started(engine, id).ok()?;
    if !matches!(now.status, Status::Running | Status::Paused) {
        return None;
    }
    let points = container.mounts.iter().filter(|point| point.name == name);
    let point = points.max_by_key(|point| point.rw)?;
    let init = kill::open_init(id, &now).ok()?;
    let path = CString::new(point.destination.as_str()).ok()?;
    mounted(&init, &path).ok()
}

/// What is mounted at a path of a container.
fn mounted(init: &OwnedFd, path: &CStr) -> nix::Result<OwnedFd> {
    clone::made_elsewhere(0, || copy(init, path))
}

/// In a child: what the container has mounted there, by no link of its making.
fn copy(init: &OwnedFd, path: &CStr) -> nix::Result<OwnedFd> {
    match ns::join(init, libc::CLONE_NEWUSER | libc::CLONE_NEWNS) {
        // Root's container is in our own user namespace.
        Err(Errno::EINVAL) => ns::join(init, libc::CLONE_NEWNS)?,
        other => other?,
    }
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let found = openat2(nix::fcntl::AT_FDCWD, path, how)?;
    mount::clone_tree(found.as_fd(), c"", false)
}

/// The donor's hosts, hostname and resolv.conf, where its network is shared.
pub fn files(paths: &Paths, id: &str) -> Result<Vec<(&'static str, String)>> {
    let dir = paths.run_container(id);
    ["hosts", "hostname", "resolv.conf"]
        .into_iter()
        .map(|name| match std::fs::read_to_string(dir.join(name)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok((name, String::new())),
            other => other
                .map(|text| (name, text))
                .context(|| format!("cannot read \"{}\"", dir.join(name).display())),
        })
        .collect::<Result<_>>()
        .map_err(|e: Error| e.with_kind(Kind::Conflict))
}
