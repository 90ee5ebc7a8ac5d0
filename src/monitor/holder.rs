//! A process in the container's user and network namespaces, for as long as a
//! helper of the network starts. The helper looks for the network below /proc.
//! It gives its capabilities away before, and so may not look into us; but the
//! user namespace of the container is one below ours, where it may.

use crate::sys::clone::{self, Fork};
use crate::sys::{cred, ns, pidfd};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub struct Holder {
    pid: i32,
    pidfd: OwnedFd,
}

impl Holder {
    /// Goes where process `pid` is, our child that has not begun yet.
    pub fn new(pid: i32, has_userns: bool) -> nix::Result<Self> {
        let open = |name: &str| {
            let path = format!("/proc/{pid}/ns/{name}");
            nix::fcntl::open(
                path.as_str(),
                OFlag::O_RDONLY | OFlag::O_CLOEXEC,
                Mode::empty(),
            )
        };
        let netns = open("net")?;
        let userns = has_userns.then(|| open("user")).transpose()?;
        let (ready, say) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        match clone::fork()? {
            Fork::Child => {
                drop(ready);
                let Err(_) = hold(userns, netns, say);
                clone::exit(1)
            }
            Fork::Parent { pid, pidfd } => {
                drop(say);
                let holder = Self { pid, pidfd };
                match nix::unistd::read(&ready, &mut [0])? {
                    1 => Ok(holder),
                    _ => Err(nix::Error::EPERM),
                }
            }
        }
    }

    pub fn netns(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.pid).into()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = pidfd::signal(&self.pidfd, libc::SIGKILL);
        let _ = pidfd::reap(&self.pidfd);
    }
}

/// All signals are blocked: it stays until it is killed.
fn hold(
    userns: Option<OwnedFd>,
    netns: OwnedFd,
    say: OwnedFd,
) -> nix::Result<std::convert::Infallible> {
    if let Some(userns) = userns {
        ns::join(userns, libc::CLONE_NEWUSER)?;
    }
    ns::join(netns, libc::CLONE_NEWNET)?;
    // Entering has hidden it, and would keep it when we are killed.
    cred::dumpable()?;
    cred::parent_death_signal(libc::SIGKILL)?;
    nix::unistd::write(say, &[1])?;
    loop {
        nix::unistd::pause();
    }
}
