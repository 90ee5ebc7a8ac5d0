//! The way out without a helper: the kernel of the container's own network
//! namespace ends its connections, and we carry the bytes on by sockets of the
//! host's namespace. There is no tap device, and no packet of a connection is
//! seen here.
//!
//! ```text
//!   container's namespace                        |  host's namespace
//!   connect() -> SYN, marked, turned round to lo  |
//!      held in a queue - - - - - - - - - - - - > connect()
//!      let through, or refused in the same way < - - answer
//!      accepted by our listener ======== splice ======= the far end
//!   sendto() -> marked, turned round to lo        |
//!      a socket with the far end's address ======== one of the host's
//!   echo request, held - - - - - - - - - - - - > ping socket
//! ```
//!
//! One thread, nothing blocks: the monitor's poll loop calls
//! [`Embedded::turn`] whenever [`Embedded::fd`] is readable. When the monitor
//! is gone nothing listens and queued packets are dropped: no way out.

mod complaints;
mod datagrams;
mod echoes;
mod opening;
mod packet;
mod policy;
mod queue;
mod rules;
mod sockets;

pub use rules::Local;
pub use sockets::Sockets;

use crate::error::{Context, Result};
use crate::network::alarm::Alarm;
use crate::network::inside::Inside;
use crate::network::link::Links;
use crate::network::stream::{self, Streams};
use crate::network::token::Token;
use crate::sys::ns;
use datagrams::Datagrams;
use echoes::Echoes;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use opening::{Openings, Syn};
use packet::Packet;
use rules::Change;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Whether this kernel has what it takes, tried in a network namespace of its
/// own, into which it brings the calling thread. An error names what is lacking.
pub fn probe() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context(|| "cannot make a network namespace")?;
    Links::open()
        .and_then(|mut links| links.loopback_up())
        .context(|| "cannot use a network namespace")?;
    Sockets::open(&Local::default()).map(drop)
}

/// The way out of one container.
pub struct Embedded {
    epoll: Epoll,
    netns: OwnedFd,
    sockets: Sockets,
    local: Local,
    inside: Inside,
    openings: Openings,
    streams: Streams,
    datagrams: Datagrams,
    echoes: Echoes,
    /// Listeners are not watched until the timer fires: no descriptor was left
    /// for another connection.
    paused: bool,
    alarm: Alarm,
    /// Empty when nothing has been under way for a while.
    buffer: Vec<u8>,
}

/// Events handled in one turn: the monitor has other work as well.
const BATCH: usize = 32;
/// Held packets looked at in one turn.
const PACKETS: usize = 64;
/// Connections taken from the listener in one turn.
const ACCEPTS: usize = 64;
/// A packet or datagram, and what the kernel says about it.
const BUFFER: usize = (64 << 10) + 512;
const SWEEP: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

impl Embedded {
    /// `sockets` were opened in `netns`, with the same `local`.
    pub fn new(sockets: Sockets, netns: OwnedFd, local: Local) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .context(|| "cannot make an epoll descriptor")?;
        let again = netns
            .try_clone()
            .context(|| "cannot keep the container's network namespace")?;
        let embedded = Self {
            alarm: Alarm::new(&epoll)?,
            epoll,
            netns,
            sockets,
            local,
            inside: Inside::new(again, Vec::new()),
            openings: Openings::default(),
            streams: Streams::default(),
            datagrams: Datagrams::new(),
            echoes: Echoes::new(),
            paused: false,
            buffer: Vec::new(),
        };
        embedded.watch().context(|| "cannot watch the way out")?;
        Ok(embedded)
    }

    fn watch(&self) -> nix::Result<()> {
        let flags = EpollFlags::EPOLLIN;
        self.epoll
            .add(&self.sockets.queue, Token::Queue.event(flags))?;
        for (index, family) in self.sockets.families().enumerate() {
            let event = Token::Datagrams(index).event(flags);
            self.epoll.add(&family.datagrams, event)?;
        }
        self.watch_listeners()
    }

    fn watch_listeners(&self) -> nix::Result<()> {
        for (index, family) in self.sockets.families().enumerate() {
            let event = Token::Listener(index).event(EpollFlags::EPOLLIN);
            self.epoll.add(&family.listener, event)?;
        }
        Ok(())
    }

    /// The container's networks have changed; what is under way goes on.
    pub fn set_local(&mut self, local: Local) -> Result<()> {
        if local == self.local {
            return Ok(());
        }
        let (netns, sockets) = (self.netns.as_fd(), &self.sockets);
        let work = || {
            ns::join(netns, libc::CLONE_NEWNET)
                .context(|| "cannot enter the container's network")?;
            sockets.set_rules(Change::Replace, &local)
        };
        ns::elsewhere(work).context(|| "cannot start a thread for the container's network")??;
        self.local = local;
        Ok(())
    }

    /// Readable when there is something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }

    /// Does what can be done at once, up to a bound; never blocks. Trouble
    /// with one connection ends that connection and nothing else.
    pub fn turn(&mut self) {
        let mut events = [EpollEvent::empty(); BATCH];
        let count = self
            .epoll
            .wait(&mut events, EpollTimeout::ZERO)
            .unwrap_or(0);
        if self.buffer.is_empty() {
            self.buffer.resize(BUFFER, 0);
        }
        for event in &events[..count] {
            self.event(Token::from(event.data()));
        }
        // Only now: an event of this batch may still name a slot that was freed.
        let rests = self.streams.reclaim();
        if !self.alarm.is_set() && (rests || self.has_deadlines()) {
            self.alarm.set(SWEEP);
        }
    }

    fn event(&mut self, token: Token) {
        match token {
            Token::Client(_) | Token::Backend(_) => self.streams.event(token, &self.epoll, None),
            Token::Queue => self.held(),
            Token::Opening(index) => {
                let passed = self.openings.answered(index, &self.sockets);
                // Its connection has arrived there by now.
                passed.into_iter().for_each(|family| self.take(family, 1));
            }
            Token::Listener(family) => self.take(family, ACCEPTS),
            Token::Datagrams(index) => {
                if let Some(family) = self.sockets.families().nth(index) {
                    self.datagrams.arrival(
                        &family.datagrams,
                        &self.sockets,
                        &self.inside,
                        &self.local,
                        &self.epoll,
                        &mut self.buffer,
                    );
                }
            }
            Token::Near(index) => self.datagrams.near(index, &self.sockets, &mut self.buffer),
            Token::Far(index) => self.datagrams.far(index, &self.sockets, &mut self.buffer),
            Token::Echo(index) => {
                self.echoes.answered(index, &self.sockets, &mut self.buffer);
            }
            Token::Timer => self.tick(),
            Token::Flow(_) => {}
        }
    }

    /// Packets that wait for a verdict.
    fn held(&mut self) {
        for _ in 0..PACKETS {
            let Some(held) = self.sockets.queue.next(&mut self.buffer) else {
                return;
            };
            match Packet::parse(held.bytes) {
                Some(Packet::Syn {
                    client,
                    to,
                    sequence,
                }) => {
                    let syn = Syn {
                        ticket: held.ticket,
                        client,
                        to,
                        sequence,
                        head: held.bytes,
                    };
                    self.openings
                        .begin(syn, &self.sockets, &self.local, &self.epoll);
                }
                echo => {
                    // It has a socket of the host's to go by, or is nothing.
                    self.sockets.queue.drop(held.ticket);
                    if let Some(echo) = echo {
                        self.echoes
                            .ask(&echo, held.bytes, &self.sockets, &self.local, &self.epoll);
                    }
                }
            }
        }
    }

    /// Takes connections that were let through, from the listener of that
    /// number.
    fn take(&mut self, family: usize, most: usize) {
        let Some(family) = self.sockets.families().nth(family) else {
            return;
        };
        for _ in 0..most {
            let accepted = match self.streams.reserve() {
                Ok(()) => family.listener.accept(),
                Err(e) => Err(e.into()),
            };
            let (client, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => match Errno::from_raw(e.raw_os_error().unwrap_or(0)) {
                    Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM => {
                        return self.pause();
                    }
                    Errno::EAGAIN => return,
                    // The connection that waited is broken already.
                    _ => continue,
                },
            };
            let to = client
                .set_nonblocking(true)
                .and_then(|()| client.local_addr());
            // One that is not known was not let through by us.
            match to.ok().and_then(|to| self.openings.take(peer, to)) {
                Some(far) => self.streams.join(client, far, &self.epoll),
                None => stream::refuse(client),
            }
        }
    }

    /// Without this a listener that cannot be served would keep the loop busy.
    fn pause(&mut self) {
        if !self.paused {
            self.paused = true;
            for family in self.sockets.families() {
                let _ = self.epoll.delete(&family.listener);
            }
        }
        self.alarm.set(PAUSE);
    }

    fn tick(&mut self) {
        self.alarm.went_off();
        if self.paused {
            self.paused = self.watch_listeners().is_err();
        }
        self.openings.sweep();
        self.datagrams.sweep();
        self.echoes.sweep();
        self.streams.rest();
        if self.is_idle() {
            self.buffer = Vec::new();
        }
        if self.paused {
            self.pause();
        }
    }

    fn has_deadlines(&self) -> bool {
        self.openings.has_ready() || !self.datagrams.is_empty() || !self.echoes.is_empty()
    }

    fn is_idle(&self) -> bool {
        self.openings.is_empty()
            && self.streams.is_empty()
            && self.datagrams.is_empty()
            && self.echoes.is_empty()
    }
}
