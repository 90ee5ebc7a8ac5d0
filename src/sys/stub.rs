//! The last step before the user's program: a program of a few instructions in
//! a sealed memfd.
//!
//! A process that execs `/proc/self/exe`, or a script that starts with
//! `#!/proc/self/exe`, would otherwise run the engine's own binary inside the
//! container and open it to writing (CVE-2019-5736); a rootless container's
//! root owns that file. So the engine first execs this stub, and it is the
//! stub that `/proc/self/exe` then means. Cheaper than a sealed copy of the
//! whole binary (0.1 ms instead of 0.6 ms).
//!
//! The stub gets `argv = ["\x01", path, argv0, …]`; called in any other way (as
//! the interpreter of a script, say) it exits with 126. It marks descriptor
//! [`STATUS_FD`] close-on-exec, calls `execve(path, &argv[2], envp)`, and if
//! that fails writes errno as 4 bytes to STATUS_FD and exits with 126.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::{CStr, c_char};
use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// The first argument by which the stub knows its caller.
pub const NAME: &CStr = c"\x01";

/// Where the stub reports a failed execve.
pub const STATUS_FD: i32 = 3;

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .rodata.wherry_stub, \"a\"",
    ".globl wherry_stub_start",
    "wherry_stub_start:",
    "mov rax, [rsp + 8]", // argv[0] must be ours
    "cmp byte ptr [rax], 1",
    "jne 2f",
    "mov rbx, [rsp]", // argc
    "mov edi, 3",     // fcntl(3, F_SETFD, FD_CLOEXEC)
    "mov esi, 2",
    "mov edx, 1",
    "mov eax, 72",
    "syscall",
    "mov rdi, [rsp + 16]",           // argv[1]
    "lea rsi, [rsp + 24]",           // &argv[2]
    "lea rdx, [rsp + rbx * 8 + 16]", // envp
    "mov eax, 59",                   // execve
    "syscall",
    "neg eax",
    "push rax",
    "mov edi, 3", // write(3, &errno, 4)
    "mov rsi, rsp",
    "mov edx, 4",
    "mov eax, 1",
    "syscall",
    "2:",
    "mov edi, 126", // exit_group(126)
    "mov eax, 231",
    "syscall",
    ".globl wherry_stub_end",
    "wherry_stub_end:",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .rodata.wherry_stub, \"a\"",
    ".globl wherry_stub_start",
    "wherry_stub_start:",
    "ldr x0, [sp, #8]",
    "ldrb w0, [x0]",
    "cmp w0, #1",
    "b.ne 2f",
    "ldr x19, [sp]",
    "mov x0, #3",
    "mov x1, #2",
    "mov x2, #1",
    "mov x8, #25", // fcntl
    "svc #0",
    "ldr x0, [sp, #16]",
    "add x1, sp, #24",
    "add x2, sp, x19, lsl #3",
    "add x2, x2, #16",
    "mov x8, #221", // execve
    "svc #0",
    "neg x0, x0",
    "str x0, [sp, #-16]!",
    "mov x0, #3",
    "mov x1, sp",
    "mov x2, #4",
    "mov x8, #64", // write
    "svc #0",
    "2:",
    "mov x0, #126",
    "mov x8, #94", // exit_group
    "svc #0",
    ".globl wherry_stub_end",
    "wherry_stub_end:",
    ".popsection",
);

unsafe extern "C" {
    static wherry_stub_start: u8;
    static wherry_stub_end: u8;
}

const LOAD_ADDRESS: u64 = 0x0040_0000;
const HEADERS: usize = 64 + 56;

fn code() -> &'static [u8] {
    // SAFETY: the two symbols delimit the bytes assembled above, which are
    // read-only data of this program.
    unsafe {
        let start = &raw const wherry_stub_start;
        let end = &raw const wherry_stub_end;
        std::slice::from_raw_parts(start, end as usize - start as usize)
    }
}

/// An ELF executable (elf(5)) with one read-execute segment.
fn image(code: &[u8]) -> Vec<u8> {
    let size = (HEADERS + code.len()) as u64;
    let machine: u16 = if cfg!(target_arch = "x86_64") {
        62
    } else {
        183
    };
    let mut elf = Vec::with_capacity(size as usize);
    elf.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    elf.extend_from_slice(&2u16.to_le_bytes()); // ET_EXEC
    elf.extend_from_slice(&machine.to_le_bytes());
    elf.extend_from_slice(&1u32.to_le_bytes());
    elf.extend_from_slice(&(LOAD_ADDRESS + HEADERS as u64).to_le_bytes()); // entry
    elf.extend_from_slice(&64u64.to_le_bytes()); // program headers
    elf.extend_from_slice(&0u64.to_le_bytes()); // no section headers
    elf.extend_from_slice(&0u32.to_le_bytes());
    for half in [64u16, 56, 1, 0, 0, 0] {
        elf.extend_from_slice(&half.to_le_bytes());
    }
    elf.extend_from_slice(&1u32.to_le_bytes()); // PT_LOAD
    elf.extend_from_slice(&5u32.to_le_bytes()); // R+X
    for word in [0, LOAD_ADDRESS, LOAD_ADDRESS, size, size, 0x1000] {
        elf.extend_from_slice(&word.to_le_bytes());
    }
    elf.extend_from_slice(code);
    elf
}

/// Makes the sealed memfd. Before clone; costs about 10 us.
pub fn make() -> nix::Result<OwnedFd> {
    sealed(c"wherry-exec", code())
}

/// A memfd of this name with a program that is `code`, never to be changed.
pub(super) fn sealed(name: &CStr, code: &[u8]) -> nix::Result<OwnedFd> {
    // MFD_EXEC is of 6.3; older kernels make executable memfds anyway.
    const MFD_EXEC: u32 = 0x10;
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let with_exec = MFdFlags::from_bits_retain(flags.bits() | MFD_EXEC);
    let fd = match memfd_create(name, with_exec) {
        Err(Errno::EINVAL) => memfd_create(name, flags)?,
        other => other?,
    };
    let mut file = std::fs::File::from(fd);
    file.write_all(&image(code)).map_err(|_| Errno::ENOSPC)?;
    let fd = OwnedFd::from(file);
    fcntl(
        &fd,
        FcntlArg::F_ADD_SEALS(
            SealFlag::F_SEAL_SEAL
                | SealFlag::F_SEAL_SHRINK
                | SealFlag::F_SEAL_GROW
                | SealFlag::F_SEAL_WRITE,
        ),
    )?;
    Ok(fd)
}

/// execveat(2) of the stub. Returns only on failure. Usable between clone and
/// exec; `argv` and `envp` end in null.
pub fn exec(stub: BorrowedFd<'_>, argv: &[*const c_char], envp: &[*const c_char]) -> Errno {
    assert!(argv.last().is_some_and(|p| p.is_null()));
    assert!(envp.last().is_some_and(|p| p.is_null()));
    // SAFETY: both lists end in null (checked) and hold pointers to
    // NUL-terminated strings that outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            stub.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    Errno::last()
}

/// May this process execute `path`? Looks with the effective ids.
pub fn may_execute(path: &CStr) -> nix::Result<()> {
    // SAFETY: NUL-terminated string and flags.
    super::check(unsafe {
        libc::syscall(
            libc::SYS_faccessat2,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::X_OK,
            libc::AT_EACCESS,
        )
    })
    .map(drop)
}
