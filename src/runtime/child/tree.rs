//! The tree of mounts, step by step as the plan has it.

use super::beneath::{self, Links};
use super::{At, Done, root};
use crate::runtime::plan::{Mount, Plan, Source, Step as TreeStep};
use crate::runtime::sync::{ChildEnd, Step};
use crate::sys::mount;
use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors that later steps need.
pub struct Built {
    pub root: OwnedFd,
    /// The container's procfs, without anything on top.
    pub proc: Option<OwnedFd>,
    /// The container's devpts.
    pub pts: Option<OwnedFd>,
}

pub fn build(plan: &Plan, sync: &ChildEnd) -> Done<Built> {
    mount::set_root_propagation(libc::MS_REC | plan.root_propagation).at(Step::Propagation)?;
    let mut built = Built {
        root: root::attach(plan, sync)?,
        proc: None,
        pts: None,
    };
    for (i, step) in plan.steps.iter().enumerate() {
        take(step, &mut built).item(Step::Tree, i)?;
    }
    Ok(built)
}

/// The root and what the user mounts in it of the host: no file system of the
/// kernel's, nothing that is made anew.
pub fn files(plan: &Plan) -> Done<OwnedFd> {
    mount::set_root_propagation(libc::MS_REC | libc::MS_PRIVATE).at(Step::Propagation)?;
    let root = root::attach_or(plan, &|errno| Err(errno).at(Step::Root))?;
    for (i, step) in plan.steps.iter().enumerate() {
        match step {
            TreeStep::Mount(m) if m.follow && !matches!(m.source, Source::New { .. }) => {
                put(m, root.as_fd()).item(Step::Tree, i)?;
            }
            _ => {}
        }
    }
    if plan.read_only_root {
        root::make_read_only(&root)?;
    }
    Ok(root)
}

fn take(step: &TreeStep, built: &mut Built) -> nix::Result<()> {
    let root = built.root.as_fd();
    match step {
        TreeStep::Mount(m) => {
            let mounted = put(m, root);
            match (mounted, &m.source) {
                // The host's, where its processes are shared.
                (Ok(fd), Source::Host { .. }) if m.target.as_c_str() == c"proc" => {
                    built.proc = Some(fd);
                    Ok(())
                }
                (Ok(fd), Source::New { fstype, .. }) => {
                    if fstype.as_c_str() == c"proc" {
                        built.proc = Some(fd);
                    } else if fstype.as_c_str() == c"devpts" {
                        built.pts = Some(fd);
                    }
                    Ok(())
                }
                (Ok(_), _) => Ok(()),
                (Err(_), _) if m.optional => Ok(()),
                (Err(e), _) => Err(e),
            }
        }
        TreeStep::Node {
            path,
            kind,
            permissions,
            device,
        } => node(root, path, *kind, *permissions, *device),
        TreeStep::Link { path, target } => in_parent(root, path, |dir, name| {
            nix::unistd::symlinkat(target.as_c_str(), dir, name)
        }),
    }
}

/// Makes the mount, its mount point, and puts the one on the other.
fn put(m: &Mount, root: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let source = match &m.source {
        Source::New { fstype, options } => new(fstype, options, m.attributes)?,
        Source::Detached(mount) => mount.try_clone().map_err(|_| Errno::EMFILE)?,
        Source::Host { path, recursive } => {
            let tree = mount::clone_tree(nix::fcntl::AT_FDCWD, path, *recursive)?;
            if m.attributes != 0 || m.propagation != 0 {
                mount::set_attributes(&tree, m.attributes, m.propagation, m.recursive)?;
            }
            tree
        }
    };
    let kind = nix::sys::stat::fstat(&source)?.st_mode & libc::S_IFMT;
    let links = if m.follow {
        Links::Follow
    } else {
        Links::Refuse
    };
    let target = beneath::mount_point(root, &m.target, kind == libc::S_IFDIR, links)?;
    if m.follow && !m.target.to_bytes().starts_with(b"proc/") && is_on_proc(&target)? {
        return Err(Errno::EPERM);
    }
    mount::attach(&source, &target)?;
    Ok(source)
}

/// The user's targets were checked by name; a link of the image may lead into
/// procfs all the same (CVE-2019-19921).
fn is_on_proc(target: &OwnedFd) -> nix::Result<bool> {
    let on = nix::sys::statfs::fstatfs(target)?.filesystem_type();
    Ok(on == nix::sys::statfs::PROC_SUPER_MAGIC)
}

fn new(
    fstype: &CStr,
    options: &[(std::ffi::CString, Option<std::ffi::CString>)],
    attributes: u64,
) -> nix::Result<OwnedFd> {
    let context = mount::Context::open(fstype)?;
    context.string(c"source", fstype)?;
    for (key, value) in options {
        match value {
            Some(value) => context.string(key, value)?,
            None => context.flag(key)?,
        }
    }
    context.mount(attributes)
}

fn node(
    root: BorrowedFd<'_>,
    path: &CStr,
    kind: libc::mode_t,
    permissions: libc::mode_t,
    device: libc::dev_t,
) -> nix::Result<()> {
    in_parent(root, path, |dir, name| {
        let mode = Mode::from_bits_truncate(permissions);
        nix::sys::stat::mknodat(dir, name, SFlag::from_bits_truncate(kind), mode, device)?;
        // mknod(2) heeds the umask, a device's mode does not.
        nix::sys::stat::fchmodat(
            dir,
            name,
            mode,
            nix::sys::stat::FchmodatFlags::FollowSymlink,
        )
    })
}

/// Runs `make` on the (existing) parent directory of `path` and the last
/// component; what is already there stays.
fn in_parent(
    root: BorrowedFd<'_>,
    path: &CStr,
    make: impl Fn(BorrowedFd<'_>, &CStr) -> nix::Result<()>,
) -> nix::Result<()> {
    let bytes = path.to_bytes_with_nul();
    let slash = bytes
        .iter()
        .rposition(|&b| b == b'/')
        .ok_or(Errno::EINVAL)?;
    let mut parent = [0u8; 256];
    if slash >= parent.len() {
        return Err(Errno::ENAMETOOLONG);
    }
    parent[..slash].copy_from_slice(&bytes[..slash]);
    let parent = CStr::from_bytes_until_nul(&parent).map_err(|_| Errno::EINVAL)?;
    let name = CStr::from_bytes_with_nul(&bytes[slash + 1..]).map_err(|_| Errno::EINVAL)?;
    if matches!(
        beneath::open(root, parent, nix::fcntl::OFlag::O_PATH, Links::Refuse),
        Err(Errno::ENOENT)
    ) {
        beneath::make(root, parent, true, Links::Refuse)?;
    }
    let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_DIRECTORY;
    let dir = beneath::open(root, parent, flags, Links::Refuse)?;
    match make(dir.as_fd(), name) {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}
