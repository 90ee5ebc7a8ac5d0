//! `--init`: pid 1 of our own that passes signals on and reaps orphans, as
//! tini does. It becomes a program that has nothing of the engine's: neither
//! its binary nor its memory is to be found by way of /proc/1.

use super::{At, Done};
use crate::runtime::sync::Step;
use crate::sys::clone::{self, Fork};
use crate::sys::{caps, cred, reaper, signal};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Forks: pid 1 becomes the reaper and ends when its child has ended. The
/// child comes back, and goes on to the user's program, when pid 1 is the
/// engine no more: who may trace would find its binary at /proc/1/exe.
pub fn split(program: &OwnedFd) -> Done {
    signal::block_all().at(Step::Reaper)?;
    let (changed, engine) = nix::unistd::pipe2(OFlag::O_CLOEXEC).at(Step::Reaper)?;
    // Neither is there another thread, nor is /proc/self/task that of pid 1
    // unless /proc is the container's: clone's check finds what it needs.
    match clone::fork().at(Step::Reaper)? {
        Fork::Child => {
            drop(engine);
            closed(&changed).at(Step::Reaper)
        }
        Fork::Parent { .. } => {
            // With pid 1 the whole container ends.
            let Err(_) = watch(program.as_fd());
            clone::exit(255)
        }
    }
}

/// Waits until nobody holds the other end of the pipe.
fn closed(pipe: &OwnedFd) -> nix::Result<()> {
    loop {
        match nix::unistd::read(pipe, &mut [0]) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

fn watch(program: BorrowedFd<'_>) -> nix::Result<Infallible> {
    drop_privileges()?;
    // The container outlives its monitor, and pid 1 hears of its children.
    cred::parent_death_signal(0)?;
    signal::default_dispositions();
    // The exec closes all: the status socket, and `engine` with it.
    clone::close_from(0, true)?;
    Err(reaper::exec(program))
}

/// Of all capabilities the reaper needs one: the program may have another uid.
fn drop_privileges() -> nix::Result<()> {
    let kill = caps::CapSet::KILL;
    caps::limit_bounding(kill)?;
    caps::clear_ambient()?;
    caps::set(kill, kill, caps::CapSet::EMPTY)
}
