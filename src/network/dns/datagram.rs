//! Questions by UDP: answered at once, or asked on by a socket of their own
//! each, so that answers cannot be mistaken, and whose port cannot be guessed.

use super::packet::{self, Code};
use super::upstream::Upstream;
use super::view::View;
use super::{LIMIT, PATIENCE, Token, would_block};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollFlags};
use nix::sys::socket::SockType;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

/// Questions that are asked on at once; the oldest makes room.
const MOST: usize = 256;
/// Datagrams of one socket in one turn.
const DATAGRAMS: usize = 64;
/// Longer questions are none; answers are what EDNS allows.
const BUFFER: usize = 4096;

#[derive(Default)]
pub(super) struct Queries {
    slots: Vec<Option<Query>>,
}

struct Query {
    client: SocketAddr,
    message: Vec<u8>,
    /// Whom it was asked of; one without a socket has refused.
    asked: Vec<(usize, Option<UdpSocket>)>,
    /// When another one is asked, and when it is given up.
    next: Instant,
    end: Instant,
}

/// What became of a question.
enum Fate {
    Waits,
    Answered,
    /// By this server: another one may know more.
    Refused,
}

impl Queries {
    pub fn deadline(&self) -> Option<Instant> {
        let open = self.slots.iter().flatten();
        open.map(|query| query.next.min(query.end)).min()
    }

    /// Questions wait on the socket.
    pub fn arrival(
        &mut self,
        socket: &UdpSocket,
        view: &View,
        upstream: &mut Upstream,
        epoll: &Epoll,
    ) {
        let mut buffer = [0; BUFFER];
        for _ in 0..DATAGRAMS {
            let (length, client) = match socket.recv_from(&mut buffer) {
                Ok(got) => got,
                Err(e) if would_block(&e) => return,
                // An ICMP error of an earlier answer: not of interest.
                Err(_) => continue,
            };
            let message = &buffer[..length];
            let answer = match packet::parse(message) {
                None => continue,
                Some(Err(code)) => packet::refusal(message, None, code),
                Some(Ok(question)) => match view.answer(message, &question, question.room) {
                    Some(answer) => answer,
                    None => {
                        self.ask(message, client, socket, upstream, epoll);
                        continue;
                    }
                },
            };
            let _ = socket.send_to(&answer, client);
        }
    }

    fn ask(
        &mut self,
        message: &[u8],
        client: SocketAddr,
        socket: &UdpSocket,
        upstream: &mut Upstream,
        epoll: &Epoll,
    ) {
        upstream.refresh();
        let now = Instant::now();
        let query = Query {
            client,
            message: message.to_vec(),
            asked: Vec::new(),
            next: now + PATIENCE,
            end: now + LIMIT,
        };
        let index = self.place();
        self.slots[index] = Some(query);
        self.ask_next(index, socket, upstream, epoll);
    }

    fn place(&mut self) -> usize {
        let free = self.slots.iter().position(Option::is_none);
        if free.is_none() && self.slots.len() < MOST {
            self.slots.push(None);
            return self.slots.len() - 1;
        }
        let age = |index: &usize| self.slots[*index].as_ref().map(|query| query.end);
        free.or_else(|| (0..self.slots.len()).min_by_key(age))
            .unwrap_or(0)
    }

    /// Asks the next server; when nobody can be asked the client is told.
    fn ask_next(
        &mut self,
        index: usize,
        socket: &UdpSocket,
        upstream: &mut Upstream,
        epoll: &Epoll,
    ) {
        let Some(query) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        // Each twice, should a datagram have been lost.
        while query.asked.len() < 2 * upstream.count() {
            let Some(server) = upstream.server(query.asked.len()) else {
                break;
            };
            let sent = query.send(index, server, upstream, epoll);
            let is_sent = sent.is_ok();
            query.asked.push((server, sent.ok()));
            if is_sent {
                return;
            }
        }
        if query.asked.iter().all(|(_, open)| open.is_none()) {
            query.fail(socket);
            self.slots[index] = None;
        }
    }

    /// Something came in on one of a question's sockets.
    pub fn reply(
        &mut self,
        index: usize,
        asked: usize,
        socket: &UdpSocket,
        upstream: &mut Upstream,
        epoll: &Epoll,
    ) {
        let Some(query) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        match query.hear(asked, socket, upstream) {
            Fate::Waits => {}
            Fate::Answered => self.slots[index] = None,
            Fate::Refused => self.ask_next(index, socket, upstream, epoll),
        }
        self.shrink();
    }

    pub fn expire(
        &mut self,
        now: Instant,
        socket: &UdpSocket,
        upstream: &mut Upstream,
        epoll: &Epoll,
    ) {
        for index in 0..self.slots.len() {
            let Some(query) = self.slots[index].as_mut() else {
                continue;
            };
            if now >= query.end {
                query.fail(socket);
                self.slots[index] = None;
            } else if now >= query.next {
                query.next = now + PATIENCE;
                self.ask_next(index, socket, upstream, epoll);
            }
        }
        self.shrink();
    }

    /// Idle again: gives the memory back.
    fn shrink(&mut self) {
        if !self.slots.is_empty() && self.slots.iter().all(Option::is_none) {
            self.slots = Vec::new();
        }
    }
}

impl Query {
    fn send(
        &self,
        index: usize,
        server: usize,
        upstream: &mut Upstream,
        epoll: &Epoll,
    ) -> std::io::Result<UdpSocket> {
        let to = upstream.address(server).ok_or(Errno::ENETUNREACH)?;
        let socket = UdpSocket::from(upstream.socket(SockType::Datagram, to)?);
        socket.connect(to)?;
        socket.send(&self.message)?;
        let token = Token::Query(index, self.asked.len());
        epoll.add(&socket, token.event(EpollFlags::EPOLLIN))?;
        Ok(socket)
    }

    /// What has come in from the `asked`th server.
    fn hear(&mut self, asked: usize, socket: &UdpSocket, upstream: &mut Upstream) -> Fate {
        let is_last = self.asked.len() >= upstream.count();
        let Some((server, open)) = self.asked.get_mut(asked) else {
            return Fate::Waits;
        };
        let Some(from) = open else {
            return Fate::Waits;
        };
        let mut buffer = [0; BUFFER];
        let length = match from.recv(&mut buffer) {
            Ok(length) => length,
            Err(e) if would_block(&e) => return Fate::Waits,
            Err(_) => {
                *open = None;
                return Fate::Refused;
            }
        };
        let answer = &buffer[..length];
        if answer.len() < 12 || packet::id(answer) != packet::id(&self.message) {
            return Fate::Waits;
        }
        let helpless = [Code::Failed as u8, Code::Refused as u8].contains(&packet::code(answer));
        if helpless && !is_last {
            *open = None;
            return Fate::Refused;
        }
        upstream.answered(*server);
        let _ = socket.send_to(answer, self.client);
        Fate::Answered
    }

    /// Nobody has answered.
    fn fail(&self, socket: &UdpSocket) {
        let question = packet::parse(&self.message).and_then(Result::ok);
        let answer = packet::refusal(&self.message, question.as_ref(), Code::Failed);
        let _ = socket.send_to(&answer, self.client);
    }
}
