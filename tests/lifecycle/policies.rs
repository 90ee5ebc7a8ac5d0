//! Restart policies (promise M9): the monitor starts the container again.

use crate::support::kill::Dice;
use crate::support::{Env, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;

fn run(env: &Env, policy: &str, script: &str) -> String {
    env.ok([
        "run",
        "-d",
        "--name",
        "box",
        "--restart",
        policy,
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        script,
    ])
}

fn field(env: &Env, template: &str) -> String {
    env.ok(["inspect", "-f", template, "box"])
}

fn state(env: &Env) -> String {
    env.ok(["ps", "-a", "--format", "{{.State}}"])
}

fn count(env: &Env) -> u32 {
    field(env, "{{.RestartCount}}").parse().unwrap()
}

fn process(env: &Env, id: &str, which: &str) -> Pid {
    let pid = env.record(id, "state")[which]["Pid"].as_i64().unwrap();
    Pid::from_raw(pid.try_into().unwrap())
}

/// Until it waits to be started again, for twice as long as all pauses before
/// took: 3 s after 6 runs, 13 s after 8.
fn until_restarting(env: &Env, runs: u32) {
    assert!(
        eventually(60, || count(env) >= runs && state(env) == "restarting"),
        "{} after {}",
        state(env),
        count(env)
    );
}

/// Policy, the statuses of its runs, how often it is restarted, and the state
/// and status that it ends with.
const CASES: &[(&str, &[i32], u32, &str, i32)] = &[
    ("no", &[0], 0, "exited", 0),
    ("no", &[3], 0, "exited", 3),
    ("always", &[0, 1, 137], 3, "running", 0),
    ("unless-stopped", &[0, 1], 2, "running", 0),
    ("on-failure", &[0], 0, "exited", 0),
    ("on-failure", &[1, 2, 0], 2, "exited", 0),
    ("on-failure:0", &[1, 0], 1, "exited", 0),
    ("on-failure:1", &[7, 8], 1, "exited", 8),
    ("on-failure:2", &[7, 8, 9], 2, "exited", 9),
    ("on-failure:3", &[7, 0], 1, "exited", 0),
];

#[test]
fn each_does_what_dockers_does() {
    let env = Env::busybox();
    for (policy, statuses, restarts, last, status) in CASES {
        // The nth run ends with the nth status; one more stays.
        let statuses: Vec<String> = statuses.iter().map(i32::to_string).collect();
        let script = format!(
            "set -- {}; n=$(cat /n 2>/dev/null || echo 0); echo $((n+1)) > /n; echo run $n; \
             shift $n 2>/dev/null && [ $# -gt 0 ] && exit $1; exec sleep 600",
            statuses.join(" ")
        );
        run(&env, policy, &script);
        let case = format!("{policy} {statuses:?}");
        assert!(
            eventually(20, || count(&env) == *restarts && state(&env) == *last),
            "{case}: {} restarts, {}",
            count(&env),
            state(&env)
        );
        assert_eq!(
            field(&env, "{{.State.ExitCode}}"),
            status.to_string(),
            "{case}"
        );
        assert!(eventually(10, || env.ok(["logs", "box"]).lines().count()
            == *restarts as usize + 1));
        env.ok(["rm", "-f", "box"]);
    }
}

/// Between two runs, by each command.
#[test]
fn commands_between_two_runs() {
    let env = Env::busybox();
    let restarting = "is restarting, wait until the container is running";
    let id = run(&env, "always", "exit 3");
    until_restarting(&env, 8);
    let shown = env.ok(["ps", "--format", "{{.Status}}"]);
    assert!(
        shown.starts_with("Restarting (3) ") && shown.ends_with(" ago"),
        "{shown}"
    );
    assert_eq!(
        field(
            &env,
            "{{.State.Running}} {{.State.Restarting}} {{.State.Pid}} {{.State.ExitCode}}"
        ),
        "true true 0 3"
    );
    for command in [
        &["exec", "box", "true"][..],
        &["top", "box"],
        &["pause", "box"],
    ] {
        env.wherry(command)
            .status(1)
            .says(&format!("Container {id} {restarting}"));
    }
    env.wherry(["rm", "box"])
        .status(1)
        .says("container is restarting: stop the container before removing or force remove");
    env.wherry(["unpause", "box"])
        .status(1)
        .says("is not paused");
    assert_eq!(env.ok(["start", "box"]), "box");
    env.ok(["rm", "-f", "box"]);
    assert_eq!(state(&env), "");
    // The end that is waited for is the next run's: after few runs it is near.
    run(&env, "always", "exit 3");
    until_restarting(&env, 3);
    assert_eq!(env.ok(["wait", "box"]), "3");
    env.ok(["rm", "-f", "box"]);
    // Two that end it for good, and one that begins anew.
    for (command, left) in [
        (&["stop", "box"][..], "exited"),
        (&["kill", "box"], "exited"),
        (&["kill", "-s", "HUP", "box"], "exited"),
    ] {
        let id = run(&env, "always", "exit 3");
        until_restarting(&env, 6);
        let monitor = process(&env, &id, "Monitor");
        env.ok(command);
        assert_eq!(state(&env), left, "{command:?}");
        assert_eq!(field(&env, "{{.State.ExitCode}}"), "3");
        assert!(
            eventually(10, || kill(monitor, None).is_err()),
            "{command:?}"
        );
        env.ok(["rm", "box"]);
    }
    run(&env, "always", "test -e /again && exec sleep 600; exit 3");
    until_restarting(&env, 6);
    env.ok(["rename", "box", "other"]);
    env.ok(["rename", "other", "box"]);
    env.ok(["restart", "box"]);
    assert!(count(&env) < 6);
}

/// What a person ends stays ended; what ends by itself, or of a signal that is
/// the program's own matter, does not.
#[test]
fn an_end_that_was_meant_is_one() {
    let env = Env::busybox();
    let script = "trap 'exit 5' TERM USR1; echo ready; while :; do sleep 0.05; done";
    let ready = |times: usize| eventually(20, || env.ok(["logs", "box"]).lines().count() == times);
    for command in [
        &["stop", "box"][..],
        &["kill", "box"],
        &["kill", "-s", "TERM", "box"],
    ] {
        run(&env, "always", script);
        assert!(ready(1));
        env.ok(command);
        assert!(eventually(10, || state(&env) == "exited"), "{command:?}");
        assert_eq!(count(&env), 0);
        // Started by hand the policy counts again.
        env.ok(["start", "box"]);
        assert!(ready(2));
        env.ok(["kill", "-s", "USR1", "box"]);
        assert!(ready(3), "{command:?}");
        assert_eq!(count(&env), 1);
        env.ok(["rm", "-f", "box"]);
        assert_eq!(state(&env), "");
    }
}

/// `wait` sees the end of a run, whatever follows it.
#[test]
fn wait_tells_the_status_of_a_run() {
    let env = Env::busybox();
    let script = "test -e /go && { sleep 0.2; exit 41; }; \
                  while [ ! -e /go ]; do sleep 0.02; done; exit 40";
    let id = run(&env, "always", script);
    let waiting = env.spawn(["wait", "box"]);
    let sign = env.path("data/wherry/containers").join(id).join("waiters");
    assert!(eventually(20, || sign.exists()));
    env.ok(["exec", "box", "touch", "/go"]);
    let out = waiting.wait_with_output().unwrap();
    // It may have begun to wait only for the next run.
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(["40\n", "41\n"].contains(&said.as_str()), "{said}");
    assert_eq!(env.ok(["wait", "box"]), "41");
}

/// Promise M1: killed between two runs, or beside one, the next command tells
/// how it was and can use it.
#[test]
fn a_killed_monitor_is_an_end() {
    let env = Env::busybox();
    let id = run(&env, "always", "exit 3");
    until_restarting(&env, 6);
    kill(process(&env, &id, "Monitor"), Signal::SIGKILL).unwrap();
    assert!(
        eventually(10, || state(&env) == "exited"),
        "{}",
        state(&env)
    );
    assert_eq!(
        field(&env, "{{.State.ExitCode}} {{.State.Restarting}}"),
        "3 false"
    );
    assert_eq!(env.ok(["wait", "box"]), "3");
    env.ok(["start", "box"]);
    assert!(eventually(20, || count(&env) >= 1));
    env.ok(["rm", "-f", "box"]);
    let mut dice = Dice::new();
    for n in 0..10 {
        let id = run(&env, "always", "sleep 0.05; exit 3");
        std::thread::sleep(dice.moment(Duration::from_millis(600)));
        kill(process(&env, &id, "Monitor"), Signal::SIGKILL).unwrap();
        assert!(
            eventually(10, || state(&env) == "exited"),
            "{n}: {}",
            state(&env)
        );
        env.ok(["start", "box"]);
        env.ok(["rm", "-f", "box"]);
        assert_eq!(state(&env), "", "{n}");
    }
}

/// A stop at any instant of many short runs is the last word.
#[test]
fn a_stop_at_any_instant_ends_it() {
    let env = Env::busybox();
    let mut dice = Dice::new();
    for n in 0..15 {
        let id = run(&env, "always", "exit 3");
        let monitor = process(&env, &id, "Monitor");
        std::thread::sleep(dice.moment(Duration::from_millis(700)));
        env.ok(["stop", "-t", "0", "box"]);
        assert_eq!(state(&env), "exited", "{n}");
        let before = count(&env);
        assert!(eventually(10, || kill(monitor, None).is_err()));
        assert_eq!(
            (count(&env), state(&env).as_str()),
            (before, "exited"),
            "{n}"
        );
        env.ok(["rm", "box"]);
    }
}

/// What cannot be started again is not tried for ever, and says why.
#[test]
fn a_run_that_cannot_start_is_the_end() {
    let env = Env::busybox();
    env.ok([
        "run",
        "-d",
        "--name",
        "box",
        "--restart",
        "always",
        "--network",
        "none",
        "busybox",
        "/bin/sh",
        "-c",
        "rm /bin/sh; exit 3",
    ]);
    assert!(eventually(20, || state(&env) == "exited"));
    assert!(
        field(&env, "{{.State.Error}}").contains("/bin/sh"),
        "{}",
        field(&env, "{{.State}}")
    );
    assert_eq!(field(&env, "{{.State.ExitCode}}"), "127");
}

/// Published ports, the way out and the files in /etc are there again.
#[test]
fn the_network_is_there_again() {
    let env = Env::busybox();
    env.ok([
        "run", "-d", "--name", "box", "--restart", "always", "-p", "127.0.0.1::80", "busybox",
        "sh", "-c",
        "echo run >> /runs; cp /runs /tmp/index; httpd -p 80 -h /tmp; ip -4 addr show eth0 | grep -c \" $(hostname -i)/\"; \
         grep -c \"^$(hostname -i)\" /etc/hosts; exec sleep 600",
    ]);
    let port = field(
        &env,
        "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}",
    );
    for runs in 1..4 {
        let answer = || {
            use std::io::{Read, Write};
            let mut text = String::new();
            let asked =
                std::net::TcpStream::connect(format!("127.0.0.1:{port}")).and_then(|mut s| {
                    s.write_all(b"GET /index HTTP/1.0\r\n\r\n")?;
                    s.read_to_string(&mut text)
                });
            asked.map_or(0, |_| text.matches("run").count())
        };
        assert!(eventually(30, || answer() == runs), "run {runs}");
        let wanted = ["1\n1"; 3][..runs].join("\n");
        assert!(
            eventually(20, || env.ok(["logs", "box"]) == wanted),
            "run {runs}"
        );
        let init: i32 = field(&env, "{{.State.Pid}}").parse().unwrap();
        assert!(init > 1);
        kill(Pid::from_raw(init), Signal::SIGKILL).unwrap();
    }
    assert!(eventually(20, || count(&env) >= 3));
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let env = Env::busybox();
    env.wherry(["run", "--rm", "--restart", "always", "busybox", "true"])
        .status(125)
        .says("conflicting options: cannot specify both --restart and --rm");
    env.wherry(["run", "--restart", "sometimes", "busybox", "true"])
        .status(125)
        .says("invalid restart policy: unknown policy 'sometimes'");
    assert_eq!(env.ok(["ps", "-aq"]), "");
}

/// An attached command ends with the first run, as Docker's does.
#[test]
fn an_attached_command_sees_one_run() {
    let env = Env::busybox();
    let out = env
        .wherry([
            "run",
            "--name",
            "box",
            "--restart",
            "on-failure:1",
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            "echo run; exit 3",
        ])
        .status(3);
    assert_eq!(out.text(), "run\n");
    assert!(eventually(20, || env.ok(["logs", "box"]) == "run\nrun"
        && state(&env) == "exited"));
}

mod alone {
    use super::*;

    #[test]
    fn nothing_is_left_behind() {
        let env = Env::busybox_alone();
        env.ok(["run", "--rm", "busybox", "true"]);
        let before = env.snapshot();
        env.ok([
            "run",
            "-d",
            "--name",
            "box",
            "--restart",
            "on-failure:2",
            "busybox",
            "sh",
            "-c",
            "exit 3",
        ]);
        assert!(eventually(30, || state(&env) == "exited" && count(&env) == 2));
        env.ok(["rm", "box"]);
        before.assert_same();
    }
}
