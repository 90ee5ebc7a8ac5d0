//! Holds the user namespace U while a build lasts: making it takes more than a
//! step does.

use crate::engine::Engine;
use crate::error::{Context, Result};
use crate::sys::{clone, pidfd, signal};
use crate::userns::enter::{Entered, Userns};
use crate::userns::map::Maps;
use crate::userns::monitors::{Entry, Role};
use nix::fcntl::OFlag;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

/// Ends the process when it is dropped.
pub struct Keeper {
    hold: Option<OwnedFd>,
    pidfd: OwnedFd,
}

impl Keeper {
    /// `None` for root, who needs none.
    pub fn begin(engine: &Engine) -> Result<Option<Self>> {
        if nix::unistd::geteuid().is_root() {
            return Ok(None);
        }
        let maps = Maps::of_caller()?;
        let (read, write) =
            nix::unistd::pipe2(OFlag::O_CLOEXEC).context(|| "cannot make a pipe")?;
        let (told, tell) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context(|| "cannot make a pipe")?;
        let (entered, lock) = Userns::find(&engine.paths, &maps)?.fork()?;
        match entered {
            Entered::Child => {
                // The command's lock is the command's.
                std::mem::forget(lock);
                clone::keep_only(&mut [read.as_raw_fd(), tell.as_raw_fd()]);
                let _ = signal::block_all();
                let _ = nix::unistd::setsid();
                let listed = Entry::add(&engine.paths.monitors(), Role::Monitor);
                let _ = File::from(tell).write_all(&[u8::from(listed.is_ok())]);
                // Until the command has ended, however.
                let _ = File::from(read).read(&mut [0]);
                drop(listed);
                clone::exit(0)
            }
            Entered::Parent { pidfd, .. } => {
                drop((read, tell));
                // Only then it can be found.
                let _ = File::from(told).read(&mut [0]);
                drop(lock);
                Ok(Some(Self {
                    hold: Some(write),
                    pidfd,
                }))
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.hold = None;
        let _ = pidfd::reap(&self.pidfd);
    }
}
