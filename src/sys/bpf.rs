//! bpf(2), as far as a cgroup's device filter needs it.

use super::check;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// `struct bpf_insn` (linux/bpf.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn {
    pub code: u8,
    /// Destination register in the low, source register in the high four bits.
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

/// The members of `union bpf_attr` for BPF_PROG_LOAD that we set.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
}

#[repr(C)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// Loads a device filter; EPERM without CAP_BPF and CAP_NET_ADMIN on the host.
pub fn load_device_filter(program: &[Insn]) -> nix::Result<OwnedFd> {
    let attr = Load {
        prog_type: PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
    };
    // SAFETY: attr is a prefix of bpf_attr of the size given; the program and
    // the license outlive the call.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const attr, size_of::<Load>())
    })?;
    Ok(super::own(fd as i32))
}

/// Attaches a device filter to a cgroup, beside those that are there: a device
/// must pass all of them.
pub fn attach_device_filter(cgroup: impl AsFd, program: &OwnedFd) -> nix::Result<()> {
    let attr = Attach {
        target_fd: cgroup.as_fd().as_raw_fd() as u32,
        attach_bpf_fd: program.as_raw_fd() as u32,
        attach_type: CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI,
    };
    // SAFETY: attr is a prefix of bpf_attr of the size given; both descriptors live.
    check(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_ATTACH,
            &raw const attr,
            size_of::<Attach>(),
        )
    })
    .map(drop)
}
