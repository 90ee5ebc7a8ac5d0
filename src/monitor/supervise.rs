//! The monitor's life: start, poll loop, end. It is one process with one
//! thread; after the start it holds buffers for what is under way and nothing
//! else.

use super::job::Job;
use super::protocol::{End, Kind, Network};
use super::start::{self, Running};
use super::streams::{Client, Input, Output, Progress};
use crate::error::{Context, Error, Result};
use crate::logs::{Stream, Writer};
use crate::network::forward::Forwarder;
use crate::network::publish::Listener;
use crate::record::container::{State, Status};
use crate::record::containers;
use crate::sys::pidfd::{self, Ended};
use crate::sys::{clone, pty, signal};
use crate::userns::monitors::{Entry, Role};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The whole life. `client` is the command that forked us.
pub fn main(mut job: Job, client: End) {
    detach(&job, &client);
    // On the list while we live: others join U through us.
    let listed = match Entry::add(&job.paths.monitors(), Role::Monitor) {
        Ok(listed) => listed,
        Err(error) => return give_up(&job, &client, &error),
    };
    let started = start::start(&mut job, &client);
    match started {
        Ok(running) => live(job, client, running),
        Err(error) => give_up(&job, &client, &error),
    }
    drop(listed);
}

/// Away from the command's terminal, session, directory and descriptors: its
/// locks in particular are its own (promise K9).
fn detach(job: &Job, client: &End) {
    let _ = signal::block_all();
    let _ = nix::unistd::setsid();
    let _ = nix::unistd::chdir("/");
    // What the container is to see is made with the usual modes, whatever the
    // caller's umask; what is ours alone says so itself.
    let _ = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let mut keep = vec![
        client.as_fd().as_raw_fd(),
        job.plan.process.stub.as_raw_fd(),
    ];
    keep.extend(job.plan.process.reaper.iter().map(AsRawFd::as_raw_fd));
    keep.extend(job.listeners.iter().map(AsRawFd::as_raw_fd));
    keep.extend(job.cgroup.iter().map(|(_, fd)| fd.as_raw_fd()));
    clone::keep_only(&mut keep);
}

/// The start failed: the record says why, and `--rm` leaves nothing.
fn give_up(job: &Job, client: &End, error: &Error) {
    let mut state = job.state.clone();
    state.status = Status::Created;
    state.starting = false;
    state.init = None;
    state.monitor = None;
    state.error = error.message().to_string();
    state.exit_code = crate::error::container_status(error.kind());
    end_helpers(job);
    clean_up(job);
    let _ = start::write_state(job, &state);
    if job.auto_remove {
        let _ = containers::remove(&job.paths, &job.id, &state.name);
    }
    let _ = client.send_error(error);
}

/// The poll loop and what follows it.
fn live(mut job: Job, socket: End, running: Running) {
    let init = running.pidfd.as_fd();
    let mut state = running.state.clone();
    // A command that is gone cannot be told; the container runs all the same.
    let told = socket.send_with(Kind::Started, &[], Some(init));
    let client = told.ok().and_then(|()| Client::new(socket).ok());
    let mut life = match Life::new(&mut job, running, client) {
        Ok(life) => life,
        Err(_) => clone::exit(1),
    };
    // Now others may enter; nobody who was told of the start waits for this.
    state.starting = false;
    let _ = start::write_state(&job, &state);
    let ended = life.run();
    life.drain();
    finish(&job, state, life, ended);
}

struct Life {
    pidfd: OwnedFd,
    outputs: Vec<Output>,
    input: Option<Input>,
    terminal: Option<OwnedFd>,
    client: Option<Client>,
    log: Option<Writer>,
    stdin_once: bool,
    /// Keeps the overlay's file system from syncing at the container's exit.
    _root: Option<OwnedFd>,
    forwarder: Option<Forwarder>,
}

impl Life {
    fn new(job: &mut Job, running: Running, client: Option<Client>) -> Result<Self> {
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
        let log = match job.log {
            Some(caps) => Writer::open(&job.paths.container(&job.id), caps).ok(),
            None => None,
        };
        Ok(Self {
            pidfd: running.pidfd,
            outputs,
            input: stdin.and_then(|fd| Input::new(fd).ok()),
            terminal: running.terminal,
            client,
            log,
            stdin_once: job.stdin_once,
            _root: running.root,
            forwarder: forwarder(
                std::mem::take(&mut job.listeners),
                running.netns,
                &running.network,
            ),
        })
    }

    /// Until the container's init has ended.
    fn run(&mut self) -> Ended {
        loop {
            let (ended, ready) = self.wait();
            self.turn(ready);
            if ended {
                return pidfd::reap(&self.pidfd).unwrap_or(Ended::Exited(255));
            }
        }
    }

    /// Sleeps until something happens; says whether init has ended and which
    /// of the others are ready.
    fn wait(&self) -> (bool, Ready) {
        let full = self.client.as_ref().is_some_and(Client::is_full);
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        fds.push(client_interest(
            self.client.as_ref(),
            self.input.as_ref(),
            self.pidfd.as_fd(),
        ));
        fds.push(input_interest(self.input.as_ref(), self.pidfd.as_fd()));
        fds.push(match &self.forwarder {
            Some(forwarder) => PollFd::new(forwarder.fd(), PollFlags::POLLIN),
            None => PollFd::new(self.pidfd.as_fd(), PollFlags::empty()),
        });
        let wanted = if full {
            PollFlags::empty()
        } else {
            PollFlags::POLLIN
        };
        fds.extend(self.outputs.iter().map(|o| PollFd::new(o.as_fd(), wanted)));
        if poll(&mut fds, PollTimeout::NONE).is_err() {
            return (false, Ready::default());
        }
        let events = |fd: &PollFd<'_>| fd.revents().unwrap_or(PollFlags::empty());
        let ready = Ready {
            client: events(&fds[1]),
            input: events(&fds[2]),
            forwarder: !events(&fds[3]).is_empty(),
            outputs: fds[4..]
                .iter()
                .map(|fd| !full && !events(fd).is_empty())
                .collect(),
        };
        (!events(&fds[0]).is_empty(), ready)
    }

    fn turn(&mut self, ready: Ready) {
        if ready.client.intersects(PollFlags::POLLOUT)
            && self.client.as_mut().is_some_and(|c| c.flush().is_err())
        {
            self.client = None;
        }
        if ready
            .client
            .intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR)
        {
            self.hear_client();
        }
        // An error on its own: the container has closed its stdin.
        let closed = ready.input.contains(PollFlags::POLLERR);
        let flush = |input: &mut Input| closed || input.flush().is_err();
        if !ready.input.is_empty() && self.input.as_mut().is_some_and(flush) {
            self.input = None;
        }
        if let Some(forwarder) = self.forwarder.as_mut().filter(|_| ready.forwarder) {
            forwarder.turn();
        }
        for i in (0..ready.outputs.len()).rev() {
            let full = self.client.as_ref().is_some_and(Client::is_full);
            if ready.outputs[i]
                && !full
                && self.outputs[i].turn(&mut self.log, &mut self.client) == Progress::End
            {
                let output = self.outputs.remove(i);
                if let Some(log) = &mut self.log {
                    log.finish(output.stream());
                }
            }
        }
        // Nobody can give more input; a terminal has no end of input.
        if self.client.is_none() && self.stdin_once && self.terminal.is_none() {
            self.input = None;
        }
    }

    /// One message of the attached command.
    fn hear_client(&mut self) {
        let Some(client) = &self.client else { return };
        let mut buffer = [0u8; super::protocol::MAX_PAYLOAD + 1];
        let message = match client.socket().receive(&mut buffer) {
            Err(nix::Error::EAGAIN) => return,
            Ok(Some(message)) => message,
            Ok(None) | Err(_) => {
                self.client = None;
                return;
            }
        };
        match message.kind {
            Kind::Stdin => {
                let payload = message.payload;
                if self
                    .input
                    .as_mut()
                    .is_some_and(|i| i.offer(payload).is_err())
                {
                    self.input = None;
                }
            }
            // A terminal has no end of input of its own; it stays.
            Kind::StdinEnd if self.terminal.is_none() => self.input = None,
            Kind::Resize => self.resize(message.payload),
            _ => {}
        }
    }

    fn resize(&self, payload: &[u8]) {
        if let (Some(terminal), &[a, b, c, d]) = (&self.terminal, payload) {
            let size = pty::Size {
                rows: u16::from_ne_bytes([a, b]),
                columns: u16::from_ne_bytes([c, d]),
            };
            let _ = pty::set_size(terminal, size);
        }
    }

    /// Init has ended, and with it everything in its pid namespace: what is in
    /// the pipes is all there will be.
    fn drain(&mut self) {
        self.input = None;
        for output in std::mem::take(&mut self.outputs) {
            loop {
                self.wait_for_client();
                match output.turn(&mut self.log, &mut self.client) {
                    Progress::More => {}
                    Progress::Nothing | Progress::End => break,
                }
            }
            if let Some(log) = &mut self.log {
                log.finish(output.stream());
            }
        }
        self.wait_for_client();
    }

    /// Until the attached command has taken what it was offered.
    fn wait_for_client(&mut self) {
        while let Some(client) = self.client.as_mut().filter(|c| c.is_full()) {
            let mut fds = [PollFd::new(client.socket().as_fd(), PollFlags::POLLOUT)];
            let _ = poll(&mut fds, PollTimeout::NONE);
            if client.flush().is_err() {
                self.client = None;
            }
        }
    }
}

/// What [`Life::wait`] found.
struct Ready {
    client: PollFlags,
    input: PollFlags,
    forwarder: bool,
    outputs: Vec<bool>,
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            client: PollFlags::empty(),
            input: PollFlags::empty(),
            forwarder: false,
            outputs: Vec::new(),
        }
    }
}

/// Reads from the command unless its last input still waits; writes when there
/// is something. Without a command: no interest, on a descriptor that is there.
fn client_interest<'a>(
    client: Option<&'a Client>,
    input: Option<&Input>,
    other: BorrowedFd<'a>,
) -> PollFd<'a> {
    let Some(client) = client else {
        return PollFd::new(other, PollFlags::empty());
    };
    let mut wanted = PollFlags::empty();
    if !input.is_some_and(Input::is_full) {
        wanted |= PollFlags::POLLIN;
    }
    if client.is_full() {
        wanted |= PollFlags::POLLOUT;
    }
    PollFd::new(client.socket().as_fd(), wanted)
}

fn input_interest<'a>(input: Option<&'a Input>, other: BorrowedFd<'a>) -> PollFd<'a> {
    match input {
        Some(input) if input.is_full() => PollFd::new(input.as_fd(), PollFlags::POLLOUT),
        // POLLERR comes unasked: the container has closed its stdin.
        Some(input) => PollFd::new(input.as_fd(), PollFlags::empty()),
        None => PollFd::new(other, PollFlags::empty()),
    }
}

/// Records how it ended, tells the command, and leaves nothing behind.
fn finish(job: &Job, mut state: State, life: Life, ended: Ended) {
    let Life { client, log, .. } = life;
    drop(log);
    state.status = Status::Exited;
    state.exit_code = ended.status();
    state.init = None;
    state.monitor = None;
    state.finished_at = crate::text::time::now();
    state.oom_killed = job
        .cgroup
        .as_ref()
        .is_some_and(|(path, _)| crate::cgroup::was_oom_killed(path));
    end_helpers(job);
    // Once the end is written down, it may be started again by anybody.
    if !job.auto_remove {
        clean_up(job);
    }
    let _ = start::write_state(job, &state);
    let trash = job
        .auto_remove
        .then(|| containers::hide(&job.paths, &job.id, &state.name).ok())
        .flatten();
    if let Some(client) = client {
        client.finish(Kind::Exited, &state.exit_code.to_ne_bytes());
    }
    if job.auto_remove {
        clean_up(job);
    }
    if let Some(trash) = trash {
        let _ = containers::destroy(&trash);
    }
}

/// Before anybody is told: until then they work on the container's files.
fn end_helpers(job: &Job) {
    crate::network::uplink::stop(&job.paths.container(&job.id));
    crate::runtime::fuse::stop(&job.paths.run_container(&job.id));
}

fn clean_up(job: &Job) {
    if let Some((path, _)) = &job.cgroup {
        crate::cgroup::remove(path);
    }
    let _ = std::fs::remove_dir_all(job.paths.run_container(&job.id));
}

/// Carries published ports into the container, when there are any.
fn forwarder(
    listeners: Vec<Listener>,
    netns: Option<OwnedFd>,
    network: &Network,
) -> Option<Forwarder> {
    if listeners.is_empty() {
        return None;
    }
    Forwarder::new(listeners, netns?, network.address.parse().ok()).ok()
}
