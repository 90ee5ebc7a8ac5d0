//! The one timer of an epoll loop: whatever is due later is looked at when it
//! goes off.

use super::token::Token;
use crate::error::{Context, Result};
use nix::sys::epoll::{Epoll, EpollFlags};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::time::Duration;

/// Made beforehand: it is needed when descriptors have run out.
pub struct Alarm {
    timer: TimerFd,
    set: bool,
}

impl Alarm {
    /// Goes off as [`Token::Timer`] of `epoll`.
    pub fn new(epoll: &Epoll) -> Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).context(|| "cannot make a timer")?;
        epoll
            .add(&timer, Token::Timer.event(EpollFlags::EPOLLIN))
            .context(|| "cannot watch a timer")?;
        Ok(Self { timer, set: false })
    }

    /// Once, in place of what it was set to.
    pub fn set(&mut self, after: Duration) {
        let expiration = Expiration::OneShot(after.into());
        self.set = self
            .timer
            .set(expiration, TimerSetTimeFlags::empty())
            .is_ok();
    }

    pub fn is_set(&self) -> bool {
        self.set
    }

    /// Acknowledges that it has gone off.
    pub fn went_off(&mut self) {
        self.set = false;
        // Reading makes it unreadable again; it does not block.
        let _ = self.timer.wait();
    }
}
