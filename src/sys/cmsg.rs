//! One SEQPACKET message with descriptors (unix(7), SCM_RIGHTS). No allocation:
//! usable between clone and exec.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The most descriptors that one message carries.
pub const MAX_FDS: usize = 4;
/// Room for `struct cmsghdr` and MAX_FDS descriptors, aligned as it must be,
/// and for no more: descriptors that do not fit are closed by the kernel.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);
const CONTROL: usize = 16 + MAX_FDS * size_of::<RawFd>();

/// Two ends of a connection, close-on-exec.
pub fn pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
}

/// Sends `bytes` with `fds`.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
    assert!(fds.len() <= MAX_FDS);
    let mut control = Control([0; CONTROL]);
    let mut iov = libc::iovec {
        iov_base: bytes.as_ptr() as *mut libc::c_void,
        iov_len: bytes.len(),
    };
    // SAFETY: msghdr is plain data; all-zero is valid.
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = &raw mut iov;
    msg.msg_iovlen = 1;
    if !fds.is_empty() {
        let size = (fds.len() * size_of::<RawFd>()) as u32;
        msg.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: CMSG_* only compute on the header and buffer set above,
        // which has room for MAX_FDS descriptors.
        unsafe {
            msg.msg_controllen = libc::CMSG_SPACE(size) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const msg);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as usize;
            let data = libc::CMSG_DATA(header).cast::<RawFd>();
            for (i, fd) in fds.iter().enumerate() {
                data.add(i).write_unaligned(fd.as_raw_fd());
            }
        }
    }
    loop {
        // SAFETY: msg points to live buffers of the sizes given.
        let n = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const msg, libc::MSG_NOSIGNAL) };
        match Errno::result(n) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// How much of what was sent the other side has not received yet (SIOCOUTQ).
pub fn unread(socket: BorrowedFd<'_>) -> nix::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call fills one int.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ as _, &raw mut bytes) };
    Errno::result(ret).map(|_| bytes as usize)
}

/// Receives one message: its length (0 at the end of the stream) and the
/// descriptors that came with it, close-on-exec.
pub fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: libc::c_int,
) -> nix::Result<(usize, [Option<OwnedFd>; MAX_FDS])> {
    let mut control = Control([0; CONTROL]);
    let mut iov = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: as in send().
    let mut msg: libc::msghdr = unsafe { std::mem::zeroed() };
    msg.msg_iov = &raw mut iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control.0.as_mut_ptr().cast();
    msg.msg_controllen = control.0.len();
    let n = loop {
        // SAFETY: msg points to live buffers of the sizes given.
        let n = unsafe {
            libc::recvmsg(
                socket.as_raw_fd(),
                &raw mut msg,
                libc::MSG_CMSG_CLOEXEC | flags,
            )
        };
        match Errno::result(n) {
            Ok(n) => break n as usize,
            // Told once, ahead of what is still queued, when the other side
            // closes with messages of ours unread: its last words follow.
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
            Err(e) => return Err(e),
        }
    };
    let mut fds = [const { None }; MAX_FDS];
    // SAFETY: the kernel filled the control buffer; each descriptor in it is
    // new and ours alone.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const msg);
        if !header.is_null()
            && (*header).cmsg_level == libc::SOL_SOCKET
            && (*header).cmsg_type == libc::SCM_RIGHTS
        {
            let bytes = (*header).cmsg_len - libc::CMSG_LEN(0) as usize;
            let data = libc::CMSG_DATA(header).cast::<RawFd>();
            for (i, slot) in fds.iter_mut().enumerate().take(bytes / size_of::<RawFd>()) {
                *slot = Some(OwnedFd::from_raw_fd(data.add(i).read_unaligned()));
            }
        }
    }
    Ok((n, fds))
}
