//! Attaching to a container, and the relay's other side when it is its monitor.

use super::relay::{Event, Outcome, Peer, RelayOptions, relay};
use super::{kill, state};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::monitor::door;
use crate::monitor::protocol::{self, Attach, Kind};
use crate::monitor::spawn::Client;
use crate::record::container::{State, Status};
use crate::record::containers;
use crate::sys::{pidfd, pty};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use std::collections::VecDeque;

/// Attaches to the running container with this ID.
pub fn join(engine: &Engine, id: &str, attach: Attach) -> Result<Client> {
    let now = attachable(engine, id)?;
    // First: what has ended meanwhile is not attached to.
    let init = kill::open_init(id, &now).map_err(|_| stopped())?;
    match door::knock(&engine.paths.run_container(id), attach) {
        Ok(socket) => Ok(Client { socket, init }),
        Err(errno) => Err(shut_out(engine, id, errno)),
    }
}

/// The state of a container that can be attached to.
pub fn attachable(engine: &Engine, id: &str) -> Result<State> {
    let now = state::started(engine, id)?;
    check(&now).map(|()| now)
}

fn check(now: &State) -> Result<()> {
    match now.status {
        Status::Running => Ok(()),
        Status::Paused => Err(Error::conflict(
            "You cannot attach to a paused container, unpause it first",
        )),
        Status::Restarting => Err(Error::conflict(
            "You cannot attach to a restarting container, wait until it is running",
        )),
        _ => Err(stopped()),
    }
}

fn stopped() -> Error {
    Error::conflict("You cannot attach to a stopped container, start it first")
}

/// Why nobody opened: it is just ending, or its monitor cannot be reached.
fn shut_out(engine: &Engine, id: &str, errno: Errno) -> Error {
    let Ok(written) = containers::state(&engine.paths, id) else {
        return stopped();
    };
    if written.init.is_some_and(|init| !init.lives()) {
        state::wait_end(&engine.paths, id, &written);
    }
    let now = containers::state(&engine.paths, id).map(|written| state::truth(&written));
    if let Some(error) = now.map_or(Some(stopped()), |now| check(&now).err()) {
        return error;
    }
    let reason = match errno {
        Errno::ENOENT => "its socket in the run directory is gone".to_string(),
        Errno::ECONNREFUSED => "its monitor was killed".to_string(),
        other => crate::error::reason(&other.into()),
    };
    Error::unavailable(format!("cannot attach to container {id}: {reason}"))
        .hint("`wherry logs -f` shows its output, and it can be attached to again after a restart")
}

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
            (Kind::Failed, payload) => return Err(protocol::parse_error(payload)),
            (Kind::TooSlow, _) => {
                return Err(Error::conflict(
                    "detached from the container: its output was not read for too long",
                )
                .hint("`wherry attach` attaches again, `wherry logs` has what was missed"));
            }
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
