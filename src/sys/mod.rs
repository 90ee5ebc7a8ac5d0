//! The only unsafe code: thin, typed calls into the kernel. Nothing here
//! decides anything; what is used between clone and exec neither allocates
//! nor takes locks, and says so.

#![allow(unsafe_code)]

pub mod bpf;
pub mod caps;
pub mod clone;
pub mod cmsg;
pub mod cred;
pub mod memory;
pub mod mount;
pub mod netlink;
pub mod ns;
pub mod pidfd;
pub mod probe;
pub mod procfs;
pub mod program;
pub mod pty;
pub mod reaper;
pub mod seccomp;
pub mod signal;
pub mod stub;
pub mod writeback;
pub mod xattr;

use nix::errno::Errno;

/// The result of a raw system call: its value, or errno.
pub(crate) fn check(ret: libc::c_long) -> nix::Result<libc::c_long> {
    if ret < 0 { Err(Errno::last()) } else { Ok(ret) }
}

/// Takes ownership of a descriptor that a system call has just made.
pub(crate) fn own(fd: std::os::fd::RawFd) -> std::os::fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: callers pass what fcntl or another call has newly returned.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) }
}

/// A copy of a descriptor that the parent has left us; what is left of the
/// original does not reach programs that we start.
pub(crate) fn inherited(fd: std::os::fd::RawFd) -> nix::Result<std::os::fd::OwnedFd> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use std::os::fd::BorrowedFd;
    // SAFETY: only numbers are passed on, and one that is not open is EBADF.
    let original = unsafe { BorrowedFd::borrow_raw(fd) };
    let copy = fcntl(original, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    let _ = fcntl(original, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    Ok(own(copy))
}

/// dup2(2) onto a fixed number (0 to 3) that stays open across exec.
pub(crate) fn install(fd: std::os::fd::BorrowedFd<'_>, target: i32) -> nix::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: only called between clone and exec, where nobody in this
    // process owns the target any more.
    check(libc::c_long::from(unsafe {
        libc::dup2(fd.as_raw_fd(), target)
    }))
    .map(drop)
}

/// The string without its leading slashes.
pub(crate) fn after_slashes(path: &std::ffi::CStr) -> &std::ffi::CStr {
    let bytes = path.to_bytes_with_nul();
    let start = bytes.iter().position(|&b| b != b'/').unwrap_or(0);
    std::ffi::CStr::from_bytes_with_nul(&bytes[start..]).unwrap_or(c"")
}

/// Whether getcwd(2) gives a path below the root: the kernel puts
/// "(unreachable)" in front of any other. No allocation.
pub(crate) fn current_dir_is_below_root() -> bool {
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    // SAFETY: pointer and length describe one live buffer.
    let ret = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    ret > 0 && buffer[0] == b'/'
}

/// O_NONBLOCK of an open file description, on or off.
pub(crate) fn set_nonblocking(fd: std::os::fd::BorrowedFd<'_>, on: bool) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let mut flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_NONBLOCK, on);
    fcntl(fd, FcntlArg::F_SETFL(flags)).map(drop)
}

/// Takes the peer of a datagram socket away again (connect(2), AF_UNSPEC), and
/// with it the address that the kernel has chosen for that peer.
pub(crate) fn dissolve(fd: std::os::fd::BorrowedFd<'_>) -> nix::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: sockaddr is plain data; all-zero is AF_UNSPEC.
    let ret = unsafe {
        let none: libc::sockaddr = std::mem::zeroed();
        libc::connect(
            fd.as_raw_fd(),
            &raw const none,
            size_of_val(&none) as libc::socklen_t,
        )
    };
    check(libc::c_long::from(ret)).map(drop)
}

/// IP_TRANSPARENT (ip(7)) or its like of IPv6: the socket may have addresses
/// that are not this host's.
pub(crate) fn set_transparent(fd: &std::os::fd::OwnedFd, six: bool) -> nix::Result<()> {
    use std::os::fd::AsRawFd;
    let (level, option) = match six {
        false => (libc::SOL_IP, libc::IP_TRANSPARENT),
        true => (libc::SOL_IPV6, libc::IPV6_TRANSPARENT),
    };
    let on: libc::c_int = 1;
    // SAFETY: pointer and length describe one live int.
    let ret = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    check(libc::c_long::from(ret)).map(drop)
}
