//! Statuses are exact and no byte is lost (promises M3, M4, L1, L4).

use super::detached;
use crate::registry::noise;
use crate::support::env::{run, wait};
use crate::support::kill::Dice;
use crate::support::{Env, eventually, limit};
use std::io::{Read, Write};
use std::time::{Duration, Instant};

fn once<'a>(name: &'a str, script: &'a str) -> [&'a str; 9] {
    let network = "none";
    [
        "run",
        "--name",
        name,
        "--network",
        network,
        "busybox",
        "sh",
        "-c",
        script,
    ]
}

/// `run`, `wait` and `inspect` agree, whatever the number.
#[test]
fn statuses() {
    let env = Env::busybox();
    let mut dice = Dice::new();
    let mut codes: Vec<u64> = vec![0, 1, 2, 124, 125, 126, 127, 128, 129, 137, 143, 254, 255];
    codes.extend((0..12).map(|_| dice.below(256)));
    for code in codes {
        let script = format!("exit {code}");
        env.wherry(once("box", &script)).status(code as i32);
        assert_eq!(env.ok(["wait", "box"]), code.to_string());
        assert_eq!(
            super::field(&env, "box", "{{.State.ExitCode}}"),
            code.to_string()
        );
        env.ok(["rm", "box"]);
    }
}

#[test]
fn signals() {
    let env = Env::busybox();
    for (name, number) in [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ABRT", 6),
        ("KILL", 9),
        ("USR1", 10),
        ("SEGV", 11),
        ("USR2", 12),
        ("ALRM", 14),
        ("TERM", 15),
        ("RTMIN+4", 38),
    ] {
        // Without a handler only --init lets them end the program.
        let head = ["run", "-d", "--init", "--name", "box", "--network", "none"];
        env.ok([&head[..], &["busybox", "sleep", "600"]].concat());
        let program = || {
            env.ok(["exec", "box", "ps", "-o", "comm"])
                .contains("sleep")
        };
        assert!(eventually(5, program));
        env.ok(["kill", "-s", name, "box"]);
        assert_eq!(
            env.ok(["wait", "box"]),
            (128 + number).to_string(),
            "{name}"
        );
        env.ok(["rm", "box"]);
    }
}

/// What is written just before the exit arrives, on the stream and in the log.
#[test]
fn a_mebibyte_at_the_end() {
    let env = Env::busybox();
    let head = ["run", "--rm", "--network", "none", "busybox", "sh", "-c"];
    let script = "head -c 1048576 /dev/zero; head -c 65537 /dev/zero >&2";
    for n in 0..100 {
        let out = env.wherry([&head[..], &[script]].concat()).ok();
        let lengths = (out.stdout.len(), out.stderr.len());
        assert_eq!(lengths, (1_048_576, 65537), "run {n}");
    }
    for n in 0..10 {
        env.wherry(once("box", script)).ok();
        let out = env.wherry(["logs", "box"]).ok();
        let lengths = (out.stdout.len(), out.stderr.len());
        assert_eq!(lengths, (1_048_576, 65537), "log {n}");
        env.ok(["rm", "box"]);
    }
}

#[test]
fn fifty_megabytes_through_cat() {
    let env = Env::busybox();
    let bytes = noise(50 << 20);
    for args in [
        &[
            "run",
            "--rm",
            "-i",
            "--log-driver",
            "none",
            "--network",
            "none",
            "busybox",
            "cat",
        ][..],
        &[
            "run",
            "--rm",
            "-i",
            "--log-driver",
            "none",
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            "cat >&2",
        ],
    ] {
        let out = run(env.wherry_command(args.iter().copied()), &bytes, 120).ok();
        let back = if args.len() == 9 {
            out.stdout
        } else {
            out.stderr
        };
        assert!(
            back == bytes,
            "{} bytes in, {} out",
            bytes.len(),
            back.len()
        );
    }
}

/// All bytes, in the log too.
#[test]
fn noise_through_exec_and_the_log() {
    let env = Env::busybox();
    let bytes = noise(3 << 20);
    let head = ["run", "-i", "--name", "box", "--network", "none"];
    let out = run(
        env.wherry_command([&head[..], &["busybox", "cat"]].concat()),
        &bytes,
        60,
    );
    assert!(out.ok().stdout == bytes);
    env.ok(["start", "box"]);
    env.ok(["rm", "-f", "box"]);
    detached(&env, "box", &["sleep", "600"]);
    let out = run(env.wherry_command(["exec", "-i", "box", "cat"]), &bytes, 60).ok();
    assert!(out.stdout == bytes, "{} bytes came back", out.stdout.len());
    env.ok(["rm", "-f", "box"]);
}

/// A reader that is slow holds the container back, loses nothing, and costs
/// the monitor no memory.
#[test]
fn a_slow_reader() {
    let env = Env::busybox();
    let script = "i=0; while [ $i -lt 64 ]; do head -c 1048576 /dev/zero; i=$((i+1)); \
                  echo $i >/progress; done";
    let mut child = env.spawn(once("box", script));
    let mut output = child.stdout.take().unwrap();
    let mut first = [0; 1000];
    output.read_exact(&mut first).unwrap();
    let progress = || -> u32 {
        let text = env.wherry(["exec", "box", "cat", "/progress"]).text();
        text.trim().parse().unwrap_or(0)
    };
    std::thread::sleep(Duration::from_millis(500));
    let then = progress();
    assert!(then < 32, "{then} MiB went somewhere");
    let id = super::field(&env, "box", "{{.Id}}");
    let monitor = super::process(&env, &id, "Monitor");
    let status = std::fs::read_to_string(format!("/proc/{monitor}/status")).unwrap();
    let resident = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let kib: u64 = resident
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .trim()
        .parse()
        .unwrap();
    assert!(kib < 4096, "the monitor keeps {kib} KiB");
    // Others are not held back.
    assert_eq!(env.ok(["exec", "box", "echo", "hi"]), "hi");
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len() + first.len(), 64 << 20);
    assert_eq!(wait(&mut child, 20), Some(0));
    env.ok(["rm", "box"]);
}

/// One that reads nothing at all does not keep the container from ending.
#[test]
fn a_reader_that_hangs() {
    let env = Env::busybox();
    let mut child = env.spawn(once("box", "while :; do head -c 65536 /dev/zero; done"));
    assert!(eventually(5, || super::state(&env, "box") == "running"));
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    env.ok(["rm", "-f", "box"]);
    assert!(began.elapsed() < limit(15), "{:?}", began.elapsed());
    assert_eq!(super::state(&env, "box"), "");
    let mut output = child.stdout.take().unwrap();
    std::io::copy(&mut output, &mut std::io::sink()).unwrap();
    assert!(wait(&mut child, 10).is_some());
}

/// A container that does not read its input is no reason to keep it in memory
/// or to miss its end.
#[test]
fn input_that_nobody_reads() {
    let env = Env::busybox();
    let head = ["run", "--rm", "-i", "--network", "none", "busybox"];
    let mut child = env.spawn([&head[..], &["sleep", "1"]].concat());
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let mut written = 0;
        while input.write_all(&[7; 65536]).is_ok() && written < 1024 {
            written += 1;
        }
        written
    });
    assert_eq!(wait(&mut child, 20), Some(0));
    let written = writer.join().unwrap();
    assert!(written < 64, "{written} blocks were taken");
}
