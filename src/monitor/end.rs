//! The end of a run: it is written down, the commands are told, and nothing is
//! left behind, unless the container is started again.

use super::clients::Clients;
use super::door::Door;
use super::health::Checking;
use super::job::Job;
use super::life::Life;
use super::policy;
use super::start;
use crate::error::{Kind, Result};
use crate::network::forward::Forwarder;
use crate::record::container::{State, Status};
use crate::record::containers;
use crate::sys::pidfd::Ended;
use crate::volume;
use std::path::{Path, PathBuf};

/// What follows a run.
pub enum Next {
    /// Nothing; whether all is gone that was to go.
    Over { removed: bool },
    /// Another one, with this door, and clients that have not heard all of this
    /// one yet.
    Again(Option<Door>, Clients),
}

/// How a run ended.
struct End {
    status: i32,
    finished_at: String,
    oom_killed: bool,
}

/// Records how it ended, tells the commands, and leaves nothing behind, unless
/// it is to be started again.
pub fn finish(
    job: &mut Job,
    state: &mut State,
    mut life: Life,
    ended: Ended,
    oom_kills: &mut u64,
) -> Next {
    life.log = None;
    job.checks = life.checking.take().map(Checking::into_checks);
    job.cgroup = life.cgroup.take();
    life.connected = None;
    job.net = life.net.take();
    if let Some(net) = &job.net {
        net.leave(&job.paths, &job.id);
    }
    let before = *oom_kills;
    if let Some((path, _)) = &job.cgroup {
        *oom_kills = crate::cgroup::oom_kills(path);
    }
    end_helpers(job);
    let end = End {
        status: ended.status(),
        finished_at: crate::text::time::now(),
        oom_killed: *oom_kills > before,
    };
    let trash = record_end(job, state, &end);
    if state.status == Status::Restarting {
        // As Docker: they have seen an end.
        life.let_in();
        life.clients.finish(state.exit_code);
        let forwarder = life.forwarder.take();
        job.listeners = forwarder.map_or_else(Vec::new, Forwarder::into_listeners);
        return Next::Again(life.door.take(), life.clients);
    }
    life.close_door();
    life.clients.finish(state.exit_code);
    let removed = trash.is_none_or(|trash| {
        clean_up(job);
        is_gone(trash.and_then(|dir| destroy(job, &dir)))
    });
    life.clients.linger();
    Next::Over { removed }
}

/// Writes the end down; what is to be deleted of a container of `--rm`.
fn record_end(job: &Job, state: &mut State, end: &End) -> Option<Result<PathBuf>> {
    if job.ends_with_starter {
        // Who hears of it removes it, whatever its record says.
        end.write(job, state);
        return None;
    }
    if !job.auto_remove {
        record(job, state, |state| end.write(job, state));
        return None;
    }
    let change = |state: &mut State| {
        end.write(job, state);
        is_removed(job, state)
    };
    match containers::end_state(&job.paths, &job.id, change) {
        Ok((now, trash)) => {
            *state = now;
            trash.map(Ok)
        }
        Err(_) => {
            let remove = change(state);
            let _ = start::write_state(job, state);
            remove.then(|| containers::hide(&job.paths, &job.id, &state.name))
        }
    }
}

impl End {
    /// Into the record, with what follows.
    fn write(&self, job: &Job, state: &mut State) {
        if policy::is_restarted(&job.restart, state, self.status) {
            state.status = Status::Restarting;
            state.restart_count += 1;
            state.last_exit_code = self.status;
        } else {
            // Once the end is written down, it may be started again by anybody.
            if !is_removed(job, state) {
                clean_up(job);
            }
            state.status = Status::Exited;
            state.monitor = None;
        }
        state.exit_code = self.status;
        state.init = None;
        state.finished_at.clone_from(&self.finished_at);
        state.oom_killed = self.oom_killed;
    }
}

/// Deletes a hidden container, its anonymous volumes first: while it is there
/// another command can go on with them.
pub fn destroy(job: &Job, trash: &Path) -> Result<()> {
    if job.volumes
        && let Some(container) = containers::hidden_with_volumes(trash)
    {
        for gone in volume::users::hide_anonymous(&job.paths, &container) {
            volume::destroy(&gone)?;
        }
    }
    containers::destroy(trash)
}

/// `--rm`, unless somebody ended it to start it again.
fn is_removed(job: &Job, state: &State) -> bool {
    job.auto_remove && !state.manually_restarted
}

/// Removed by somebody else is removed.
fn is_gone(removed: Result<()>) -> bool {
    removed.map_or_else(|e| e.kind() == Kind::NotFound, |()| true)
}

/// Changes the record on top of what commands have changed in it, its name
/// among it. When it cannot be read, what we knew is written.
pub fn record(job: &Job, known: &mut State, change: impl Fn(&mut State)) {
    match containers::change_state(&job.paths, &job.id, job.durability(), &change) {
        Ok(state) => *known = state,
        Err(_) => {
            change(known);
            let _ = start::write_state(job, known);
        }
    }
}

/// Before anybody is told: until then they work on the container's files.
pub fn end_helpers(job: &Job) {
    crate::network::uplink::stop(&job.paths.container(&job.id));
    crate::runtime::fuse::stop(&job.paths.run_container(&job.id));
}

pub fn clean_up(job: &Job) {
    if let Some((path, _)) = &job.cgroup {
        crate::cgroup::remove(path);
    }
    if let Some(net) = &job.net {
        net.release(&job.paths, &job.id);
    }
    let _ = std::fs::remove_dir_all(job.paths.run_container(&job.id));
}
