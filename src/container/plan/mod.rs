//! From a container's record to the plan of its start.

pub mod devices;
pub mod health;
pub mod limits;
pub mod logging;
mod mounts;
pub mod namespaces;
mod process;
mod root;
pub mod security;
pub mod sysctl;

pub use process::{ExecRequest, exec_process};

use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::record::container::Container;
use crate::runtime::beside::Join;
use crate::runtime::plan::Plan;
use crate::userns::map::{self, Maps};
use namespaces::{Namespaces, Whose};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// An image's layers on disk.
#[derive(Debug, Default)]
pub struct Layers {
    /// Highest first.
    pub dirs: Vec<PathBuf>,
    /// They have marks that overlayfs does not read.
    pub need_fuse: bool,
}

/// What a container has in common with the host or with another container.
pub struct Shared {
    pub namespaces: Namespaces,
    pub join: Option<Join>,
    /// A mount for /dev/shm.
    pub memory: Option<OwnedFd>,
}

/// Builds and checks everything that can be checked before the clone.
/// `maps` is given when U is used.
pub fn build(
    paths: &Paths,
    container: &Container,
    layers: &Layers,
    maps: Option<&Maps>,
    shared: Shared,
) -> Result<Plan> {
    let host = &container.host_config;
    let Shared {
        namespaces: whose,
        join,
        memory,
    } = shared;
    let private_network = whose.network != Whose::Host;
    let mut namespaces = libc::CLONE_NEWNS | whose.flags(Whose::Own);
    if maps.is_some() && join.is_none() {
        namespaces |= libc::CLONE_NEWUSER;
    }
    let security = security::Security::of(host)?;
    let single = maps.is_some_and(Maps::is_single);
    let tree = mounts::Tree {
        paths,
        container,
        security: &security,
        rootless: maps.is_some(),
        single_id: single,
        private_network,
        namespaces: &whose,
        shared_memory: memory.as_ref(),
    };
    let (steps, root_propagation) = tree.steps()?;
    let max_gid = maps.map_or(i32::MAX as u32, |m| m.counts().1 - 1);
    let (masked, read_only) = security.hidden_paths(host)?;
    Ok(Plan {
        namespaces,
        join,
        id_maps: maps
            .filter(|_| namespaces & libc::CLONE_NEWUSER != 0)
            .map(map::nested),
        hostname: c_string(&container.config.hostname)?,
        domainname: c_string(&container.config.domainname)?,
        root_propagation,
        root: root::root(paths, container, layers, maps.is_some())?,
        staging: staging(paths)?,
        steps,
        sysctls: sysctl::plan(host, &whose, max_gid)?,
        masked,
        read_only,
        read_only_root: host.readonly_rootfs,
        oom_score_adj: host.oom_score_adj,
        process: process::init_process(container, &security)?,
    })
}

/// One empty directory, shared: what a container attaches on it is only in
/// its own mount namespace.
fn staging(paths: &Paths) -> Result<CString> {
    use crate::error::Context;
    let dir = paths.run().join("mnt");
    match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(e).context(|| format!("cannot make directory \"{}\"", dir.display()))?;
        }
        _ => {}
    }
    c_path(&dir)
}

pub(super) fn c_string(text: &str) -> Result<CString> {
    CString::new(text)
        .map_err(|_| Error::invalid(format!("\"{}\" contains a NUL byte", text.escape_default())))
}

pub(super) fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid(format!("path \"{}\" contains a NUL byte", path.display())))
}
