//! The few facts that we read of /proc, without allocation where it is hot.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use std::ffi::CStr;
use std::io::Write;

/// A process that cannot be mistaken for another one: pid and start time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Process {
    pub pid: i32,
    /// Clock ticks since boot, field 22 of /proc/PID/stat (proc_pid_stat(5)).
    pub start_time: u64,
}

impl Process {
    /// The process that has `pid` now.
    pub fn of(pid: i32) -> Option<Self> {
        let start_time = start_time(pid)?;
        Some(Self { pid, start_time })
    }

    /// This process. Looked up once; a fork looks again.
    pub fn me() -> Self {
        use std::sync::Mutex;
        static ME: Mutex<Option<Process>> = Mutex::new(None);
        let pid = std::process::id() as i32;
        let mut me = ME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match *me {
            Some(process) if process.pid == pid => process,
            _ => *me.insert(Self::of(pid).unwrap_or_default()),
        }
    }

    /// Whether it still runs (a zombie does not).
    pub fn lives(&self) -> bool {
        self.pid > 0 && start_time(self.pid) == Some(self.start_time)
    }

    /// Whether it lives and has executed a program since it was forked: its
    /// flags (field 9 of /proc/PID/stat, `F` of ps(1)) have PF_FORKNOEXEC until
    /// then.
    pub fn has_executed(&self) -> bool {
        const PF_FORKNOEXEC: u64 = 0x40;
        let stat = (self.pid > 0).then(|| stat(self.pid)).flatten();
        stat.is_some_and(|stat| {
            stat.start_time == self.start_time && stat.flags & PF_FORKNOEXEC == 0
        })
    }
}

/// What we want of /proc/PID/stat.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    flags: u64,
    start_time: u64,
}

/// Start time of `pid` in clock ticks since boot (field 22 of
/// /proc/PID/stat), or `None` when there is no such process or it is a zombie.
pub fn start_time(pid: i32) -> Option<u64> {
    stat(pid).map(|stat| stat.start_time)
}

fn stat(pid: i32) -> Option<Stat> {
    let mut path = [0u8; 32];
    write!(&mut path[..], "/proc/{pid}/stat").ok()?;
    let path = CStr::from_bytes_until_nul(&path).ok()?;
    let mut text = [0u8; 1024];
    let n = read_small(path, &mut text).ok()?;
    parse_stat(&text[..n])
}

/// Fields follow the last `)`, because the command's name may hold any byte.
fn parse_stat(stat: &[u8]) -> Option<Stat> {
    let end = stat.iter().rposition(|&b| b == b')')?;
    let mut fields = stat[end + 1..]
        .split(|&b| b == b' ')
        .filter(|f| !f.is_empty());
    let state = fields.next()?;
    if state == b"Z" || state == b"X" {
        return None;
    }
    let number = |field: &[u8]| std::str::from_utf8(field).ok()?.trim().parse().ok();
    Some(Stat {
        flags: number(fields.nth(5)?)?,
        start_time: number(fields.nth(12)?)?,
    })
}

/// The identifier of this boot: 36 characters. Read once: lists ask for it
/// once per container.
pub fn boot_id() -> nix::Result<String> {
    static KNOWN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    if let Some(id) = KNOWN.get() {
        return Ok(id.clone());
    }
    let mut text = [0u8; 64];
    let n = read_small(c"/proc/sys/kernel/random/boot_id", &mut text)?;
    let id = String::from_utf8_lossy(&text[..n]).trim().to_string();
    Ok(KNOWN.get_or_init(|| id).clone())
}

/// Reads a small file in one go.
fn read_small(path: &CStr, buffer: &mut [u8]) -> nix::Result<usize> {
    let fd = nix::fcntl::open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    loop {
        match nix::unistd::read(&fd, buffer) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_of_hostile_names() {
        let stat = b"42 (a) R ) 1) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 0 0";
        let parsed = Stat {
            flags: 4_194_560,
            start_time: 987_654,
        };
        assert_eq!(parse_stat(stat), Some(parsed));
        let zombie = b"42 (x) Z 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 0 0";
        assert_eq!(parse_stat(zombie), None);
        assert_eq!(parse_stat(b"42 (x"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn we_have_a_start_time_and_a_boot() {
        assert!(start_time(std::process::id() as i32).is_some());
        assert_eq!(start_time(i32::MAX), None);
        assert_eq!(boot_id().unwrap().len(), 36);
    }

    #[test]
    fn a_fork_has_executed_nothing_yet() {
        assert!(Process::me().has_executed());
        assert!(!Process::default().has_executed());
        // SAFETY: the child of this process with many threads only waits.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            loop {
                // SAFETY: no arguments.
                unsafe { libc::pause() };
            }
        }
        let child = Process::of(pid).unwrap();
        assert!(child.lives() && !child.has_executed());
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL).unwrap();
        nix::sys::wait::waitpid(pid, None).unwrap();
        assert!(!child.lives() && !child.has_executed());
    }
}
