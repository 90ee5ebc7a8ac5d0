//! Signal masks and dispositions.

use super::{check, own};
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A set of the kernel's: bit n-1 is signal n, all 64 of them. libc's own calls
/// leave out two that it keeps for itself.
pub type Set = u64;

/// The set of these signals.
pub const fn set(signals: &[i32]) -> Set {
    let (mut set, mut i) = (0, 0);
    while i < signals.len() {
        set |= 1 << (signals[i] - 1);
        i += 1;
    }
    set
}

/// Signals that are read instead of doing what they do; while it lives they
/// are blocked.
pub struct Watch(OwnedFd);

/// A signal that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caught {
    pub signal: i32,
    /// The kernel's own, of a terminal say, not sent by a process.
    pub from_kernel: bool,
}

impl Watch {
    pub fn new(set: Set) -> nix::Result<Self> {
        mask(libc::SIG_BLOCK, set)?;
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: a live set of the size given; the result is a new descriptor.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_signalfd4,
                -1,
                &raw const set,
                size_of::<Set>(),
                flags,
            )
        };
        check(fd).map(|fd| Self(own(fd as i32)))
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// The next one, if one has come.
    pub fn read(&self) -> Option<Caught> {
        // SAFETY: plain data that read(2) fills, one whole record or nothing.
        let (info, n) = unsafe {
            let mut info: libc::signalfd_siginfo = std::mem::zeroed();
            let size = size_of::<libc::signalfd_siginfo>();
            let n = libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size);
            (info, n)
        };
        (n > 0).then_some(Caught {
            signal: info.ssi_signo as i32,
            from_kernel: info.ssi_code > 0,
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // What comes too late to be passed on is not meant for us.
        while self.read().is_some() {}
        let _ = mask(libc::SIG_SETMASK, 0);
    }
}

/// Lets a signal do to this process what it does when nobody watches: end it,
/// stop it until it is continued, or nothing.
pub fn suffer(signal: i32) {
    let before = mask(libc::SIG_UNBLOCK, set(&[signal]));
    let _ = kill(nix::unistd::getpid().as_raw(), signal);
    if let Ok(before) = before {
        let _ = mask(libc::SIG_SETMASK, before);
    }
}

/// The mask as it was before.
fn mask(how: i32, set: Set) -> nix::Result<Set> {
    let mut before: Set = 0;
    // SAFETY: two live sets of the size given.
    check(unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            how,
            &raw const set,
            &raw mut before,
            size_of::<Set>(),
        )
    })
    .map(|_| before)
}

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
