//! Runs one fuzz target in a process of its own, where memory has a limit and a
//! crash is seen from outside:
//!
//! ```text
//! fuzz_probe TARGET --seed N [--rounds N | --seconds N]
//! fuzz_probe TARGET --seeds DIR        writes the inputs it begins with
//! fuzz_probe TARGET FILE…              runs these inputs
//! ```
//!
//! In the package's directory. The input under way is in `$TMPDIR/TARGET.input`,
//! also when the process has died of it.

#[path = "../support/evil_tar.rs"]
#[allow(dead_code)]
mod evil_tar;
mod mutate;
mod targets;

use nix::time::{ClockId, clock_gettime};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// Bytes that all of it may allocate: unpackers have limits of up to 128 MiB.
const MEMORY: u64 = 512 << 20;
const CORPUS: &str = "tests/fuzz/corpus";

struct Runner {
    target: &'static Target,
    input: PathBuf,
    longest: Duration,
}

impl Runner {
    fn run(&mut self, data: &[u8], what: &str) {
        std::fs::write(&self.input, data).expect("the input can be kept");
        let began = worked();
        let done = catch_unwind(AssertUnwindSafe(|| (self.target.run)(data)));
        let took = worked().saturating_sub(began);
        self.longest = self.longest.max(took);
        // Far above what the largest input takes. Of the processor, not the clock:
        // a machine may be busy. What waits for ever is seen from outside.
        let slow = std::env::var("TEST_SLOW")
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(1);
        if done.is_err() || took > Duration::from_secs(10 * slow) {
            eprintln!(
                "{} fails with {what} after {took:?}: {}",
                self.target.name,
                data.escape_ascii()
            );
            std::process::exit(1);
        }
    }
}

/// Time of the processor so far.
fn worked() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
        .expect("a clock that there always is")
        .into()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some(target) = args
        .first()
        .and_then(|name| TARGETS.iter().find(|t| t.name == *name))
    else {
        let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
        eprintln!(
            "usage: fuzz_probe TARGET …, a target being one of {}",
            names.join(" ")
        );
        std::process::exit(2);
    };
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_DATA, MEMORY, MEMORY).expect("a limit of memory");
    let mut runner = Runner {
        target,
        input: std::env::temp_dir().join(format!("{}.input", target.name)),
        longest: Duration::ZERO,
    };
    match args[1..] {
        ["--seeds", dir] => write_seeds(target, Path::new(dir)),
        ["--seed", seed] => rounds(&mut runner, number(seed), target.rounds, None),
        ["--seed", seed, "--rounds", n] => rounds(&mut runner, number(seed), number(n), None),
        ["--seed", seed, "--seconds", n] => {
            rounds(
                &mut runner,
                number(seed),
                u64::MAX,
                Some(Duration::from_secs(number(n))),
            );
        }
        [] => panic!("--seed, --seeds or files"),
        ref files => {
            for file in files {
                runner.run(&std::fs::read(file).expect("a readable file"), file);
            }
        }
    }
    targets::place::Place::ours().remove();
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// The corpus as it is, then changes of it.
fn rounds(runner: &mut Runner, seed: u64, most: u64, time: Option<Duration>) {
    let seeds = mutate::seeds(runner.target, Path::new(CORPUS));
    for (n, data) in seeds.iter().enumerate() {
        runner.run(data, &format!("input {n} of its corpus"));
    }
    let (began, mut row, mut done) = (Instant::now(), mutate::Row(seed), 0);
    while done < most && time.is_none_or(|time| began.elapsed() < time) {
        let data = mutate::mutated(&seeds, runner.target.words, &mut row);
        runner.run(&data, &format!("mutation {done} of seed {seed}"));
        done += 1;
    }
    println!(
        "{}: {} inputs and {done} mutations, the longest took {:?}",
        runner.target.name,
        seeds.len(),
        runner.longest
    );
}

/// What is generated, for libFuzzer to begin with.
fn write_seeds(target: &'static Target, dir: &Path) {
    std::fs::create_dir_all(dir).expect("a directory for seeds");
    for (n, data) in mutate::seeds(target, Path::new(CORPUS)).iter().enumerate() {
        std::fs::write(dir.join(format!("seed-{n:04}")), data).expect("a seed is written");
    }
}
