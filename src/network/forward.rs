//! Published ports at work: takes connections and datagrams on the listeners
//! and carries them into a container's network namespace. One thread, nothing
//! blocks: the monitor's poll loop calls [`Forwarder::turn`] whenever
//! [`Forwarder::fd`] is readable. Needs no memory before the first connection.

mod datagram;

use crate::error::{Context, Result};
use crate::network::inside::Inside;
use crate::network::publish::{Listener, Socket};
use crate::network::stream::Streams;
use crate::network::token::Token;
use datagram::Flows;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
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
    flows: Flows,
    /// Made beforehand: it is needed when descriptors have run out.
    timer: TimerFd,
    armed: bool,
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
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).context(|| "cannot make a timer")?;
        epoll
            .add(&timer, Token::Timer.event(EpollFlags::EPOLLIN))
            .context(|| "cannot watch a timer")?;
        let forwarder = Self {
            epoll,
            listeners,
            paused: false,
            inside: Inside::new(netns, addresses),
            streams: Streams::default(),
            flows: Flows::default(),
            timer,
            armed: false,
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
                Token::Flow(index) => self.flows.reply(index, &self.listeners, &self.inside),
                Token::Timer => self.tick(),
                _ => {}
            }
        }
        // Only now: an event of this batch may still name a slot that was freed.
        let rests = self.streams.reclaim();
        if rests && !self.armed {
            self.alarm(SWEEP);
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
            Socket::Udp(udp) => self.flows.arrival(
                index,
                udp,
                listener.container_port,
                &self.epoll,
                &mut self.inside,
            ),
        };
        match outcome {
            Ok(()) if !self.flows.is_empty() && !self.armed => self.alarm(SWEEP),
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
        self.alarm(PAUSE);
    }

    fn tick(&mut self) {
        self.armed = false;
        // Reading makes it unreadable again; it does not block.
        let _ = self.timer.wait();
        if self.paused {
            self.paused = self.watch_listeners().is_err();
        }
        self.flows.sweep();
        self.streams.rest();
        match (self.paused, self.flows.is_empty()) {
            (true, _) => self.pause(),
            (false, false) => self.alarm(SWEEP),
            (false, true) => {}
        }
    }

    /// One timer: whatever was due later is looked at when it fires.
    fn alarm(&mut self, after: Duration) {
        let expiration = Expiration::OneShot(after.into());
        self.armed = self
            .timer
            .set(expiration, TimerSetTimeFlags::empty())
            .is_ok();
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
