//! Which system calls the kernel has: each is called with arguments that it
//! refuses before it does anything.

use nix::errno::Errno;

/// Names of calls that containers need and this kernel has not.
pub fn missing_calls() -> Vec<&'static str> {
    const BAD: libc::c_long = -1;
    let calls: [(&str, libc::c_long); 9] = [
        ("openat2", libc::SYS_openat2),
        ("clone3", libc::SYS_clone3),
        ("pidfd_open", libc::SYS_pidfd_open),
        ("close_range", libc::SYS_close_range),
        ("fsopen", libc::SYS_fsopen),
        ("open_tree", libc::SYS_open_tree),
        ("move_mount", libc::SYS_move_mount),
        ("mount_setattr", libc::SYS_mount_setattr),
        ("seccomp", libc::SYS_seccomp),
    ];
    let refused = |number: libc::c_long| {
        // SAFETY: null pointers, sizes of 0 and flags with every bit set: each
        // of these calls refuses them without touching any memory. close_range
        // refuses its unknown flags before it closes anything.
        let ret = unsafe { libc::syscall(number, 0, 0, BAD, 0, 0) };
        ret == -1 && Errno::last() == Errno::ENOSYS
    };
    calls
        .into_iter()
        .filter(|(_, number)| refused(*number))
        .map(|(name, _)| name)
        .collect()
}
