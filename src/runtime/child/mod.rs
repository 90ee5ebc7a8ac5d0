//! Between clone and exec. Nothing here allocates, formats, prints, takes a
//! lock, reads the environment or panics on purpose; every path below the root
//! is opened beneath a descriptor, every descriptor is close-on-exec, and the
//! way out is exec or `_exit`. What fails is told as {step, item, errno}; the
//! parent, which has the plan, writes the sentence.

mod beneath;
mod mask;
mod process;
mod reaper;
mod root;
mod tree;

pub use beneath::open_within;
pub use process::Streams;

use super::plan::Plan;
use super::sync::{ChildEnd, Failure, Ready, Step};
use crate::sys::{clone, cred, ns};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

type Done<T = ()> = Result<T, Failure>;

/// Names the step that a system call belongs to.
trait At<T> {
    fn at(self, step: Step) -> Done<T>;
    fn item(self, step: Step, item: usize) -> Done<T>;
}

impl<T> At<T> for nix::Result<T> {
    fn at(self, step: Step) -> Done<T> {
        self.item(step, 0)
    }
    fn item(self, step: Step, item: usize) -> Done<T> {
        self.map_err(|errno| Failure {
            step,
            item: item as u16,
            errno,
        })
    }
}

/// The new container's first process, right after the clone.
pub fn start(plan: &mut Plan, streams: Streams, sync: &ChildEnd) -> ! {
    let Err(failure) = become_init(plan, streams, sync);
    sync.failed(failure);
    clone::exit(1)
}

/// The container's files alone, in a mount namespace of the caller's own.
pub fn files(plan: &mut Plan) -> Result<OwnedFd, Failure> {
    tree::files(plan)
}

/// A further process, in a child that has joined the container's namespaces.
pub fn join(process: &mut super::plan::Process, streams: Streams, sync: &ChildEnd) -> ! {
    let Err(failure) = become_member(process, streams, sync);
    sync.failed(failure);
    clone::exit(1)
}

fn become_init(
    plan: &mut Plan,
    streams: Streams,
    sync: &ChildEnd,
) -> Done<std::convert::Infallible> {
    // 1. The parent's end is ours until the program runs.
    cred::parent_death_signal(libc::SIGKILL).at(Step::Wait)?;
    sync.wait_go().at(Step::Wait)?;
    // 2. From here on nobody in the container may look at us (CVE-2016-9962);
    //    not earlier, or the parent could not write the maps.
    cred::not_dumpable().at(Step::Wait)?;
    //    The caller's umask is not for the directories that we make in there.
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    // 3. The host's groups are not the container's; refused with one id.
    let _ = cred::set_groups(&[]);
    if plan.namespaces & libc::CLONE_NEWUTS != 0 {
        cred::set_uts(&plan.hostname, &plan.domainname).at(Step::Hostname)?;
    }
    if plan.shares_processes() {
        // Orphans are for it to wait for, as if it were pid 1.
        nix::sys::prctl::set_child_subreaper(true).at(Step::Wait)?;
    }
    // 4. The tree, built beside the old one, which proc and sysfs must see.
    let built = tree::build(plan, sync)?;
    if plan.namespaces & libc::CLONE_NEWNET != 0 {
        ns::loopback_up().at(Step::Loopback)?;
    }
    if let Some(proc) = &built.proc {
        write_proc(plan, proc)?;
    }
    mask::apply(plan, built.root.as_fd())?;
    let terminal = match plan.process.terminal {
        Some(size) => Some(process::open_terminal(size, &built)?),
        None => None,
    };
    if plan.read_only_root {
        root::make_read_only(&built.root)?;
    }
    root::pivot(&built.root)?;
    // 5. The parent reads who the user is, and says when the network is there.
    let (master, slave) = match terminal {
        Some((master, slave)) => (Some(master), Some(slave)),
        None => (None, None),
    };
    let keep = plan.root.overlay().is_some();
    let ready = open_user_files(keep.then_some(built.root), master);
    sync.ready(&ready).at(Step::Wait)?;
    drop(ready);
    process::run(&mut plan.process, streams, slave, sync)
}

fn become_member(
    process: &mut super::plan::Process,
    streams: Streams,
    sync: &ChildEnd,
) -> Done<std::convert::Infallible> {
    cred::parent_death_signal(libc::SIGKILL).at(Step::Wait)?;
    sync.wait_go().at(Step::Wait)?;
    let terminal = match process.terminal {
        Some(size) => Some(process::open_own_terminal(size)?),
        None => None,
    };
    let (master, slave) = match terminal {
        Some((master, slave)) => (Some(master), Some(slave)),
        None => (None, None),
    };
    sync.ready(&open_user_files(None, master)).at(Step::Wait)?;
    process::run(process, streams, slave, sync)
}

/// /etc/passwd and /etc/group of the container for the parent to read.
fn open_user_files(root: Option<OwnedFd>, terminal: Option<OwnedFd>) -> Ready {
    Ready {
        passwd: open_user_file(c"etc/passwd").ok(),
        group: open_user_file(c"etc/group").ok(),
        root,
        terminal,
    }
}

/// Only regular files of a disk: the image may have put anything there
/// (CVE-2024-9676), links to descriptors of this process among it.
fn open_user_file(path: &CStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = nix::fcntl::open(c"/", flags, Mode::empty())?;
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let fd = beneath::open(root.as_fd(), path, flags, beneath::Links::Follow)?;
    let kind = nix::sys::stat::fstat(&fd)?.st_mode & libc::S_IFMT;
    let on = nix::sys::statfs::fstatfs(&fd)?.filesystem_type();
    if kind != libc::S_IFREG || on == nix::sys::statfs::PROC_SUPER_MAGIC {
        return Err(Errno::EINVAL);
    }
    Ok(fd)
}

/// Writes the kernel's settings through the private procfs.
fn write_proc(plan: &Plan, proc: &OwnedFd) -> Done {
    for (i, (path, value)) in plan.sysctls.iter().enumerate() {
        beneath::write(proc.as_fd(), path, value).item(Step::Sysctl, i)?;
    }
    Ok(())
}
