//! kill -9 and kill -STOP of the monitor in every phase of a container's life
//! (promises M1, M7, K8, K9; the phases of reliability 1h).
//!
//! With its monitor a container loses the reader of its output. What it
//! writes then fails with EPIPE: pid 1 is immune to SIGPIPE and goes on, other
//! processes end of it unless they ignore it. Nothing blocks.

use super::{detached, field, process, send, state};
use crate::support::env::wait;
use crate::support::kill::{Aim, Dice};
use crate::support::{Env, eventually};
use nix::sys::signal::Signal;
use std::io::Read;
use std::time::{Duration, Instant};

fn lose_monitor(env: &Env, name: &str) {
    let id = field(env, name, "{{.Id}}");
    send(process(env, &id, "Monitor"), Signal::SIGKILL);
    assert!(eventually(5, || is_lost(env, name)), "the loss is not seen");
}

fn is_lost(env: &Env, name: &str) -> bool {
    field(env, name, "{{json .State}}").contains("\"MonitorLost\":true")
}

#[test]
fn killed_while_running() {
    let env = Env::busybox();
    detached(&env, "box", &["sh", "-c", "echo before; sleep 600"]);
    assert!(eventually(5, || env.ok(["logs", "box"]) == "before"));
    lose_monitor(&env, "box");
    assert_eq!(state(&env, "box"), "running");
    assert_eq!(field(&env, "box", "{{.State.Running}}"), "true");
    assert_eq!(env.ok(["exec", "box", "echo", "alive"]), "alive");
    assert_eq!(env.ok(["logs", "box"]), "before");
    env.wherry(["rm", "box"]).status(1).says("is running");
    // Signals arrive, and an end that nobody saw is Docker's 255.
    env.ok(["kill", "-s", "USR1", "box"]);
    let mut waiting = env.spawn(["wait", "box"]);
    let began = Instant::now();
    env.ok(["stop", "-t", "1", "box"]);
    assert!(
        began.elapsed() < crate::support::limit(8),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(wait(&mut waiting, 5), Some(0));
    let mut code = String::new();
    waiting
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut code)
        .unwrap();
    assert_eq!(code, "255\n");
    assert_eq!(state(&env, "box"), "exited");
    assert_eq!(field(&env, "box", "{{.State.ExitCode}}"), "255");
    env.ok(["start", "box"]);
    assert!(!is_lost(&env, "box"));
    assert!(eventually(5, || env.ok(["logs", "box"]) == "before\nbefore"));
    env.ok(["rm", "-f", "box"]);
    assert_eq!(state(&env, "box"), "");
}

/// Also with a way out and a published port, which end with the container.
#[test]
fn killed_and_the_container_removed() {
    let env = Env::busybox_alone();
    let run = |name: &str| {
        let head = ["run", "-d", "--name", name, "-p", "127.0.0.1::80"];
        env.ok([&head[..], &["busybox", "sleep", "600"]].concat())
    };
    run("first");
    env.ok(["rm", "-f", "first"]);
    let before = env.snapshot();
    for last in [&["rm", "-f", "box"][..], &["kill", "box"]] {
        run("box");
        lose_monitor(&env, "box");
        env.ok(last.iter().copied());
        assert!(eventually(5, || state(&env, "box") != "running"));
        env.wherry(["rm", "box"]);
        assert_eq!(state(&env, "box"), "");
    }
    before.assert_same();
}

/// The container's output has no reader any more: it goes on all the same.
#[test]
fn killed_during_a_burst_of_output() {
    let env = Env::busybox();
    let script = "i=0; while :; do i=$((i+1)); echo line $i; echo $i >/progress; done 2>/dev/null";
    detached(&env, "box", &["sh", "-c", script]);
    let progress = || -> u64 {
        let text = env.ok(["exec", "box", "cat", "/progress"]);
        text.trim().parse().unwrap_or(0)
    };
    assert!(eventually(5, || progress() > 100));
    lose_monitor(&env, "box");
    let then = progress();
    // The file may be empty just now, on a busy machine for a while.
    assert!(
        eventually(20, || progress() > then + 100),
        "it hangs at {then}"
    );
    // Whole lines in order, and no damage.
    let log = env.ok(["logs", "box"]);
    for (n, line) in log.lines().enumerate() {
        assert_eq!(line, format!("line {}", n + 1));
    }
    assert!(log.lines().count() > 100);
    let began = Instant::now();
    env.ok(["stop", "-t", "1", "box"]);
    assert!(began.elapsed() < crate::support::limit(8));
    assert_eq!(
        env.ok(["logs", "-n", "1", "box"]),
        log.lines().last().unwrap()
    );
    env.ok(["rm", "box"]);
}

/// A child of pid 1 that writes ends of SIGPIPE; it does not block for ever.
#[test]
fn killed_under_a_pipeline() {
    let env = Env::busybox();
    let script = "yes; echo $? >/status; sleep 600";
    detached(&env, "box", &["sh", "-c", script]);
    lose_monitor(&env, "box");
    let ended = || env.wherry(["exec", "box", "cat", "/status"]).text();
    assert!(eventually(5, || !ended().is_empty()), "yes blocks");
    // 128 + SIGPIPE, or the error that it wrote about.
    assert!(["141\n", "1\n"].contains(&ended().as_str()), "{}", ended());
    env.ok(["rm", "-f", "box"]);
}

#[test]
fn killed_while_stopping() {
    let env = Env::busybox();
    for patience in ["1", "2"] {
        let id = detached(
            &env,
            "box",
            &["sh", "-c", "trap '' TERM; while :; do sleep 1; done"],
        );
        let mut stopping = env.spawn(["stop", "-t", patience, "box"]);
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        send(process(&env, &id, "Monitor"), Signal::SIGKILL);
        assert_eq!(wait(&mut stopping, 10), Some(0));
        assert!(
            began.elapsed() < crate::support::limit(6),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(state(&env, "box"), "exited");
        env.ok(["rm", "box"]);
    }
}

#[test]
fn killed_around_the_end() {
    let env = Env::busybox();
    let mut dice = Dice::new();
    let mut aim = Aim::within(Duration::from_millis(60));
    let (mut seen, mut unseen) = (0, 0);
    for n in 0..30 {
        let id = detached(&env, "box", &["sh", "-c", "sleep 0.05; exit 7"]);
        // It may have ended by itself, before or after this look.
        let monitor = env.record(&id, "state")["Monitor"]["Pid"].as_i64();
        std::thread::sleep(aim.moment(&mut dice));
        if let Some(pid) = monitor {
            let _ = wherry::sys::signal::kill(pid as i32, libc::SIGKILL);
        }
        let what = format!("kill {n} of seed {}", dice.seed());
        let code = env.ok(["wait", "box"]);
        assert!(["7", "255"].contains(&code.as_str()), "{what}: {code}");
        aim.learn(code != "7");
        if code == "7" {
            seen += 1
        } else {
            unseen += 1
        }
        assert_eq!(state(&env, "box"), "exited", "{what}");
        assert_eq!(field(&env, "box", "{{.State.ExitCode}}"), code, "{what}");
        env.ok(["rm", "box"]);
    }
    println!("{seen} ends were written down, {unseen} were not");
    assert!(unseen > 0, "no monitor was killed in time");
}

#[test]
fn killed_together_with_init() {
    let env = Env::busybox();
    for _ in 0..10 {
        let id = detached(&env, "box", &["sleep", "600"]);
        let pids = [process(&env, &id, "Monitor"), process(&env, &id, "Init")];
        for pid in pids {
            send(pid, Signal::SIGKILL);
        }
        assert!(eventually(5, || state(&env, "box") == "exited"));
        assert_eq!(env.ok(["wait", "box"]), "255");
        env.ok(["start", "box"]);
        assert_eq!(state(&env, "box"), "running");
        env.ok(["rm", "-f", "box"]);
    }
}

#[test]
fn killed_under_an_attached_command() {
    let env = Env::busybox();
    let script = "echo ready; sleep 600";
    let args = [
        "run",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    let mut child = env.spawn(args);
    let mut ready = [0; 6];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut ready)
        .unwrap();
    lose_monitor(&env, "box");
    assert_eq!(wait(&mut child, 10), Some(125));
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.contains("the container's monitor was killed"),
        "{said}"
    );
    assert_eq!(state(&env, "box"), "running");
    env.ok(["rm", "-f", "box"]);
}

/// Nobody waits for a monitor that does nothing any more.
#[test]
fn stopped_for_ever() {
    let env = Env::busybox();
    let id = detached(&env, "box", &["sleep", "600"]);
    let monitor = process(&env, &id, "Monitor");
    send(monitor, Signal::SIGSTOP);
    let began = Instant::now();
    assert_eq!(state(&env, "box"), "running");
    assert_eq!(env.ok(["exec", "box", "echo", "alive"]), "alive");
    assert!(began.elapsed() < crate::support::limit(5));
    env.ok(["rm", "-f", "box"]);
    assert!(
        began.elapsed() < crate::support::limit(15),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(state(&env, "box"), "");
    let gone = || !std::path::Path::new(&format!("/proc/{monitor}")).exists();
    assert!(eventually(5, gone), "the monitor is still there");
}

/// Promise K9: it keeps nobody waiting, and holds what it needs alone.
#[test]
fn holds_no_lock() {
    let env = Env::busybox();
    let id = detached(&env, "box", &["sleep", "600"]);
    let monitor = process(&env, &id, "Monitor");
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let its = |line: &&str| line.split_whitespace().nth(4) == Some(&monitor.to_string());
    assert_eq!(locks.lines().find(its), None);
    // pidfd, three of the streams, log, socket or none, root, the stub.
    let count = std::fs::read_dir(format!("/proc/{monitor}/fd")).map(Iterator::count);
    if let Ok(count) = count {
        assert!(count <= 12, "{count} descriptors are open");
    }
    env.ok(["rm", "-f", "box"]);
}
