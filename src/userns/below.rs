//! User namespaces below U: of containers whose ids are laid out in another way.

use super::enter::hold;
use crate::error::{Context, Result};
use crate::sys::clone::{self, Fork};
use crate::sys::pidfd;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::os::fd::OwnedFd;

/// uid_map and gid_map (user_namespaces(7)), one extent per line.
pub type IdMaps = (String, String);

/// A namespace with these maps, for a process that has to see files as a
/// container would. Call as root of U, in a process with one thread; a process
/// that joins it has all capabilities there.
pub fn make(maps: &IdMaps) -> Result<OwnedFd> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context(|| "cannot make a pipe")?;
    match clone::clone(libc::CLONE_NEWUSER, None).context(|| "cannot make a user namespace")? {
        Fork::Child => {
            drop(write);
            hold(read)
        }
        Fork::Parent { pid, pidfd } => {
            let made = write_maps(pid, maps).and_then(|()| open(pid));
            drop(write);
            let _ = pidfd::reap(&pidfd);
            made
        }
    }
}

/// For a process that was made with a user namespace of its own.
pub fn write_maps(pid: i32, (uid_map, gid_map): &IdMaps) -> Result<()> {
    for (file, text) in [("uid_map", uid_map), ("gid_map", gid_map)] {
        std::fs::write(format!("/proc/{pid}/{file}"), text)
            .context(|| format!("cannot write {file} of the container"))?;
    }
    Ok(())
}

/// The user namespace of a process.
pub fn open(pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/ns/user");
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    nix::fcntl::open(path.as_str(), flags, Mode::empty())
        .context(|| "cannot open the new user namespace")
}
