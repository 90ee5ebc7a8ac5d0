//! The monitor's life: a start, a run, and the end or the next one. It is one
//! process with one thread; after the start it holds buffers for what is under way and nothing
//! else.

use super::back_off;
use super::door::Door;
use super::end::{Next, clean_up, destroy, end_helpers, finish, record};
use super::job::Job;
use super::life::Life;
use super::policy::BackOff;
use super::protocol::{End, Kind};
use super::start::{self, Running};
use crate::error::Error;
use crate::logs::Target;
use crate::record::container::{State, Status};
use crate::record::containers;
use crate::sys::{clone, signal};
use crate::userns::monitors::{Entry, Role};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// The whole life. `client` is the command that forked us.
pub fn main(mut job: Job, client: End) {
    detach(&job, &client);
    // On the list while we live: others join U through us.
    let listed = match Entry::add(&job.paths.monitors(), Role::Monitor) {
        Ok(listed) => listed,
        Err(error) => {
            give_up(&job, &client, &error);
            return;
        }
    };
    let mut door = None;
    let started = start::start(&mut job, Some(&client), &mut door);
    let removed = match started {
        Ok(running) => live(job, client, door, running),
        Err(error) => give_up(&job, &client, &error),
    };
    if !removed {
        // The entry of a dead process tells the next command to look.
        std::mem::forget(listed);
    }
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
    let mut keep = vec![client.as_fd().as_raw_fd()];
    keep.extend(job.plan.descriptors().map(AsRawFd::as_raw_fd));
    keep.extend(job.checks.iter().map(|c| c.process.stub.as_raw_fd()));
    keep.extend(job.listeners.iter().map(AsRawFd::as_raw_fd));
    keep.extend(job.cgroup.iter().map(|(_, fd)| fd.as_raw_fd()));
    keep.extend(job.log.iter().filter_map(Target::as_raw_fd));
    clone::keep_only(&mut keep);
    if job.plan.shares_processes() {
        // What its init leaves behind comes to us.
        let _ = nix::sys::prctl::set_child_subreaper(true);
    }
}

/// Without a process namespace of its own nothing ends with init: what is left
/// of the container has become our child.
fn end_orphans() {
    let children = || std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    loop {
        let pids: Vec<i32> = children()
            .split_whitespace()
            .filter_map(|p| p.parse().ok())
            .collect();
        for &pid in &pids {
            // Not waited for: the number is still its own.
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(pid, None);
        }
        if pids.is_empty() {
            return;
        }
    }
}

/// The start failed: the record says why, and `--rm` leaves nothing. False: it
/// does, for the next command.
fn give_up(job: &Job, client: &End, error: &Error) -> bool {
    let mut state = job.state.clone();
    state.status = Status::Created;
    state.init = None;
    state.monitor = None;
    state.error = error.message().to_string();
    state.exit_code = crate::error::container_status(error.kind());
    end_helpers(job);
    clean_up(job);
    let _ = start::write_state(job, &state);
    let trash = job
        .auto_remove
        .then(|| containers::hide(&job.paths, &job.id, &state.name));
    let removed = trash.is_none_or(|trash| trash.and_then(|dir| destroy(job, &dir)).is_ok());
    let _ = client.send_error(error);
    removed
}

/// The poll loop and what follows it: the end, or the next run. False: `--rm`
/// has left something.
fn live(mut job: Job, starter: End, door: Option<Door>, running: Running) -> bool {
    let mut state = running.state.clone();
    // A command that is gone cannot be told; the container runs all the same.
    let _ = starter.send_with(Kind::Started, &[], Some(running.pidfd.as_fd()));
    let mut life = match Life::new(&mut job, running, door) {
        Ok(life) => life,
        Err(_) => clone::exit(1),
    };
    if !job.attach.is_none() {
        life.clients.add_starter(starter, job.attach);
    }
    let mut back_off = BackOff::default();
    let mut oom_kills = 0;
    loop {
        let began = Instant::now();
        let ended = life.run();
        if job.plan.shares_processes() {
            end_orphans();
        }
        life.drain();
        let (mut door, mut clients) =
            match finish(&mut job, &mut state, life, ended, &mut oom_kills) {
                Next::Over { removed } => return removed,
                Next::Again(door, clients) => (door, clients),
            };
        let pause = back_off.after(began.elapsed());
        match start_again(&mut job, pause, &mut door) {
            Ok(running) => {
                state = running.state.clone();
                life = match Life::new(&mut job, running, door) {
                    Ok(life) => life,
                    Err(_) => clone::exit(1),
                };
                life.clients = clients;
            }
            Err(error) => {
                stay_stopped(&job, &mut state, error);
                clients.linger();
                return true;
            }
        }
    }
}

/// After the pause; an error is `None` when a command does not want it any more.
fn start_again(
    job: &mut Job,
    pause: Duration,
    door: &mut Option<Door>,
) -> std::result::Result<Running, Option<Error>> {
    if !back_off::wait(job, pause) {
        return Err(None);
    }
    if let Some((path, _)) = &job.cgroup {
        // The container may have been killed while it was frozen.
        let _ = crate::cgroup::freezer::thaw(path);
    }
    super::descriptors::give_back();
    start::start(job, None, door).map_err(Some)
}

/// It was to be started again and is not.
fn stay_stopped(job: &Job, state: &mut State, error: Option<Error>) {
    end_helpers(job);
    record(job, state, |state| {
        clean_up(job);
        state.status = Status::Exited;
        state.init = None;
        state.monitor = None;
        if let Some(error) = error.as_ref().filter(|_| !state.manually_stopped) {
            state.error = error.message().to_string();
            state.exit_code = crate::error::container_status(error.kind());
        }
    });
}
