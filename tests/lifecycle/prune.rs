//! Removing what does not run.

use crate::support::Env;
use crate::support::pty::Pty;

fn create(env: &Env, name: &str, label: &str) -> String {
    let label = format!("kind={label}");
    env.ok([
        "create",
        "--name",
        name,
        "--label",
        &label,
        "--network",
        "none",
        "busybox",
        "true",
    ])
}

fn names(env: &Env) -> String {
    env.ok(["ps", "-a", "--format", "{{.Names}}"])
}

#[test]
fn removes_what_is_chosen_and_says_how_much() {
    let env = Env::busybox();
    env.ok([
        "run",
        "--name",
        "wrote",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "head -c 123000 /dev/zero > /file; mkdir -m 700 /closed; chown 7 /closed",
    ]);
    env.ok([
        "run",
        "-d",
        "--name",
        "runs",
        "--network",
        "none",
        "busybox",
        "sleep",
        "600",
    ]);
    let first = create(&env, "first", "a");
    let second = create(&env, "second", "b");
    // Nothing is that old.
    assert_eq!(
        env.ok(["container", "prune", "-f", "--filter", "until=24h"]),
        "Total reclaimed space: 0B"
    );
    assert_eq!(
        env.ok(["container", "prune", "-f", "--filter", "label=kind=a"]),
        format!("Deleted Containers:\n{first}\n\nTotal reclaimed space: 0B")
    );
    assert_eq!(names(&env), "second\nruns\nwrote");
    let out = env.ok(["container", "prune", "--force", "--filter", "label!=kind"]);
    assert!(out.ends_with("\n\nTotal reclaimed space: 123kB"), "{out}");
    assert_eq!(names(&env), "second\nruns");
    let out = env.ok([
        "container",
        "prune",
        "-f",
        "--filter",
        "label=kind",
        "--filter",
        "label!=kind=a",
    ]);
    assert_eq!(out.lines().nth(1), Some(second.as_str()));
    assert_eq!(names(&env), "runs");
    env.wherry(["container", "prune", "-f", "--filter", "name=x"])
        .status(1)
        .says("invalid filter 'name'");
    env.wherry(["container", "prune", "-f", "--filter", "until=soon"])
        .status(1)
        .says("invalid filter 'until=soon'");
}

#[test]
fn asks_first() {
    let env = Env::busybox();
    create(&env, "first", "a");
    let ask = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ";
    for answer in ["", "n\n", "no\n", "yes\n", "\n"] {
        let out = env
            .wherry_with(["container", "prune"], answer.as_bytes())
            .ok();
        assert_eq!(out.text(), ask);
        assert_eq!(names(&env), "first");
    }
    let prune = env.wherry_command(["container", "prune"]);
    for keys in ["n\r", "\r", "\u{4}"] {
        let mut pty = Pty::spawn(&prune, 24, 80);
        pty.expect("Are you sure you want to continue? [y/N] ");
        pty.send(keys);
        assert_eq!(pty.wait(), 0, "{keys:?}");
        assert_eq!(names(&env), "first");
    }
    let mut pty = Pty::spawn(&prune, 24, 80);
    pty.expect("Are you sure you want to continue? [y/N] ");
    pty.send("y\r");
    pty.expect("Deleted Containers:");
    pty.expect("Total reclaimed space: 0B");
    assert_eq!(pty.wait(), 0);
    assert_eq!(names(&env), "");
}
