//! Health checks, by the monitor itself: one process in the container at a
//! time, started by a timer of the poll loop. A child of the monitor enters the
//! container, starts the check, waits for it and ends as it does; there is none
//! between two checks. It ends the check when the monitor hangs up: because the
//! time is over, or because it was killed.

use crate::error::{Context, Result};
use crate::paths::Paths;
use crate::record::health::{Check, Health, Status};
use crate::runtime::child::{self, Streams};
use crate::runtime::plan::Process;
use crate::runtime::{explain, member, sync};
use crate::sys::clone::{self, Fork};
use crate::sys::pidfd::{self, Ended};
use crate::sys::set_nonblocking;
use crate::text::time;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// What is kept of a check's output.
const OUTPUT: usize = 4096;
/// How long the child may take to end a check whose time is over.
const GRACE: Duration = Duration::from_secs(1);

/// What is checked, and how often.
pub struct Checks {
    pub process: Process,
    pub user: String,
    pub group_add: Vec<String>,
    /// CLONE_NEW* of the namespaces to enter.
    pub namespaces: libc::c_int,
    pub interval: Duration,
    pub timeout: Duration,
    pub start_period: Duration,
    pub start_interval: Duration,
    pub retries: u32,
    pub oom_score_adj: i32,
}

/// The checks of a container that runs.
pub struct Checking {
    checks: Checks,
    paths: Paths,
    id: String,
    health: Health,
    began: Instant,
    next: Instant,
    now: Option<Probe>,
}

/// One check under way.
struct Probe {
    child: OwnedFd,
    /// `None`: its time is over.
    control: Option<OwnedFd>,
    output: Option<OwnedFd>,
    text: Vec<u8>,
    start: String,
    deadline: Instant,
}

impl Checking {
    pub fn begin(checks: Checks, paths: &Paths, id: &str) -> Self {
        let began = Instant::now();
        let mut checking = Self {
            checks,
            paths: paths.clone(),
            id: id.to_string(),
            health: Health::default(),
            began,
            next: began,
            now: None,
        };
        checking.plan_next();
        let _ = checking.health.save(paths, id);
        checking
    }

    /// For the container's next run. A check under way ends with this one.
    pub fn into_checks(self) -> Checks {
        if let Some(probe) = self.now {
            drop(probe.control);
            let _ = pidfd::signal(&probe.child, libc::SIGKILL);
            let _ = pidfd::reap(&probe.child);
        }
        self.checks
    }

    /// The check's end and its output.
    pub fn interests<'a>(&'a self, other: BorrowedFd<'a>) -> [PollFd<'a>; 2] {
        let idle = PollFd::new(other, PollFlags::empty());
        let Some(probe) = &self.now else {
            return [idle.clone(), idle];
        };
        let output = probe.output.as_ref();
        [
            PollFd::new(probe.child.as_fd(), PollFlags::POLLIN),
            output.map_or(idle, |fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)),
        ]
    }

    /// When something is to be done in any case.
    pub fn deadline(&self) -> Instant {
        self.now.as_ref().map_or(self.next, |probe| probe.deadline)
    }

    /// Does what is due. `ended`, `written`: of the check under way.
    pub fn turn(
        &mut self,
        (ended, written): (bool, bool),
        init: &OwnedFd,
        cgroup: Option<&(std::path::PathBuf, OwnedFd)>,
    ) {
        let now = Instant::now();
        match &mut self.now {
            Some(probe) => {
                if written || ended {
                    probe.read();
                }
                if ended {
                    self.finish(cgroup);
                } else if probe.deadline <= now {
                    if probe.control.take().is_none() {
                        let _ = pidfd::signal(&probe.child, libc::SIGKILL);
                    }
                    probe.deadline = now + GRACE;
                }
            }
            None if self.next <= now && is_frozen(cgroup) => self.plan_next(),
            None if self.next <= now => {
                let start = time::now();
                match self.start(init, cgroup.map(|(_, fd)| fd.as_raw_fd()), &start) {
                    Ok(probe) => self.now = Some(probe),
                    Err(e) => self.record(start, -1, e.message().to_string()),
                }
            }
            None => {}
        }
    }

    fn plan_next(&mut self) {
        let starting = self.health.status == Status::Starting;
        let pause = if starting && self.began.elapsed() < self.checks.start_period {
            self.checks.start_interval
        } else {
            self.checks.interval
        };
        self.next = Instant::now() + pause;
    }

    fn finish(&mut self, cgroup: Option<&(std::path::PathBuf, OwnedFd)>) {
        let Some(probe) = self.now.take() else { return };
        let ended = pidfd::reap(&probe.child);
        let output = String::from_utf8_lossy(&probe.text).into_owned();
        match (&probe.control, ended) {
            // Nothing can be said of one that stood still.
            (None, _) if is_frozen(cgroup) => self.plan_next(),
            (None, _) => {
                let limit = format!("{:?}", self.checks.timeout);
                let colon = if output.is_empty() { "" } else { ": " };
                let text = format!("Health check exceeded timeout ({limit}){colon}{output}");
                self.record(probe.start, -1, text);
            }
            (_, Ok(Ended::Exited(status))) => self.record(probe.start, status, output),
            (_, _) => self.record(probe.start, -1, output),
        }
    }

    fn record(&mut self, start: String, exit_code: i32, output: String) {
        let check = Check {
            start,
            end: time::now(),
            exit_code,
            output,
        };
        let lenient = self.began.elapsed() < self.checks.start_period;
        self.health.add(check, self.checks.retries, lenient);
        let _ = self.health.save(&self.paths, &self.id);
        self.plan_next();
    }

    fn start(&mut self, init: &OwnedFd, cgroup: Option<RawFd>, start: &str) -> Result<Probe> {
        let pipe = || nix::unistd::pipe2(OFlag::O_CLOEXEC).context(|| "cannot make a pipe");
        let (heard, control) = pipe()?;
        let (output, write) = pipe()?;
        match clone::fork().map_err(explain::clone)? {
            Fork::Child => {
                super::descriptors::give_back();
                drop((control, output));
                let status = attend(&mut self.checks, init, cgroup, &heard, write);
                clone::exit(status)
            }
            Fork::Parent { pidfd, .. } => {
                set_nonblocking(output.as_fd(), true).context(|| "cannot use a pipe")?;
                Ok(Probe {
                    child: pidfd,
                    control: Some(control),
                    output: Some(output),
                    text: Vec::new(),
                    start: start.to_string(),
                    deadline: Instant::now() + self.checks.timeout,
                })
            }
        }
    }
}

impl Probe {
    /// What is there now. More than is kept is read as well: it is not to wait.
    fn read(&mut self) {
        let Some(output) = &self.output else { return };
        let mut buffer = [0u8; OUTPUT];
        // One that writes for ever does not keep us.
        for _ in 0..16 {
            match nix::unistd::read(output, &mut buffer) {
                Ok(0) => {
                    self.output = None;
                    return;
                }
                Ok(n) => {
                    let room = OUTPUT - self.text.len();
                    self.text.extend_from_slice(&buffer[..n.min(room)]);
                }
                Err(_) => return,
            }
        }
    }
}

fn is_frozen(cgroup: Option<&(std::path::PathBuf, OwnedFd)>) -> bool {
    cgroup.is_some_and(|(path, _)| !crate::cgroup::freezer::is_thawed(path))
}

/// The child's whole life: its end is that of the check. One that cannot be
/// started says why where the check would have written, and ends by a signal.
fn attend(
    checks: &mut Checks,
    init: &OwnedFd,
    cgroup: Option<RawFd>,
    heard: &OwnedFd,
    write: OwnedFd,
) -> i32 {
    let say = write.try_clone();
    match check(checks, init, cgroup, heard, write) {
        Ok(Ended::Exited(status)) => return status,
        Ok(Ended::Killed(signal)) => return 128 + signal,
        Err(e) => {
            let _ = say.map(|say| nix::unistd::write(say, e.message().as_bytes()));
        }
    }
    let _ = crate::sys::signal::kill(std::process::id() as i32, libc::SIGKILL);
    1
}

fn check(
    checks: &mut Checks,
    init: &OwnedFd,
    cgroup: Option<RawFd>,
    heard: &OwnedFd,
    write: OwnedFd,
) -> Result<Ended> {
    let streams = Streams {
        stdin: None,
        stdout: Some(write.try_clone().context(|| "cannot use a pipe")?),
        stderr: Some(write),
    };
    let (parent, child_end) = sync::pair().context(|| "cannot make a socket pair")?;
    // The container's, as `exec` has it.
    let _ = std::fs::write("/proc/self/oom_score_adj", checks.oom_score_adj.to_string());
    member::enter(init, checks.namespaces)?;
    match clone::clone(0, cgroup).map_err(explain::clone)? {
        Fork::Child => {
            drop(parent);
            child::join(&mut checks.process, streams, &child_end)
        }
        Fork::Parent { pidfd, .. } => {
            drop((child_end, streams));
            let led = member::lead(&parent, &checks.process, &checks.user, &checks.group_add);
            if led.is_ok() {
                // Until it has ended, or the monitor has hung up.
                let mut fds = [
                    PollFd::new(pidfd.as_fd(), PollFlags::POLLIN),
                    PollFd::new(heard.as_fd(), PollFlags::POLLIN),
                ];
                while poll(&mut fds, PollTimeout::NONE) == Err(nix::Error::EINTR) {}
                if fds[0].revents().is_some_and(|r| !r.is_empty()) {
                    return pidfd::reap(&pidfd).context(|| "cannot wait for the check");
                }
            }
            let _ = pidfd::signal(&pidfd, libc::SIGKILL);
            let ended = pidfd::reap(&pidfd).context(|| "cannot wait for the check");
            led.and(ended)
        }
    }
}
