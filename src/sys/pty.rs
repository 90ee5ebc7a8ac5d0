//! Pseudo terminals and terminal modes (pts(4), ioctl_tty(2)).

use super::check;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

/// A new pty of the devpts mount `pts` (a descriptor of its root): master and
/// slave, both close-on-exec. Nothing is looked up by name (CVE-2025-52565).
/// Usable between clone and exec.
pub fn open_in(pts: BorrowedFd<'_>) -> nix::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let master = nix::fcntl::openat(pts, c"ptmx", flags, Mode::empty())?;
    let unlock: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int; TIOCGPTPEER takes flags and returns a
    // new descriptor that nobody else owns.
    unsafe {
        check(libc::c_long::from(libc::ioctl(
            master.as_raw_fd(),
            libc::TIOCSPTLCK as _,
            &raw const unlock,
        )))?;
        let open_flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let slave = check(libc::c_long::from(libc::ioctl(
            master.as_raw_fd(),
            libc::TIOCGPTPEER as _,
            open_flags,
        )))?;
        Ok((master, OwnedFd::from_raw_fd(slave as i32)))
    }
}

/// Makes `slave` the controlling terminal of this session.
pub fn set_controlling(slave: impl AsFd) -> nix::Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    check(libc::c_long::from(unsafe {
        libc::ioctl(slave.as_fd().as_raw_fd(), libc::TIOCSCTTY as _, 0)
    }))
    .map(drop)
}

/// The window size of a terminal.
pub fn size(tty: impl AsFd) -> nix::Result<Size> {
    // SAFETY: winsize is plain data that TIOCGWINSZ fills.
    unsafe {
        let mut ws: libc::winsize = std::mem::zeroed();
        check(libc::c_long::from(libc::ioctl(
            tty.as_fd().as_raw_fd(),
            libc::TIOCGWINSZ as _,
            &raw mut ws,
        )))?;
        Ok(Size {
            rows: ws.ws_row,
            columns: ws.ws_col,
        })
    }
}

pub fn set_size(tty: impl AsFd, size: Size) -> nix::Result<()> {
    let ws = libc::winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCSWINSZ reads one winsize.
    check(libc::c_long::from(unsafe {
        libc::ioctl(
            tty.as_fd().as_raw_fd(),
            libc::TIOCSWINSZ as _,
            &raw const ws,
        )
    }))
    .map(drop)
}

/// Whether another job has the terminal: reading it would stop us.
pub fn in_background(tty: impl AsFd) -> bool {
    nix::unistd::tcgetpgrp(tty).is_ok_and(|group| group != nix::unistd::getpgrp())
}

/// The caller's terminal in raw mode until dropped.
pub struct Raw {
    tty: OwnedFd,
    saved: Termios,
}

impl Raw {
    pub fn enter(tty: impl AsFd) -> nix::Result<Self> {
        let tty = tty
            .as_fd()
            .try_clone_to_owned()
            .map_err(|_| nix::Error::EMFILE)?;
        let saved = tcgetattr(&tty)?;
        let raw = Self { tty, saved };
        raw.resume()?;
        Ok(raw)
    }

    /// The modes from before, while somebody else has the terminal.
    pub fn suspend(&self) {
        let _ = tcsetattr(&self.tty, SetArg::TCSANOW, &self.saved);
    }

    /// Raw again. Stops us (SIGTTOU) while we are in the background.
    pub fn resume(&self) -> nix::Result<()> {
        let mut raw = self.saved.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&self.tty, SetArg::TCSANOW, &raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.suspend();
    }
}
