//! Published ports at work: takes connections and datagrams on the listeners
//! and carries them into a container's network namespace. One thread, nothing
//! blocks: the monitor's poll loop calls [`Forwarder::turn`] whenever
//! [`Forwarder::fd`] is readable. Needs no memory before the first connection.

mod datagrams;

use crate::error::{Context, Result};
use crate::network::alarm::Alarm;
use crate::network::inside::Inside;
use crate::network::publish::{Listener, Socket};
use crate::network::stream::Streams;
use crate::network::token::Token;
use datagrams::Datagrams;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Carries what arrives on listeners into a container.
pub struct Forwarder {
    epoll: Epoll,
    listeners: Vec<Listener>,
    /// Listeners are not watched until the timer fires: no descriptor or
    /// memory was left for another connection.
    paused: bool,
    inside: Inside,
    streams: Streams,
    datagrams: Datagrams,
    alarm: Alarm,
}

/// Events handled in one turn: the monitor has other work as well.
const BATCH: usize = 32;
const SWEEP: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

impl Forwarder {
    /// `netns` is the container's; connections go to its `addresses`, and to its
    /// 127.0.0.1 where nothing answers there.
    pub fn new(listeners: Vec<Listener>, netns: OwnedFd, addresses: Vec<IpAddr>) -> Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
            .context(|| "cannot make an epoll descriptor")?;
        let forwarder = Self {
            alarm: Alarm::new(&epoll)?,
            epoll,
            listeners,
            paused: false,
            inside: Inside::new(netns, addresses),
            streams: Streams::default(),
            datagrams: Datagrams::new(),
        };
        forwarder
            .watch_listeners()
            .context(|| "cannot watch the published ports")?;
        Ok(forwarder)
    }

    /// The container's networks have changed; what is under way goes on.
    pub fn set_addresses(&mut self, addresses: Vec<IpAddr>) {
        self.inside.set_addresses(addresses);
    }

    /// Ends what is under way; the listeners go on to the container's next run.
    pub fn into_listeners(self) -> Vec<Listener> {
        self.listeners
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
        for event in &events[..count] {
            match Token::from(event.data()) {
                Token::Listener(index) => self.arrival(index),
                token @ (Token::Client(_) | Token::Backend(_)) => {
                    self.streams
                        .event(token, &self.epoll, Some(&mut self.inside));
                }
                Token::Flow(index) => self.datagrams.reply(index, &self.listeners, &self.inside),
                Token::Timer => self.tick(),
                _ => {}
            }
        }
        // Only now: an event of this batch may still name a slot that was freed.
        let rests = self.streams.reclaim();
        if rests && !self.alarm.is_set() {
            self.alarm.set(SWEEP);
        }
    }

    fn arrival(&mut self, index: usize) {
        let Some(listener) = self.listeners.get(index) else {
            return;
        };
        let outcome = match &listener.socket {
            Socket::Tcp(tcp) => {
                self.streams
                    .accept(tcp, listener.container_port, &self.epoll, &mut self.inside)
            }
            Socket::Udp(udp) => self.datagrams.arrival(
                index,
                udp,
                listener.container_port,
                &self.epoll,
                &mut self.inside,
            ),
        };
        match outcome {
            Ok(()) if !self.datagrams.is_empty() && !self.alarm.is_set() => self.alarm.set(SWEEP),
            Ok(()) => {}
            Err(_) => self.pause(),
        }
    }

    fn watch_listeners(&self) -> nix::Result<()> {
        for (index, listener) in self.listeners.iter().enumerate() {
            self.epoll
                .add(listener, Token::Listener(index).event(EpollFlags::EPOLLIN))?;
        }
        Ok(())
    }

    /// Without this a listener that cannot be served would keep the loop busy.
    fn pause(&mut self) {
        if !self.paused {
            self.paused = true;
            for listener in &self.listeners {
                let _ = self.epoll.delete(listener);
            }
        }
        self.alarm.set(PAUSE);
    }

    fn tick(&mut self) {
        self.alarm.went_off();
        if self.paused {
            self.paused = self.watch_listeners().is_err();
        }
        self.datagrams.sweep();
        self.streams.rest();
        match (self.paused, self.datagrams.is_empty()) {
            (true, _) => self.pause(),
            (false, false) => self.alarm.set(SWEEP),
            (false, true) => {}
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(socket) => socket.as_fd(),
            Socket::Udp(socket) => socket.as_fd(),
        }
    }
}
