//! N, the user's network namespace: one bridge per network, and nobody lives in
//! it. The monitors of containers with a network keep it by a descriptor each,
//! and each is listed, so that any of them may die; with the last one it is
//! gone, bridges and all, and nothing has to be taken down.

use super::link::Links;
use crate::error::{Context, Result};
use crate::fs::{lock, private};
use crate::paths::Paths;
use crate::sys::ns;
use crate::sys::procfs::Process;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// N, kept and listed until this is dropped.
#[derive(Debug)]
pub struct Hold {
    netns: OwnedFd,
    entry: PathBuf,
}

impl Hold {
    /// Brings the calling thread, which is not to come back, into N: the one
    /// that a living monitor keeps, else a new one. The process must be in U.
    pub fn enter(paths: &Paths) -> Result<Self> {
        let list = paths.netns();
        let file = paths.run().join("netns.lock");
        // Shared by those who join, until they are listed: whoever makes
        // another one has to be sure that nobody has this one.
        let lock = lock::shared(&file)?;
        if let Some(netns) = living(&list) {
            ns::join(&netns, libc::CLONE_NEWNET).context(|| "cannot enter the networks")?;
            return Self::new(netns, &list);
        }
        drop(lock);
        let _lock = lock::exclusive(&file)?;
        if let Some(netns) = living(&list) {
            ns::join(&netns, libc::CLONE_NEWNET).context(|| "cannot enter the networks")?;
            return Self::new(netns, &list);
        }
        Self::new(make()?, &list)
    }

    fn new(netns: OwnedFd, list: &Path) -> Result<Self> {
        let me = Process::me();
        let name = format!("{}.{}.{}", me.pid, me.start_time, netns.as_raw_fd());
        let entry = list.join(name);
        private::mark(&entry).context(|| format!("cannot write \"{}\"", entry.display()))?;
        Ok(Self { netns, entry })
    }
}

impl AsFd for Hold {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // First: nobody is to find a descriptor that is being closed.
        let _ = std::fs::remove_file(&self.entry);
    }
}

fn make() -> Result<OwnedFd> {
    let failed = || "cannot make the namespace of the networks";
    unshare(CloneFlags::CLONE_NEWNET).context(failed)?;
    let netns = open_netns("/proc/thread-self/ns/net").context(failed)?;
    // Only bridges of networks that have it speak IPv6.
    super::wire::sysctl("default", "disable_ipv6", "1");
    Links::open()
        .and_then(|mut links| links.loopback_up())
        .context(failed)?;
    Ok(netns)
}

/// N of a living monitor.
fn living(list: &Path) -> Option<OwnedFd> {
    std::fs::read_dir(list).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name();
        let (process, fd) = parse(name.to_str()?)?;
        let netns = open_netns(&format!("/proc/{}/fd/{fd}", process.pid)).ok()?;
        // Its number may have been given to another process before we opened.
        process.lives().then_some(netns)
    })
}

fn open_netns(path: &str) -> nix::Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// `PID.STARTTIME.FD`.
fn parse(name: &str) -> Option<(Process, i32)> {
    let mut words = name.split('.');
    let process = Process {
        pid: words.next()?.parse().ok()?,
        start_time: words.next()?.parse().ok()?,
    };
    let fd = words.next()?.parse().ok().filter(|fd| *fd >= 0)?;
    words.next().is_none().then_some((process, fd))
}

/// Takes away the entries of monitors that were killed.
pub fn sweep(paths: &Paths) {
    for entry in std::fs::read_dir(paths.netns())
        .into_iter()
        .flatten()
        .flatten()
    {
        let known = entry.file_name().to_str().and_then(parse);
        if known.is_none_or(|(process, _)| !process.lives()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
