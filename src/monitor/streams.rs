//! The container's output and input as the poll loop sees them: read without
//! blocking, logged, passed on to the attached commands.

use super::clients::Clients;
use crate::logs::{Stream, Writer};
use crate::sys::set_nonblocking;
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// As much as is read at once; the log's time stamps are per read.
const READ: usize = 16 << 10;

/// stdout or stderr of the container (or its terminal, as stdout).
pub struct Output {
    fd: OwnedFd,
    stream: Stream,
}

/// What a read gave.
#[derive(PartialEq, Eq)]
pub enum Progress {
    More,
    Nothing,
    End,
}

impl Output {
    pub fn new(fd: OwnedFd, stream: Stream) -> nix::Result<Self> {
        set_nonblocking(fd.as_fd(), true)?;
        Ok(Self { fd, stream })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// One read, logged and passed on.
    pub fn turn(&self, log: &mut Option<Writer>, clients: &mut Clients) -> Progress {
        let mut buffer = [0u8; READ];
        let n = match nix::unistd::read(&self.fd, &mut buffer) {
            Ok(0) => return Progress::End,
            Ok(n) => n,
            Err(Errno::EINTR) => return Progress::More,
            Err(Errno::EAGAIN) => return Progress::Nothing,
            // EIO: the last user of the terminal is gone.
            Err(_) => return Progress::End,
        };
        if let Some(log) = log {
            log.write(self.stream, &buffer[..n]);
        }
        clients.offer(self.stream, &buffer[..n]);
        Progress::More
    }
}

/// The write end of the container's stdin (or its terminal).
pub struct Input {
    fd: OwnedFd,
    waiting: Vec<u8>,
}

impl Input {
    pub fn new(fd: OwnedFd) -> nix::Result<Self> {
        set_nonblocking(fd.as_fd(), true)?;
        Ok(Self {
            fd,
            waiting: Vec::new(),
        })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub fn offer(&mut self, bytes: &[u8]) -> nix::Result<()> {
        self.waiting.extend_from_slice(bytes);
        self.flush()
    }

    /// Writes what the container takes. An error: nobody reads any more.
    pub fn flush(&mut self) -> nix::Result<()> {
        while !self.waiting.is_empty() {
            match nix::unistd::write(&self.fd, &self.waiting) {
                Ok(n) => {
                    self.waiting.drain(..n);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        self.waiting = Vec::new();
        Ok(())
    }
}
