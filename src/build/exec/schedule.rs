//! The command's part: what needs no doing is found out first; then one worker
//! per stage, as many at a time as the machine has processors, in an order in
//! which each waits only for earlier ones.

use super::Build;
use super::chain::Chain;
use super::command::Scene;
use super::keeper::Keeper;
use super::stage::{self, Contents, Look, Looks, Walk};
use super::wire::{self, End, Packet, Told};
use super::work::Work;
use crate::build::plan::{Begin, Step};
use crate::build::progress::{Outcome, Progress, Vertex};
use crate::error::{Context, Error, Result};
use crate::sys::clone::{self, Fork};
use crate::sys::pidfd;
use crate::sys::signal::{self, Watch};
use crate::transfer::cache::Steps;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Signals that end a build, tidily.
const ENDING: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Why a build has not come to its end.
#[derive(Debug)]
pub enum Stopped {
    /// A step, or a stage before its first one.
    Failed {
        place: usize,
        step: Option<usize>,
        error: Error,
        /// For `--debug`.
        remains: Option<Box<Remains>>,
    },
    /// By a signal.
    Interrupted(i32),
}

/// Where a build has failed, and what it had by then.
#[derive(Debug)]
pub struct Remains {
    pub place: usize,
    pub step: usize,
    pub scene: Scene,
    pub finished: Vec<Option<Chain>>,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed {
            place: usize::MAX,
            step: None,
            error,
            remains: None,
        }
    }
}

struct Worker {
    place: usize,
    pidfd: OwnedFd,
    end: End,
    /// The stage that it waits for.
    needs: Option<usize>,
    /// For another worker that does the same.
    waits: bool,
}

impl Worker {
    fn is_busy(&self) -> bool {
        self.needs.is_none() && !self.waits
    }
}

/// Carries out the plan; the chain of each of its stages.
pub fn carry_out(
    build: &Build<'_>,
    contents: &Contents,
    work: &Work,
    progress: &mut dyn Progress,
) -> std::result::Result<Vec<Chain>, Stopped> {
    let mut schedule = Schedule {
        build,
        contents,
        progress,
        finished: vec![None; build.plan.stages.len()],
        waiting: Vec::new(),
        workers: Vec::new(),
    };
    while !schedule.look_all()? {
        schedule.finished.fill(None);
        schedule.waiting.clear();
    }
    if !schedule.waiting.is_empty() {
        schedule.do_all(work)?;
    }
    let chains: Option<Vec<Chain>> = schedule.finished.into_iter().collect();
    chains.ok_or_else(|| Error::internal("a stage of the build was not done").into())
}

/// The records of all steps of a build that is done, by their keys: found in the
/// store in the same way as the next build would.
pub fn look_back(build: &Build<'_>, contents: &Contents, chains: &[Chain]) -> Result<Steps> {
    let found = RefCell::default();
    let mut finished: Vec<Option<Chain>> = vec![None; chains.len()];
    for (place, stage) in build.plan.stages.iter().enumerate() {
        if let Some(chain) = Chain::begin(stage, &finished)? {
            let mut walk = Walk::new(build, place, chain, Looks::Back(&found));
            while walk.next().is_some()
                && matches!(walk.look(contents, &finished)?, Look::Moved { .. })
            {}
        }
        finished[place] = Some(chains[place].clone());
    }
    Ok(found.into_inner())
}

struct Schedule<'a> {
    build: &'a Build<'a>,
    contents: &'a Contents,
    progress: &'a mut dyn Progress,
    finished: Vec<Option<Chain>>,
    /// Stages that have something to do, and how far they have got; `None`:
    /// the stage that they begin with is one of them.
    waiting: Vec<(usize, Option<Chain>)>,
    workers: Vec<Worker>,
}

impl Schedule<'_> {
    fn vertex(&self, place: usize, number: usize) -> Option<Vertex> {
        let stage = &self.build.plan.stages[place];
        let step: &Step = stage.steps.get(number)?;
        let title = self.build.plan.label(place);
        Some(Vertex {
            id: (place, number),
            name: format!("[{title}{}/{}] {}", step.number, stage.count, step.text),
        })
    }

    /// Through the cache, as far as it goes; false: some of what it had is not
    /// to be had.
    fn look_all(&mut self) -> std::result::Result<bool, Stopped> {
        let mut cached = Vec::new();
        for place in 0..self.finished.len() {
            let Some(chain) = Chain::begin(&self.build.plan.stages[place], &self.finished)? else {
                self.waiting.push((place, None));
                continue;
            };
            let mut walk = Walk::new(self.build, place, chain, Looks::Everywhere);
            loop {
                let Some((number, _)) = walk.next() else {
                    self.finished[place] = Some(walk.chain);
                    break;
                };
                let look =
                    walk.look(self.contents, &self.finished)
                        .map_err(|error| Stopped::Failed {
                            place,
                            step: Some(number),
                            error,
                            remains: None,
                        })?;
                match look {
                    Look::Moved { cached: true } => cached.push((place, number)),
                    Look::Moved { cached: false } => {}
                    Look::Miss(_) | Look::Needs(_) => {
                        self.waiting.push((place, Some(walk.chain)));
                        break;
                    }
                }
            }
        }
        if !self.fetch()? {
            return Ok(false);
        }
        self.tell_of(&cached);
        Ok(true)
    }

    /// The files that are needed of what other machines have done.
    fn fetch(&mut self) -> Result<bool> {
        let targets = self.build.plan.targets.iter();
        let results = targets.filter_map(|target| self.finished[target.place].as_ref());
        let (build, progress) = (self.build, &mut *self.progress);
        let stages = &build.plan.stages;
        let left = self.waiting.iter().flat_map(|(place, chain)| {
            let done = chain.as_ref().map_or(0, |chain| chain.done);
            stages[*place].steps.iter().skip(done)
        });
        let others = left
            .flat_map(stage::needs)
            .filter_map(|place| self.finished[place].as_ref());
        let under_way = self.waiting.iter().flat_map(|(_, chain)| chain);
        let needed = results.chain(others).chain(under_way);
        build.imports.fetch(build.engine, needed, progress)
    }

    /// Where stages begin, and which steps were cached.
    fn tell_of(&mut self, cached: &[(usize, usize)]) {
        for place in 0..self.finished.len() {
            self.tell_beginning(place);
            for (_, number) in cached.iter().filter(|(of, _)| *of == place) {
                self.tell(place, *number, Outcome::Cached);
            }
        }
    }

    fn tell_beginning(&mut self, place: usize) {
        let stage = &self.build.plan.stages[place];
        let Begin::Image(base) = &stage.begin else {
            return;
        };
        let title = self.build.plan.label(place);
        let name = format!("[{title}1/{}] FROM {}", stage.count, base.shown());
        let vertex = Vertex {
            id: (place, usize::MAX),
            name,
        };
        self.progress.begin(&vertex);
        self.progress.end(vertex.id, Outcome::Done);
    }

    fn tell(&mut self, place: usize, number: usize, outcome: Outcome) {
        if let Some(vertex) = self.vertex(place, number) {
            self.progress.begin(&vertex);
            self.progress.end(vertex.id, outcome);
        }
    }

    fn do_all(&mut self, work: &Work) -> std::result::Result<(), Stopped> {
        work.begin()?;
        let watch = Watch::new(signal::set(&ENDING)).context(|| "cannot watch signals")?;
        let keeper = Keeper::begin(self.build.engine)?;
        let done = self.turn_until_done(&watch);
        for worker in &self.workers {
            let _ = pidfd::signal(&worker.pidfd, libc::SIGKILL);
        }
        for worker in self.workers.drain(..) {
            let _ = pidfd::reap(&worker.pidfd);
        }
        // While U is still there. What cannot go now goes with the next build.
        if !matches!(
            done,
            Err(Stopped::Failed {
                remains: Some(_),
                ..
            })
        ) {
            let _ = work.end();
        }
        drop(keeper);
        done
    }

    fn turn_until_done(&mut self, watch: &Watch) -> std::result::Result<(), Stopped> {
        while !(self.waiting.is_empty() && self.workers.is_empty()) {
            self.start_some()?;
            let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
            fds.extend(
                self.workers
                    .iter()
                    .map(|w| PollFd::new(w.end.as_fd(), PollFlags::POLLIN)),
            );
            let pause = self.progress.pace().unwrap_or(Duration::from_secs(3600));
            let timeout = PollTimeout::try_from(pause.as_millis()).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, timeout) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(e) => {
                    return Err(e)
                        .context(|| "cannot wait for the workers of the build")
                        .map_err(Stopped::from);
                }
            }
            let ready: Vec<bool> = fds[1..]
                .iter()
                .map(|fd| fd.revents().is_some_and(|events| !events.is_empty()))
                .collect();
            if let Some(caught) = watch.read() {
                return Err(Stopped::Interrupted(caught.signal));
            }
            for index in (0..ready.len()).rev().filter(|&i| ready[i]) {
                self.hear(index)?;
            }
            self.answer()?;
            self.progress.tick();
        }
        Ok(())
    }

    /// As many as may be at a time. One that waits for another does nothing,
    /// but the other has been started before it.
    fn start_some(&mut self) -> std::result::Result<(), Stopped> {
        let busy = |workers: &[Worker]| workers.iter().filter(|w| w.is_busy()).count();
        let mut index = 0;
        while index < self.waiting.len() && busy(&self.workers) < self.build.options.parallel.max(1)
        {
            let (place, chain) = &self.waiting[index];
            let place = *place;
            let chain = match chain {
                Some(chain) => Some(chain.clone()),
                None => Chain::begin(&self.build.plan.stages[place], &self.finished)?,
            };
            match chain {
                Some(chain) => {
                    self.waiting.remove(index);
                    self.start(place, chain)?;
                }
                None => index += 1,
            }
        }
        Ok(())
    }

    fn start(&mut self, place: usize, chain: Chain) -> Result<()> {
        let (ours, theirs) = wire::pair().context(|| "cannot make a socket pair")?;
        match clone::fork().context(|| "cannot fork")? {
            Fork::Child => {
                drop(ours);
                let _ = prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
                let _ = signal::unblock_all();
                // Of the others only the command is to hear.
                std::mem::take(&mut self.workers);
                let walk = Walk::new(self.build, place, chain, Looks::Here);
                let finished = std::mem::take(&mut self.finished);
                stage::work(walk, self.contents, finished, theirs);
                clone::exit(0)
            }
            Fork::Parent { pidfd, .. } => {
                drop(theirs);
                self.workers.push(Worker {
                    place,
                    pidfd,
                    end: ours,
                    needs: None,
                    waits: false,
                });
                Ok(())
            }
        }
    }

    fn hear(&mut self, index: usize) -> std::result::Result<(), Stopped> {
        let worker = &mut self.workers[index];
        let place = worker.place;
        let heard = worker
            .end
            .hear()
            .context(|| "cannot hear from a worker of the build")?;
        let failed = |step: Option<usize>, error: Error, remains| Stopped::Failed {
            place,
            step,
            error,
            remains,
        };
        match heard {
            None => {
                return Err(failed(
                    None,
                    Error::internal("a worker of the build was killed"),
                    None,
                ));
            }
            Some(Packet::Descriptor(_)) => {}
            Some(Packet::Log(step, bytes)) => self.progress.log((place, step), &bytes),
            Some(Packet::Document(text)) => match wire::parse(&text)? {
                Told::Waits => worker.waits = true,
                Told::Begin(step) => {
                    worker.waits = false;
                    if let Some(vertex) = self.vertex(place, step) {
                        self.progress.begin(&vertex);
                    }
                }
                Told::Cached(step) => {
                    worker.waits = false;
                    self.tell(place, step, Outcome::Cached);
                }
                Told::Done(step) => self.progress.end((place, step), Outcome::Done),
                Told::Need(needed) => self.workers[index].needs = Some(needed),
                Told::Finished(chain) => {
                    self.finished[place] = Some(chain);
                    let worker = self.workers.remove(index);
                    let _ = pidfd::reap(&worker.pidfd);
                }
                Told::Failed(step, failure, scene) => {
                    let error = Error::from(failure);
                    if let Some(step) = step {
                        self.progress
                            .end((place, step), Outcome::Failed(error.message().to_string()));
                    }
                    let remains = scene.zip(step).map(|(scene, step)| {
                        Box::new(Remains {
                            place,
                            step,
                            scene,
                            finished: self.finished.clone(),
                        })
                    });
                    return Err(failed(step, error, remains));
                }
            },
        }
        Ok(())
    }

    /// Stages that workers wait for, once they are done.
    fn answer(&mut self) -> Result<()> {
        for worker in &mut self.workers {
            if let Some(chain) = worker.needs.and_then(|place| self.finished[place].as_ref()) {
                worker
                    .end
                    .tell(chain)
                    .context(|| "cannot answer a worker of the build")?;
                worker.needs = None;
            }
        }
        Ok(())
    }
}
