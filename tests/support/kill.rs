//! kill -9 at an instant: a random one that can be repeated by its seed, or
//! the nth call of a system call.

use super::env::wait;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A row of random numbers that its seed repeats (SplitMix64).
pub struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// From `WHERRY_SEED`, else from the clock; the seed is printed, and the
    /// test harness shows it when the test fails.
    pub fn new() -> Self {
        let seed = match std::env::var("WHERRY_SEED") {
            Ok(text) => text.parse().expect("WHERRY_SEED is a number"),
            Err(_) => std::time::UNIX_EPOCH
                .elapsed()
                .map_or(1, |t| u64::from(t.subsec_nanos())),
        };
        println!("repeat with WHERRY_SEED={seed}");
        Self { seed, state: seed }
    }

    /// Another row that follows from this one: for a second thread.
    pub fn branch(&mut self) -> Self {
        let seed = self.next();
        Self { seed, state: seed }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub fn moment(&mut self, longest: Duration) -> Duration {
        Duration::from_nanos(self.below(longest.as_nanos() as u64))
    }
}

/// The time to kill within. It follows what the tries show: later ones are
/// quicker than the one it was measured by, and a machine is not always as busy.
pub struct Aim(Duration);

impl Aim {
    pub fn within(longest: Duration) -> Self {
        Self(longest)
    }

    pub fn moment(&self, dice: &mut Dice) -> Duration {
        dice.moment(self.0)
    }

    pub fn learn(&mut self, was_killed: bool) {
        self.0 = match was_killed {
            true => self.0.mul_f64(1.1),
            false => self.0.mul_f64(0.9).max(Duration::from_micros(300)),
        };
    }
}

/// How a command fared that was to be killed.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Killed,
    /// It had ended by itself before, with this status.
    Before(i32),
}

/// Starts the command and kills it (not what it started) after `delay`.
pub fn after(mut command: Command, delay: Duration) -> End {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child: Child = command.spawn().expect("the command starts");
    let end = Instant::now() + delay;
    while Instant::now() < end {
        std::thread::sleep(end.saturating_duration_since(Instant::now()).min(delay / 4));
    }
    // Until it is reaped the pid cannot be another's.
    if let Some(status) = child.try_wait().expect("our own child") {
        return End::Before(status.code().unwrap_or(-1));
    }
    child.kill().expect("our own child");
    match wait(&mut child, 10).expect("a killed process ends") {
        137 => End::Killed,
        status => End::Before(status),
    }
}

/// Runs the command such that its process (and each that it starts) dies by
/// SIGKILL when it enters `syscall` for the nth time, n from 1.
pub fn at_syscall(command: &Command, syscall: &str, n: u32) -> Command {
    inject(command, syscall, &format!("signal=KILL:when={n}"))
}

/// Runs the command such that its nth `syscall` begins only after `seconds`.
pub fn delay_syscall(command: &Command, syscall: &str, seconds: u32, n: u32) -> Command {
    let what = format!("delay_enter={}:when={n}", u64::from(seconds) * 1_000_000);
    inject(command, syscall, &what)
}

/// Runs the command such that the nth `syscall` fails with `errno` (ENOSPC, …).
pub fn fail_syscall(command: &Command, syscall: &str, errno: &str, n: u32) -> Command {
    inject(command, syscall, &format!("error={errno}:when={n}"))
}

fn inject(command: &Command, syscall: &str, what: &str) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("trace={syscall}"))
        .arg("-e")
        .arg(format!("inject={syscall}:{what}"))
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            strace.env(name, value);
        }
    }
    if let Some(dir) = command.get_current_dir() {
        strace.current_dir(dir);
    }
    strace
}

mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_row() {
        let row = |seed| {
            let mut dice = Dice { seed, state: seed };
            [(); 5].map(|()| dice.below(1000))
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
    }

    #[test]
    fn kills_or_lets_end() {
        let mut sleep = Command::new("sleep");
        sleep.arg("60");
        assert_eq!(after(sleep, Duration::from_millis(20)), End::Killed);
        assert_eq!(
            after(Command::new("false"), Duration::from_millis(500)),
            End::Before(1)
        );
    }

    #[test]
    fn hits_a_system_call() {
        use std::os::unix::process::ExitStatusExt;
        let mut cat = Command::new("/bin/cat");
        cat.arg("/dev/null");
        let killed = at_syscall(&cat, "openat", 1).status().unwrap();
        assert_eq!(killed.signal(), Some(9), "{killed:?}");
        let failed = fail_syscall(&cat, "fadvise64,fstat,newfstatat,read,openat", "EIO", 1);
        assert!(!{ failed }.stderr(Stdio::null()).status().unwrap().success());
        assert!(at_syscall(&cat, "openat", 1000).status().unwrap().success());
    }
}
