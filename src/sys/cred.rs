//! Credentials of the calling thread by raw system calls: glibc's own wrappers
//! broadcast to other threads and may hang in a cloned child.

use super::check;
use std::ffi::CStr;

/// setgroups(2), setresgid(2), setresuid(2) in this order.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> nix::Result<()> {
    set_groups(groups)?;
    // SAFETY: plain numbers.
    unsafe {
        check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
    }
    Ok(())
}

/// setgroups(2) alone; EPERM where the user namespace denies it.
pub fn set_groups(groups: &[u32]) -> nix::Result<()> {
    // SAFETY: pointer and length describe one live slice.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// prctl(2) with one numeric argument.
pub fn prctl(option: libc::c_int, arg: libc::c_ulong) -> nix::Result<()> {
    // SAFETY: used with options that take numbers only.
    check(libc::c_long::from(unsafe {
        libc::prctl(option, arg, 0, 0, 0)
    }))
    .map(drop)
}

/// Nobody but the kernel and host root may look into this process from now on
/// (/proc/PID/{exe,fd,root,mem}, ptrace): CVE-2016-9962.
pub fn not_dumpable() -> nix::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0)
}

/// Those who may trace this process may look into it again: entering a user
/// namespace has hidden it.
pub fn dumpable() -> nix::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 1)
}

/// The signal that the kernel sends when the parent thread ends; 0 is none.
pub fn parent_death_signal(signal: libc::c_int) -> nix::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong)
}

pub fn no_new_privileges() -> nix::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Joins a new anonymous session keyring, so that the host's is not seen.
pub fn new_session_keyring() -> nix::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    check(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<u8>(),
        )
    })
    .map(drop)
}

/// prlimit64(2) on this process; `u64::MAX` is unlimited.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> nix::Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: a live rlimit64; the old limit is not asked for.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            &raw const limit,
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    })
    .map(drop)
}

/// sethostname(2) and setdomainname(2).
pub fn set_uts(hostname: &CStr, domainname: &CStr) -> nix::Result<()> {
    let (host, domain) = (hostname.to_bytes(), domainname.to_bytes());
    // SAFETY: pointer and length describe live bytes.
    unsafe {
        check(libc::c_long::from(libc::sethostname(
            host.as_ptr().cast(),
            host.len(),
        )))?;
        if !domain.is_empty() {
            check(libc::c_long::from(libc::setdomainname(
                domain.as_ptr().cast(),
                domain.len(),
            )))?;
        }
    }
    Ok(())
}
