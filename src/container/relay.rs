//! The caller's terminal or pipes on one side, a container's process on the
//! other: input, output, window size, signals, job control, the keys that
//! detach.

use crate::error::{Context, Error, Kind, Result};
use crate::monitor::protocol::{Attach, MAX_PAYLOAD};
use crate::sys::pty;
use crate::sys::signal::{self, Caught, Watch};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd};

/// How the caller is attached.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    pub attach: Attach,
    /// The process has a terminal and so has the caller: raw mode.
    pub terminal: bool,
    /// The process has drawn on its terminal before we came: it is to do it
    /// again.
    pub redraw: bool,
    /// Pass signals on (`--sig-proxy`).
    pub signals: bool,
    /// Keys that detach; empty for none.
    pub detach_keys: Vec<u8>,
}

/// What came from the other side.
pub enum Event<'a> {
    Stdout(&'a [u8]),
    Stderr(&'a [u8]),
    /// The process has ended with this status; nothing follows.
    Exited(i32),
    /// Nothing this time.
    Nothing,
}

/// The other side.
pub trait Peer {
    /// Descriptors to wait for, with what to wait for.
    fn interest(&self) -> Vec<PollFd<'_>>;
    /// The `index`th of them is ready.
    fn receive<'a>(&mut self, index: usize, buffer: &'a mut [u8]) -> Result<Event<'a>>;
    /// Whether input can be taken now.
    fn takes_input(&self) -> bool;
    fn input(&mut self, bytes: &[u8]) -> Result<()>;
    fn end_of_input(&mut self) -> Result<()>;
    fn resize(&mut self, size: pty::Size) -> Result<()>;
    fn signal(&mut self, number: i32) -> Result<()>;
}

/// How the relay ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Exited(i32),
    /// The detach keys were typed.
    Detached,
    /// Attached to its input alone, and that has been given.
    Fed,
    /// The user has asked often enough to get away from it.
    Interrupted,
}

/// Signals that do what they do: those of children and pipes are our own, and
/// reading or writing in the background stops us as it stops any job.
const OURS: signal::Set = signal::set(&[
    libc::SIGCHLD,
    libc::SIGPIPE,
    libc::SIGURG,
    libc::SIGTTIN,
    libc::SIGTTOU,
]);

/// So much can be written to a pipe that has room at all (PIPE_BUF).
const NEVER_BLOCKS: usize = 4096;

/// Ctrl-C so many times ends the command, whatever the process makes of it.
const ENOUGH: u32 = 3;

/// Relays until the process has ended or the user detaches.
pub fn relay(peer: &mut dyn Peer, options: &RelayOptions) -> Result<Outcome> {
    let signals = Watch::new(!OURS).context(|| "cannot watch signals")?;
    wait_for_terminal(options);
    let raw = if options.terminal && options.attach.stdin {
        pty::Raw::enter(std::io::stdin()).ok()
    } else {
        None
    };
    let mut relay = Relay {
        options,
        signals,
        raw,
        stdin_open: options.attach.stdin,
        // Without a terminal every byte is data.
        keys: Keys::new(if options.terminal {
            &options.detach_keys
        } else {
            &[]
        }),
        interrupts: 0,
    };
    if options.terminal && options.redraw {
        relay.redraw(peer)?;
    }
    relay.run(peer)
}

/// A job in the background that wants input stops until it is in the
/// foreground: at once, not when there is some, which is another's.
fn wait_for_terminal(options: &RelayOptions) {
    if options.attach.stdin && pty::in_background(std::io::stdin()) {
        let whole_job = 0;
        let _ = signal::kill(whole_job, libc::SIGTTIN);
    }
}

struct Relay<'a> {
    options: &'a RelayOptions,
    signals: Watch,
    raw: Option<pty::Raw>,
    stdin_open: bool,
    keys: Keys,
    interrupts: u32,
}

impl Relay<'_> {
    fn run(&mut self, peer: &mut dyn Peer) -> Result<Outcome> {
        let mut buffer = vec![0; MAX_PAYLOAD + 1];
        loop {
            if self.interrupts >= ENOUGH {
                return Ok(Outcome::Interrupted);
            }
            let (signalled, input, ready) = self.wait(peer)?;
            if signalled {
                // We may have been stopped: what was ready may not be any more.
                self.take_signals(peer)?;
                continue;
            }
            if input && self.pass_input(peer, &mut buffer[..MAX_PAYLOAD])? {
                return Ok(Outcome::Detached);
            }
            for index in ready {
                match peer.receive(index, &mut buffer)? {
                    Event::Stdout(bytes) => self.write(peer, std::io::stdout().as_fd(), bytes)?,
                    Event::Stderr(bytes) => self.write(peer, std::io::stderr().as_fd(), bytes)?,
                    Event::Exited(status) => return Ok(Outcome::Exited(status)),
                    Event::Nothing => {}
                }
            }
            let Attach { stdout, stderr, .. } = self.options.attach;
            if !self.stdin_open && !stdout && !stderr && peer.takes_input() {
                return Ok(Outcome::Fed);
            }
        }
    }

    /// Writes everything, unless the user has had enough of it. A reader that
    /// does not read must not keep signals from us: the shell waits until we
    /// stop as well when its job is to stop.
    fn write(&mut self, peer: &mut dyn Peer, fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<()> {
        let mut left = bytes;
        while !left.is_empty() && self.interrupts < ENOUGH {
            let mut fds = [
                PollFd::new(fd, PollFlags::POLLOUT),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            let _ = poll(&mut fds, PollTimeout::NONE);
            let hot = |fd: &PollFd<'_>| fd.revents().is_some_and(|r| !r.is_empty());
            let (writable, signalled) = (hot(&fds[0]), hot(&fds[1]));
            if signalled {
                self.take_signals(peer)?;
            }
            if !writable {
                continue;
            }
            match nix::unistd::write(fd, &left[..left.len().min(NEVER_BLOCKS)]) {
                Ok(n) => left = &left[n..],
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(Errno::EPIPE) => {
                    return Err(Error::new(Kind::BrokenPipe, "nobody reads the output"));
                }
                Err(e) => return Err(e).context(|| "cannot write the container's output"),
            }
        }
        Ok(())
    }

    fn wait(&self, peer: &dyn Peer) -> Result<(bool, bool, Vec<usize>)> {
        let stdin = std::io::stdin();
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let reads_input = self.stdin_open && peer.takes_input();
        if reads_input {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        let first = fds.len();
        fds.extend(peer.interest());
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => return Ok((false, false, Vec::new())),
            other => other.context(|| "cannot wait for the container")?,
        };
        let hot = |fd: &PollFd<'_>| fd.revents().is_some_and(|r| !r.is_empty());
        let ready = (first..fds.len())
            .filter(|&i| hot(&fds[i]))
            .map(|i| i - first)
            .collect();
        Ok((hot(&fds[0]), reads_input && hot(&fds[1]), ready))
    }

    /// True: the detach keys were typed.
    fn pass_input(&mut self, peer: &mut dyn Peer, buffer: &mut [u8]) -> Result<bool> {
        let n = match nix::unistd::read(std::io::stdin(), buffer) {
            Ok(n) => n,
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(false),
            // A terminal that is gone has no more input.
            Err(_) => 0,
        };
        if n == 0 {
            self.stdin_open = false;
            peer.end_of_input()?;
            return Ok(false);
        }
        let (passed, detach) = self.keys.filter(&buffer[..n]);
        if !passed.is_empty() {
            peer.input(&passed)?;
        }
        Ok(detach)
    }

    fn take_signals(&mut self, peer: &mut dyn Peer) -> Result<()> {
        while let Some(caught) = self.signals.read() {
            self.take_signal(peer, caught)?;
        }
        Ok(())
    }

    fn take_signal(&mut self, peer: &mut dyn Peer, caught: Caught) -> Result<()> {
        let passes = self.options.signals;
        match caught.signal {
            libc::SIGWINCH if self.options.terminal => self.resize(peer),
            // The window is ours; without a terminal the process has none.
            libc::SIGWINCH if caught.from_kernel => Ok(()),
            libc::SIGTSTP => {
                if passes {
                    peer.signal(caught.signal)?;
                }
                self.stop(caught.signal);
                Ok(())
            }
            libc::SIGCONT => {
                wait_for_terminal(self.options);
                self.go_on();
                self.resize(peer)?;
                if passes {
                    peer.signal(caught.signal)?;
                }
                Ok(())
            }
            other if passes => {
                self.interrupts += u32::from(matches!(other, libc::SIGINT | libc::SIGTERM));
                peer.signal(other)
            }
            other => {
                self.stop(other);
                Ok(())
            }
        }
    }

    /// Does what the signal does to any program, with the terminal as it was
    /// before; then, if ever, goes on.
    fn stop(&self, signal: i32) {
        if let Some(raw) = &self.raw {
            raw.suspend();
        }
        signal::suffer(signal);
        self.go_on();
    }

    fn go_on(&self) {
        if let Some(raw) = &self.raw {
            // A terminal that is gone has no modes; its end comes as input.
            let _ = raw.resume();
        }
    }

    fn resize(&mut self, peer: &mut dyn Peer) -> Result<()> {
        match pty::size(std::io::stdout()) {
            Ok(size) if self.options.terminal => peer.resize(size),
            _ => Ok(()),
        }
    }

    /// A size that is another one for a moment makes a program draw its screen
    /// again.
    fn redraw(&mut self, peer: &mut dyn Peer) -> Result<()> {
        let Ok(size) = pty::size(std::io::stdout()) else {
            return Ok(());
        };
        peer.resize(pty::Size {
            rows: size.rows.saturating_add(1),
            columns: size.columns.saturating_add(1),
        })?;
        peer.resize(size)
    }
}

/// Finds the detach sequence in what is typed. A beginning of it is held back
/// until the next key shows whether it was meant.
struct Keys {
    sequence: Vec<u8>,
    matched: usize,
}

impl Keys {
    fn new(sequence: &[u8]) -> Self {
        Self {
            sequence: sequence.to_vec(),
            matched: 0,
        }
    }

    /// What to pass on, and whether the sequence is complete.
    fn filter(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        if self.sequence.is_empty() {
            return (bytes.to_vec(), false);
        }
        let mut passed = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if byte == self.sequence[self.matched] {
                self.matched += 1;
                if self.matched == self.sequence.len() {
                    self.matched = 0;
                    return (passed, true);
                }
                continue;
            }
            passed.extend_from_slice(&self.sequence[..self.matched]);
            self.matched = usize::from(byte == self.sequence[0]);
            if self.matched == 0 {
                passed.push(byte);
            }
        }
        (passed, false)
    }
}

/// `--detach-keys`: `a`, `ctrl-x`, separated by commas; empty is Docker's
/// `ctrl-p,ctrl-q`.
pub fn parse_detach_keys(text: &str) -> Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(vec![16, 17]);
    }
    text.split(',')
        .map(|key| {
            match (key.strip_prefix("ctrl-"), key.as_bytes()) {
                (Some(name), _) => control(name),
                (None, &[byte]) => Some(byte),
                _ => None,
            }
            .ok_or_else(|| {
                Error::invalid(format!(
                    "invalid detach keys ({text}): unknown character '{key}'"
                ))
            })
        })
        .collect()
}

fn control(name: &str) -> Option<u8> {
    match name.as_bytes() {
        &[c @ b'a'..=b'z'] => Some(c - b'a' + 1),
        b"@" => Some(0),
        b"[" => Some(27),
        b"\\" => Some(28),
        b"]" => Some(29),
        b"^" => Some(30),
        b"_" => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_are_found_across_reads() {
        let mut keys = Keys::new(&[16, 17]);
        assert_eq!(keys.filter(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(keys.filter(&[b'x', 16]), (b"x".to_vec(), false));
        assert_eq!(keys.filter(b"y"), (vec![16, b'y'], false));
        assert_eq!(keys.filter(&[16, 16, 17, b'z']), (vec![16], true));
        assert_eq!(Keys::new(&[]).filter(&[16, 17]), (vec![16, 17], false));
    }

    #[test]
    fn detach_keys_are_parsed() {
        assert_eq!(parse_detach_keys("").unwrap(), [16, 17]);
        assert_eq!(parse_detach_keys("ctrl-a,q,ctrl-@").unwrap(), [1, b'q', 0]);
        for bad in ["ctrl-", "ab", "ctrl-1", "a,,b"] {
            assert!(parse_detach_keys(bad).is_err(), "{bad}");
        }
    }
}
