//! A container's overlay mounted outside of the container: by a child of the
//! monitor (or of a command) that is root of U and has a mount namespace of its
//! own for the moment. It comes back as a detached mount, for the container to
//! attach, or to be read as it is.

use super::fuse::{self, Server};
use super::overlay::{self, Writable};
use super::plan::{Lower, Overlay};
use crate::error::{Context, Error, Result};
use crate::sys::{clone, mount};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Whether the kernel does not do it here at all: an upper layer on NFS or on
/// another overlay, no overlay, or not for users.
pub fn is_refusal(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EPERM | Errno::EINVAL | Errno::ENODEV | Errno::EOPNOTSUPP
    )
}

/// The overlay by the kernel, else by fuse-overlayfs, whose server is noted in
/// `run_dir`. `refused`: the kernel was asked already. `staging` is an empty
/// directory. Needs a process with one thread that is root of U.
pub fn open(
    overlay: &Overlay,
    staging: &CStr,
    run_dir: &Path,
    refused: Option<Errno>,
) -> Result<(OwnedFd, Option<Server>)> {
    let refusal = match refused {
        Some(errno) => errno,
        None if !overlay.native => Errno::EOPNOTSUPP,
        None => match by_kernel(overlay, staging) {
            Ok(mount) => return Ok((mount, None)),
            Err(errno) if is_refusal(errno) => errno,
            other => {
                return other
                    .context(|| "cannot mount the overlay")
                    .map(|m| (m, None));
            }
        },
    };
    if let (Some(_), Some(upper)) = (&overlay.shifted, &overlay.upper) {
        // It shows root's files as those of the container's root.
        nix::unistd::chown(upper.upper.as_c_str(), Some(0.into()), Some(0.into()))
            .context(|| "cannot give the container its layer")?;
    }
    let (mount, server) = fuse::serve(overlay, refusal, run_dir)?;
    Ok((mount, Some(server)))
}

/// The same by the kernel alone, with what it says when it does not.
pub fn by_kernel(overlay: &Overlay, staging: &CStr) -> nix::Result<OwnedFd> {
    clone::made_elsewhere(libc::CLONE_NEWNS, || make(overlay, staging))
}

/// In the child with a mount namespace of its own.
fn make(overlay: &Overlay, staging: &CStr) -> nix::Result<OwnedFd> {
    let Lower::Joined {
        directory, options, ..
    } = &overlay.lower
    else {
        return one_by_one(overlay);
    };
    // Private first: what is mounted here is nobody else's business.
    mount::set_root_propagation(libc::MS_REC | libc::MS_PRIVATE)?;
    nix::unistd::chdir(directory.as_c_str())?;
    mount::overlay(staging, options)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let at = nix::fcntl::open(staging, flags, Mode::empty())?;
    mount::clone_tree(at.as_fd(), c"", false)
}

/// The overlay by the new mount API. Neither allocates nor follows anything of
/// a container's.
pub fn one_by_one(overlay: &Overlay) -> nix::Result<OwnedFd> {
    let Lower::Each(lower) = &overlay.lower else {
        return Err(Errno::EINVAL);
    };
    let data = match &overlay.shifted {
        Some(shifted) => shifted.data.as_slice(),
        None => &[],
    };
    let write = overlay.upper.as_ref().map(|upper| Writable {
        upper: &upper.upper,
        work: &upper.work,
        volatile: upper.volatile,
    });
    overlay::mount_with_data(lower, data, write, overlay.userxattr)
}

/// Makes the directories of the overlay's upper layer.
pub fn make_upper(overlay: &Overlay) -> Result<()> {
    let Some(upper) = &overlay.upper else {
        return Ok(());
    };
    let failed = |dir: &CStr| format!("cannot make directory \"{}\"", dir.to_string_lossy());
    for dir in [&upper.upper, &upper.work] {
        match nix::unistd::mkdir(dir.as_c_str(), Mode::from_bits_truncate(0o755)) {
            Err(Errno::EEXIST) => {}
            other => {
                other.context(|| failed(dir))?;
                let (uid, gid) = upper.owner;
                if dir == &upper.upper && (uid, gid) != (0, 0) {
                    nix::unistd::chown(dir.as_c_str(), Some(uid.into()), Some(gid.into()))
                        .context(|| failed(dir))?;
                }
            }
        }
    }
    Ok(())
}

/// Says that a refused container's process ended early; the server may know why.
pub fn blame(server: Option<&Server>, overlay: &Overlay, refusal: Errno, error: Error) -> Error {
    match server {
        Some(server) => server.blame(overlay, refusal, error),
        None => error,
    }
}
