//! The caller's terminal or pipes on one side, a container's process on the
//! other: input, output, window size, signals, the keys that detach.

use crate::error::{Context, Error, Kind, Result};
use crate::sys::{pty, signal};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// How the caller is attached.
#[derive(Debug, Clone)]
pub struct RelayOptions {
    pub stdin: bool,
    /// Show what the process writes there; what is not shown is read all the same.
    pub stdout: bool,
    pub stderr: bool,
    /// The process has a terminal and so has the caller: raw mode.
    pub terminal: bool,
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
}

/// Signals that stay ours whatever happens.
const OURS: [Signal; 6] = [
    Signal::SIGCHLD,
    Signal::SIGWINCH,
    Signal::SIGPIPE,
    Signal::SIGURG,
    Signal::SIGTSTP,
    Signal::SIGTTOU,
];

/// Relays until the process has ended or the user detaches.
pub fn relay(peer: &mut dyn Peer, options: &RelayOptions) -> Result<Outcome> {
    let signals = watch_signals(options)?;
    let _raw = if options.terminal && options.stdin {
        pty::Raw::enter(std::io::stdin()).ok()
    } else {
        None
    };
    let mut relay = Relay {
        stdin_open: options.stdin,
        // Without a terminal every byte is data.
        keys: Keys::new(if options.terminal {
            &options.detach_keys
        } else {
            &[]
        }),
        buffer: vec![0; crate::monitor::protocol::MAX_PAYLOAD + 1],
    };
    let outcome = relay.run(peer, options, &signals);
    let _ = signal::unblock_all();
    outcome
}

/// Blocks what is to be passed on and reads it from a descriptor instead.
fn watch_signals(options: &RelayOptions) -> Result<SignalFd> {
    let mut set = SigSet::empty();
    if options.signals {
        set = SigSet::all();
        for signal in OURS {
            set.remove(signal);
        }
        // Faults of our own and job control are not for the container.
        for signal in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGILL,
            Signal::SIGFPE,
            Signal::SIGTTIN,
        ] {
            set.remove(signal);
        }
    }
    set.add(Signal::SIGWINCH);
    set.thread_block().context(|| "cannot block signals")?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .context(|| "cannot watch signals")
}

struct Relay {
    stdin_open: bool,
    keys: Keys,
    buffer: Vec<u8>,
}

impl Relay {
    fn run(
        &mut self,
        peer: &mut dyn Peer,
        options: &RelayOptions,
        signals: &SignalFd,
    ) -> Result<Outcome> {
        loop {
            let (signalled, input, ready) = self.wait(peer, signals)?;
            if signalled {
                self.pass_signals(peer, options, signals)?;
            }
            for index in ready {
                let event = peer.receive(index, &mut self.buffer)?;
                match event {
                    Event::Stdout(bytes) if options.stdout => {
                        write_all(std::io::stdout().as_fd(), bytes)?
                    }
                    Event::Stderr(bytes) if options.stderr => {
                        write_all(std::io::stderr().as_fd(), bytes)?
                    }
                    Event::Exited(status) => return Ok(Outcome::Exited(status)),
                    Event::Stdout(_) | Event::Stderr(_) | Event::Nothing => {}
                }
            }
            if input && self.pass_input(peer)? {
                return Ok(Outcome::Detached);
            }
        }
    }

    fn wait(&self, peer: &dyn Peer, signals: &SignalFd) -> Result<(bool, bool, Vec<usize>)> {
        let stdin = std::io::stdin();
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
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
    fn pass_input(&mut self, peer: &mut dyn Peer) -> Result<bool> {
        let room = self.buffer.len() - 1;
        let n = match nix::unistd::read(std::io::stdin(), &mut self.buffer[..room]) {
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
        let (passed, detach) = self.keys.filter(&self.buffer[..n]);
        if !passed.is_empty() {
            peer.input(&passed)?;
        }
        Ok(detach)
    }

    fn pass_signals(
        &mut self,
        peer: &mut dyn Peer,
        options: &RelayOptions,
        signals: &SignalFd,
    ) -> Result<()> {
        while let Ok(Some(info)) = signals.read_signal() {
            let number = info.ssi_signo as i32;
            if number == libc::SIGWINCH {
                if options.terminal
                    && let Ok(size) = pty::size(std::io::stdout())
                {
                    peer.resize(size)?;
                }
            } else {
                peer.signal(number)?;
            }
        }
        Ok(())
    }
}

/// Writes everything, also to a descriptor that somebody made non-blocking.
fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
                let _ = poll(&mut fds, PollTimeout::NONE);
            }
            Err(Errno::EPIPE) => {
                return Err(Error::new(Kind::BrokenPipe, "nobody reads the output"));
            }
            Err(e) => return Err(e).context(|| "cannot write the container's output"),
        }
    }
    Ok(())
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
