//! kill -9 of wherry's own processes: the next command tells the truth and
//! works.

use crate::support::kill::{self, Dice};
use crate::support::{Env, eventually};
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use std::io::Read;
use std::time::Duration;

fn pid_of(env: &Env, id: &str, which: &str) -> Pid {
    let pid = env.record(id, "state")[which]["Pid"].as_i64().unwrap();
    Pid::from_raw(pid.try_into().unwrap())
}

fn state(env: &Env) -> String {
    env.ok(["ps", "-a", "--format", "{{.State}}"])
}

#[test]
fn of_the_monitor_leaves_a_container_that_obeys() {
    let env = Env::busybox();
    for last in [
        &["stop", "-t", "0", "box"][..],
        &["kill", "box"],
        &["rm", "-f", "box"],
    ] {
        let id = env.ok([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "busybox",
            "sleep",
            "600",
        ]);
        send(pid_of(&env, &id, "Monitor"), Signal::SIGKILL).unwrap();
        assert_eq!(state(&env), "running");
        assert_eq!(env.ok(["exec", "box", "echo", "alive"]), "alive");
        env.ok(last.iter().copied());
        assert!(
            eventually(5, || ["exited", ""].contains(&state(&env).as_str())),
            "{}",
            state(&env)
        );
        env.ok(["rm", "-f", "box"]);
        assert_eq!(state(&env), "");
    }
}

#[test]
fn of_the_monitor_and_the_container_is_an_end() {
    let env = Env::busybox();
    let id = env.ok([
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sleep",
        "600",
    ]);
    let (monitor, init) = (pid_of(&env, &id, "Monitor"), pid_of(&env, &id, "Init"));
    send(monitor, Signal::SIGKILL).unwrap();
    send(init, Signal::SIGKILL).unwrap();
    assert!(eventually(5, || state(&env) == "exited"));
    assert_eq!(env.ok(["wait", "box"]), "255");
    env.ok(["start", "box"]);
    assert_eq!(state(&env), "running");
    env.ok(["rm", "-f", "box"]);
}

#[test]
fn of_the_command_leaves_the_container_running() {
    let env = Env::busybox();
    let script = "echo ready; exec sleep 600";
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
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(env.ok(["exec", "box", "echo", "alive"]), "alive");
    env.ok(["rm", "-f", "box"]);
}

/// Promise C1, a sample of it.
#[test]
fn at_any_instant_leaves_what_the_next_command_can_use() {
    let env = Env::busybox();
    let mut dice = Dice::new();
    for n in 0..40 {
        let name = format!("k{n}");
        let run = env.wherry_command([
            "run",
            "--rm",
            "--name",
            &name,
            "--network",
            "none",
            "busybox",
            "sleep",
            "0.02",
        ]);
        let moment = dice.moment(Duration::from_millis(60));
        kill::after(run, moment);
        env.ok(["ps", "-a"]);
        assert_eq!(
            env.ok([
                "run",
                "--rm",
                "--network",
                "none",
                "busybox",
                "echo",
                "well"
            ]),
            "well",
            "{n}: killed after {moment:?}"
        );
    }
    assert!(eventually(20, || {
        let left = env.ok(["ps", "-aq"]);
        left.is_empty()
            || env
                .wherry(["rm", "-f"].into_iter().chain(left.split_whitespace()))
                .status
                == 0
    }));
    assert_eq!(env.ok(["ps", "-aq"]), "");
}
