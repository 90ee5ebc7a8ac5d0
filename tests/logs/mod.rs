//! `logs` of real containers. The files themselves are tested in src/logs.

use crate::support::Env;
use crate::support::env::wait;
use std::io::Read;

/// A container that has ended after this script.
fn after(script: &str) -> Env {
    let env = Env::busybox();
    env.wherry([
        "run",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    env
}

#[test]
fn outputs_go_where_they_came_from() {
    let env = after("echo one; echo two >&2; printf three");
    let out = env.wherry(["logs", "box"]).ok();
    assert_eq!(
        (out.text(), out.errors()),
        ("one\nthree".into(), "two\n".into())
    );
}

#[test]
fn any_bytes_come_back() {
    let env = after("head -c 300000 /dev/urandom | tee /copy; printf '\\0\\377\\r\\n'");
    let foreground = env.wherry(["start", "-a", "box"]).ok().stdout;
    let logs = env.wherry(["logs", "box"]).ok().stdout;
    assert_eq!(logs.len(), 2 * (300_000 + 4));
    assert!(
        logs.ends_with(&foreground),
        "the second run is what start -a showed"
    );
}

#[test]
fn tail_times_and_details() {
    let env = after("for i in 1 2 3 4 5; do echo $i; done");
    for (tail, want) in [
        ("2", "4\n5\n"),
        ("0", ""),
        ("9", "1\n2\n3\n4\n5\n"),
        ("all", "1\n2\n3\n4\n5\n"),
        ("x", "1\n2\n3\n4\n5\n"),
        ("-1", "1\n2\n3\n4\n5\n"),
    ] {
        assert_eq!(
            env.wherry(["logs", "--tail", tail, "box"]).ok().text(),
            want,
            "{tail}"
        );
    }
    assert_eq!(
        env.wherry(["logs", "-n1", "--details", "box"]).ok().text(),
        " 5\n"
    );
    let line = env.ok(["logs", "-t", "-n", "1", "box"]);
    let (time, text) = line.split_once(' ').unwrap();
    assert_eq!((time.len(), text), (30, "5"));
    assert!(time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
    time.parse::<jiff::Timestamp>().unwrap();
    assert_eq!(env.ok(["logs", "--since", time, "-n", "1", "box"]), "5");
    assert_eq!(env.ok(["logs", "--since", "10m", "box"]), "1\n2\n3\n4\n5");
    assert_eq!(env.ok(["logs", "--until", "10m", "box"]), "");
    env.wherry(["logs", "--since", "whenever", "box"])
        .status(1)
        .says(
            "invalid value for \"since\": failed to parse value as time or duration: \"whenever\"",
        );
}

#[test]
fn follows_until_the_end() {
    let env = Env::busybox();
    let script = "echo begin; while [ ! -e /go ]; do sleep 0.05; done; echo end; echo err >&2";
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
    let mut child = env.spawn(["logs", "-f", "box"]);
    let mut begin = [0; 6];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut begin)
        .unwrap();
    assert_eq!(&begin, b"begin\n");
    env.ok(["exec", "box", "touch", "/go"]);
    assert_eq!(wait(&mut child, 20), Some(0));
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.unwrap().read_to_string(&mut out).unwrap();
    child.stderr.unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("end\n", "err\n"));
}

#[test]
fn follow_ends_when_the_container_is_removed() {
    let env = Env::busybox();
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
        "echo x; sleep 600",
    ]);
    let mut child = env.spawn(["logs", "-f", "box"]);
    let mut begin = [0; 2];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut begin)
        .unwrap();
    env.ok(["rm", "-f", "box"]);
    assert_eq!(wait(&mut child, 20), Some(0));
}

#[test]
fn of_what_never_ran_and_of_nothing() {
    let env = Env::busybox();
    env.ok(["create", "--name", "box", "busybox", "true"]);
    let out = env.wherry(["logs", "box"]).ok();
    assert_eq!((out.text(), out.errors()), (String::new(), String::new()));
    env.ok(["logs", "-f", "box"]);
    env.wherry(["logs", "nowhere"])
        .status(1)
        .says("No such container: nowhere");
}

#[test]
fn rotates_within_its_limits() {
    let env = Env::busybox();
    let script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done";
    let options = [
        "--log-opt",
        "max-size=20k",
        "--log-opt",
        "max-file=3",
        "--network",
        "none",
    ];
    env.ok([
        &["run", "--name", "box"],
        &options[..],
        &["busybox", "sh", "-c", script],
    ]
    .concat());
    let text = env.ok(["logs", "box"]);
    assert!(text.ends_with("line 2999") && text.lines().count() < 3000);
    let first: usize = text.lines().next().unwrap()["line ".len()..]
        .parse()
        .unwrap();
    for (n, line) in text.lines().enumerate() {
        assert_eq!(line, format!("line {}", first + n));
    }
    env.ok([
        "run",
        "--rm",
        "--name",
        "none",
        "--log-driver",
        "none",
        "--network",
        "none",
        "busybox",
        "true",
    ]);
    env.ok([
        "create",
        "--name",
        "none",
        "--log-driver",
        "none",
        "busybox",
        "true",
    ]);
    env.wherry(["logs", "none"]).status(1).says("log driver");
}

#[test]
fn damage_is_skipped_and_told() {
    let env = after("echo 1; echo 2; echo 3");
    let id = env.ok(["ps", "-aq", "--no-trunc"]);
    let path = env.path("data/wherry/containers").join(id).join("log.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    let zeros = "\0".repeat(lines[1].len());
    lines[1] = &zeros;
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    let out = env.wherry(["logs", "box"]).ok().says("damaged");
    assert_eq!(out.text(), "1\n3\n");
    assert_eq!(out.errors().lines().count(), 1, "{out}");
}
