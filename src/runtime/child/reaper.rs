//! `--init`: pid 1 of our own that passes signals on and reaps orphans, as
//! tini does. It becomes a program that has nothing of the engine's: neither
//! its binary nor its memory is to be found by way of /proc/1.

use super::{At, Done};
use crate::runtime::sync::Step;
use crate::sys::clone::{self, Fork};
use crate::sys::{caps, cred, reaper, signal};
use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Forks: the child comes back and goes on to the user's program, pid 1
/// becomes the reaper and ends when that has ended.
pub fn split(program: &OwnedFd) -> Done {
    signal::block_all().at(Step::Reaper)?;
    // Neither is there another thread, nor is /proc/self/task that of pid 1
    // unless /proc is the container's: clone's check finds what it needs.
    match clone::fork().at(Step::Reaper)? {
        Fork::Child => Ok(()),
        Fork::Parent { pidfd, .. } => {
            drop(pidfd);
            // With pid 1 the whole container ends.
            let Err(_) = watch(program.as_fd());
            clone::exit(255)
        }
    }
}

fn watch(program: BorrowedFd<'_>) -> nix::Result<Infallible> {
    drop_privileges()?;
    // The container outlives its monitor, and pid 1 hears of its children.
    cred::parent_death_signal(0)?;
    signal::default_dispositions();
    // Neither the status socket nor anything else may be held open by us.
    crate::sys::install(program, 0)?;
    clone::close_from(1, false)?;
    let program = crate::sys::own(0);
    nix::fcntl::fcntl(
        &program,
        nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC),
    )?;
    Err(reaper::exec(program.as_fd()))
}

/// Of all capabilities the reaper needs one: the program may have another uid.
fn drop_privileges() -> nix::Result<()> {
    let kill = caps::CapSet::KILL;
    caps::limit_bounding(kill)?;
    caps::clear_ambient()?;
    caps::set(kill, kill, caps::CapSet::EMPTY)
}
