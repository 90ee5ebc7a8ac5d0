//! A network namespace that outlives the containers in it: the steps of a build
//! are cloned into it one after the other, for making one with a way out takes
//! longer than a step, and taking it down longer still. One process is in it,
//! and another serves it as a monitor does the network of its container; both
//! end with the command that has asked for it.

use super::clients::until;
use super::descriptors;
use super::net::{Connected, Net};
use super::protocol::{self, End, Kind};
use super::spawn;
use crate::error::{Context, Error, Result};
use crate::paths::Paths;
use crate::sys::clone::{self, Fork};
use crate::sys::{cred, pidfd, signal};
use crate::userns::below::{self, IdMaps};
use crate::userns::enter::Userns;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::stat::Mode;
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

/// What a room is made of.
pub struct Order {
    pub paths: Paths,
    /// Whom its addresses belong to.
    pub id: String,
    pub net: Net,
    /// Of a user namespace of its own, where the caller is not root.
    pub id_maps: Option<IdMaps>,
    /// Files below /proc and their content.
    pub sysctls: Vec<(CString, Vec<u8>)>,
}

/// It is there until this is dropped.
pub struct Room {
    /// The process in it: who joins its namespaces is in the room.
    pub init: OwnedFd,
    client: Option<End>,
    server: OwnedFd,
}

impl Room {
    /// An error where it has no way out by the kernel alone.
    pub fn begin(order: Order, userns: Userns) -> Result<Self> {
        let serve = |client: End| {
            if let Err(error) = serve(order, &client) {
                let _ = client.send_error(&error);
            }
        };
        let (client, server, lock) = spawn::fork(userns, serve)?;
        let init = hear(&client);
        drop(lock);
        Ok(Self {
            init: init?,
            client: Some(client),
            server,
        })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.client = None;
        let _ = pidfd::reap(&self.server);
    }
}

fn hear(client: &End) -> Result<OwnedFd> {
    let mut buffer = vec![0; protocol::MAX_PAYLOAD + 1];
    let message = client
        .receive(&mut buffer)
        .context(|| "cannot hear from the network of the steps")?
        .ok_or_else(|| Error::internal("the network of the steps ended before its start"))?;
    match (message.kind, message.fd) {
        (Kind::Started, Some(init)) => Ok(init),
        (Kind::Failed, _) => Err(protocol::parse_error(message.payload)),
        _ => Err(Error::internal(
            "the network of the steps said something out of turn",
        )),
    }
}

/// As root of U: until the command is gone.
fn serve(mut order: Order, client: &End) -> Result<()> {
    let _ = signal::block_all();
    let _ = nix::unistd::setsid();
    let _ = nix::unistd::chdir("/");
    clone::keep_only(&mut [client.as_fd().as_raw_fd()]);
    let (pid, init) = inhabit(&order)?;
    let path = format!("/proc/{pid}/ns/net");
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let netns = nix::fcntl::open(path.as_str(), flags, Mode::empty())
        .context(|| "cannot open the network namespace of the steps")?;
    let connected = order.net.connect(&order.paths, &order.id, netns);
    let served = connected.and_then(|connected| attend(connected, client, &init));
    order.net.release(&order.paths, &order.id);
    let _ = pidfd::signal(&init, libc::SIGKILL);
    let _ = pidfd::reap(&init);
    served
}

fn attend(mut connected: Connected, client: &End, init: &OwnedFd) -> Result<()> {
    use std::os::fd::AsFd;
    if let Some(lacks) = connected.lacks() {
        return Err(Error::unsupported(lacks.message()));
    }
    descriptors::raise();
    client
        .send_with(Kind::Started, &[], Some(init.as_fd()))
        .context(|| "cannot tell of the network of the steps")?;
    loop {
        let mut fds = vec![PollFd::new(client.as_fd(), PollFlags::POLLIN)];
        let served = [connected.fd(), connected.way_fd()];
        fds.extend(
            served
                .iter()
                .flatten()
                .map(|fd| PollFd::new(*fd, PollFlags::POLLIN)),
        );
        if poll(&mut fds, until(connected.deadline())).is_err() {
            continue;
        }
        // It says nothing more: it has ended.
        if fds[0].any().unwrap_or(true) {
            return Ok(());
        }
        connected.turn();
        connected.carry();
    }
}

/// A process in a new network namespace, all of it as a container's own would
/// be when its program begins.
fn inhabit(order: &Order) -> Result<(i32, OwnedFd)> {
    let failed = || "cannot make the network namespace of the steps";
    let (go, say_go) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context(failed)?;
    let (ready, say_ready) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context(failed)?;
    let userns = order.id_maps.as_ref().map_or(0, |_| libc::CLONE_NEWUSER);
    match clone::clone(libc::CLONE_NEWNET | userns, None).context(failed)? {
        Fork::Child => {
            drop((say_go, ready));
            let Err(_) = stay(&order.sysctls, &go, &say_ready);
            clone::exit(1)
        }
        Fork::Parent { pid, pidfd } => {
            drop((go, say_ready));
            if let Some(maps) = &order.id_maps {
                below::write_maps(pid, maps)?;
            }
            nix::unistd::write(&say_go, &[1]).context(failed)?;
            match nix::unistd::read(&ready, &mut [0]).context(failed)? {
                1 => Ok((pid, pidfd)),
                _ => Err(Error::internal(failed())),
            }
        }
    }
}

/// All signals are blocked: it stays until it is killed.
fn stay(
    sysctls: &[(CString, Vec<u8>)],
    go: &OwnedFd,
    say_ready: &OwnedFd,
) -> nix::Result<std::convert::Infallible> {
    cred::parent_death_signal(libc::SIGKILL)?;
    nix::unistd::read(go, &mut [0])?;
    crate::sys::ns::loopback_up()?;
    let proc = nix::fcntl::open(c"/proc", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    for (path, content) in sysctls {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let file = nix::fcntl::openat(&proc, path.as_c_str(), flags, Mode::empty())?;
        nix::unistd::write(&file, content)?;
    }
    // Whoever joins has to be allowed to look at us.
    cred::dumpable()?;
    nix::unistd::write(say_ready, &[1])?;
    loop {
        nix::unistd::pause();
    }
}
