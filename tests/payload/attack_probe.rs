//! A static program to be run in a container by the tests of isolation: what
//! busybox has no tool for.
//!
//! - `stalk SECONDS`: looks at every other process as often as it can, and
//!   tries to attach to it; prints what it got to see, each once.
//! - `with-key COMMAND...`: a session keyring with a key, then the command.
//! - `find-key`: looks for that key in its session keyring.
//! - `push`: pushes a byte into the terminal's input (TIOCSTI).

use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::time::{Duration, Instant};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["stalk", seconds] => stalk(seconds.parse().unwrap()),
        ["with-key", program, ref rest @ ..] => with_key(program, rest),
        ["find-key"] => find_key(),
        ["push"] => push(),
        _ => exit(2),
    }
}

fn stalk(seconds: u64) {
    let end = Instant::now() + Duration::from_secs(seconds);
    let me = std::process::id() as i32;
    let (mut seen, mut rounds, mut attached) = (BTreeSet::new(), 0u64, 0u64);
    println!("ready");
    while Instant::now() < end && !std::path::Path::new("/stop").exists() {
        rounds += 1;
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let Ok(pid) = name.parse::<i32>() else {
                continue;
            };
            if pid != me {
                look(pid, &mut seen);
                attached += u64::from(attach(pid, &mut seen));
            }
        }
    }
    for line in &seen {
        println!("{line}");
    }
    println!("rounds {rounds}");
    println!("attached {attached}");
}

fn look(pid: i32, seen: &mut BTreeSet<String>) {
    for link in ["cwd", "root", "exe"] {
        if let Ok(target) = std::fs::read_link(format!("/proc/{pid}/{link}")) {
            seen.insert(format!("{link} {}", target.display()));
        }
    }
    for fd in std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
    {
        if let Ok(target) = std::fs::read_link(fd.path()) {
            let target = target.display().to_string();
            let kind = target.split('[').next().unwrap_or_default();
            seen.insert(format!("fd {kind}"));
        }
    }
    if let Ok(environ) = std::fs::read_to_string(format!("/proc/{pid}/environ")) {
        for variable in environ.split('\0').filter(|v| !v.is_empty()) {
            seen.insert(format!("environ {variable}"));
        }
    }
    maps(pid, "maps", seen);
}

/// The files that a process has mapped: its own, or another program's.
fn maps(pid: i32, kind: &str, seen: &mut BTreeSet<String>) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    for line in text.lines() {
        if let Some(path) = line.split_whitespace().nth(5) {
            seen.insert(format!("{kind} {path}"));
        }
    }
}

fn attach(pid: i32, seen: &mut BTreeSet<String>) -> bool {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: integers and null pointers; a live int for the status.
    unsafe {
        if libc::ptrace(libc::PTRACE_SEIZE, pid, none, none) != 0 {
            return false;
        }
        libc::ptrace(libc::PTRACE_INTERRUPT, pid, none, none);
        let mut status = 0;
        libc::waitpid(pid, &raw mut status, libc::__WALL);
        maps(pid, "traced", seen);
        libc::ptrace(libc::PTRACE_DETACH, pid, none, none);
    }
    true
}

const KEYCTL_JOIN: libc::c_long = 1;
const KEYCTL_SEARCH: libc::c_long = 10;
const SESSION: libc::c_long = -3;
const KEY: &std::ffi::CStr = c"wherry-secret";

fn with_key(program: &str, rest: &[&str]) {
    let ring = CString::new("wherry-ring").unwrap();
    // SAFETY: NUL-terminated strings and the length of the payload.
    unsafe {
        let joined = libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN, ring.as_ptr());
        assert!(joined > 0, "{}", std::io::Error::last_os_error());
        let added = libc::syscall(
            libc::SYS_add_key,
            c"user".as_ptr(),
            KEY.as_ptr(),
            c"token".as_ptr(),
            5,
            SESSION,
        );
        assert!(added > 0, "{}", std::io::Error::last_os_error());
    }
    panic!("{}", Command::new(program).args(rest).exec());
}

fn find_key() {
    // SAFETY: NUL-terminated strings and integers.
    let found = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_SEARCH,
            SESSION,
            c"user".as_ptr(),
            KEY.as_ptr(),
            0,
        )
    };
    match found {
        -1 => println!("{}", std::io::Error::last_os_error()),
        _ => println!("found"),
    }
}

fn push() {
    for fd in 0..3 {
        // SAFETY: an integer.
        print!("{} ", unsafe { libc::isatty(fd) });
    }
    let byte = b'x';
    // SAFETY: TIOCSTI reads one byte.
    match unsafe { libc::ioctl(0, libc::TIOCSTI as _, &raw const byte) } {
        0 => println!("pushed"),
        _ => println!("refused"),
    }
}
