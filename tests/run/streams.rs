//! Three pipes: separate, binary-safe, closed when they should be.

use crate::support::Env;
use crate::support::env::wait;
use std::io::{Read, Write};

fn every_byte(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 7 % 256) as u8).collect()
}

#[test]
fn input_comes_back_and_its_end_is_passed_on() {
    let env = Env::busybox();
    for count in [0, 1, 4096, 3_000_000] {
        let bytes = every_byte(count);
        let out = env
            .wherry_with(["run", "--rm", "-i", "busybox", "cat"], &bytes)
            .ok();
        assert!(
            out.stdout == bytes,
            "{count} bytes in, {} out",
            out.stdout.len()
        );
    }
}

#[test]
fn without_i_the_input_is_empty() {
    let env = Env::busybox();
    let out = env
        .wherry_with(["run", "--rm", "busybox", "cat"], b"not for it")
        .ok();
    assert_eq!(out.text(), "");
}

#[test]
fn outputs_are_two() {
    let env = Env::busybox();
    let out = env
        .wherry([
            "run",
            "--rm",
            "busybox",
            "sh",
            "-c",
            "echo out; echo err >&2",
        ])
        .ok();
    assert_eq!((out.text(), out.errors()), ("out\n".into(), "err\n".into()));
}

/// Promise M4: what is written before the exit arrives.
#[test]
fn nothing_is_lost_at_the_end() {
    let env = Env::busybox();
    let script = "head -c 1048576 /dev/zero >&2 & head -c 1048577 /dev/zero; wait";
    for _ in 0..5 {
        let out = env
            .wherry(["run", "--rm", "busybox", "sh", "-c", script])
            .ok();
        assert_eq!((out.stdout.len(), out.stderr.len()), (1_048_577, 1_048_576));
    }
}

#[test]
fn talks_back_and_forth() {
    let env = Env::busybox();
    let script = "while read word; do echo \"you said $word\"; done";
    let mut child = env.spawn(["run", "--rm", "-i", "busybox", "sh", "-c", script]);
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    for word in ["one", "two", "three"] {
        input.write_all(format!("{word}\n").as_bytes()).unwrap();
        let want = format!("you said {word}\n");
        let mut answer = vec![0; want.len()];
        output.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), want);
    }
    drop(input);
    assert_eq!(wait(&mut child, 20), Some(0));
}

#[test]
fn a_reader_that_goes_away_is_no_hang() {
    let env = Env::busybox();
    let mut child = env.spawn([
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "while echo y; do :; done",
    ]);
    let mut some = [0; 1000];
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut some).unwrap();
    drop(output);
    let ended = wait(&mut child, 20);
    let _ = child.kill();
    assert!(ended.is_some(), "run goes on without a reader");
}

#[test]
fn signals_are_passed_on() {
    let env = Env::busybox();
    for (signal, name, status) in [
        (libc::SIGTERM, "TERM", 7),
        (libc::SIGINT, "INT", 8),
        (libc::SIGUSR1, "USR1", 9),
    ] {
        let script =
            format!("trap 'exit {status}' {name}; echo ready; while :; do sleep 0.05; done");
        let mut child = env.spawn(["run", "--rm", "busybox", "sh", "-c", &script]);
        let mut ready = [0; 6];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut ready)
            .unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
        let signal = nix::sys::signal::Signal::try_from(signal).unwrap();
        nix::sys::signal::kill(pid, signal).unwrap();
        assert_eq!(wait(&mut child, 20), Some(status), "{name}");
    }
}
