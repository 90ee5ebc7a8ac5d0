//! The only unsafe code: thin, typed calls into the kernel. Nothing here
//! decides anything; what is used between clone and exec neither allocates
//! nor takes locks, and says so.

#![allow(unsafe_code)]

pub mod caps;
pub mod clone;
pub mod cmsg;
pub mod cred;
pub mod mount;
pub mod ns;
pub mod pidfd;
pub mod procfs;
pub mod pty;
pub mod seccomp;
pub mod signal;
pub mod stub;
pub mod xattr;

use nix::errno::Errno;

/// The result of a raw system call: its value, or errno.
pub(crate) fn check(ret: libc::c_long) -> nix::Result<libc::c_long> {
    if ret < 0 { Err(Errno::last()) } else { Ok(ret) }
}
