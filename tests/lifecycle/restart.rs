//! `restart`, and `wait` on several.

use crate::support::{Env, eventually};

fn pid(env: &Env, name: &str) -> String {
    env.ok(["inspect", "-f", "{{.State.Pid}}", name])
}

#[test]
fn keeps_what_is_the_containers_own() {
    let env = Env::busybox();
    let script = "trap 'echo bye; exit 3' TERM USR1; echo hello; while :; do sleep 0.05; done";
    env.ok([
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    let said = |text: &str| eventually(10, || env.ok(["logs", "box"]) == text);
    assert!(said("hello"));
    env.ok(["exec", "box", "touch", "/kept"]);
    let before = pid(&env, "box");
    assert_eq!(env.ok(["restart", "box"]), "box");
    assert_ne!(pid(&env, "box"), before);
    assert!(said("hello\nbye\nhello"), "{}", env.ok(["logs", "box"]));
    env.ok(["exec", "box", "ls", "/kept"]);
    env.ok(["restart", "-s", "USR1", "-t", "20", "box"]);
    assert!(said("hello\nbye\nhello\nbye\nhello"));
    env.wherry(["restart", "-s", "NOPE", "box"])
        .status(1)
        .says("nvalid signal: NOPE");
    let out = env
        .wherry(["restart", "--time", "0", "nowhere", "box"])
        .status(1);
    assert_eq!(out.text(), "box\n");
    assert!(out.errors().contains("No such container: nowhere"));
}

/// `--rm` means after its own end, not after one for a new start.
#[test]
fn of_one_that_is_to_be_removed() {
    let env = Env::busybox();
    env.ok([
        "run",
        "-d",
        "--rm",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sleep",
        "600",
    ]);
    let before = pid(&env, "box");
    env.ok(["restart", "-t", "0", "box"]);
    assert_ne!(pid(&env, "box"), before);
    env.ok(["kill", "box"]);
    assert!(eventually(10, || env.ok(["ps", "-aq"]).is_empty()));
}

#[test]
fn wait_prints_in_the_order_of_its_arguments() {
    let env = Env::busybox();
    let run = |name: &str, script: &str| {
        env.ok([
            "run",
            "-d",
            "--name",
            name,
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            script,
        ]);
    };
    run("late", "sleep 0.5; exit 4");
    run("early", "exit 5");
    env.ok(["create", "--name", "never", "busybox", "true"]);
    let out = env
        .wherry(["wait", "late", "nowhere", "early", "never", "late"])
        .status(1)
        .says("No such container: nowhere");
    assert_eq!(out.text(), "4\n5\n0\n4\n");
}
