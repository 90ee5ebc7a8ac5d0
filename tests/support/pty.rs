//! A real terminal for interactive cases: what a person types and sees.

use super::env::wait;
use super::limit;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{Termios, tcgetattr};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

/// A command that runs on a terminal of its own.
pub struct Pty {
    /// `None` after a hang-up.
    master: Option<Arc<File>>,
    /// Held so that the terminal outlives the command and can be looked at.
    slave: OwnedFd,
    child: Child,
    screen: Arc<Screen>,
    reader: Option<JoinHandle<()>>,
    /// What `expect` has gone past.
    seen: usize,
}

#[derive(Default)]
struct Screen {
    bytes: Mutex<Vec<u8>>,
    changed: Condvar,
    stop: AtomicBool,
}

impl Pty {
    /// Starts the command as leader of a session on a terminal of this size.
    /// Its environment and directory are those it was given.
    pub fn spawn(command: &Command, rows: u16, columns: u16) -> Self {
        let (master, slave) = open();
        let size = wherry::sys::pty::Size { rows, columns };
        wherry::sys::pty::set_size(&master, size).expect("a terminal has a size");
        let stdio = || slave.try_clone().expect("a descriptor");
        // setsid(1) makes stdin the controlling terminal. Tests that a script has
        // started in the background ignore Ctrl-C; what they start must not.
        let mut session = Command::new("env");
        session
            .args(["--default-signal=INT,QUIT", "setsid", "--ctty"])
            .arg(command.get_program())
            .args(command.get_args());
        session.env_clear().env("TERM", "xterm");
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                session.env(name, value);
            }
        }
        if let Some(dir) = command.get_current_dir() {
            session.current_dir(dir);
        }
        let child = session
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let screen = Arc::new(Screen::default());
        let master = Arc::new(master);
        let reader = read_on(master.clone(), screen.clone());
        Self {
            master: Some(master),
            slave,
            child,
            screen,
            reader: Some(reader),
            seen: 0,
        }
    }

    /// Waits until `text` comes; what came before it is returned. The next
    /// call looks behind it.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let end = Instant::now() + limit(20);
        let mut screen = self.screen.bytes.lock().unwrap();
        loop {
            if let Some(at) = find(&screen[self.seen..], text.as_bytes()) {
                let before = String::from_utf8_lossy(&screen[self.seen..self.seen + at]).into();
                self.seen += at + text.len();
                return before;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "{text:?} did not come; on the terminal:\n{}",
                String::from_utf8_lossy(&screen)
            );
            screen = self.screen.changed.wait_timeout(screen, left).unwrap().0;
        }
    }

    /// Types.
    pub fn send(&mut self, keys: impl AsRef<[u8]>) {
        self.master()
            .write_all(keys.as_ref())
            .expect("a terminal takes keys");
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = wherry::sys::pty::Size { rows, columns };
        wherry::sys::pty::set_size(self.master(), size).expect("a terminal has a size");
    }

    /// The modes as they are now: raw while a session runs, as before at last.
    pub fn modes(&self) -> Termios {
        tcgetattr(self.slave.as_fd()).expect("a terminal has modes")
    }

    /// The process group that its keys signal.
    pub fn foreground(&self) -> nix::Result<nix::unistd::Pid> {
        let master = self.master.as_ref().ok_or(nix::Error::EIO)?;
        nix::unistd::tcgetpgrp(master)
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    fn master(&self) -> &File {
        self.master.as_deref().expect("no hang-up yet")
    }

    /// The terminal window is closed: its session gets SIGHUP.
    pub fn hang_up(&mut self) {
        self.screen.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.master = None;
    }

    /// Exit status, 128+n for signal n.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        wait(&mut self.child, 30)
            .unwrap_or_else(|| panic!("no end; on the terminal:\n{}", self.text()))
    }

    /// All that was shown so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.bytes.lock().unwrap()).into()
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        self.hang_up();
    }
}

/// Master and slave, close-on-exec from birth: what other tests start at the
/// same time must not hold the terminal open.
fn open() -> (File, OwnedFd) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a pty");
    grantpt(&master)
        .and_then(|()| unlockpt(&master))
        .expect("a pty of ours");
    let slave = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(ptsname_r(&master).expect("a pty has a name"))
        .expect("a pty of ours");
    // SAFETY: into_raw_fd gives the only owner away.
    (
        unsafe { File::from_raw_fd(master.into_raw_fd()) },
        slave.into(),
    )
}

fn read_on(from: Arc<File>, screen: Arc<Screen>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while !screen.stop.load(Ordering::Relaxed) {
            let mut fds = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::from(20u8)) != Ok(1) {
                continue;
            }
            // EIO is the end: nobody has the other side any more.
            let Ok(n) = (&*from).read(&mut bytes) else {
                return;
            };
            screen.bytes.lock().unwrap().extend_from_slice(&bytes[..n]);
            screen.changed.notify_all();
        }
    })
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

mod tests {
    use super::*;

    #[test]
    fn drives_a_shell() {
        let mut sh = Command::new("/bin/sh");
        sh.env("PS1", "ready> ").env("PATH", "/usr/bin:/bin");
        let mut pty = Pty::spawn(&sh, 30, 100);
        pty.expect("ready> ");
        pty.send("stty size; tty\r");
        pty.expect("30 100");
        pty.expect("/dev/pts/");
        pty.resize(40, 120);
        pty.send("stty size\r");
        pty.expect("40 120");
        pty.send("exit 7\r");
        assert_eq!(pty.wait(), 7);
        let mut cat = Pty::spawn(&Command::new("/bin/cat"), 24, 80);
        cat.send("x\r");
        cat.expect("x\r\nx");
        cat.send([3]);
        assert_eq!(cat.wait(), 130);
        let mut sleeper = Pty::spawn(&Command::new("/bin/cat"), 24, 80);
        sleeper.send("ready\r");
        sleeper.expect("ready\r\nready");
        sleeper.hang_up();
        assert_eq!(sleeper.wait(), 129);
    }
}
