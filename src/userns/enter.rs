//! Getting a process into U: by joining a living monitor's, or by making U
//! anew. Only a process with one thread can do either.

use super::map::Maps;
use super::monitors;
use crate::error::{Context, Error, Kind, Result};
use crate::fs::lock::{self, Lock};
use crate::paths::Paths;
use crate::sys::clone::{self, Fork};
use crate::sys::ns;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

/// Which user namespace the caller's containers live in.
pub enum Userns {
    /// Root: the one we are in.
    Own,
    /// U of a living monitor.
    Joined(OwnedFd),
    /// U is to be made; the lock is held until it is known to others.
    New { lock: Option<Lock> },
}

/// A child that is in U, or is root's plain child.
pub enum Entered {
    Child(Mapped),
    Parent { pid: i32, pidfd: OwnedFd },
}

/// What the child of a new U has until its ids are mapped, which takes two
/// programs and more than a millisecond: it may prepare itself meanwhile.
pub struct Mapped(Option<OwnedFd>);

impl Mapped {
    /// Waits until U's ids can be used; without its parent the child ends.
    pub fn wait(self) {
        let mut byte = [0u8; 1];
        if let Some(read) = self.0
            && std::fs::File::from(read).read_exact(&mut byte).is_err()
        {
            clone::exit(1);
        }
    }

    /// The descriptor behind it, for a process that closes the others.
    pub fn fd(&self) -> Option<RawFd> {
        self.0.as_ref().map(AsRawFd::as_raw_fd)
    }
}

impl Userns {
    /// Looks for a living monitor's U, under the lock that makes sure that two
    /// commands do not each make one to stay.
    pub fn find(paths: &Paths) -> Result<Self> {
        if nix::unistd::geteuid().is_root() {
            return Ok(Self::Own);
        }
        let lock = lock::exclusive(&paths.run().join("userns.lock"))?;
        Ok(match existing(paths) {
            Some(fd) => Self::Joined(fd),
            None => Self::New { lock: Some(lock) },
        })
    }

    /// For a passing task (unpacking, removing): another U with the same maps
    /// serves as well, so nobody waits for anybody.
    pub fn find_passing(paths: &Paths) -> Self {
        if nix::unistd::geteuid().is_root() {
            return Self::Own;
        }
        match existing(paths) {
            Some(fd) => Self::Joined(fd),
            None => Self::New { lock: None },
        }
    }

    /// Forks; the child is root of U, and has all its ids after [`Mapped::wait`].
    pub fn fork(self, maps: &Maps) -> Result<(Entered, Option<Lock>)> {
        match self {
            Self::Own => Ok((plain_fork()?, None)),
            Self::Joined(fd) => {
                let entered = plain_fork()?;
                if matches!(entered, Entered::Child(_)) {
                    ns::join(&fd, libc::CLONE_NEWUSER)
                        .context(|| "cannot join the user namespace of a running container")?;
                }
                Ok((entered, None))
            }
            Self::New { lock } => Ok((fork_new(maps)?, lock)),
        }
    }
}

fn existing(paths: &Paths) -> Option<OwnedFd> {
    monitors::living(&paths.monitors())
        .into_iter()
        .find_map(|process| {
            let path = format!("/proc/{}/ns/user", process.pid);
            let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
            let fd = nix::fcntl::open(path.as_str(), flags, Mode::empty()).ok()?;
            // Its number may have been given to another process before we opened.
            process.lives().then_some(fd)
        })
}

fn plain_fork() -> Result<Entered> {
    match clone::fork().context(|| "cannot fork")? {
        Fork::Child => Ok(Entered::Child(Mapped(None))),
        Fork::Parent { pid, pidfd } => Ok(Entered::Parent { pid, pidfd }),
    }
}

/// Clones into a new U and writes its maps; the child waits for them.
fn fork_new(maps: &Maps) -> Result<Entered> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context(|| "cannot make a pipe")?;
    match clone::clone(libc::CLONE_NEWUSER, None).map_err(userns_refused)? {
        Fork::Child => {
            drop(write);
            Ok(Entered::Child(Mapped(Some(read))))
        }
        Fork::Parent { pid, pidfd } => {
            drop(read);
            if let Err(e) = maps.write(pid) {
                // Without the byte the child leaves at the pipe's end.
                drop(write);
                let _ = crate::sys::pidfd::reap(&pidfd);
                return Err(e);
            }
            nix::unistd::write(write.as_fd(), b"m")
                .context(|| "cannot start a process in the user namespace")?;
            Ok(Entered::Parent { pid, pidfd })
        }
    }
}

/// Says which switch of the host forbids user namespaces.
fn userns_refused(errno: nix::errno::Errno) -> Error {
    let read = |path: &str| {
        std::fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_string()
    };
    let error = Error::new(
        Kind::Denied,
        format!(
            "cannot make a user namespace: {}",
            crate::error::reason(&errno.into())
        ),
    );
    if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        return error.hint("AppArmor forbids it on this host; `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` allows it");
    }
    if read("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        return error.hint("`sudo sysctl kernel.unprivileged_userns_clone=1` allows it");
    }
    if read("/proc/sys/user/max_user_namespaces") == "0" {
        return error.hint("`sudo sysctl user.max_user_namespaces=15000` allows it");
    }
    error.hint("the kernel needs CONFIG_USER_NS, and a surrounding container must allow it")
}
