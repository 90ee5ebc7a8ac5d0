//! TCP: each connection is two sockets. Bytes go from one to the other by
//! splice(2) through a pipe, without being copied here; the pipe is borrowed
//! while it holds bytes, so an idle connection costs its two sockets.
//! SPLICE_F_MORE is never given: it would hold back the tail for 200 ms.

use super::inside::Inside;
use super::token::Token;
use nix::errno::Errno;
use nix::fcntl::{OFlag, SpliceFFlags, splice};
use nix::sys::epoll::{Epoll, EpollFlags};
use nix::sys::socket::{SockaddrStorage, connect, setsockopt, sockopt};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

/// Connections taken from one listener in one turn.
const ACCEPTS: usize = 16;
/// Spliced at once: what a pipe holds.
const CHUNK: usize = 64 << 10;
/// Splices for one connection and direction in one turn.
const SPLICES: usize = 16;

#[derive(Default)]
pub struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<usize>,
    /// Closed in this turn; not used again before its end.
    closed: Vec<usize>,
    spare: Option<Pipe>,
}

struct Stream {
    client: Side,
    backend: Side,
    /// Container port and number of the try, until connected.
    connecting: Option<(u16, usize)>,
    /// Client to backend, backend to client.
    up: Half,
    down: Half,
}

struct Side {
    socket: TcpStream,
    /// What epoll watches it for; empty: nothing, not even for errors.
    watched: EpollFlags,
}

/// One direction.
#[derive(Default)]
struct Half {
    /// Holds `pending` bytes, more than 0.
    pipe: Option<Pipe>,
    pending: usize,
    /// The source has sent all.
    ended: bool,
    /// And the destination was told.
    told: bool,
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Streams {
    /// Takes what waits on a listener. An error means that there is no room
    /// for more connections now.
    pub fn accept(
        &mut self,
        listener: &TcpListener,
        port: u16,
        epoll: &Epoll,
        inside: &mut Inside,
    ) -> nix::Result<()> {
        for _ in 0..ACCEPTS {
            self.reserve()?;
            let client = match listener.accept() {
                Ok((client, _)) => client,
                Err(e) => match Errno::from_raw(e.raw_os_error().unwrap_or(0)) {
                    e @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM) => {
                        return Err(e);
                    }
                    Errno::EAGAIN => return Ok(()),
                    // The connection that waited is broken already.
                    _ => continue,
                },
            };
            if client.set_nonblocking(true).is_ok() {
                self.open(client, port, epoll, inside);
            }
        }
        Ok(())
    }

    fn open(&mut self, client: TcpStream, port: u16, epoll: &Epoll, inside: &mut Inside) {
        let _ = client.set_nodelay(true);
        let client = Side::new(client);
        let Some(backend) = dial(port, 0, inside) else {
            return client.reset();
        };
        let index = self.slot();
        let mut stream = Stream {
            connecting: Some((port, backend.1)),
            ..Stream::new(client, Side::new(backend.0))
        };
        match stream
            .backend
            .watch(EpollFlags::EPOLLOUT, Token::Backend(index), epoll)
        {
            Ok(()) => self.slots[index] = Some(stream),
            Err(_) => {
                stream.reset();
                self.free.push(index);
            }
        }
    }

    /// Before connections are taken: without a pipe none can even learn that
    /// it has ended.
    pub fn reserve(&mut self) -> nix::Result<()> {
        if self.spare.is_none() {
            self.spare = Some(Pipe::new()?);
        }
        Ok(())
    }

    /// Carries between two sockets that are connected already.
    pub fn join(&mut self, client: TcpStream, backend: TcpStream, epoll: &Epoll) {
        for socket in [&client, &backend] {
            let _ = socket.set_nodelay(true);
        }
        let index = self.slot();
        let stream = Stream::new(Side::new(client), Side::new(backend));
        self.slots[index] = Some(stream);
        // One that speaks first may have spoken already.
        self.event(Token::Client(index), epoll, None);
    }

    fn slot(&mut self) -> usize {
        let index = self.free.pop().unwrap_or(self.slots.len());
        if index == self.slots.len() {
            self.slots.push(None);
        }
        index
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Something happened to one side of a connection. One that is not
    /// connected yet needs `inside`.
    pub fn event(&mut self, token: Token, epoll: &Epoll, inside: Option<&mut Inside>) {
        let (Token::Client(index) | Token::Backend(index)) = token else {
            return;
        };
        let Some(stream) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let alive = match (stream.connecting, inside) {
            (Some(_), Some(inside)) => stream.connected(index, epoll, inside),
            _ => Ok(true),
        };
        let alive = match (alive, stream.connecting) {
            (Ok(true), None) => stream.pump(index, epoll, &mut self.spare),
            (other, _) => other,
        };
        if alive == Ok(true) {
            return;
        }
        if let (Err(_), Some(stream)) = (alive, self.slots[index].take()) {
            stream.reset();
        }
        self.slots[index] = None;
        self.closed.push(index);
    }

    /// Slots of connections that ended may be used again.
    pub fn reclaim(&mut self) {
        self.free.append(&mut self.closed);
        if self.free.len() == self.slots.len() {
            // Idle again: give the memory back.
            *self = Self::default();
        }
    }
}

/// Ends a connection that cannot be served.
pub fn refuse(socket: TcpStream) {
    Side::new(socket).reset();
}

/// Starts to connect, from the `attempt`th address on; also tells which try
/// that was.
fn dial(port: u16, attempt: usize, inside: &mut Inside) -> Option<(TcpStream, usize)> {
    for attempt in attempt.. {
        let address = inside.address(attempt, port)?;
        let socket = inside.tcp(address).ok()?;
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
            Ok(()) | Err(Errno::EINPROGRESS) => return Some((TcpStream::from(socket), attempt)),
            Err(_) => {}
        }
    }
    None
}

impl Stream {
    fn new(client: Side, backend: Side) -> Self {
        Self {
            client,
            backend,
            connecting: None,
            up: Half::default(),
            down: Half::default(),
        }
    }

    /// Ends the connecting, or tries the next address.
    fn connected(
        &mut self,
        index: usize,
        epoll: &Epoll,
        inside: &mut Inside,
    ) -> Result<bool, Errno> {
        let Some((port, attempt)) = self.connecting else {
            return Ok(true);
        };
        if matches!(self.backend.socket.take_error(), Ok(None)) {
            self.connecting = None;
            let _ = self.backend.socket.set_nodelay(true);
            return Ok(true);
        }
        let (socket, attempt) = dial(port, attempt + 1, inside).ok_or(Errno::ECONNREFUSED)?;
        self.backend = Side::new(socket);
        self.connecting = Some((port, attempt));
        self.backend
            .watch(EpollFlags::EPOLLOUT, Token::Backend(index), epoll)?;
        Ok(true)
    }

    /// Moves what can be moved; false when both directions have ended.
    fn pump(
        &mut self,
        index: usize,
        epoll: &Epoll,
        spare: &mut Option<Pipe>,
    ) -> Result<bool, Errno> {
        self.up
            .pump(&self.client.socket, &self.backend.socket, spare)?;
        self.down
            .pump(&self.backend.socket, &self.client.socket, spare)?;
        if self.up.told && self.down.told {
            return Ok(false);
        }
        let (client, backend) = (
            interest(&self.up, &self.down),
            interest(&self.down, &self.up),
        );
        self.client.watch(client, Token::Client(index), epoll)?;
        self.backend.watch(backend, Token::Backend(index), epoll)?;
        Ok(true)
    }

    fn reset(self) {
        self.client.reset();
        self.backend.reset();
    }
}

/// What a side is watched for, given the direction from it and the one to it.
fn interest(from: &Half, to: &Half) -> EpollFlags {
    let mut flags = EpollFlags::empty();
    flags.set(EpollFlags::EPOLLIN, from.pending == 0 && !from.ended);
    flags.set(EpollFlags::EPOLLOUT, to.pending > 0);
    flags
}

impl Half {
    fn pump(
        &mut self,
        from: &TcpStream,
        to: &TcpStream,
        spare: &mut Option<Pipe>,
    ) -> Result<(), Errno> {
        for _ in 0..SPLICES {
            let more = match self.pending {
                0 => self.fill(from, spare)?,
                _ => self.drain(to, spare)?,
            };
            if !more {
                break;
            }
        }
        if self.ended && self.pending == 0 && !self.told {
            self.told = true;
            // The other side may be gone: then its own direction says so.
            let _ = to.shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// From the source into a pipe; false when it has nothing now.
    fn fill(&mut self, from: &TcpStream, spare: &mut Option<Pipe>) -> Result<bool, Errno> {
        if self.ended {
            return Ok(false);
        }
        let pipe = match spare.take() {
            Some(pipe) => pipe,
            None => Pipe::new()?,
        };
        match splice(from, None, &pipe.write, None, CHUNK, flags()) {
            Ok(0) => self.ended = true,
            Ok(n) => {
                self.pending = n;
                self.pipe = Some(pipe);
                return Ok(true);
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
        *spare = Some(pipe);
        Ok(false)
    }

    /// From the pipe to the destination; false when it takes no more now.
    fn drain(&mut self, to: &TcpStream, spare: &mut Option<Pipe>) -> Result<bool, Errno> {
        let Some(pipe) = &self.pipe else {
            return Ok(false);
        };
        match splice(&pipe.read, None, to, None, self.pending, flags()) {
            Ok(n) => self.pending -= n,
            Err(Errno::EAGAIN) => return Ok(false),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
        if self.pending == 0 {
            *spare = self.pipe.take();
        }
        Ok(true)
    }
}

fn flags() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK
}

impl Pipe {
    fn new() -> nix::Result<Self> {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok(Self { read, write })
    }
}

impl Side {
    fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            watched: EpollFlags::empty(),
        }
    }

    /// Watched for nothing means not registered: epoll would report a hang-up
    /// again and again that cannot be handled yet.
    fn watch(&mut self, flags: EpollFlags, token: Token, epoll: &Epoll) -> nix::Result<()> {
        if flags == self.watched {
            return Ok(());
        }
        match (self.watched.is_empty(), flags.is_empty()) {
            (_, true) => epoll.delete(&self.socket)?,
            (true, false) => epoll.add(&self.socket, token.event(flags))?,
            (false, false) => epoll.modify(&self.socket, &mut token.event(flags))?,
        }
        self.watched = flags;
        Ok(())
    }

    /// Closes with a reset, so that the peer learns that it was no proper end.
    fn reset(self) {
        let linger = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let _ = setsockopt(&self.socket, sockopt::Linger, &linger);
    }
}
