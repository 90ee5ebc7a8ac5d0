//! From a container's record to the plan of its start.

pub mod devices;
pub mod health;
pub mod limits;
pub mod logging;
mod mounts;
pub mod namespaces;
mod process;
pub mod root;
pub mod security;
pub mod sysctl;
mod wanted;

pub use process::{ExecRequest, exec_process};
pub use wanted::{clean, refuse_target};

use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::record::container::Container;
use crate::runtime::beside::Join;
use crate::runtime::plan::{Overlay, Plan, Source, Step};
use crate::userns::map::Maps;
use namespaces::{Namespaces, Whose};
use std::collections::HashMap;
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

/// What else is mounted in a container.
#[derive(Debug, Default)]
pub struct Material {
    pub layers: Layers,
    /// Those of the images that are mounted, in the order of the mounts.
    pub images: Vec<Layers>,
    /// Mounts of volumes that another container has mounted already, by name.
    pub mounted: HashMap<String, OwnedFd>,
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
    material: &Material,
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
        mounted: &material.mounted,
    };
    let steps = tree.steps()?;
    let images = images(paths, container, material, maps, &steps)?;
    let shifted = !container.ids.is_same();
    let max_gid = maps.map_or(i32::MAX as u32, |m| container.ids.last_group(m));
    let (masked, read_only) = security.hidden_paths(host)?;
    Ok(Plan {
        namespaces,
        join,
        id_maps: maps
            .filter(|_| namespaces & libc::CLONE_NEWUSER != 0)
            .map(|maps| container.ids.maps(maps)),
        hostname: c_string(&container.config.hostname)?,
        domainname: c_string(&container.config.domainname)?,
        root: root::root(paths, container, &material.layers, maps)?,
        staging: staging(paths)?,
        opened: steps.iter().map(|_| None).collect(),
        steps,
        images,
        becomes_root: shifted,
        sysctls: sysctl::plan(host, &whose, max_gid)?,
        masked,
        read_only,
        read_only_root: host.readonly_rootfs,
        oom_score_adj: host.oom_score_adj,
        process: process::init_process(container, &security)?,
    })
}

/// The trees of the images that are mounted, with the steps that do it.
fn images(
    paths: &Paths,
    container: &Container,
    material: &Material,
    maps: Option<&Maps>,
    steps: &[Step],
) -> Result<Vec<(usize, Overlay)>> {
    let of_image = |step: &Step| matches!(step, Step::Mount(mount) if matches!(mount.source, Source::Image { .. }));
    let places = steps.iter().enumerate().filter(|(_, step)| of_image(step));
    // The user's mounts are sorted by depth; an image knows which it is of.
    let order = wanted::images(container);
    places
        .zip(order)
        .map(|((place, _), which)| {
            let layers = material
                .images
                .get(which)
                .ok_or_else(|| Error::internal("the layers of a mounted image are not known"))?;
            let overlay = root::image(paths, container, layers, maps, which)?;
            Ok((place, overlay))
        })
        .collect()
}

/// One empty directory, shared: what a container attaches on it is only in
/// its own mount namespace.
pub fn staging(paths: &Paths) -> Result<CString> {
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
