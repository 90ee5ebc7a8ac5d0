//! One run of a container: its program's input and output, whoever calls, its
//! networks and its checks, by one poll loop.

use super::clients::{Clients, Said, until};
use super::door::Door;
use super::health::Checking;
use super::job::Job;
use super::net::{Connected, Net, Wiring};
use super::protocol::{self, MAX_PAYLOAD};
use super::rest::Rest;
use super::start::Running;
use super::streams::{Input, Output, Progress};
use crate::error::{Context, Error, Result};
use crate::logs::{Stream, Writer};
use crate::network::forward::Forwarder;
use crate::network::publish::Listener;
use crate::paths::Paths;
use crate::sys::pidfd::{self, Ended};
use crate::sys::pty;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Instant;

/// How often an output is read after the end: several times what its pipe can
/// hold at most.
const MOST_LEFT: u32 = 1024;

/// All that is served, besides the clock.
pub(super) struct Life {
    pidfd: OwnedFd,
    outputs: Vec<Output>,
    input: Option<Input>,
    terminal: Option<OwnedFd>,
    pub(super) door: Option<Door>,
    pub(super) clients: Clients,
    pub(super) log: Option<Writer>,
    stdin_once: bool,
    ends_with_starter: bool,
    /// Keeps the overlay's file system from syncing at the container's exit.
    _root: Option<OwnedFd>,
    pub(super) forwarder: Option<Forwarder>,
    pub(super) checking: Option<Checking>,
    pub(super) cgroup: Option<(PathBuf, OwnedFd)>,
    paths: Paths,
    id: String,
    pub(super) net: Option<Net>,
    pub(super) connected: Option<Connected>,
}

impl Life {
    pub(super) fn new(job: &mut Job, running: Running, door: Option<Door>) -> Result<Self> {
        let mut outputs = Vec::new();
        let mut add = |fd: OwnedFd, stream| {
            Output::new(fd, stream)
                .map(|output| outputs.push(output))
                .context(|| "cannot read the container's output")
        };
        let mut stdin = running.stdin;
        if let Some(terminal) = &running.terminal {
            let copy = terminal
                .try_clone()
                .context(|| "cannot use the container's terminal")?;
            add(copy, Stream::Stdout)?;
            if job.open_stdin {
                stdin = terminal.try_clone().ok();
            }
        }
        if let Some(fd) = running.stdout {
            add(fd, Stream::Stdout)?;
        }
        if let Some(fd) = running.stderr {
            add(fd, Stream::Stderr)?;
        }
        if running.connected.is_some() {
            super::descriptors::raise();
        }
        let dir = job.paths.container(&job.id);
        let log = job.log.as_ref().and_then(|to| Writer::new(&dir, to).ok());
        Ok(Self {
            pidfd: running.pidfd,
            outputs,
            input: stdin.and_then(|fd| Input::new(fd).ok()),
            terminal: running.terminal,
            door,
            clients: Clients::default(),
            log,
            stdin_once: job.stdin_once,
            ends_with_starter: job.ends_with_starter,
            _root: running.root,
            checking: job
                .checks
                .take()
                .map(|checks| Checking::begin(checks, &job.paths, &job.id)),
            cgroup: job.cgroup.take(),
            forwarder: forwarder(
                std::mem::take(&mut job.listeners),
                running.connected.as_ref(),
                job.net.as_ref(),
            ),
            paths: job.paths.clone(),
            id: job.id.clone(),
            net: job.net.take(),
            connected: running.connected,
        })
    }

    /// Until the container's init has ended.
    pub(super) fn run(&mut self) -> Ended {
        let mut rest = Rest::after_start();
        loop {
            let (ended, ready) = self.wait(rest.limit());
            let active = ready.any;
            self.turn(ready);
            if ended {
                return pidfd::reap(&self.pidfd).unwrap_or(Ended::Exited(255));
            }
            rest.after_turn(active);
        }
    }

    /// Sleeps until something happens, or until `limit`; says whether init has
    /// ended and which of the others are ready.
    fn wait(&self, limit: Option<Instant>) -> (bool, Ready) {
        let full = self.clients.are_full();
        let idle = || PollFd::new(self.pidfd.as_fd(), PollFlags::empty());
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        fds.push(self.door.as_ref().map_or_else(idle, Door::interest));
        fds.push(input_interest(self.input.as_ref(), self.pidfd.as_fd()));
        fds.push(match &self.forwarder {
            Some(forwarder) => PollFd::new(forwarder.fd(), PollFlags::POLLIN),
            None => idle(),
        });
        let dns = self.connected.as_ref().and_then(Connected::fd);
        fds.push(dns.map_or_else(idle, |fd| PollFd::new(fd, PollFlags::POLLIN)));
        let way = self.connected.as_ref().and_then(Connected::way_fd);
        fds.push(way.map_or_else(idle, |fd| PollFd::new(fd, PollFlags::POLLIN)));
        let wanted = if full {
            PollFlags::empty()
        } else {
            PollFlags::POLLIN
        };
        fds.extend(self.outputs.iter().map(|o| PollFd::new(o.as_fd(), wanted)));
        // Nobody is heard while the last input still waits.
        let hears = !self.input.as_ref().is_some_and(Input::is_full);
        fds.extend(self.clients.interests(hears, self.pidfd.as_fd()));
        let checks = self.checking.as_ref();
        fds.extend(checks.iter().flat_map(|c| c.interests(self.pidfd.as_fd())));
        let Ok(called) = poll(&mut fds, self.timeout(limit)) else {
            return (false, Ready::default());
        };
        let events = |fd: &PollFd<'_>| fd.revents().unwrap_or(PollFlags::empty());
        let (rest, checks) = fds[6..].split_at(fds.len() - 6 - 2 * checks.iter().count());
        let (outputs, clients) = rest.split_at(self.outputs.len());
        let ready = Ready {
            any: called > 0,
            door: !events(&fds[1]).is_empty(),
            input: events(&fds[2]),
            forwarder: !events(&fds[3]).is_empty(),
            dns: !events(&fds[4]).is_empty(),
            way: !events(&fds[5]).is_empty(),
            outputs: outputs
                .iter()
                .map(|fd| !full && !events(fd).is_empty())
                .collect(),
            check: match checks {
                [ended, written] => (!events(ended).is_empty(), !events(written).is_empty()),
                _ => (false, false),
            },
            // Also one that has gone away.
            clients: clients
                .iter()
                .map(|fd| events(fd).intersects(!PollFlags::POLLOUT))
                .collect(),
        };
        (!events(&fds[0]).is_empty(), ready)
    }

    /// Until somebody has to be looked after without having called.
    fn timeout(&self, limit: Option<Instant>) -> PollTimeout {
        let door = self.door.as_ref().and_then(Door::deadline);
        let check = self.checking.as_ref().map(Checking::deadline);
        let clients = self.clients.deadline();
        let dns = self.connected.as_ref().and_then(Connected::deadline);
        until(
            clients
                .into_iter()
                .chain(door)
                .chain(check)
                .chain(limit)
                .chain(dns)
                .min(),
        )
    }

    fn turn(&mut self, ready: Ready) {
        self.clients.flush();
        for index in (0..ready.clients.len()).filter(|&i| ready.clients[i]) {
            self.hear(index);
        }
        if self.clients.sweep() {
            self.end_input();
        }
        if self.ends_with_starter && !self.clients.has_starter() {
            let _ = pidfd::signal(&self.pidfd, libc::SIGKILL);
        }
        if ready.door
            && let Some(client) = self.door.as_mut().and_then(Door::accept)
        {
            self.clients.add_later(client);
        }
        // An error on its own: the container has closed its stdin.
        let closed = ready.input.contains(PollFlags::POLLERR);
        let flush = |input: &mut Input| closed || input.flush().is_err();
        if !ready.input.is_empty() && self.input.as_mut().is_some_and(flush) {
            self.input = None;
        }
        if let Some(checking) = &mut self.checking {
            checking.turn(ready.check, &self.pidfd, self.cgroup.as_ref());
        }
        if let Some(forwarder) = self.forwarder.as_mut().filter(|_| ready.forwarder) {
            forwarder.turn();
        }
        if let Some(connected) = self.connected.as_mut().filter(|_| ready.way) {
            connected.carry();
        }
        // It looks at the clock as well.
        if let Some(connected) = &mut self.connected
            && (ready.dns || connected.deadline().is_some())
        {
            connected.turn();
        }
        for i in (0..ready.outputs.len()).rev() {
            if ready.outputs[i]
                && !self.clients.are_full()
                && self.outputs[i].turn(&mut self.log, &mut self.clients) == Progress::End
            {
                let output = self.outputs.remove(i);
                if let Some(log) = &mut self.log {
                    log.finish(output.stream());
                }
            }
        }
    }

    /// One message of an attached command.
    fn hear(&mut self, index: usize) {
        if self.input.as_ref().is_some_and(Input::is_full) {
            return;
        }
        let mut buffer = [0u8; MAX_PAYLOAD + 1];
        match self.clients.hear(index, &mut buffer) {
            Said::Input(bytes) => {
                if self.input.as_mut().is_some_and(|i| i.offer(bytes).is_err()) {
                    self.input = None;
                }
            }
            Said::EndOfInput => self.end_input(),
            Said::Resize(size) => {
                if let Some(terminal) = &self.terminal {
                    let _ = pty::set_size(terminal, size);
                }
            }
            Said::Wiring(bytes) => {
                let bytes = bytes.to_vec();
                let done = protocol::parse(&bytes).and_then(|wanted| self.rewire(wanted));
                self.clients.reply(index, done);
            }
            Said::Nothing => {}
        }
    }

    /// A command has changed the container's networks.
    fn rewire(&mut self, wanted: Wiring) -> Result<()> {
        let (Some(net), Some(connected)) = (&mut self.net, &mut self.connected) else {
            return Err(Error::conflict("the container has no network of its own"));
        };
        net.rewire(&self.paths, &self.id, connected, wanted)?;
        if let Some(forwarder) = &mut self.forwarder {
            forwarder.set_addresses(net.wiring.addresses());
        }
        Ok(())
    }

    /// One who gave input gives no more. Others still may, unless it was to be
    /// given once; a terminal has no end of input.
    fn end_input(&mut self) {
        if self.stdin_once && self.terminal.is_none() {
            self.input = None;
        }
    }

    /// Init has ended, and with it everything in its pid namespace: what is in
    /// the pipes is all there will be. Where it shared the host's, others may
    /// still write.
    pub(super) fn drain(&mut self) {
        self.input = None;
        for output in std::mem::take(&mut self.outputs) {
            for _ in 0..MOST_LEFT {
                match output.turn(&mut self.log, &mut self.clients) {
                    Progress::More => self.clients.flush(),
                    Progress::Nothing | Progress::End => break,
                }
            }
            if let Some(log) = &mut self.log {
                log.finish(output.stream());
            }
        }
    }

    /// Whoever comes now hears how it ended as well.
    pub(super) fn close_door(&mut self) {
        if let Some(door) = &self.door {
            door.close();
        }
        self.let_in();
        self.door = None;
    }

    /// Those who stand at the door.
    pub(super) fn let_in(&mut self) {
        while let Some(client) = self.door.as_mut().and_then(Door::accept) {
            self.clients.add_later(client);
        }
    }
}

/// What [`Life::wait`] found.
struct Ready {
    any: bool,
    door: bool,
    input: PollFlags,
    forwarder: bool,
    dns: bool,
    way: bool,
    outputs: Vec<bool>,
    clients: Vec<bool>,
    /// The end of a health check, and its output.
    check: (bool, bool),
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            any: false,
            door: false,
            input: PollFlags::empty(),
            forwarder: false,
            dns: false,
            way: false,
            outputs: Vec::new(),
            clients: Vec::new(),
            check: (false, false),
        }
    }
}

/// No interest is one in nothing, on a descriptor that is there.
fn input_interest<'a>(input: Option<&'a Input>, other: BorrowedFd<'a>) -> PollFd<'a> {
    match input {
        Some(input) if input.is_full() => PollFd::new(input.as_fd(), PollFlags::POLLOUT),
        // POLLERR comes unasked: the container has closed its stdin.
        Some(input) => PollFd::new(input.as_fd(), PollFlags::empty()),
        None => PollFd::new(other, PollFlags::empty()),
    }
}

/// Carries published ports into the container, when there are any.
fn forwarder(
    listeners: Vec<Listener>,
    connected: Option<&Connected>,
    net: Option<&Net>,
) -> Option<Forwarder> {
    if listeners.is_empty() {
        return None;
    }
    let addresses = net.map(|net| net.wiring.addresses()).unwrap_or_default();
    Forwarder::new(listeners, connected?.netns().ok()?, addresses).ok()
}
