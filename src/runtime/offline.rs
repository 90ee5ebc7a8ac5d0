//! The files of a container that does not run, as it would see them: its root
//! with the volumes and directories of the host in it, in a mount namespace
//! that ends with this process.

use super::plan::{Plan, Root};
use super::{child, explain};
use crate::error::{Context, Result};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::mkdir;
use std::ffi::CStr;
use std::os::fd::OwnedFd;

/// Mounts them; call as root of U, in a process that is made for this.
pub fn mount(plan: &mut Plan) -> Result<OwnedFd> {
    unshare(CloneFlags::CLONE_NEWNS).context(|| "cannot make a mount namespace")?;
    if let Root::Overlay {
        upper,
        work,
        volatile,
        ..
    } = &mut plan.root
    {
        // The mark of a volatile overlay would be in the way of a start.
        *volatile = false;
        make(upper)?;
        make(work)?;
    }
    child::files(plan).map_err(|failure| explain::failure(plan, failure))
}

/// One that has never run has no layer yet.
fn make(dir: &CStr) -> Result<()> {
    match mkdir(dir, Mode::from_bits_truncate(0o755)) {
        Err(Errno::EEXIST) => Ok(()),
        made => made.context(|| format!("cannot make \"{}\"", dir.to_string_lossy())),
    }
}
