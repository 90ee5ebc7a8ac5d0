//! clone3(2). The child goes on in the same Rust program, which is only sound
//! when the parent has a single thread: every call checks that.

use super::{check, cmsg, pidfd};
use nix::errno::Errno;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

/// `struct clone_args` (linux/sched.h), version 2.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of the call we are on.
#[derive(Debug)]
pub enum Fork {
    Child,
    Parent { pid: i32, pidfd: OwnedFd },
}

/// Makes a child with `flags` (CLONE_NEW*), in `cgroup` when one is given.
/// The child shares no memory and must leave by [`exit`] or exec.
///
/// Fails with EAGAIN's cousin EBUSY when the process has more than one thread.
pub fn clone(flags: libc::c_int, cgroup: Option<RawFd>) -> nix::Result<Fork> {
    if tasks()? != 1 {
        return Err(Errno::EBUSY);
    }
    let mut pidfd: RawFd = -1;
    // Namespace flags are bits of an unsigned word; CLONE_IO is the sign bit.
    let mut args = CloneArgs {
        flags: u64::from(flags as u32) | CLONE_PIDFD,
        pidfd: &raw mut pidfd as u64,
        // A sibling has its parent's.
        exit_signal: if flags & libc::CLONE_PARENT == 0 {
            libc::SIGCHLD as u64
        } else {
            0
        },
        ..CloneArgs::default()
    };
    if let Some(fd) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = fd as u64;
    }
    // SAFETY: `args` is a valid clone_args of the size given; without CLONE_VM
    // the child has its own copy of memory, and with one thread (checked) no
    // lock can be held by a thread that does not exist in the child.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            std::mem::size_of::<CloneArgs>(),
        )
    };
    match check(ret)? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent {
            pid: pid as i32,
            // SAFETY: the kernel wrote a new descriptor that nobody else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// fork(2) through clone3.
pub fn fork() -> nix::Result<Fork> {
    clone(0, None)
}

/// A descriptor that `make` opens in a child with `flags`, and that outlives the
/// child; with what `make` says when it fails.
pub fn made_elsewhere(
    flags: libc::c_int,
    make: impl FnOnce() -> nix::Result<OwnedFd>,
) -> nix::Result<OwnedFd> {
    let (ours, theirs) = cmsg::pair()?;
    match clone(flags, None)? {
        Fork::Child => {
            let sent = match make() {
                Ok(made) => cmsg::send(theirs.as_fd(), &[0], &[made.as_fd()]),
                Err(errno) => cmsg::send(theirs.as_fd(), &(errno as i32).to_ne_bytes(), &[]),
            };
            exit(i32::from(sent.is_err()))
        }
        Fork::Parent { pidfd: child, .. } => {
            drop(theirs);
            let mut bytes = [0; 4];
            let heard = cmsg::receive(ours.as_fd(), &mut bytes, 0);
            let _ = pidfd::reap(&child);
            match heard? {
                (_, [Some(made), ..]) => Ok(made),
                (4, _) => Err(Errno::from_raw(i32::from_ne_bytes(bytes))),
                _ => Err(Errno::EPIPE),
            }
        }
    }
}

/// Ends the process at once: no destructors, no flushing of inherited buffers.
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit is always sound; it does not return.
    unsafe { libc::_exit(status) }
}

/// Number of threads of this process: the links of /proc/self/task are its
/// entries and two more.
fn tasks() -> nix::Result<u64> {
    match nix::sys::stat::stat(c"/proc/self/task") {
        Ok(st) => Ok(st.st_nlink - 2),
        Err(Errno::ENOENT) => Ok(1),
        Err(e) => Err(e),
    }
}

/// Closes every descriptor from `first` on, or marks it close-on-exec.
/// Usable between clone and exec.
pub fn close_from(first: u32, only_mark: bool) -> nix::Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    let flags = if only_mark { CLOSE_RANGE_CLOEXEC } else { 0 };
    // SAFETY: plain system call on numbers. Callers that close own nothing
    // above `first` any more.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) }).map(drop)
}

/// Points 0, 1 and 2 at /dev/null and closes everything else but `keep`
/// (all above 2). For a process that never returns to the owners of what it
/// closes: it ends by [`exit`].
pub fn keep_only(keep: &mut [RawFd]) {
    keep.sort_unstable();
    let mut next = 3;
    for &mut fd in keep {
        if fd > next {
            close_between(next as u32, fd as u32 - 1);
        }
        next = next.max(fd + 1);
    }
    close_between(next as u32, u32::MAX);
    // SAFETY: constant path and flags, then numbers; see above for ownership.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        for target in 0..3 {
            libc::dup2(null, target);
        }
        libc::close(null);
    }
}

fn close_between(first: u32, last: u32) {
    // SAFETY: plain numbers; see keep_only() for ownership.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}
