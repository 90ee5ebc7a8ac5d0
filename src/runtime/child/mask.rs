//! Paths that the container must not see or change: a file gets the null
//! device on top, a directory an empty read-only tmpfs, a read-only path a
//! read-only mount of itself. What is missing is skipped.

use super::beneath::{self, Links};
use super::{At, Done};
use crate::runtime::plan::Plan;
use crate::runtime::sync::Step;
use crate::sys::mount;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub fn apply(plan: &Plan, root: BorrowedFd<'_>) -> Done {
    for (i, path) in plan.read_only.iter().enumerate() {
        skip_missing(read_only(root, path)).item(Step::ReadOnly, i)?;
    }
    let mut empty = None;
    for (i, path) in plan.masked.iter().enumerate() {
        skip_missing(mask(root, path, &mut empty)).item(Step::Mask, i)?;
    }
    Ok(())
}

fn skip_missing(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}

fn read_only(root: BorrowedFd<'_>, path: &CStr) -> nix::Result<()> {
    let target = beneath::open(root, path, OFlag::O_PATH, Links::Refuse)?;
    let copy = mount::clone_tree(target.as_fd(), c"", true)?;
    mount::set_attributes(&copy, mount::ATTR_RDONLY, 0, true)?;
    mount::attach(&copy, &target)
}

/// `empty` is the one tmpfs that all masked directories share.
fn mask(root: BorrowedFd<'_>, path: &CStr, empty: &mut Option<OwnedFd>) -> nix::Result<()> {
    let target = beneath::open(root, path, OFlag::O_PATH, Links::Refuse)?;
    let kind = nix::sys::stat::fstat(&target)?.st_mode & libc::S_IFMT;
    if kind != libc::S_IFDIR {
        let null = null_device(root)?;
        let copy = mount::clone_tree(null.as_fd(), c"", false)?;
        return mount::attach(&copy, &target);
    }
    if let Some(first) = empty {
        let copy = mount::clone_tree(first.as_fd(), c"", false)?;
        return mount::attach(&copy, &target);
    }
    let tmpfs = mount::Context::open(c"tmpfs")?;
    tmpfs.string(c"size", c"0")?;
    tmpfs.flag(c"ro")?;
    let attributes =
        mount::ATTR_RDONLY | mount::ATTR_NOSUID | mount::ATTR_NODEV | mount::ATTR_NOEXEC;
    let mounted = tmpfs.mount(attributes)?;
    mount::attach(&mounted, &target)?;
    *empty = Some(mounted);
    Ok(())
}

/// The container's /dev/null, once it is known to be that (CVE-2025-31133).
pub fn null_device(root: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let null = beneath::open(
        root,
        c"dev/null",
        OFlag::O_PATH | OFlag::O_NOFOLLOW,
        Links::Refuse,
    )?;
    let st = nix::sys::stat::fstat(&null)?;
    let is_null = st.st_mode & libc::S_IFMT == libc::S_IFCHR && st.st_rdev == libc::makedev(1, 3);
    if is_null {
        Ok(null)
    } else {
        Err(Errno::ENODEV)
    }
}
