//! Signal masks and dispositions.

use super::check;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

/// Blocks all signals; they are then read from a signalfd or by [`wait`].
pub fn block_all() -> nix::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)
}

/// Unblocks everything. Usable between clone and exec.
pub fn unblock_all() -> nix::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Default dispositions for every signal, as a new program expects them
/// (Rust ignores SIGPIPE, and `nohup` leaves SIGHUP ignored).
/// Usable between clone and exec.
pub fn default_dispositions() {
    for signal in 1..=libc::SIGRTMAX() {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            // SAFETY: SIG_DFL is a valid disposition for every signal; libc
            // refuses the two that it keeps for itself.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}

/// What a waiting pid 1 has to deal with.
pub struct Received {
    pub signal: i32,
}

/// Waits for any blocked signal (sigwaitinfo(2)).
pub fn wait() -> nix::Result<Received> {
    loop {
        let set = SigSet::all();
        // SAFETY: a valid set; no siginfo is asked for.
        let ret = unsafe { libc::sigwaitinfo(set.as_ref(), std::ptr::null_mut()) };
        match check(libc::c_long::from(ret)) {
            Ok(signal) => {
                return Ok(Received {
                    signal: signal as i32,
                });
            }
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// kill(2) with any number, real-time signals included.
pub fn kill(pid: i32, signal: i32) -> nix::Result<()> {
    // SAFETY: plain numbers.
    check(libc::c_long::from(unsafe { libc::kill(pid, signal) })).map(drop)
}

/// Reaps one ended child: its pid and wait status, `None` when none has ended.
pub fn reap_any() -> nix::Result<Option<(i32, i32)>> {
    let mut status = 0;
    // SAFETY: a live int for the status.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    match check(libc::c_long::from(pid)) {
        Ok(0) => Ok(None),
        Ok(pid) => Ok(Some((pid as i32, status))),
        Err(e) => Err(e),
    }
}

/// Status of a wait status as a shell has it: exit code, or 128 + signal.
pub fn status_of(wait_status: i32) -> i32 {
    if libc::WIFEXITED(wait_status) {
        libc::WEXITSTATUS(wait_status)
    } else {
        128 + libc::WTERMSIG(wait_status)
    }
}
