//! The relay's other side when it is a container's monitor.

use super::relay::{Event, Outcome, Peer, RelayOptions, relay};
use crate::error::{Context, Error, Result};
use crate::monitor::protocol::Kind;
use crate::monitor::spawn::Client;
use crate::sys::{pidfd, pty};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use std::collections::VecDeque;

/// Relays between the caller's streams and the container until it has ended or
/// the user detaches.
pub fn attach(client: Client, options: &RelayOptions) -> Result<Outcome> {
    client
        .socket
        .set_nonblocking()
        .context(|| "cannot use the monitor's socket")?;
    let mut monitor = Monitor {
        client,
        waiting: VecDeque::new(),
    };
    relay(&mut monitor, options)
}

struct Monitor {
    client: Client,
    /// What the socket had no room for: while there is any, no more input is
    /// read, but output is, or both ends could wait for each other.
    waiting: VecDeque<(Kind, Vec<u8>)>,
}

impl Monitor {
    fn tell(&mut self, kind: Kind, payload: &[u8]) -> Result<()> {
        self.waiting.push_back((kind, payload.to_vec()));
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        while let Some((kind, payload)) = self.waiting.front() {
            match self.client.socket.send(*kind, payload) {
                // It is finishing: its last words are on the way to us.
                Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => {
                    self.waiting.pop_front();
                }
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return Ok(()),
                Err(e) => return Err(e).context(|| "cannot talk to the container's monitor"),
            }
        }
        Ok(())
    }
}

impl Peer for Monitor {
    fn interest(&self) -> Vec<PollFd<'_>> {
        let mut wanted = PollFlags::POLLIN;
        if !self.waiting.is_empty() {
            wanted |= PollFlags::POLLOUT;
        }
        vec![PollFd::new(self.client.socket.as_fd(), wanted)]
    }

    fn receive<'a>(&mut self, _: usize, buffer: &'a mut [u8]) -> Result<Event<'a>> {
        self.flush()?;
        let message = match self.client.socket.receive(buffer) {
            Err(Errno::EAGAIN) => return Ok(Event::Nothing),
            other => other.context(|| "cannot hear from the container's monitor")?,
        };
        let message = message.ok_or_else(|| {
            Error::internal("the container's monitor was killed")
                .hint("`wherry ps` shows whether the container still runs")
        })?;
        Ok(match (message.kind, message.payload) {
            (Kind::Stdout, bytes) => Event::Stdout(bytes),
            (Kind::Stderr, bytes) => Event::Stderr(bytes),
            (Kind::Exited, &[a, b, c, d]) => Event::Exited(i32::from_ne_bytes([a, b, c, d])),
            _ => Event::Nothing,
        })
    }

    fn takes_input(&self) -> bool {
        self.waiting.is_empty()
    }

    fn input(&mut self, bytes: &[u8]) -> Result<()> {
        self.tell(Kind::Stdin, bytes)
    }

    fn end_of_input(&mut self) -> Result<()> {
        self.tell(Kind::StdinEnd, &[])
    }

    fn resize(&mut self, size: pty::Size) -> Result<()> {
        let [a, b] = size.rows.to_ne_bytes();
        let [c, d] = size.columns.to_ne_bytes();
        self.tell(Kind::Resize, &[a, b, c, d])
    }

    fn signal(&mut self, number: i32) -> Result<()> {
        // A container that is gone needs no signal.
        let _ = pidfd::signal(&self.client.init, number);
        Ok(())
    }
}
