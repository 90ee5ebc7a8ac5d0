//! Loading a seccomp filter into the calling thread.

use libc::{sock_filter, sock_fprog};
use nix::errno::Errno;

/// seccomp(2) SECCOMP_SET_MODE_FILTER. Needs no_new_privs, or CAP_SYS_ADMIN in
/// the thread's user namespace (EACCES). Safe between clone and exec.
pub fn load(program: &[sock_filter], flags: u64) -> Result<(), Errno> {
    let Ok(len) = u16::try_from(program.len()) else {
        return Err(Errno::EINVAL);
    };
    let fprog = sock_fprog {
        len,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads one sock_fprog and `len` instructions behind its
    // pointer; both outlive the call, and it writes neither.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const fprog,
        )
    };
    match Errno::result(result) {
        Ok(0) => Ok(()),
        // With TSYNC: a thread of this id could not be given the filter.
        Ok(_) => Err(Errno::ESRCH),
        Err(e) => Err(e),
    }
}
