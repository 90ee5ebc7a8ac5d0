//! The tree of mounts, step by step as the plan has it.

use super::beneath::{self, Links};
use super::{At, Done, root};
use crate::runtime::outside;
use crate::runtime::plan::{Mount, Plan, Source, Step as TreeStep};
use crate::runtime::sync::{ChildEnd, Step};
use crate::sys::{cred, mount};
use nix::errno::Errno;
use nix::fcntl::OFlag;
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

pub fn build(plan: &mut Plan, sync: &ChildEnd) -> Done<Built> {
    // 1. Of the host what has to be opened while it is as it was and we are who
    //    we were.
    open_early(plan)?;
    mount::set_root_propagation(libc::MS_REC | libc::MS_PRIVATE).at(Step::Propagation)?;
    let root = root::attach(plan, sync)?;
    // 2. From here on only the container's own.
    if plan.becomes_root {
        cred::become_user(0, 0, &[]).at(Step::User)?;
        cred::parent_death_signal(libc::SIGKILL).at(Step::Wait)?;
        cred::not_dumpable().at(Step::Wait)?;
    }
    let mut built = Built {
        root,
        proc: None,
        pts: None,
    };
    for (i, step) in plan.steps.iter().enumerate() {
        let mut opened = plan.opened.get_mut(i).and_then(Option::take);
        match (step, &opened) {
            (TreeStep::Mount(m), None) if !plan.becomes_root => {
                match open_source(m, &mut opened, &plan.staging) {
                    Err(_) if m.optional => {}
                    other => other.item(Step::Tree, i)?,
                }
            }
            // Anew, to have its place in the order.
            (_, Some(early)) => {
                if let Ok(copy) = mount::clone_tree(early.as_fd(), c"", true) {
                    opened = Some(copy);
                }
            }
            _ => {}
        }
        take(step, opened, &mut built).item(Step::Tree, i)?;
    }
    Ok(built)
}

/// The root and what the user mounts in it of the host: no file system of the
/// kernel's, nothing that is made anew.
pub fn files(plan: &mut Plan) -> Done<OwnedFd> {
    let wanted = |step: &TreeStep| matches!(step, TreeStep::Mount(m) if m.follow && !matches!(m.source, Source::New { .. }));
    for (i, step) in plan.steps.iter().enumerate() {
        if let (TreeStep::Mount(m), true) = (step, wanted(step)) {
            open_source(m, &mut plan.opened[i], &plan.staging).item(Step::Tree, i)?;
        }
    }
    mount::set_root_propagation(libc::MS_REC | libc::MS_PRIVATE).at(Step::Propagation)?;
    let root = root::attach_or(plan, &|errno| in_place(plan, errno))?;
    for (i, step) in plan.steps.iter().enumerate() {
        if let (TreeStep::Mount(m), true) = (step, wanted(step)) {
            put(m, plan.opened[i].take(), root.as_fd()).item(Step::Tree, i)?;
        }
    }
    if plan.read_only_root {
        root::make_read_only(&root)?;
    }
    Ok(root)
}

/// Of an overlay with other owners: this process is root of U, who makes it for
/// containers.
fn in_place(plan: &Plan, refusal: Errno) -> Done<OwnedFd> {
    match plan.root.overlay() {
        Some(overlay) if overlay.native && overlay.shifted.is_some() => {
            outside::one_by_one(overlay).at(Step::Root)
        }
        _ => Err(refusal).at(Step::Root),
    }
}

/// Opens the sources that cannot wait for their turn: peers of the host's mounts
/// are only there before the root is made private, only the caller may be allowed
/// to go where a source is, and of an image a part is taken on the staging
/// directory. The others come in order, as /proc/mounts shows them.
fn open_early(plan: &mut Plan) -> Done {
    for (i, step) in plan.steps.iter().enumerate() {
        let (TreeStep::Mount(m), Some(opened)) = (step, plan.opened.get_mut(i)) else {
            continue;
        };
        let private = m.propagation == libc::MS_PRIVATE;
        let early = match m.source {
            Source::New { .. } => false,
            Source::Image { .. } => true,
            Source::Detached(_) => plan.becomes_root,
            Source::Host { .. } => plan.becomes_root || !private,
        };
        if !early {
            continue;
        }
        match open_source(m, opened, &plan.staging) {
            Err(_) if m.optional => {}
            other => other.item(Step::Tree, i)?,
        }
    }
    Ok(())
}

fn open_source(m: &Mount, opened: &mut Option<OwnedFd>, staging: &CStr) -> nix::Result<()> {
    let tree = match &m.source {
        Source::New { .. } => return Ok(()),
        // A copy where the kernel makes one, so that a restart finds it as it
        // was.
        Source::Detached(mount) => match mount::clone_tree(mount.as_fd(), c"", true) {
            Ok(copy) => copy,
            Err(_) => mount.try_clone().map_err(|_| Errno::EMFILE)?,
        },
        Source::Host {
            path,
            subpath: None,
            recursive,
        } => mount::clone_tree(nix::fcntl::AT_FDCWD, path, *recursive)?,
        Source::Host {
            path,
            subpath: Some(below),
            recursive,
        } => {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let top = nix::fcntl::open(path.as_c_str(), flags, Mode::empty())?;
            let found = beneath::open_within(top.as_fd(), below)?;
            mount::clone_tree(found.as_fd(), c"", *recursive)?
        }
        Source::Image { subpath } => {
            let image = opened.take().ok_or(Errno::ENOENT)?;
            match subpath {
                None => image,
                Some(below) => part_of(&image, below, staging)?,
            }
        }
    };
    if m.propagation != 0 {
        mount::set_attributes(&tree, 0, m.propagation, true)?;
    }
    if m.attributes != 0 {
        mount::set_attributes(&tree, m.attributes, 0, m.recursive)?;
    }
    *opened = Some(tree);
    Ok(())
}

/// What is beneath `below` of a mount that is attached nowhere: for the copy it
/// is attached for a moment, because older kernels only copy what is.
fn part_of(image: &OwnedFd, below: &CStr, staging: &CStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let place = nix::fcntl::open(staging, flags, Mode::empty())?;
    mount::attach(image, &place)?;
    let part = beneath::open_within(image.as_fd(), below)
        .and_then(|found| mount::clone_tree(found.as_fd(), c"", false));
    mount::detach(staging)?;
    part
}

fn take(step: &TreeStep, opened: Option<OwnedFd>, built: &mut Built) -> nix::Result<()> {
    let root = built.root.as_fd();
    match step {
        TreeStep::Mount(m) => {
            let mounted = put(m, opened, root);
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
fn put(m: &Mount, opened: Option<OwnedFd>, root: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let source = match (&m.source, opened) {
        (
            Source::New {
                fstype,
                device,
                options,
            },
            _,
        ) => new(fstype, device, options, m.attributes)?,
        (_, Some(tree)) => tree,
        // An optional one that was not there.
        (_, None) => return Err(Errno::ENOENT),
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
    device: &CStr,
    options: &[(std::ffi::CString, Option<std::ffi::CString>)],
    attributes: u64,
) -> nix::Result<OwnedFd> {
    let context = mount::Context::open(fstype)?;
    context.string(c"source", device)?;
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
        beneath::open(root, parent, OFlag::O_PATH, Links::Refuse),
        Err(Errno::ENOENT)
    ) {
        beneath::make(root, parent, true, Links::Refuse)?;
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let dir = beneath::open(root, parent, flags, Links::Refuse)?;
    match make(dir.as_fd(), name) {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}
