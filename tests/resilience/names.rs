//! Many callers, one container (promises K2, K4).

use super::{data, detached, state};
use crate::support::env::Output;
use crate::support::{Env, eventually};

/// Runs the command so many times at once.
fn at_once(env: &Env, times: usize, args: &[&str]) -> Vec<Output> {
    std::thread::scope(|scope| {
        let start = || scope.spawn(|| env.wherry(args.iter().copied()));
        let running: Vec<_> = (0..times).map(|_| start()).collect();
        running.into_iter().map(|r| r.join().unwrap()).collect()
    })
}

fn fifty(env: &Env, what: &str) {
    let args = [
        "run",
        "-d",
        "--name",
        "one",
        "--network",
        "none",
        "busybox",
        "sleep",
        "600",
    ];
    let (won, lost): (Vec<_>, Vec<_>) = at_once(env, 50, &args)
        .into_iter()
        .partition(|out| out.status == 0);
    assert_eq!(won.len(), 1, "{what}: {} have won", won.len());
    for out in lost {
        out.status(125)
            .says("Conflict. The container name \"/one\" is already in use by container \"");
    }
    assert_eq!(
        env.ok(["ps", "-a", "--format", "{{.Names}}"]),
        "one",
        "{what}"
    );
    let id = won[0].text();
    assert_eq!(super::field(env, "one", "{{.Id}}"), id.trim(), "{what}");
    env.ok(["rm", "-f", "one"]);
    assert!(!data(env, "names/one").exists());
}

#[test]
fn a_name_is_given_once() {
    let env = Env::busybox();
    for round in 0..3 {
        fifty(&env, &format!("round {round}"));
    }
}

/// Left by a command that was killed, or by a container that is gone.
#[test]
fn a_name_that_was_left_is_given_once() {
    let env = Env::busybox();
    detached(&env, "other", &["true"]);
    env.ok(["rm", "-f", "other"]);
    let nobody = "0123456789abcdef".repeat(4);
    for content in [
        format!("{nobody} 2147483647.1"),
        String::new(),
        "\0".repeat(70),
        "garbage".into(),
    ] {
        std::fs::write(data(&env, "names/one"), &content).unwrap();
        fifty(&env, &format!("{content:?}"));
    }
}

/// It is free as soon as its container is gone, and never before.
#[test]
fn a_name_is_handed_on() {
    let env = Env::busybox();
    let args = [
        "run",
        "--rm",
        "--name",
        "one",
        "--network",
        "none",
        "busybox",
        "true",
    ];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let env = &env;
            scope.spawn(move || {
                for _ in 0..15 {
                    let again = eventually(20, || {
                        let out = env.wherry(args);
                        if out.status != 0 {
                            out.status(125)
                                .says("Conflict. The container name \"/one\"");
                            return false;
                        }
                        true
                    });
                    assert!(again, "the name does not become free");
                }
            });
        }
    });
    assert!(eventually(5, || env.ok(["ps", "-aq"]).is_empty()));
    let names = std::fs::read_dir(data(&env, "names")).unwrap().count();
    assert_eq!(names, 0);
}

const CALLERS: usize = 20;

fn assert_each(outputs: Vec<Output>, legal: &[&str]) {
    for out in outputs {
        let told = out.errors();
        let known = legal.iter().any(|text| told.contains(text));
        assert!(out.status == 0 || (out.status == 1 && known), "{out}");
    }
}

#[test]
fn twenty_callers_stop_kill_and_remove() {
    let env = Env::busybox();
    let gone = ["No such container: box"];
    let over = ["No such container: box", "is not running"];
    for (args, legal) in [
        (&["stop", "-t", "0", "box"][..], &gone[..]),
        (&["kill", "box"], &over),
        (&["rm", "-f", "box"], &gone),
        (&["start", "box"], &gone),
    ] {
        detached(&env, "box", &["sleep", "600"]);
        let outputs = at_once(&env, CALLERS, args);
        assert!(outputs.iter().any(|out| out.status == 0), "{args:?}");
        assert_each(outputs, legal);
        assert!(eventually(5, || ["", "exited", "running"]
            .contains(&state(&env, "box").as_str())));
        env.wherry(["rm", "-f", "box"]);
        assert_eq!(state(&env, "box"), "");
    }
}

/// All of them at the same time.
#[test]
fn twenty_callers_do_different_things() {
    let env = Env::busybox();
    let verbs: [&[&str]; 5] = [
        &["stop", "-t", "0", "box"],
        &["kill", "box"],
        &["start", "box"],
        &["rm", "-f", "box"],
        &["exec", "box", "true"],
    ];
    let legal = [
        "No such container",
        "is not running",
        // The container ended, or is started, under the other's hands.
        "cannot enter the container",
        "ended before its start",
    ];
    for _ in 0..5 {
        detached(&env, "box", &["sleep", "600"]);
        let outputs = std::thread::scope(|scope| {
            let start = |n: usize| {
                let env = &env;
                scope.spawn(move || env.wherry(verbs[n % verbs.len()].iter().copied()))
            };
            let running: Vec<_> = (0..CALLERS).map(start).collect();
            running
                .into_iter()
                .map(|r| r.join().unwrap())
                .collect::<Vec<_>>()
        });
        // exec reports a process that was killed with its container as 137.
        let outputs = outputs.into_iter().filter(|out| out.status != 137);
        assert_each(outputs.collect(), &legal);
        env.wherry(["rm", "-f", "box"]);
        assert_eq!(state(&env, "box"), "");
    }
}
