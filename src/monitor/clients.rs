//! The commands attached to a container. All get its output; each may give
//! input. None costs the monitor memory: what one does not take yet stays in
//! its socket, and once that is full the container's output waits. For the
//! command that started the container it waits as long as it takes, as in any
//! pipeline. A command that was attached later and reads nothing for
//! [`PATIENCE`] is told so and let go. What a container leaves when it ends, a
//! pipe full at most, is kept for those who are slow: its end waits for nobody.

use super::protocol::{Attach, End, Kind, MAX_PAYLOAD};
use crate::error::{Error, Result};
use crate::logs::Stream;
use crate::sys::cmsg;
use crate::sys::pty::Size;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How long the container's output waits for a command attached later.
const PATIENCE: Duration = Duration::from_secs(5);
/// More are refused.
const MOST: usize = 64;
/// Larger than the default, so that there is room for the last words on a
/// socket that is full.
const LAST_ROOM: usize = 1 << 20;

#[derive(Default)]
pub struct Clients(Vec<Client>);

struct Client {
    socket: End,
    attach: Attach,
    /// It started the container.
    is_starter: bool,
    /// What the socket had no room for.
    waiting: VecDeque<(Kind, Vec<u8>)>,
    /// When something began to wait or the client was seen to read, and what
    /// it had not read then.
    seen: Instant,
    unread: usize,
    /// It has been told of the end: it goes when it has taken all.
    leaves: bool,
    gone: bool,
}

/// What a client said.
pub enum Said<'a> {
    Input(&'a [u8]),
    EndOfInput,
    Resize(Size),
    /// Networks, to be put into words by a reply.
    Wiring(&'a [u8]),
    Nothing,
}

impl Clients {
    /// The command that started the container.
    pub fn add_starter(&mut self, socket: End, attach: Attach) {
        self.add(socket, attach, true);
    }

    /// One that came through the door; it says by Attach what it wants.
    pub fn add_later(&mut self, socket: End) {
        if self.0.len() >= MOST {
            let error = Error::conflict(format!("{MOST} commands are attached already"));
            let _ = socket.send_error(&error.hint("detach one of them"));
            return;
        }
        self.add(socket, Attach::NONE, false);
    }

    fn add(&mut self, socket: End, attach: Attach, is_starter: bool) {
        if socket.set_nonblocking().is_ok() {
            self.0.push(Client {
                socket,
                attach,
                is_starter,
                waiting: VecDeque::new(),
                seen: Instant::now(),
                unread: 0,
                leaves: false,
                gone: false,
            });
        }
    }

    /// Output waits: somebody has not taken the last of it yet.
    pub fn are_full(&self) -> bool {
        self.0.iter().any(|c| !c.waiting.is_empty() && !c.leaves)
    }

    /// Passes output on to those who want it.
    pub fn offer(&mut self, stream: Stream, bytes: &[u8]) {
        for client in &mut self.0 {
            let (kind, wanted) = match stream {
                Stream::Stdout => (Kind::Stdout, client.attach.stdout),
                Stream::Stderr => (Kind::Stderr, client.attach.stderr),
            };
            if wanted {
                client.offer(kind, bytes);
            }
        }
    }

    /// What to wait for, one for each client in their order. `hears`: whether
    /// anything that they say can be taken; else one that says goodbye is not
    /// heard either, and `other` is waited for in vain.
    pub fn interests<'a>(
        &'a self,
        hears: bool,
        other: BorrowedFd<'a>,
    ) -> impl Iterator<Item = PollFd<'a>> {
        self.0.iter().map(move |client| {
            let mut wanted = PollFlags::empty();
            wanted.set(PollFlags::POLLIN, hears && !client.leaves);
            wanted.set(PollFlags::POLLOUT, !client.waiting.is_empty());
            if wanted.is_empty() {
                return PollFd::new(other, wanted);
            }
            PollFd::new(client.socket.as_fd(), wanted)
        })
    }

    /// When the first of them will have tried our patience.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(Client::deadline).min()
    }

    /// Sends what waited; lets those go who did not read for too long.
    pub fn flush(&mut self) {
        let now = Instant::now();
        for client in &mut self.0 {
            client.flush();
            if client.deadline().is_some_and(|deadline| deadline <= now) && !client.reads(now) {
                client.last_words(Kind::TooSlow);
                client.gone = true;
            }
        }
    }

    /// One message of the `index`th.
    pub fn hear<'a>(&mut self, index: usize, buffer: &'a mut [u8; MAX_PAYLOAD + 1]) -> Said<'a> {
        let Some(client) = self.0.get_mut(index) else {
            return Said::Nothing;
        };
        let message = match client.socket.receive(buffer) {
            Err(Errno::EAGAIN | Errno::EBADMSG) => return Said::Nothing,
            Ok(Some(message)) => message,
            Ok(None) | Err(_) => {
                client.gone = true;
                return Said::Nothing;
            }
        };
        match (message.kind, message.payload) {
            (Kind::Stdin, bytes) if client.attach.stdin => Said::Input(bytes),
            (Kind::StdinEnd, _) if client.attach.stdin => {
                client.attach.stdin = false;
                Said::EndOfInput
            }
            (Kind::Resize, &[a, b, c, d]) => Said::Resize(Size {
                rows: u16::from_ne_bytes([a, b]),
                columns: u16::from_ne_bytes([c, d]),
            }),
            (Kind::Attach, &[byte]) => {
                client.attach = Attach::from_byte(byte);
                Said::Nothing
            }
            (Kind::Wiring, bytes) => Said::Wiring(bytes),
            _ => Said::Nothing,
        }
    }

    /// Whether the command that started the container is there still.
    pub fn has_starter(&self) -> bool {
        self.0.iter().any(|client| client.is_starter)
    }

    /// Tells the `index`th how it went, what it has asked for.
    pub fn reply(&mut self, index: usize, done: Result<()>) {
        let Some(client) = self.0.get_mut(index) else {
            return;
        };
        match done {
            Ok(()) => client.offer(Kind::Done, &[]),
            Err(error) => client.gone |= client.socket.send_error(&error).is_err(),
        }
    }

    /// Forgets those who are gone; true when one of them could have given
    /// more input.
    pub fn sweep(&mut self) -> bool {
        let lost = self.0.iter().any(|c| c.gone && c.attach.stdin);
        self.0.retain(|client| !client.gone);
        lost
    }

    /// The container has ended: nothing follows.
    pub fn finish(&mut self, status: i32) {
        for client in &mut self.0 {
            client.offer(Kind::Exited, &status.to_ne_bytes());
            client.attach = Attach::NONE;
            client.leaves = true;
        }
        self.flush();
        self.sweep();
    }

    /// Until all have taken what is left, or are gone.
    pub fn linger(&mut self) {
        while !self.0.is_empty() {
            let all = self.0.iter();
            let mut fds: Vec<_> = all
                .map(|client| PollFd::new(client.socket.as_fd(), PollFlags::POLLOUT))
                .collect();
            let _ = poll(&mut fds, until(self.deadline()));
            self.flush();
            self.sweep();
        }
    }
}

/// For poll(2): until then, or for ever.
pub fn until(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else {
        return PollTimeout::NONE;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    // One more: it is not to be a little too early again and again.
    PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX)
}

impl Client {
    fn offer(&mut self, kind: Kind, bytes: &[u8]) {
        if !self.waiting.is_empty() {
            self.waiting.push_back((kind, bytes.to_vec()));
            return;
        }
        match self.socket.send(kind, bytes) {
            Ok(()) => {}
            Err(Errno::EAGAIN | Errno::ENOBUFS) => {
                self.waiting.push_back((kind, bytes.to_vec()));
                self.seen = Instant::now();
                self.unread = self.unread();
            }
            Err(_) => self.gone = true,
        }
    }

    fn flush(&mut self) {
        while let Some((kind, bytes)) = self.waiting.front() {
            match self.socket.send(*kind, bytes) {
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return,
                Ok(()) => drop(self.waiting.pop_front()),
                Err(_) => {
                    self.waiting.clear();
                    self.gone = true;
                }
            }
        }
        self.waiting = VecDeque::new();
        self.gone |= self.leaves;
    }

    fn deadline(&self) -> Option<Instant> {
        let waits = !self.is_starter && !self.waiting.is_empty();
        waits.then(|| self.seen + PATIENCE)
    }

    /// Whether it has read anything since it was looked at last.
    fn reads(&mut self, now: Instant) -> bool {
        let before = self.unread;
        self.unread = self.unread();
        self.seen = now;
        self.unread < before
    }

    fn unread(&self) -> usize {
        cmsg::unread(self.socket.as_fd()).unwrap_or(0)
    }

    /// Gets through to one that does not read as well.
    fn last_words(&self, kind: Kind) {
        let _ = setsockopt(&self.socket.as_fd(), sockopt::SndBuf, &LAST_ROOM);
        let _ = self.socket.send(kind, &[]);
    }
}
