//! Pid 1 of a container with `--init`: a program of a few instructions in a
//! sealed memfd, like the [`stub`](super::stub), and for the same reason. It
//! passes every signal on to the user's program, reaps orphans, and ends with
//! the program's status, as tini does.
//!
//! The program is pid 2, the first child of pid 1 in a new pid namespace. All
//! signals must be blocked when this is executed; that of a child that ended
//! before is lost when SIGCHLD gets its default disposition (sigaction(2)), so
//! it begins by reaping. As any other process than pid 1 it exits with 126.

use std::ffi::{CStr, c_char};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Its command line, as Docker's has it.
const NAME: &CStr = c"/sbin/docker-init";

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .rodata.wherry_reaper, \"a\"",
    ".globl wherry_reaper_start",
    "wherry_reaper_start:",
    "mov eax, 39", // getpid() must be 1
    "syscall",
    "mov edi, 126",
    "cmp eax, 1",
    "jne 5f",
    "mov edi, 15", // prctl(PR_SET_NAME, "docker-init")
    "lea rsi, [rip + 6f]",
    "mov eax, 157",
    "syscall",
    "push -1", // the set of all signals
    "mov rbx, rsp",
    "push 0", // room for a wait status
    "mov rbp, rsp",
    "jmp 3f", // one that has ended before may not be told of any more
    "2:",
    "mov rdi, rbx", // rt_sigtimedwait(set, NULL, NULL, 8)
    "xor esi, esi",
    "xor edx, edx",
    "mov r10d, 8",
    "mov eax, 128",
    "syscall",
    "test eax, eax",
    "jle 2b",
    "cmp eax, 17", // SIGCHLD
    "je 3f",
    "mov edi, 2", // kill(2, signal)
    "mov esi, eax",
    "mov eax, 62",
    "syscall",
    "jmp 2b",
    "3:",
    "mov edi, -1", // wait4(-1, status, WNOHANG, NULL)
    "mov rsi, rbp",
    "mov edx, 1",
    "xor r10d, r10d",
    "mov eax, 61",
    "syscall",
    "test eax, eax",
    "jle 2b",
    "cmp eax, 2",
    "jne 3b",
    "mov eax, [rbp]",
    "mov edi, eax",
    "and edi, 127",
    "jz 4f",
    "add edi, 128", // 128 + signal
    "jmp 5f",
    "4:",
    "shr eax, 8", // exit status
    "movzx edi, al",
    "5:",
    "mov eax, 231", // exit_group
    "syscall",
    "6:",
    ".asciz \"docker-init\"",
    ".globl wherry_reaper_end",
    "wherry_reaper_end:",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .rodata.wherry_reaper, \"a\"",
    ".globl wherry_reaper_start",
    "wherry_reaper_start:",
    "mov x8, #172", // getpid() must be 1
    "svc #0",
    "mov x1, x0",
    "mov x0, #126",
    "cmp w1, #1",
    "b.ne 5f",
    "mov x0, #15", // prctl(PR_SET_NAME, "docker-init")
    "adr x1, 6f",
    "mov x8, #167",
    "svc #0",
    "sub sp, sp, #16",
    "mov x0, #-1", // the set of all signals, and room for a wait status
    "stp x0, xzr, [sp]",
    "b 3f", // one that has ended before may not be told of any more
    "2:",
    "mov x0, sp", // rt_sigtimedwait(set, NULL, NULL, 8)
    "mov x1, #0",
    "mov x2, #0",
    "mov x3, #8",
    "mov x8, #137",
    "svc #0",
    "cmp w0, #0",
    "b.le 2b",
    "cmp w0, #17", // SIGCHLD
    "b.eq 3f",
    "mov w1, w0", // kill(2, signal)
    "mov x0, #2",
    "mov x8, #129",
    "svc #0",
    "b 2b",
    "3:",
    "mov x0, #-1", // wait4(-1, status, WNOHANG, NULL)
    "add x1, sp, #8",
    "mov x2, #1",
    "mov x3, #0",
    "mov x8, #260",
    "svc #0",
    "cmp w0, #0",
    "b.le 2b",
    "cmp w0, #2",
    "b.ne 3b",
    "ldr w1, [sp, #8]",
    "and w0, w1, #127",
    "cbz w0, 4f",
    "add w0, w0, #128", // 128 + signal
    "b 5f",
    "4:",
    "ubfx w0, w1, #8, #8", // exit status
    "5:",
    "mov x8, #94", // exit_group
    "svc #0",
    "6:",
    ".asciz \"docker-init\"",
    ".globl wherry_reaper_end",
    "wherry_reaper_end:",
    ".popsection",
);

unsafe extern "C" {
    static wherry_reaper_start: u8;
    static wherry_reaper_end: u8;
}

fn code() -> &'static [u8] {
    // SAFETY: the two symbols delimit the bytes assembled above, which are
    // read-only data of this program.
    unsafe {
        let start = &raw const wherry_reaper_start;
        let end = &raw const wherry_reaper_end;
        std::slice::from_raw_parts(start, end as usize - start as usize)
    }
}

/// Makes the sealed memfd. Before clone.
pub fn make() -> nix::Result<OwnedFd> {
    super::stub::sealed(c"wherry-init", code())
}

/// Becomes the reaper; only returns on failure. Usable between clone and exec.
pub fn exec(program: BorrowedFd<'_>) -> nix::errno::Errno {
    let arguments = [NAME.as_ptr(), std::ptr::null::<c_char>()];
    super::stub::exec(program, &arguments, &arguments[1..])
}
