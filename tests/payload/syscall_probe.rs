//! A static program to be run in a container: makes every system call once,
//! each in a process of its own and with arguments that are all -1 (so that
//! nothing can succeed that matters), and prints what came of it.
//!
//! `syscall_probe [plain|filter]`: `filter` loads wherry's default profile
//! first. Output: `ABI NUMBER OUTCOME` per line, OUTCOME being `ok`, `errno N`,
//! `signal N`, `exit` or `hangs`; then `socket|clone|personality VALUE OUTCOME`.

use std::process::exit;
use wherry::runtime::seccomp::{Profile, filter};
use wherry::sys::{caps::CapSet, seccomp};

const LAST: u64 = 600;

fn main() {
    // SAFETY: integers only. No terminal to hang up, nothing gained by exec.
    unsafe {
        libc::setsid();
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    match std::env::args().nth(1).as_deref() {
        None | Some("plain") => {}
        Some("filter") => load(),
        Some(_) => exit(2),
    }
    for number in 0..=LAST {
        println!(
            "{} {number} {}",
            std::env::consts::ARCH,
            probe(|| native(number, u64::MAX, u64::MAX))
        );
    }
    #[cfg(target_arch = "x86_64")]
    for number in 0..=LAST {
        const X32: u64 = 0x4000_0000;
        println!(
            "x32 {number} {}",
            probe(|| native(number | X32, u64::MAX, u64::MAX))
        );
        println!("i386 {number} {}", probe(|| i386(number)));
    }
    for domain in (0..48).chain([0x1_0000_0026, 0x1_0000_0028]) {
        println!(
            "socket {domain} {}",
            probe(|| native(libc::SYS_socket as u64, domain, 1))
        );
    }
    for bit in [7, 17, 25, 26, 27, 28, 29, 30] {
        let flags = 1 << bit;
        println!(
            "clone {flags} {}",
            probe(|| native(libc::SYS_clone as u64, flags, 0))
        );
    }
    for persona in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff, 0x4_0000, 0x10_0000] {
        println!(
            "personality {persona} {}",
            probe(|| native(libc::SYS_personality as u64, persona, 0))
        );
    }
}

fn load() {
    let filter = filter(&Profile::Builtin, CapSet::DOCKER)
        .expect("profile")
        .expect("filter");
    seccomp::load(&filter.program, filter.flags).expect("load");
}

/// The kernel's raw answer.
#[cfg(target_arch = "aarch64")]
fn native(number: u64, first: u64, others: u64) -> i64 {
    let result: u64;
    // SAFETY: made in a process of its own, which ends right after.
    unsafe {
        std::arch::asm!("svc 0", in("x8") number, inlateout("x0") first => result, in("x1") others,
            in("x2") others, in("x3") others, in("x4") others, in("x5") others);
    }
    result as i64
}

/// The kernel's raw answer.
#[cfg(target_arch = "x86_64")]
fn native(number: u64, first: u64, others: u64) -> i64 {
    let result: i64;
    // SAFETY: made in a process of its own, which ends right after.
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") number => result, in("rdi") first,
            in("rsi") others, in("rdx") others, in("r10") others, in("r8") others, in("r9") others,
            lateout("rcx") _, lateout("r11") _);
    }
    result
}

/// The same by the 32-bit gate.
#[cfg(target_arch = "x86_64")]
fn i386(number: u64) -> i64 {
    let result: u64;
    let all = u64::from(u32::MAX);
    // SAFETY: as above; rbx belongs to the compiler and is put back.
    unsafe {
        std::arch::asm!("xchg {first}, rbx", "int 0x80", "xchg {first}, rbx", first = inout(reg) all => _,
            inlateout("rax") number => result, in("rcx") all, in("rdx") all, in("rsi") all,
            in("rdi") all, lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _);
    }
    i64::from(result as u32 as i32)
}

/// Makes the call in a child and tells how that ended.
fn probe(call: impl Fn() -> i64) -> String {
    let mut ends = [0; 2];
    // SAFETY: single-threaded; the child only makes system calls and ends.
    unsafe {
        assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
        let child = libc::fork();
        if child == 0 {
            let me = libc::getpid();
            let result = call();
            // A second process, made by fork or vfork, tells nothing.
            if libc::getpid() == me {
                libc::write(ends[1], (&raw const result).cast(), 8);
            }
            libc::_exit(0);
        }
        libc::close(ends[1]);
        let mut poll = libc::pollfd {
            fd: ends[0],
            events: libc::POLLIN,
            revents: 0,
        };
        let hangs = libc::poll(&raw mut poll, 1, 300) == 0;
        let mut result = 0i64;
        let told = !hangs && libc::read(ends[0], (&raw mut result).cast(), 8) == 8;
        libc::close(ends[0]);
        libc::kill(child, libc::SIGKILL * i32::from(hangs));
        let mut status = 0;
        libc::waitpid(child, &raw mut status, 0);
        match (hangs, told) {
            (true, _) => "hangs".into(),
            (_, true) if (-4095..0).contains(&result) => format!("errno {}", -result),
            (_, true) => "ok".into(),
            _ if libc::WIFSIGNALED(status) => format!("signal {}", libc::WTERMSIG(status)),
            _ => "exit".into(),
        }
    }
}
