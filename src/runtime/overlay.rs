//! An overlay by the new mount API (fsopen(2)). Usable between clone and exec.

use crate::sys::mount;
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

/// Where an overlay is written to.
#[derive(Clone, Copy)]
pub struct Writable<'a> {
    pub upper: &'a CStr,
    pub work: &'a CStr,
    /// No sync at unmount.
    pub volatile: bool,
}

/// A detached mount of these layers, highest first; without `write` there must
/// be two at least, and it is read-only.
pub fn mount(
    layers: &[CString],
    write: Option<Writable<'_>>,
    userxattr: bool,
) -> nix::Result<OwnedFd> {
    mount_with_data(layers, &[], write, userxattr)
}

/// The same, where regular files of the lowest layer may be nothing but names
/// and owners: what is in them is found in the `data` layers, highest first.
pub fn mount_with_data(
    layers: &[CString],
    data: &[CString],
    write: Option<Writable<'_>>,
    userxattr: bool,
) -> nix::Result<OwnedFd> {
    if layers.is_empty() {
        return Err(Errno::EINVAL);
    }
    let overlay = mount::Context::open(c"overlay")?;
    overlay.string(c"source", c"overlay")?;
    for layer in layers {
        // One call per layer: there is no page-sized limit, and no escaping of
        // ':' and ','.
        overlay.string(c"lowerdir+", layer)?;
    }
    for layer in data {
        overlay.string(c"datadir+", layer)?;
    }
    if let Some(write) = write {
        overlay.string(c"upperdir", write.upper)?;
        overlay.string(c"workdir", write.work)?;
        if write.volatile {
            overlay.flag(c"volatile")?;
        }
    }
    if userxattr {
        overlay.flag(c"userxattr")?;
    }
    overlay.mount(0)
}
