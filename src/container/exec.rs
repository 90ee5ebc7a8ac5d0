//! A further process in a running container: one setns by pidfd into all its
//! namespaces, a fork, the same last steps as a start.

use super::plan::{ExecRequest, exec_process};
use super::relay::{Event, Outcome, Peer, RelayOptions, relay};
use super::{donor, kill, state};
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::record::container::{State, Status};
use crate::record::containers;
use crate::runtime::child::{self, Streams};
use crate::runtime::streams::{self, Ends};
use crate::runtime::{explain, member, sync};
use crate::sys::clone::{self, Fork};
use crate::sys::{pidfd, pty, set_nonblocking};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// A process that runs in the container; its streams end here.
pub struct Session {
    pidfd: OwnedFd,
    ends: Ends,
    terminal: Option<OwnedFd>,
}

/// Starts the process. With `detach` its streams are the container's null
/// device. Afterwards the caller is in the container's namespaces: it must
/// open nothing any more.
pub fn exec(engine: &Engine, wanted: &str, request: &ExecRequest, detach: bool) -> Result<Session> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    let now = state::started(engine, &id)?;
    if now.status == Status::Paused {
        return Err(Error::conflict(format!(
            "Container {wanted} is paused, unpause the container before exec"
        )));
    }
    let init = kill::open_init(&id, &now)?;
    let container = containers::config(paths, &id)?;
    let mut process = exec_process(&container, request)?;
    let cgroup = open_cgroup(&now).map_err(|e| match e.kind() {
        // It went with the container, which has just ended.
        Kind::NotFound => kill::not_running(&id),
        _ => e,
    })?;
    let (streams, ends) = make_streams(request, detach)?;
    let (parent, child_end) = sync::pair().context(|| "cannot make a socket pair")?;
    set_oom_score(container.host_config.oom_score_adj);
    // The container may be ending under our hands, our process before its init.
    let ended = |e: Error| {
        let over = || pidfd::wait_end(&init, Some(Duration::from_secs(1)));
        match e.kind() {
            Kind::Internal if over() == Ok(true) => kill::not_running(&id),
            _ => e,
        }
    };
    member::enter(&init, donor::real(paths, &container)?.entered()).map_err(ended)?;
    match clone::clone(0, cgroup.as_ref().map(AsRawFd::as_raw_fd))
        .map_err(|errno| ended(explain::clone(errno)))?
    {
        Fork::Child => {
            drop(parent);
            child::join(&mut process, streams, &child_end)
        }
        Fork::Parent { pidfd, .. } => {
            drop(child_end);
            drop(streams);
            let user = match request.user.as_str() {
                "" => &container.config.user,
                given => given,
            };
            let group_add = container.host_config.group_add.as_deref();
            match member::lead(&parent, &process, user, group_add.unwrap_or_default()) {
                Ok(terminal) => Ok(Session {
                    pidfd,
                    ends,
                    terminal,
                }),
                Err(e) => {
                    // The container's init does not end before we have reaped it.
                    let _ = pidfd::signal(&pidfd, libc::SIGKILL);
                    let _ = pidfd::reap(&pidfd);
                    Err(ended(e))
                }
            }
        }
    }
}

/// Docker's processes start with the container's score, not with the caller's.
/// The new process inherits ours; without root it cannot be lowered.
fn set_oom_score(score: i32) {
    let _ = std::fs::write("/proc/self/oom_score_adj", score.to_string());
}

/// The cgroup to start in: the container's, where it has one.
fn open_cgroup(now: &State) -> Result<Option<OwnedFd>> {
    if now.cgroup.is_empty() {
        return Ok(None);
    }
    std::fs::File::open(&now.cgroup)
        .map(|file| Some(file.into()))
        .context(|| format!("cannot open cgroup \"{}\"", now.cgroup))
}

fn make_streams(request: &ExecRequest, detach: bool) -> Result<(Streams, Ends)> {
    if detach || request.terminal {
        return Ok((Streams::default(), Ends::default()));
    }
    streams::pipes(request.open_stdin)
}

impl Session {
    /// Relays until the process has ended; its status.
    pub fn attach(self, options: &RelayOptions) -> Result<Outcome> {
        let Ends {
            stdin,
            stdout,
            stderr,
        } = self.ends;
        let terminal = self.terminal;
        let copy = |fd: &OwnedFd| {
            fd.try_clone()
                .context(|| "cannot use the process's terminal")
        };
        let (input, outputs) = match &terminal {
            Some(terminal) => (
                options.attach.stdin.then(|| copy(terminal)).transpose()?,
                vec![Some((copy(terminal)?, false))],
            ),
            None => (
                stdin,
                vec![stdout.map(|fd| (fd, false)), stderr.map(|fd| (fd, true))],
            ),
        };
        for fd in input
            .iter()
            .chain(outputs.iter().flatten().map(|(fd, _)| fd))
        {
            set_nonblocking(fd.as_fd(), true).context(|| "cannot use the process's streams")?;
        }
        let mut direct = Direct {
            pidfd: self.pidfd,
            input,
            outputs,
            terminal,
            waiting: Vec::new(),
            ended: None,
        };
        relay(&mut direct, options)
    }
}

/// The relay's other side when it is a process of our own.
struct Direct {
    pidfd: OwnedFd,
    input: Option<OwnedFd>,
    /// Descriptor, and whether it is stderr; `None` once at its end.
    outputs: Vec<Option<(OwnedFd, bool)>>,
    terminal: Option<OwnedFd>,
    waiting: Vec<u8>,
    ended: Option<i32>,
}

impl Direct {
    fn flush(&mut self) {
        let Some(input) = &self.input else {
            self.waiting.clear();
            return;
        };
        while !self.waiting.is_empty() {
            match nix::unistd::write(input, &self.waiting) {
                Ok(n) => drop(self.waiting.drain(..n)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // The process has closed its stdin.
                Err(_) => {
                    self.input = None;
                    self.waiting.clear();
                    return;
                }
            }
        }
    }

    /// One read of an output. Others may hold its pipe open after the process
    /// has ended: what is in it then is all that the process wrote.
    fn read<'a>(&mut self, index: usize, buffer: &'a mut [u8]) -> Event<'a> {
        let Some((fd, is_stderr)) = &self.outputs[index] else {
            return Event::Nothing;
        };
        let is_stderr = *is_stderr;
        match nix::unistd::read(fd, buffer) {
            Ok(n) if n > 0 => {
                let bytes = &buffer[..n];
                return if is_stderr {
                    Event::Stderr(bytes)
                } else {
                    Event::Stdout(bytes)
                };
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if self.ended.is_none() => {}
            // The end; of a terminal, EIO.
            _ => self.outputs[index] = None,
        }
        Event::Nothing
    }
}

impl Peer for Direct {
    fn interest(&self) -> Vec<PollFd<'_>> {
        // Ready for ever once the process has ended: then we read what is left.
        let mut fds = vec![PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        let idle = || PollFd::new(self.pidfd.as_fd(), PollFlags::empty());
        fds.push(match &self.input {
            Some(input) if !self.waiting.is_empty() => {
                PollFd::new(input.as_fd(), PollFlags::POLLOUT)
            }
            _ => idle(),
        });
        fds.extend(self.outputs.iter().map(|output| match output {
            Some((fd, _)) => PollFd::new(fd.as_fd(), PollFlags::POLLIN),
            None => idle(),
        }));
        fds
    }

    fn receive<'a>(&mut self, index: usize, buffer: &'a mut [u8]) -> Result<Event<'a>> {
        match index {
            0 if self.ended.is_none() => {
                let ended = pidfd::reap(&self.pidfd).context(|| "cannot wait for the process")?;
                self.ended = Some(ended.status());
                Ok(Event::Nothing)
            }
            0 => match self.outputs.iter().position(Option::is_some) {
                Some(open) => Ok(self.read(open, buffer)),
                None => Ok(self.ended.map_or(Event::Nothing, Event::Exited)),
            },
            1 => {
                self.flush();
                Ok(Event::Nothing)
            }
            _ => Ok(self.read(index - 2, buffer)),
        }
    }

    fn takes_input(&self) -> bool {
        self.waiting.is_empty()
    }

    fn input(&mut self, bytes: &[u8]) -> Result<()> {
        self.waiting.extend_from_slice(bytes);
        self.flush();
        Ok(())
    }

    fn end_of_input(&mut self) -> Result<()> {
        if self.terminal.is_none() {
            self.input = None;
        }
        Ok(())
    }

    fn resize(&mut self, size: pty::Size) -> Result<()> {
        if let Some(terminal) = &self.terminal {
            let _ = pty::set_size(terminal, size);
        }
        Ok(())
    }

    fn signal(&mut self, number: i32) -> Result<()> {
        let _ = pidfd::signal(&self.pidfd, number);
        Ok(())
    }
}
