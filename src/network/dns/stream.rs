//! Questions by TCP (RFC 7766): a client's questions are answered one after the
//! other, and a slow client keeps nobody but itself waiting.

use super::packet::{self, Code};
use super::upstream::Upstream;
use super::view::View;
use super::{LIMIT, Token, would_block};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollFlags};
use nix::sys::socket::{SockType, SockaddrStorage, connect};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// Clients at once; the one that was silent longest makes room.
const MOST: usize = 32;
/// A client that says nothing for so long is gone.
const IDLE: Duration = Duration::from_secs(10);
/// What is read at once.
const BUFFER: usize = 4096;
/// No message is longer: its length has two bytes.
const LENGTH: usize = 2;
const LONGEST: usize = LENGTH + u16::MAX as usize;

#[derive(Default)]
pub(super) struct Streams {
    slots: Vec<Option<Client>>,
}

struct Client {
    socket: Talk,
    /// The question that is being asked on.
    asking: Option<Asking>,
    last: Instant,
}

struct Asking {
    message: Vec<u8>,
    attempt: usize,
    server: usize,
    socket: Option<Talk>,
    end: Instant,
}

/// A socket, and what is on its way in and out.
struct Talk {
    socket: TcpStream,
    token: Token,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

/// The other side is gone.
struct Gone;

impl Streams {
    pub fn deadline(&self) -> Option<Instant> {
        let open = self.slots.iter().flatten();
        open.map(|client| match &client.asking {
            Some(asking) => asking.end.min(client.last + IDLE),
            None => client.last + IDLE,
        })
        .min()
    }

    /// Clients wait on the listener.
    pub fn arrival(&mut self, listener: &TcpListener, epoll: &Epoll) {
        for _ in 0..MOST {
            let Ok((socket, _)) = listener.accept() else {
                return;
            };
            let index = self.place();
            // Its socket goes first: epoll forgets it.
            self.slots[index] = None;
            let talk = Talk::new(socket, Token::Client(index), epoll, EpollFlags::EPOLLIN);
            self.slots[index] = talk.map(|socket| Client {
                socket,
                asking: None,
                last: Instant::now(),
            });
        }
    }

    fn place(&mut self) -> usize {
        let free = self.slots.iter().position(Option::is_none);
        if free.is_none() && self.slots.len() < MOST {
            self.slots.push(None);
            return self.slots.len() - 1;
        }
        let age = |index: &usize| self.slots[*index].as_ref().map(|client| client.last);
        free.or_else(|| (0..self.slots.len()).min_by_key(age))
            .unwrap_or(0)
    }

    /// Something happened to a client's socket.
    pub fn heard(&mut self, index: usize, view: &View, upstream: &mut Upstream, epoll: &Epoll) {
        self.step(index, |client| {
            client.last = Instant::now();
            client.socket.turn()?;
            client.go_on(index, view, upstream, epoll)
        });
    }

    /// Something happened to the socket of a server that was asked for one.
    pub fn answered(&mut self, index: usize, view: &View, upstream: &mut Upstream, epoll: &Epoll) {
        self.step(index, |client| {
            client.hear(index, upstream, epoll);
            client.go_on(index, view, upstream, epoll)
        });
    }

    pub fn expire(&mut self, now: Instant, view: &View, upstream: &mut Upstream, epoll: &Epoll) {
        for index in 0..self.slots.len() {
            self.step(index, |client| {
                if client
                    .asking
                    .as_ref()
                    .is_some_and(|asking| now >= asking.end)
                {
                    client.ask_next(index, upstream, epoll);
                    return client.go_on(index, view, upstream, epoll);
                }
                if now >= client.last + IDLE {
                    return Err(Gone);
                }
                Ok(())
            });
        }
        if !self.slots.is_empty() && self.slots.iter().all(Option::is_none) {
            self.slots = Vec::new();
        }
    }

    fn step(&mut self, index: usize, act: impl FnOnce(&mut Client) -> Result<(), Gone>) {
        if let Some(slot) = self.slots.get_mut(index)
            && slot.as_mut().is_some_and(|client| act(client).is_err())
        {
            *slot = None;
        }
    }
}

impl Client {
    /// Answers the questions that are there, up to one that is asked on.
    fn go_on(
        &mut self,
        index: usize,
        view: &View,
        upstream: &mut Upstream,
        epoll: &Epoll,
    ) -> Result<(), Gone> {
        while self.asking.is_none()
            && let Some(message) = self.socket.take()
        {
            let answer = match packet::parse(&message) {
                None => return Err(Gone),
                Some(Err(code)) => packet::refusal(&message, None, code),
                Some(Ok(question)) => {
                    match view.answer(&message, &question, usize::from(u16::MAX)) {
                        Some(answer) => answer,
                        None => {
                            upstream.refresh();
                            self.asking = Some(Asking {
                                message,
                                attempt: 0,
                                server: 0,
                                socket: None,
                                end: Instant::now(),
                            });
                            self.ask(index, upstream, epoll);
                            continue;
                        }
                    }
                }
            };
            self.socket.put(&answer);
        }
        self.socket.turn_out()?;
        let mut wanted = EpollFlags::empty();
        // One that sends and does not read is not listened to.
        wanted.set(
            EpollFlags::EPOLLIN,
            self.socket.outbox.is_empty() && self.asking.is_none(),
        );
        wanted.set(EpollFlags::EPOLLOUT, !self.socket.outbox.is_empty());
        self.socket.watch(wanted, epoll);
        Ok(())
    }

    /// This server has not answered.
    fn ask_next(&mut self, index: usize, upstream: &mut Upstream, epoll: &Epoll) {
        if let Some(asking) = &mut self.asking {
            asking.socket = None;
            asking.attempt += 1;
        }
        self.ask(index, upstream, epoll);
    }

    /// Asks the next server that can be asked; when there is none left the
    /// client is told.
    fn ask(&mut self, index: usize, upstream: &mut Upstream, epoll: &Epoll) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        while asking.attempt < upstream.count() {
            if asking.begin(index, upstream, epoll).is_ok() {
                return;
            }
            asking.attempt += 1;
        }
        let question = packet::parse(&asking.message).and_then(Result::ok);
        let answer = packet::refusal(&asking.message, question.as_ref(), Code::Failed);
        self.asking = None;
        self.socket.put(&answer);
    }

    fn hear(&mut self, index: usize, upstream: &mut Upstream, epoll: &Epoll) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        let server = asking.server;
        let Some(talk) = &mut asking.socket else {
            return;
        };
        let alive = talk.turn().is_ok();
        if let Some(answer) = talk.take() {
            upstream.answered(server);
            self.asking = None;
            self.socket.put(&answer);
        } else if alive {
            let mut wanted = EpollFlags::EPOLLIN;
            wanted.set(EpollFlags::EPOLLOUT, !talk.outbox.is_empty());
            talk.watch(wanted, epoll);
        } else {
            self.ask_next(index, upstream, epoll);
        }
    }
}

impl Asking {
    fn begin(&mut self, index: usize, upstream: &mut Upstream, epoll: &Epoll) -> nix::Result<()> {
        let server = upstream.server(self.attempt).ok_or(Errno::ENETUNREACH)?;
        let to = upstream.address(server).ok_or(Errno::ENETUNREACH)?;
        let socket = upstream.socket(SockType::Stream, to)?;
        match connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(e) => return Err(e),
        }
        let token = Token::Server(index);
        let mut talk =
            Talk::new(socket.into(), token, epoll, EpollFlags::EPOLLOUT).ok_or(Errno::ENOMEM)?;
        talk.put(&self.message);
        self.socket = Some(talk);
        self.server = server;
        self.end = Instant::now() + LIMIT / upstream.count().max(1) as u32;
        Ok(())
    }
}

impl Talk {
    fn new(socket: TcpStream, token: Token, epoll: &Epoll, flags: EpollFlags) -> Option<Self> {
        socket.set_nonblocking(true).ok()?;
        let _ = socket.set_nodelay(true);
        epoll.add(&socket, token.event(flags)).ok()?;
        Some(Self {
            socket,
            token,
            inbox: Vec::new(),
            outbox: Vec::new(),
        })
    }

    fn watch(&self, flags: EpollFlags, epoll: &Epoll) {
        let _ = epoll.modify(&self.socket, &mut self.token.event(flags));
    }

    /// Reads and writes what can be.
    fn turn(&mut self) -> Result<(), Gone> {
        self.turn_out()?;
        let mut buffer = [0; BUFFER];
        while self.inbox.len() < LONGEST {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(Gone),
                Ok(length) => self.inbox.extend_from_slice(&buffer[..length]),
                Err(e) if would_block(&e) => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Gone),
            }
        }
        Ok(())
    }

    fn turn_out(&mut self) -> Result<(), Gone> {
        while !self.outbox.is_empty() {
            match self.socket.write(&self.outbox) {
                Ok(length) => drop(self.outbox.drain(..length)),
                Err(e) if would_block(&e) || e.kind() == ErrorKind::NotConnected => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Gone),
            }
        }
        Ok(())
    }

    /// The next message, when all of it is there.
    fn take(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(u16::from_be_bytes(*self.inbox.first_chunk()?));
        let message = self.inbox.get(LENGTH..LENGTH + length)?.to_vec();
        self.inbox.drain(..LENGTH + length);
        if self.inbox.is_empty() {
            self.inbox = Vec::new();
        }
        Some(message)
    }

    fn put(&mut self, message: &[u8]) {
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        self.outbox.extend_from_slice(&length.to_be_bytes());
        self.outbox
            .extend_from_slice(&message[..usize::from(length)]);
    }
}
