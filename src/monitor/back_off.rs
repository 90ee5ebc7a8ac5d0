//! The pause before a new start. Nothing of the container is there: a poll
//! with a time limit, woken by SIGHUP when a command has written into the
//! record that it is to stay stopped.

use super::job::Job;
use crate::record::containers;
use crate::sys::signal;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// False: it is not to be started any more.
pub fn wait(job: &Job, pause: Duration) -> bool {
    let end = Instant::now() + pause;
    let mut set = SigSet::empty();
    set.add(Signal::SIGHUP);
    // Blocked like all others, so one that came before is found here.
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let Ok(signals) = SignalFd::with_flags(&set, flags) else {
        return false;
    };
    loop {
        while let Ok(Some(_)) = signals.read_signal() {}
        // One that is gone or cannot be read is not started either.
        let state = containers::state(&job.paths, &job.id);
        if !state.is_ok_and(|state| !state.manually_stopped) {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let limit = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        let _ = poll(
            &mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)],
            limit,
        );
    }
    reap_helpers();
    true
}

/// What served the container that has ended: our children, if we started them.
fn reap_helpers() {
    while let Ok(Some(_)) = signal::reap_any() {}
}
