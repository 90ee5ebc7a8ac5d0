//! From the fork to the running program: directories, clone, the talk with the
//! child, the record.

use super::door::Door;
use super::holder::Holder;
use super::job::{Given, Job};
use super::net::Connected;
use super::protocol::{self, End, Kind, Network, UplinkPaths};
use crate::error::{Context, Error, Kind as ErrorKind, Result};
use crate::fs::private;
use crate::network::uplink::{ADDRESS, PATIENCE, Starting, Target, Uplink};
use crate::record::container::{State, Status};
use crate::record::containers;
use crate::runtime::beside;
use crate::runtime::child::{self, Streams};
use crate::runtime::explain;
use crate::runtime::fuse::Server;
use crate::runtime::outside;
use crate::runtime::streams::{self, Ends};
use crate::runtime::sync::{self, Heard, ParentEnd, Ready};
use crate::runtime::users::{self, Files};
use crate::sys::clone::{self, Fork};
use crate::sys::procfs::{self, Process};
use crate::userns::below;
use crate::volume::chown;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A container whose program runs.
pub struct Running {
    pub pidfd: OwnedFd,
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    pub terminal: Option<OwnedFd>,
    /// The overlay's mount; see [`Ready::root`]. A FUSE server's is not held:
    /// it ends when nobody has its mount any more.
    pub root: Option<OwnedFd>,
    /// Its networks, and where ports are to be carried into.
    pub connected: Option<Connected>,
    pub state: State,
}

/// Starts the container; on failure it is as if it had not been tried, but for
/// the state, which says why. The `door` is opened unless it is open already.
/// `client` is the command that starts it; without one it is a further start by
/// the monitor itself.
pub fn start(job: &mut Job, client: Option<&End>, door: &mut Option<Door>) -> Result<Running> {
    if let Some(overlay) = job.plan.root.overlay() {
        outside::make_upper(overlay)?;
    }
    // Listened to until the container runs.
    let _servers = open_images(job)?;
    write_files(job)?;
    let (streams, ends) = make_streams(job)?;
    let (parent, child_end) = sync::pair().context(|| "cannot make a socket pair")?;
    let cgroup = job.cgroup.as_ref().map(|(_, fd)| fd.as_raw_fd());
    let cloned = match &job.plan.join {
        Some(join) => beside::clone(join, job.plan.namespaces, cgroup),
        None => clone::clone(job.plan.namespaces, cgroup),
    };
    match cloned.map_err(explain::clone)? {
        Fork::Child => {
            drop(parent);
            child::start(&mut job.plan, streams, &child_end)
        }
        Fork::Parent { pid, pidfd } => {
            drop(child_end);
            drop(streams);
            let begun = begin(job, client, door, &parent, pid);
            match begun {
                Ok(Begun {
                    ready,
                    connected,
                    state,
                }) => Ok(Running {
                    pidfd,
                    stdin: ends.stdin,
                    stdout: ends.stdout,
                    stderr: ends.stderr,
                    terminal: ready.terminal,
                    root: ready.root,
                    connected,
                    state,
                }),
                Err(e) => {
                    let _ = crate::sys::pidfd::signal(&pidfd, libc::SIGKILL);
                    let _ = crate::sys::pidfd::reap(&pidfd);
                    Err(e)
                }
            }
        }
    }
}

/// What [`begin`] brings.
struct Begun {
    ready: Ready,
    connected: Option<Connected>,
    state: State,
}

/// Leads the child to its program.
fn begin(
    job: &mut Job,
    client: Option<&End>,
    door: &mut Option<Door>,
    parent: &ParentEnd,
    pid: i32,
) -> Result<Begun> {
    if let Some(maps) = &job.plan.id_maps {
        below::write_maps(pid, maps)?;
    }
    set_oom_score(pid, job.plan.oom_score_adj)?;
    let netns = open_netns(job, pid)?;
    let holder = match client {
        None if netns.is_some() => Holder::new(pid, job.plan.id_maps.is_some()).ok(),
        _ => None,
    };
    parent
        .go()
        .context(|| "cannot talk to the container's process")?;
    // While the child builds its root on the other core: the record. From now
    // on a lost monitor leaves a container that others find.
    let state = record_running(job, pid, client.is_some())?;
    let connected = connect(job, &netns)?;
    let lacks = connected.as_ref().and_then(Connected::lacks);
    let uplink = match (&netns, &job.uplink, lacks) {
        (Some(netns), Some(uplink), Some(why)) => {
            Some(Coming::begin(job, (uplink, why), client, netns, holder))
        }
        _ => None,
    };
    if door.is_none() {
        // Without it nobody attaches; the container runs all the same.
        *door = Door::open(&job.paths.run_container(&job.id)).ok();
    }
    let mut ready = hear_ready(job, parent)?;
    let files = Files::read(ready.passwd.take(), ready.group.take());
    let user = users::resolve(&job.user, &job.group_add, &files)?;
    give(job, &user)?;
    uplink.map_or(Ok(Network::default()), Coming::finish)?;
    parent
        .user(&user)
        .map_err(|errno| explain::user(&job.user, errno))?;
    match hear(job, parent)? {
        Heard::End => Ok(Begun {
            ready,
            connected,
            state,
        }),
        _ => Err(Error::internal(
            "the container's process said something out of turn",
        )),
    }
}

/// Until the child has its root; one that the kernel does not give it comes
/// from us.
fn hear_ready(job: &Job, parent: &ParentEnd) -> Result<Ready> {
    let early = || Error::internal("the container's process ended before its start");
    let refusal = match hear(job, parent)? {
        Heard::Ready(ready) => return Ok(ready),
        Heard::Refused(errno) => errno,
        _ => return Err(early()),
    };
    let overlay = job.plan.root.overlay().ok_or_else(early)?;
    let run_dir = job.paths.run_container(&job.id);
    // One with other owners is ours to mount; the kernel has not seen it yet.
    let asked = overlay.shifted.is_none().then_some(refusal);
    let (mount, server) = outside::open(overlay, &job.plan.staging, &run_dir, asked)?;
    if overlay.shifted.is_some() && server.is_some() {
        let note = job.paths.owners_by_fuse(&job.id);
        std::fs::write(&note, "").context(|| format!("cannot write \"{}\"", note.display()))?;
    }
    let sent = parent.root(mount.as_fd());
    drop(mount);
    sent.context(|| "cannot talk to the container's process")?;
    let blame = |e| outside::blame(server.as_ref(), overlay, refusal, e);
    match hear(job, parent) {
        Ok(Heard::Ready(ready)) if server.is_none() => Ok(ready),
        Ok(Heard::Ready(ready)) => Ok(Ready {
            root: None,
            ..ready
        }),
        Ok(_) => Err(blame(early())),
        Err(e) => Err(blame(e)),
    }
}

/// Mounts the images that the container gets besides its own. Their servers,
/// where there are any, end with the mounts.
fn open_images(job: &mut Job) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for (step, overlay) in &job.plan.images {
        let run_dir = job
            .paths
            .run_container(&job.id)
            .join(format!("image-{step}"));
        let (mount, server) = outside::open(overlay, &job.plan.staging, &run_dir, None)?;
        job.plan.opened[*step] = Some(mount);
        servers.extend(server);
    }
    Ok(servers)
}

/// `:U`, as root of U: no more than the caller's own ids can be changed.
fn give(job: &Job, user: &sync::User) -> Result<()> {
    let (uid, gid) = job.ids.outside(user.uid, user.gid);
    for Given { path, subpath } in &job.given {
        let failed = || format!("cannot give \"{}\" to user {}", path.display(), user.uid);
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let top = nix::fcntl::open(path, flags, Mode::empty()).context(failed)?;
        let top = match subpath.as_str() {
            "" => top,
            below => {
                let below = std::ffi::CString::new(below).unwrap_or_default();
                child::open_within(top.as_fd(), &below).context(failed)?
            }
        };
        chown::give(top.as_fd(), uid, gid)
            .context(failed)
            .map_err(|e| match e.kind() {
                ErrorKind::Internal => e.hint(
                    "without root, only files of yours and of your subordinate ids change hands",
                ),
                _ => e,
            })?;
    }
    Ok(())
}

fn hear(job: &Job, parent: &ParentEnd) -> Result<Heard> {
    match parent
        .hear()
        .context(|| "cannot hear from the container's process")?
    {
        Heard::Failed(failure) => Err(explain::failure(&job.plan, failure)),
        heard => Ok(heard),
    }
}

/// Its networks, while the child builds its root.
fn connect(job: &mut Job, netns: &Option<OwnedFd>) -> Result<Option<Connected>> {
    let (Some(net), Some(netns)) = (&mut job.net, netns) else {
        return Ok(None);
    };
    let netns = netns
        .try_clone()
        .context(|| "cannot keep the container's network")?;
    net.connect(&job.paths, &job.id, netns).map(Some)
}

/// The container's own network namespace, where there is something to be put
/// into it: opened before the child becomes unreachable.
fn open_netns(job: &Job, pid: i32) -> Result<Option<OwnedFd>> {
    if job.net.is_none() {
        return Ok(None);
    }
    let path = format!("/proc/{pid}/ns/net");
    nix::fcntl::open(
        path.as_str(),
        OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map(Some)
    .context(|| "cannot open the container's network namespace")
}

/// A way out in the making.
enum Coming<'a> {
    /// By the command that starts the container.
    Asked(&'a End),
    /// By ourselves; `None`: it could not be begun.
    Own(Option<Starting>, Option<Holder>),
}

impl<'a> Coming<'a> {
    fn begin(
        job: &Job,
        (uplink, why): (&Uplink, &Error),
        client: Option<&'a End>,
        netns: &OwnedFd,
        holder: Option<Holder>,
    ) -> Self {
        let paths = uplink_paths(netns, why);
        if let Some(client) = client {
            // One that went away is noticed when its answer is waited for.
            let _ = client.send_json(Kind::Uplink, &paths);
            return Self::Asked(client);
        }
        let target = Target {
            // We are in U, whose root may enter the container's network.
            userns: None,
            netns: holder
                .as_ref()
                .map_or_else(|| PathBuf::from(paths.netns), Holder::netns),
            dir: job.paths.container(&job.id),
        };
        Self::Own(uplink.start(target).ok(), holder)
    }

    /// As at the first start, a host without a way out is no reason not to run.
    fn finish(self) -> Result<Network> {
        match self {
            Self::Asked(client) => wait_network(client),
            Self::Own(starting, holder) => {
                let helper = starting.and_then(|starting| starting.finish(PATIENCE).ok());
                drop(holder);
                let address = helper.map_or(String::new(), |_| ADDRESS.to_string());
                Ok(Network { address })
            }
        }
    }
}

fn uplink_paths(netns: &OwnedFd, why: &Error) -> UplinkPaths {
    let me = std::process::id();
    let rootless = !nix::unistd::geteuid().is_root() || in_user_namespace();
    UplinkPaths {
        userns: rootless.then(|| format!("/proc/{me}/ns/user")),
        netns: format!("/proc/{me}/fd/{}", netns.as_raw_fd()),
        why: why.message().to_string(),
    }
}

/// In U we are uid 0 as well: its map is not that of the host.
fn in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().nth(2) != Some("4294967295"))
}

fn wait_network(client: &End) -> Result<Network> {
    let mut buffer = vec![0u8; 4096];
    let message = client
        .receive(&mut buffer)
        .context(|| "cannot hear from the command that starts the container")?
        .ok_or_else(|| Error::internal("the command that starts the container went away"))?;
    match message.kind {
        Kind::Network => protocol::parse(message.payload),
        _ => Err(Error::internal(
            "the starting command said something out of turn",
        )),
    }
}

/// The container's own score instead of the caller's.
fn set_oom_score(pid: i32, score: i32) -> Result<()> {
    match std::fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string()) {
        // A rootless container cannot go below its caller: as it is, then.
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        other => other.context(|| format!("cannot set oom_score_adj to {score}")),
    }
}

/// State `running`, with who init and monitor are.
fn record_running(job: &Job, pid: i32, first: bool) -> Result<State> {
    if first {
        let mut state = job.state.clone();
        set_running(job, pid, &mut state)?;
        write_state(job, &state)?;
        return Ok(state);
    }
    // Commands may change it, but for one whose lock starts it.
    let mut set = Ok(());
    let state = containers::change_state(&job.paths, &job.id, job.durability(), |state| {
        if !state.manually_stopped {
            set = set_running(job, pid, state);
        }
    })?;
    match (set, state.manually_stopped) {
        (Ok(()), true) => Err(Error::conflict(
            "it was stopped before it was started again",
        )),
        (set, _) => set.map(|()| state),
    }
}

fn set_running(job: &Job, pid: i32, state: &mut State) -> Result<()> {
    state.status = Status::Running;
    state.init = Process::of(pid);
    state.monitor = Some(Process::me());
    state.starter = None;
    state.boot_id = procfs::boot_id().context(|| "cannot read the boot id")?;
    state.started_at = crate::text::time::now();
    state.finished_at = String::new();
    state.error = String::new();
    state.exit_code = 0;
    state.oom_killed = false;
    state.monitor_lost = false;
    if let Some((path, _)) = &job.cgroup {
        state.cgroup = path.display().to_string();
    }
    Ok(())
}

pub fn write_state(job: &Job, state: &State) -> Result<()> {
    containers::write_state(&job.paths, &job.id, state, job.durability())
}

/// hosts, hostname, resolv.conf. Written in place when they are there, because
/// a running container has the inode mounted.
fn write_files(job: &Job) -> Result<()> {
    if job.files.is_empty() {
        return Ok(());
    }
    let dir = job.paths.run_container(&job.id);
    private::dir(&dir).context(|| format!("cannot make directory \"{}\"", dir.display()))?;
    for (name, text) in &job.files {
        write_public(&dir.join(name), text)?;
    }
    Ok(())
}

/// Readable by every user of the container.
fn write_public(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text)
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)))
        .context(|| format!("cannot write \"{}\"", path.display()))
}

/// Three separate pipes; with a terminal the child makes a pty instead.
fn make_streams(job: &Job) -> Result<(Streams, Ends)> {
    if job.plan.process.terminal.is_some() {
        return Ok((Streams::default(), Ends::default()));
    }
    streams::pipes(job.open_stdin)
}
