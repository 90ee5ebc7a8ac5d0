//! The files of a container that does not run, as it would see them: its root
//! with the volumes and directories of the host in it, in a mount namespace
//! that ends with this process.

use super::plan::Plan;
use super::{child, explain, outside};
use crate::error::{Context, Result};
use nix::sched::{CloneFlags, unshare};
use std::os::fd::OwnedFd;

/// Mounts them; call as root of U, in a process that is made for this.
pub fn mount(plan: &mut Plan) -> Result<OwnedFd> {
    unshare(CloneFlags::CLONE_NEWNS).context(|| "cannot make a mount namespace")?;
    if let Some(overlay) = plan.root.overlay_mut() {
        if let Some(upper) = &mut overlay.upper {
            // The mark of a volatile overlay would be in the way of a start.
            upper.volatile = false;
        }
        // One that has never run has no layer yet.
        outside::make_upper(overlay)?;
    }
    for (step, overlay) in &plan.images {
        let image = outside::by_kernel(overlay, &plan.staging)
            .context(|| "cannot mount the image that the container has mounted")?;
        plan.opened[*step] = Some(image);
    }
    child::files(plan).map_err(|failure| explain::failure(plan, failure))
}
