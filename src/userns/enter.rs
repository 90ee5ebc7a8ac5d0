//! Getting a process into U: by joining a living monitor's, or by making U
//! anew. Only a process with one thread can do either.

use super::below;
use super::map::{Maps, Writing};
use super::monitors;
use crate::error::{Context, Error, Kind, Result};
use crate::fs::lock::{self, Lock};
use crate::host::Need;
use crate::paths::Paths;
use crate::sys::clone::{self, Fork};
use crate::sys::ns;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::io::Read;
use std::os::fd::OwnedFd;

/// Which user namespace the caller's containers live in.
pub enum Userns {
    /// Root: the one we are in.
    Own,
    /// U of a living monitor.
    Joined(OwnedFd),
    /// A new U; the lock is held until it is known to others.
    New { coming: Coming, lock: Option<Lock> },
}

/// A child that is root of U with all its ids, or is root's plain child.
pub enum Entered {
    Child,
    Parent { pid: i32, pidfd: OwnedFd },
}

/// A new U whose ids are being mapped by two programs, which takes more than a
/// millisecond: the caller does something else meanwhile. A child that only
/// waits holds it, and leaves when this is dropped.
pub struct Coming {
    holder: i32,
    writing: Writing,
    _hold: OwnedFd,
}

impl Userns {
    /// Looks for a living monitor's U, under the lock that makes sure that two
    /// commands do not each make one to stay; else begins to make one.
    pub fn find(paths: &Paths, maps: &Maps) -> Result<Self> {
        if nix::unistd::geteuid().is_root() {
            return Ok(Self::Own);
        }
        let lock = lock::exclusive(&paths.run().join("userns.lock"))?;
        match existing(paths) {
            Some(fd) => Ok(Self::Joined(fd)),
            None => Ok(Self::New {
                coming: Coming::begin(maps)?,
                lock: Some(lock),
            }),
        }
    }

    /// For a passing task (unpacking, removing): another U with the same maps
    /// serves as well, so nobody waits for anybody.
    pub fn find_passing(paths: &Paths, maps: &Maps) -> Result<Self> {
        if nix::unistd::geteuid().is_root() {
            return Ok(Self::Own);
        }
        match existing(paths) {
            Some(fd) => Ok(Self::Joined(fd)),
            None => Ok(Self::New {
                coming: Coming::begin(maps)?,
                lock: None,
            }),
        }
    }

    /// Forks; the child is root of U.
    pub fn fork(self) -> Result<(Entered, Option<Lock>)> {
        match self {
            Self::Own => Ok((plain_fork()?, None)),
            Self::Joined(fd) => Ok((fork_into(&fd)?, None)),
            Self::New { coming, lock } => Ok((fork_into(&coming.finish()?)?, lock)),
        }
    }
}

fn fork_into(userns: &OwnedFd) -> Result<Entered> {
    let entered = plain_fork()?;
    if matches!(entered, Entered::Child) {
        ns::join(userns, libc::CLONE_NEWUSER).context(|| "cannot join the user namespace")?;
    }
    Ok(entered)
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
        Fork::Child => Ok(Entered::Child),
        Fork::Parent { pid, pidfd } => Ok(Entered::Parent { pid, pidfd }),
    }
}

impl Coming {
    fn begin(maps: &Maps) -> Result<Self> {
        let (read, write) =
            nix::unistd::pipe2(OFlag::O_CLOEXEC).context(|| "cannot make a pipe")?;
        match clone::clone(libc::CLONE_NEWUSER, None).map_err(userns_refused)? {
            Fork::Child => {
                drop(write);
                hold(read)
            }
            Fork::Parent { pid, .. } => Ok(Self {
                holder: pid,
                writing: maps.begin(pid)?,
                _hold: write,
            }),
        }
    }

    /// Waits for the maps; a descriptor of U, which now needs no holder.
    fn finish(self) -> Result<OwnedFd> {
        self.writing.finish()?;
        below::open(self.holder)
    }
}

/// Until the other end is closed, also by the death of its owner.
pub(super) fn hold(read: OwnedFd) -> ! {
    let mut byte = [0u8; 1];
    let _ = std::fs::File::from(read).read(&mut byte);
    clone::exit(0)
}

/// Says which switch of the host forbids user namespaces.
fn userns_refused(errno: Errno) -> Error {
    Error::new(
        Kind::Denied,
        format!(
            "cannot make a user namespace: {}",
            crate::error::reason(&errno.into())
        ),
    )
    .hint(refusal(errno).hint())
}

/// What it is that forbids them.
pub fn refusal(errno: Errno) -> Need {
    let is = |path: &str, value: &str| {
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value)
    };
    match errno {
        Errno::EMFILE | Errno::ENFILE => return Need::OpenFiles,
        Errno::ENOSPC | Errno::EUSERS => return Need::NamespaceLimit,
        _ if is("/proc/sys/user/max_user_namespaces", "0") => return Need::NamespaceLimit,
        _ => {}
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return Need::UnprivilegedNamespaces;
    }
    if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        return Need::AppArmorRule;
    }
    Need::UserNamespaces
}
