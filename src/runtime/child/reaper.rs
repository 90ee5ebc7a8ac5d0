//! `--init`: pid 1 of our own that passes signals on and reaps orphans, as
//! tini does. It stays undumpable, so that nobody in the container can reach
//! the engine's binary through /proc/1/exe.

use super::{At, Done};
use crate::runtime::plan::Reaper;
use crate::runtime::sync::Step;
use crate::sys::clone::{self, Fork};
use crate::sys::{caps, signal};

/// Forks: the child comes back and goes on to the user's program, pid 1 stays
/// in here until that has ended.
pub fn split(settings: &Reaper) -> Done {
    signal::block_all().at(Step::Reaper)?;
    // Neither is there another thread, nor is /proc/self/task that of pid 1
    // unless /proc is the container's: clone's check finds what it needs.
    match clone::fork().at(Step::Reaper)? {
        Fork::Child => Ok(()),
        Fork::Parent { pid, pidfd } => {
            drop(pidfd);
            if let Some(arguments) = settings.arguments {
                arguments.replace(c"/sbin/docker-init");
            }
            drop_privileges().at(Step::Reaper)?;
            watch(pid)
        }
    }
}

/// Of all capabilities the reaper needs one: the program may have another uid.
fn drop_privileges() -> nix::Result<()> {
    let kill = caps::CapSet::KILL;
    caps::limit_bounding(kill)?;
    caps::clear_ambient()?;
    caps::set(kill, kill, caps::CapSet::EMPTY)
}

/// Waits for signals: SIGCHLD means reaping, everything else goes to `main`.
fn watch(main: i32) -> ! {
    // Neither the status socket nor anything else may be held open by us.
    let _ = clone::close_from(0, false);
    loop {
        match signal::wait() {
            Ok(received) if received.signal == libc::SIGCHLD => reap(main),
            Ok(received) => {
                let _ = signal::kill(main, received.signal);
            }
            Err(_) => clone::exit(255),
        }
    }
}

fn reap(main: i32) {
    while let Ok(Some((pid, wait_status))) = signal::reap_any() {
        if pid == main {
            clone::exit(signal::status_of(wait_status));
        }
    }
}
