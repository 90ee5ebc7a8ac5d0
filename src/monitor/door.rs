//! The door of a monitor: a listening socket in the container's run directory,
//! by which commands attach after the start. It is for its own user, says the
//! mode of the socket, of the directory, and who is asked for at the door. A run
//! directory that is wiped takes the door with it and nothing else.

use super::protocol::{Attach, End, Kind};
use crate::fs::private;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockType, UnixAddr, accept4, bind, connect,
    getsockopt, listen, shutdown, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

const NAME: &str = "attach";
/// Without descriptors nobody can be let in; asking again at once is no use.
const PAUSE: Duration = Duration::from_millis(100);

pub struct Door {
    socket: OwnedFd,
    shut_until: Option<Instant>,
}

impl Door {
    /// Opens it in `run_dir`, which is made when it is missing.
    pub fn open(run_dir: &Path) -> nix::Result<Self> {
        let dir = open_dir(run_dir).or_else(|_| {
            let _ = private::dir(run_dir);
            open_dir(run_dir)
        })?;
        let socket = new_socket(SockFlag::SOCK_NONBLOCK)?;
        // The name gets the mode that the socket has.
        fchmod(&socket, Mode::from_bits_truncate(0o600))?;
        let address = address(&dir)?;
        match bind(socket.as_raw_fd(), &address) {
            Err(Errno::EADDRINUSE) => {
                // A monitor that was killed has left it.
                nix::unistd::unlinkat(&dir, NAME, nix::unistd::UnlinkatFlags::NoRemoveDir)?;
                bind(socket.as_raw_fd(), &address)?;
            }
            other => other?,
        }
        listen(&socket, Backlog::new(16)?)?;
        Ok(Self {
            socket,
            shut_until: None,
        })
    }

    pub fn interest(&self) -> PollFd<'_> {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::POLLIN, self.deadline().is_none());
        PollFd::new(self.socket.as_fd(), wanted)
    }

    /// When it can be tried again.
    pub fn deadline(&self) -> Option<Instant> {
        self.shut_until.filter(|&until| until > Instant::now())
    }

    /// Whoever stands at the door and is of this user.
    pub fn accept(&mut self) -> Option<End> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = match accept4(self.socket.as_raw_fd(), flags) {
            Ok(fd) => crate::sys::own(fd),
            Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS) => {
                self.shut_until = Some(Instant::now() + PAUSE);
                return None;
            }
            Err(_) => return None,
        };
        let peer = getsockopt(&socket, sockopt::PeerCredentials).ok()?;
        let own = peer.uid() == nix::unistd::geteuid().as_raw();
        own.then(|| End::from(socket))
    }

    /// From now on nobody can come to it; those who stand there can be let in.
    pub fn close(&self) {
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Read);
    }
}

/// The command's side: connects to the monitor of the container with this run
/// directory.
pub fn knock(run_dir: &Path, attach: Attach) -> nix::Result<End> {
    let dir = open_dir(run_dir)?;
    let socket = new_socket(SockFlag::empty())?;
    connect(socket.as_raw_fd(), &address(&dir)?)?;
    let end = End::from(socket);
    end.send(Kind::Attach, &[attach.byte()])?;
    Ok(end)
}

fn open_dir(dir: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::open(dir, flags, Mode::empty())
}

fn new_socket(flags: SockFlag) -> nix::Result<OwnedFd> {
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
}

/// Through the directory's descriptor: a path of any length fits.
fn address(dir: &OwnedFd) -> nix::Result<UnixAddr> {
    UnixAddr::new(format!("/proc/self/fd/{}/{NAME}", dir.as_raw_fd()).as_str())
}
