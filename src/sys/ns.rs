//! Joining namespaces.

use super::check;
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd};

/// setns(2) with a namespace descriptor or, with several flags, a pidfd.
pub fn join(fd: impl AsFd, flags: libc::c_int) -> nix::Result<()> {
    // SAFETY: a live descriptor and flags.
    check(libc::c_long::from(unsafe {
        libc::setns(fd.as_fd().as_raw_fd(), flags)
    }))
    .map(drop)
}

/// Does `work`, which joins namespaces, in a thread of its own: the caller stays
/// where it is. EAGAIN when there can be no more threads (pthread_create(3)),
/// EIO when `work` panicked.
pub fn elsewhere<T: Send>(work: impl FnOnce() -> T + Send) -> nix::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .map_err(|_| Errno::EAGAIN)?;
        thread.join().map_err(|_| Errno::EIO)
    })
}

/// Enough for a batch of netlink messages.
const STACK: usize = 128 << 10;

/// Brings `lo` up in this network namespace (netdevice(7)).
pub fn loopback_up() -> nix::Result<()> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
    let fd = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: ifreq is plain data; all-zero is valid, name "lo" fits.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        check(libc::c_long::from(libc::ioctl(
            fd.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )))
        .map(drop)
    }
}
