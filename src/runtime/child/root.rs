//! The new root: an overlay of layers or a directory, attached on a staging
//! directory and then made `/`.

use super::{At, Done};
use crate::runtime::outside;
use crate::runtime::plan::{Lower, Plan, Root};
use crate::runtime::sync::{ChildEnd, Step};
use crate::sys::mount;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

/// Mounts the root and attaches it on the staging directory. What the kernel
/// refuses to make the parent makes.
pub fn attach(plan: &Plan, sync: &ChildEnd) -> Done<OwnedFd> {
    attach_or(plan, &|refusal| instead(refusal, sync))
}

/// The same with another way out; without one, only what the kernel makes.
pub fn attach_or(plan: &Plan, instead: &dyn Fn(Errno) -> Done<OwnedFd>) -> Done<OwnedFd> {
    let overlay = match &plan.root {
        Root::Overlay(overlay) => overlay,
        Root::Directory(path) => return stage(plan, directory(path).at(Step::Root)?),
    };
    if !overlay.native || overlay.shifted.is_some() {
        return stage(plan, instead(Errno::EOPNOTSUPP)?);
    }
    if let Lower::Joined {
        directory, options, ..
    } = &overlay.lower
    {
        nix::unistd::chdir(directory.as_c_str()).at(Step::Root)?;
        return match mount::overlay(&plan.staging, options) {
            Ok(()) => open_staging(plan),
            Err(errno) => stage(plan, instead(errno)?),
        };
    }
    match outside::one_by_one(overlay) {
        Ok(root) => stage(plan, root),
        Err(errno) => stage(plan, instead(errno)?),
    }
}

fn stage(plan: &Plan, root: OwnedFd) -> Done<OwnedFd> {
    let staging = open_staging(plan)?;
    mount::attach(&root, &staging).at(Step::Staging)?;
    Ok(root)
}

/// What the parent has mounted where the kernel does not do it here: an upper
/// layer on NFS or on another overlay, no overlay at all, or not for users.
fn instead(refusal: Errno, sync: &ChildEnd) -> Done<OwnedFd> {
    match outside::is_refusal(refusal) {
        true => sync.ask_root(refusal).at(Step::Root),
        false => Err(refusal).at(Step::Root),
    }
}

fn open_staging(plan: &Plan) -> Done<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(plan.staging.as_c_str(), flags, Mode::empty()).at(Step::Staging)
}

/// The path was resolved when the container was made: whoever has put a link
/// into it since wants another directory (CVE-2019-18837).
fn directory(path: &CStr) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let fd = openat2(nix::fcntl::AT_FDCWD, path, how)?;
    mount::clone_tree(fd.as_fd(), c"", true)
}

/// `--read-only`: only the root's own mount; what is mounted on it keeps its own.
pub fn make_read_only(root: &OwnedFd) -> Done {
    mount::set_attributes(root, mount::ATTR_RDONLY, 0, false).at(Step::ReadOnly)
}

pub fn pivot(root: &OwnedFd) -> Done {
    nix::unistd::fchdir(root.as_fd()).at(Step::Pivot)?;
    mount::pivot_to_current_dir().at(Step::Pivot)
}
