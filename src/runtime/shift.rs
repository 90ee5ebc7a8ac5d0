//! An image's files with other owners, without a copy of what is in them.
//!
//! A container whose ids are laid out in another way than the layers were
//! unpacked for (`--userns keep-id`, `nomap`) needs other owners of the image's
//! files. Nobody but root gets an idmapped mount of a disk's file system, and
//! an overlay takes none at all. So there is, once per image and layout, one
//! more layer of directories, links, and empty files that have the right owners
//! and say where their content is: in the image's own layers, which the overlay
//! takes as data-only ones (Linux 6.16 lets a user do so). Where that cannot be,
//! fuse-overlayfs translates the owners as it goes.
//!
//! `shifted/KEY/diff` is that layer, `shifted/KEY/layers` the names of those
//! that it needs, one per line.

use super::init_layer;
use super::outside;
use super::plan::{Lower, Overlay, Shifted, Upper};
use crate::error::{Context, Error, Result};
use crate::fs::copy::{self, Contents};
use crate::fs::replace::{TEMPORARY_PREFIX, maker_of, temporary_beside};
use crate::fs::{lock, private};
use crate::image::digest::Digest;
use crate::paths::Paths;
use crate::userns::layout::{Extent, Layout};
use crate::userns::map::Maps;
use crate::userns::task;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Part of the key: other content, other name.
const REVISION: &str = "1";
const DIFF: &str = "diff";
const LAYERS: &str = "layers";

/// What a shifted overlay is made of.
pub struct Wanted<'a> {
    /// The layers' directories, highest first.
    pub layers: &'a [PathBuf],
    /// With the mount points of a container.
    pub init: bool,
    /// They have marks that overlayfs does not read.
    pub need_fuse: bool,
    pub layout: Layout,
    pub upper: Option<Upper>,
    /// An empty directory.
    pub staging: CString,
}

/// The overlay of these layers with other owners; the layer of names is made
/// when it is missing. The caller must have one thread.
pub fn overlay(paths: &Paths, maps: &Maps, wanted: Wanted<'_>) -> Result<Overlay> {
    let mut data = Vec::with_capacity(wanted.layers.len() + 1);
    if wanted.init {
        data.push(c_path(&init_layer::path(paths)?)?);
    }
    for layer in wanted.layers {
        data.push(c_path(layer)?);
    }
    let names = match kernel_takes_data_layers() && !wanted.need_fuse {
        true => layer_of_names(paths, &wanted, &data)?,
        false => None,
    };
    let lower = names.iter().map(|dir| c_path(dir)).collect::<Result<_>>()?;
    let (users, groups) = maps.counts();
    let (uids, gids) = wanted.layout.extents(users, groups);
    Ok(Overlay {
        native: names.is_some(),
        lower: Lower::Each(lower),
        shifted: Some(Shifted {
            data,
            uids: mapping(&uids),
            gids: mapping(&gids),
        }),
        upper: wanted.upper,
        userxattr: true,
    })
}

/// As fuse-overlayfs reads it: the id on disk, the one that it shows, how many.
/// On disk an id of the container is itself.
fn mapping(extents: &[Extent]) -> String {
    let all = extents
        .iter()
        .map(|(inside, outside, count)| format!("{inside}:{outside}:{count}"));
    all.collect::<Vec<_>>().join(":")
}

/// Without `metacopy`, which no user may ask for (Linux 6.16).
fn kernel_takes_data_layers() -> bool {
    super::plan::kernel_is(6, 16)
}

/// `None`: the kernel has no overlay of these layers.
fn layer_of_names(paths: &Paths, wanted: &Wanted<'_>, data: &[CString]) -> Result<Option<PathBuf>> {
    let place = paths.shifted().join(key(wanted, data));
    if place.join(DIFF).is_dir() {
        return Ok(Some(place.join(DIFF)));
    }
    let failed = || format!("cannot make \"{}\"", place.display());
    private::dir(&paths.shifted()).context(failed)?;
    // One makes it, others wait for it.
    let _lock = lock::exclusive(&paths.run().join("shifted.lock"))?;
    if place.join(DIFF).is_dir() {
        return Ok(Some(place.join(DIFF)));
    }
    sweep(paths);
    let making = temporary_beside(&place);
    let made = task::run(paths, || make(wanted, data, &making));
    let named = made.and_then(|made| match std::fs::rename(&making, &place) {
        _ if !made => Ok(None),
        other => other.context(failed).map(|()| Some(place.join(DIFF))),
    });
    if making.exists() {
        let _ = remove(paths, &[making]);
    }
    named
}

fn key(wanted: &Wanted<'_>, data: &[CString]) -> String {
    let mut text = format!("{REVISION} {:?}", wanted.layout).into_bytes();
    for layer in data {
        text.push(0);
        // The data directory may move; layers are named by what is in them.
        let path = Path::new(std::ffi::OsStr::from_bytes(layer.as_bytes()));
        let names: Vec<_> = path.iter().rev().take(2).collect();
        names
            .iter()
            .for_each(|n| text.extend_from_slice(n.as_bytes()));
    }
    Digest::of(&text).hex().to_string()
}

/// As root of U, who sees all ids. False: the kernel has no such overlay.
fn make(wanted: &Wanted<'_>, data: &[CString], making: &Path) -> Result<bool> {
    let failed = || format!("cannot make \"{}\"", making.display());
    let mut lower = data.to_vec();
    if lower.len() == 1 {
        // An overlay that nobody writes has two layers at least.
        lower.push(wanted.staging.clone());
    }
    let plain = Overlay {
        native: true,
        lower: Lower::Each(lower),
        shifted: None,
        upper: None,
        userxattr: true,
    };
    let tree = match outside::by_kernel(&plain, &wanted.staging) {
        Err(errno) if outside::is_refusal(errno) => return Ok(false),
        other => other.context(|| "cannot mount the image's layers")?,
    };
    let diff = making.join(DIFF);
    let builder = |dir: &Path| std::fs::DirBuilder::new().mode(0o700).create(dir);
    builder(making)
        .and_then(|()| builder(&diff))
        .and_then(|()| std::fs::write(making.join(LAYERS), names(wanted.layers)))
        .context(failed)?;
    let to = std::fs::File::open(&diff).context(failed)?;
    let tree = crate::fs::rooted::open_dir(tree.as_fd(), b"").context(failed)?;
    let owners = |uid, gid| wanted.layout.outside(uid, gid);
    copy::tree(tree.as_fd(), to.as_fd(), &owners, Contents::Below).or_else(|failure| {
        let file = String::from_utf8_lossy(&failure.path);
        Err(failure.errno).context(|| format!("cannot give \"/{file}\" of the image another owner"))
    })?;
    Ok(true)
}

/// The hex names of the layers.
fn names(layers: &[PathBuf]) -> String {
    let names = layers.iter().filter_map(|dir| dir.parent()?.file_name());
    names.map(|name| name.to_string_lossy() + "\n").collect()
}

/// Removes the layers of names whose image has gone, and what killed commands
/// have left. Never fails: the next one tries again.
pub fn sweep(paths: &Paths) {
    let Ok(entries) = std::fs::read_dir(paths.shifted()) else {
        return;
    };
    let gone: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_garbage(paths, path))
        .collect();
    if !gone.is_empty() {
        let _ = remove(paths, &gone);
    }
}

fn is_garbage(paths: &Paths, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with(TEMPORARY_PREFIX) {
        let maker = maker_of(&name).map(nix::unistd::Pid::from_raw);
        return maker.is_none_or(|pid| nix::sys::signal::kill(pid, None).is_err());
    }
    let needs = std::fs::read_to_string(path.join(LAYERS)).unwrap_or_default();
    needs.is_empty() || needs.lines().any(|hex| !paths.layers().join(hex).exists())
}

fn remove(paths: &Paths, gone: &[PathBuf]) -> Result<()> {
    task::run(paths, || {
        for path in gone {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            std::fs::File::open(parent)
                .and_then(|dir| {
                    crate::fs::rooted::remove_all(dir.as_fd(), name.as_bytes()).map_err(Into::into)
                })
                .context(|| format!("cannot delete \"{}\"", path.display()))?;
        }
        Ok(())
    })
}

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid(format!("path \"{}\" contains a NUL byte", path.display())))
}
