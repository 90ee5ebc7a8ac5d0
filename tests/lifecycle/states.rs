//! Create, start, stop, kill, wait, rm, ps.

use crate::support::{Env, eventually};

fn status(env: &Env, name: &str) -> String {
    let filter = format!("name=^{name}$");
    env.ok(["ps", "-a", "--filter", &filter, "--format", "{{.State}}"])
}

#[test]
fn a_whole_life() {
    let env = Env::busybox();
    let id = env.ok([
        "create",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo run; touch /was; sleep 600",
    ]);
    assert_eq!(id.len(), 64);
    assert_eq!(status(&env, "box"), "created");
    assert_eq!(env.ok(["wait", "box"]), "0");
    assert_eq!(env.ok(["start", "box"]), "box");
    assert_eq!(status(&env, "box"), "running");
    assert_eq!(env.ok(["ps", "-q", "--no-trunc"]), id);
    env.wherry(["rm", "box"]).status(1).says("running");
    assert_eq!(env.ok(["stop", "-t", "0", "box"]), "box");
    assert_eq!(status(&env, "box"), "exited");
    assert_eq!(env.ok(["wait", "box"]), "137");
    // Its files are still there, and by an ID prefix it can be named as well.
    env.ok(["start", &id[..7]]);
    assert_eq!(env.ok(["exec", "box", "ls", "/was"]), "/was");
    env.ok(["kill", "box"]);
    assert!(eventually(5, || status(&env, "box") == "exited"));
    assert_eq!(env.ok(["rm", "box"]), "box");
    env.wherry(["inspect", "box"])
        .status(1)
        .says("No such object: box");
    assert_eq!(env.ok(["ps", "-aq"]), "");
}

#[test]
fn stop_is_asked_before_it_is_forced() {
    let env = Env::busybox();
    let run = |name: &str, options: &[&str], script: &str| {
        let head = ["run", "-d", "--name", name, "--network", "none"];
        env.ok([&head, options, &["busybox", "sh", "-c", script]].concat());
        assert!(eventually(10, || env.ok(["logs", name]) == "ready"));
    };
    let wait = "echo ready; while :; do sleep 0.05; done";
    run("polite", &[], &format!("trap 'exit 5' TERM; {wait}"));
    run(
        "special",
        &["--stop-signal", "USR1"],
        &format!("trap 'exit 6' USR1; {wait}"),
    );
    run("deaf", &["--stop-timeout", "1"], wait);
    let begin = std::time::Instant::now();
    env.ok(["stop", "polite", "special", "deaf"]);
    assert!(
        begin.elapsed() < crate::support::limit(6),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(env.ok(["wait", "polite", "special", "deaf"]), "5\n6\n137");
    run("killed", &[], &format!("trap 'exit 7' USR2; {wait}"));
    env.ok(["kill", "-s", "USR2", "killed"]);
    assert_eq!(env.ok(["wait", "killed"]), "7");
    env.wherry(["kill", "-s", "NOPE", "killed"])
        .status(1)
        .says("nvalid signal: NOPE");
    env.wherry(["kill", "killed"])
        .status(1)
        .says("is not running");
}

#[test]
fn several_at_once_go_on_after_a_failure() {
    let env = Env::busybox();
    env.ok(["create", "--name", "aa", "busybox", "true"]);
    env.ok(["create", "--name", "bb", "busybox", "true"]);
    let out = env
        .wherry(["rm", "aa", "nowhere", "bb"])
        .status(1)
        .says("No such container: nowhere");
    assert_eq!(out.text(), "aa\nbb\n");
    env.wherry(["rm", "-f", "nowhere"]).ok();
}

#[test]
fn start_a_shows_and_ends_with_the_status() {
    let env = Env::busybox();
    env.ok([
        "create",
        "-i",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "cat; exit 9",
    ]);
    let out = env
        .wherry_with(["start", "-a", "-i", "box"], b"through")
        .status(9);
    assert_eq!(out.text(), "through");
}

#[test]
fn names_are_made_and_prefixes_must_be_clear() {
    let env = Env::busybox();
    for _ in 0..3 {
        env.ok(["create", "busybox", "true"]);
    }
    let names = env.ok(["ps", "-a", "--format", "{{.Names}}"]);
    assert!(
        names.lines().count() == 3 && names.lines().all(|n| n.contains('_')),
        "{names}"
    );
    env.wherry(["rm", ""]).status(1);
    let id = env.ok(["ps", "-lq"]);
    assert_eq!(env.ok(["rm", &id]), id);
}
