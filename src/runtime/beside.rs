//! A container's process in namespaces of another container. A process in
//! between joins them, since whoever has joined cannot come back, and clones
//! for its parent.

use crate::sys::clone::{self, Fork};
use crate::sys::{ns, pidfd};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::io::Read;
use std::os::fd::{OwnedFd, RawFd};

/// Which namespaces, and whose.
#[derive(Debug)]
pub struct Join {
    /// The other container's first process.
    pub init: OwnedFd,
    /// CLONE_NEW*, with CLONE_NEWUSER unless it is ours already.
    pub namespaces: libc::c_int,
    /// For the new process, which its parent may not be able to set it for.
    pub oom_score_adj: i32,
}

/// Like [`clone::clone`], in the namespaces of `join` and new ones of `own`.
pub fn clone(join: &Join, own: libc::c_int, cgroup: Option<RawFd>) -> nix::Result<Fork> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    match clone::fork()? {
        Fork::Child => {
            drop(read);
            let made = in_between(join, own, cgroup);
            let answer = match &made {
                Ok(Fork::Child) => return made,
                Ok(Fork::Parent { pid, .. }) => *pid,
                Err(errno) => -(*errno as i32),
            };
            let _ = nix::unistd::write(&write, &answer.to_ne_bytes());
            clone::exit(0)
        }
        Fork::Parent { pidfd: between, .. } => {
            drop(write);
            let mut bytes = [0; 4];
            let heard = std::fs::File::from(read).read_exact(&mut bytes);
            let _ = pidfd::reap(&between);
            heard.map_err(|_| Errno::ECHILD)?;
            match i32::from_ne_bytes(bytes) {
                errno @ ..=0 => Err(Errno::from_raw(-errno)),
                // Our child, and not waited for: the number is still its own.
                pid => Ok(Fork::Parent {
                    pid,
                    pidfd: pidfd::open(pid)?,
                }),
            }
        }
    }
}

fn in_between(join: &Join, own: libc::c_int, cgroup: Option<RawFd>) -> nix::Result<Fork> {
    let _ = std::fs::write("/proc/self/oom_score_adj", join.oom_score_adj.to_string());
    ns::join(&join.init, join.namespaces)?;
    clone::clone(own | libc::CLONE_PARENT, cgroup)
}
