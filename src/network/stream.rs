//! TCP: each connection is two sockets. Bytes go from one to the other by
//! splice(2) through a pipe, without being copied here; the pipe is borrowed
//! while it holds bytes, so an idle connection costs its two sockets.
//! SPLICE_F_MORE is never given: it would hold back the tail for 200 ms.

use super::inside::Inside;
use super::token::Token;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use nix::sys::epoll::{Epoll, EpollFlags};
use nix::sys::socket::{SockaddrStorage, connect, setsockopt, sockopt};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};

/// Connections taken from one listener in one turn.
const ACCEPTS: usize = 16;
/// Spliced at once: what a pipe holds.
const CHUNK: usize = 256 << 10;
/// Splices for one connection and direction in one turn.
const SPLICES: usize = 16;

/// Waits for the end of a connect; never what a connected socket waits for.
pub const ONCE: EpollFlags = EpollFlags::EPOLLOUT.union(EpollFlags::EPOLLONESHOT);

#[derive(Default)]
pub struct Streams {
    slots: Vec<Option<Stream>>,
    free: Vec<usize>,
    /// Closed in this turn; not used again before its end.
    closed: Vec<usize>,
    spare: Spare,
}

/// Pipes that hold nothing: as many as a connection can use at once, while
/// there are connections.
#[derive(Default)]
struct Spare([Option<Pipe>; 2]);

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
        let pipe = self.spare.take()?;
        self.spare.put(pipe);
        Ok(())
    }

    /// Carries between two sockets that are connected already and hold nothing
    /// back; `epoll` has the second one, for [`ONCE`].
    pub fn join(&mut self, client: TcpStream, backend: TcpStream, epoll: &Epoll) {
        let index = self.slot();
        let backend = Side {
            socket: backend,
            watched: ONCE,
        };
        let stream = Stream::new(Side::new(client), backend);
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
        self.free.len() == self.slots.len()
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

    /// Slots of connections that ended may be used again. True when there are
    /// none left, and something to be given back by [`Streams::rest`].
    pub fn reclaim(&mut self) -> bool {
        self.free.append(&mut self.closed);
        if self.is_empty() {
            (self.slots, self.free, self.closed) = Default::default();
        }
        self.is_empty() && !self.spare.is_empty()
    }

    /// After a while without connections: pipes count against what the user
    /// may have of them.
    pub fn rest(&mut self) {
        if self.is_empty() {
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
    fn pump(&mut self, index: usize, epoll: &Epoll, spare: &mut Spare) -> Result<bool, Errno> {
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
    fn pump(&mut self, from: &TcpStream, to: &TcpStream, spare: &mut Spare) -> Result<(), Errno> {
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
    fn fill(&mut self, from: &TcpStream, spare: &mut Spare) -> Result<bool, Errno> {
        if self.ended {
            return Ok(false);
        }
        let pipe = spare.take()?;
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
        spare.put(pipe);
        Ok(false)
    }

    /// From the pipe to the destination; false when it takes no more now.
    fn drain(&mut self, to: &TcpStream, spare: &mut Spare) -> Result<bool, Errno> {
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
            self.pipe
                .take()
                .into_iter()
                .for_each(|pipe| spare.put(pipe));
        }
        Ok(true)
    }
}

fn flags() -> SpliceFFlags {
    SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK
}

impl Spare {
    fn take(&mut self) -> nix::Result<Pipe> {
        let [one, two] = &mut self.0;
        one.take().or_else(|| two.take()).map_or_else(Pipe::new, Ok)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    fn put(&mut self, pipe: Pipe) {
        if let Some(room) = self.0.iter_mut().find(|room| room.is_none()) {
            *room = Some(pipe);
        }
    }
}

impl Pipe {
    fn new() -> nix::Result<Self> {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // A user has only so much of them: then it is a small one.
        let _ = fcntl(&write, FcntlArg::F_SETPIPE_SZ(CHUNK as i32));
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
