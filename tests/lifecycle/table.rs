//! What each state allows: Docker's table, as data.

use crate::support::env::Output;
use crate::support::{Env, eventually, user};

/// A command, its status in each of created, running, paused and exited, and
/// the state that it leaves (`-`: as it was, `gone`: no container).
struct Row {
    command: &'static [&'static str],
    statuses: [i32; 4],
    after: [&'static str; 4],
}

const STATES: [&str; 4] = ["created", "running", "paused", "exited"];

const fn row(
    command: &'static [&'static str],
    statuses: [i32; 4],
    after: [&'static str; 4],
) -> Row {
    Row {
        command,
        statuses,
        after,
    }
}

const SAME: [&str; 4] = ["-", "-", "-", "-"];

const ROWS: &[Row] = &[
    row(
        &["start", "box"],
        [0, 0, 1, 0],
        ["running", "-", "-", "running"],
    ),
    row(
        &["stop", "-t", "0", "box"],
        [0, 0, 0, 0],
        ["-", "exited", "exited", "-"],
    ),
    row(
        &["restart", "-t", "0", "box"],
        [0, 0, 0, 0],
        ["running", "running", "running", "running"],
    ),
    row(
        &["kill", "box"],
        [1, 0, 0, 1],
        ["-", "exited", "exited", "-"],
    ),
    row(&["pause", "box"], [1, 0, 1, 1], ["-", "paused", "-", "-"]),
    row(
        &["unpause", "box"],
        [1, 1, 0, 1],
        ["-", "-", "running", "-"],
    ),
    row(&["rm", "box"], [0, 1, 1, 0], ["gone", "-", "-", "gone"]),
    row(
        &["rm", "-f", "box"],
        [0, 0, 0, 0],
        ["gone", "gone", "gone", "gone"],
    ),
    row(&["exec", "box", "true"], [1, 0, 1, 1], SAME),
    row(&["logs", "box"], [0, 0, 0, 0], SAME),
    row(&["top", "box"], [1, 0, 0, 1], SAME),
    row(&["inspect", "box"], [0, 0, 0, 0], SAME),
    row(&["rename", "box", "box2"], [0, 0, 0, 0], SAME),
    row(
        &["container", "prune", "-f"],
        [0, 0, 0, 0],
        ["gone", "-", "-", "gone"],
    ),
];

fn state(env: &Env) -> String {
    env.ok(["ps", "-a", "--format", "{{.State}}"])
}

fn make(env: &Env, wanted: &str) {
    let command = if wanted == "exited" { "true" } else { "600" };
    let verb = if wanted == "created" { "create" } else { "run" };
    let mut args = vec![verb, "--name", "box", "--network", "none"];
    if verb == "run" {
        args.push("-d");
    }
    let tail: &[&str] = if wanted == "exited" {
        &[
            "busybox",
            "sh",
            "-c",
            "echo here; test -e /ran && exec sleep 600; touch /ran",
        ]
    } else {
        &["busybox", "sleep", command]
    };
    env.ok([&args, tail].concat());
    if wanted == "exited" {
        env.ok(["wait", "box"]);
    }
    if wanted == "paused" {
        env.ok(["pause", "box"]);
    }
    assert!(eventually(10, || state(env) == wanted), "{wanted}");
}

/// The sentences that scripts look for.
fn check_words(command: &str, wanted: &str, out: &Output) {
    let words = match (command, wanted) {
        ("start", "paused") => "cannot start a paused container, try unpause instead",
        ("kill" | "pause" | "top" | "exec", "created" | "exited") => "is not running",
        ("pause", "paused") => "is already paused",
        ("unpause", _) => "is not paused",
        ("rm", "running") => {
            "container is running: stop the container before removing or force remove"
        }
        ("rm", "paused") => "container is paused and must be unpaused first",
        ("exec", "paused") => "Container box is paused, unpause the container before exec",
        _ => panic!("no words for {command} of a container that is {wanted}: {out}"),
    };
    assert!(out.errors().contains(words), "no {words:?} from {out}");
}

/// Without a cgroup there is no freezer: that is what `as_root` is for.
fn check(column: usize) {
    let env = Env::busybox();
    let wanted = STATES[column];
    for row in ROWS {
        let verb = row.command[0];
        if verb == "pause" && row.statuses[column] == 0 && !user::is_root() {
            continue;
        }
        make(&env, wanted);
        let out = env.wherry(row.command).status(row.statuses[column]);
        if out.status != 0 {
            check_words(verb, wanted, &out);
        }
        let left = match row.after[column] {
            "-" => wanted,
            "gone" => "",
            other => other,
        };
        assert!(
            eventually(10, || state(&env) == left),
            "{:?} of one that was {wanted} left it {}, not {left}",
            row.command,
            state(&env)
        );
        env.ok(["rm", "-f", "box", "box2"]);
    }
}

#[test]
fn of_a_created_container() {
    check(0);
}

#[test]
fn of_a_running_container() {
    check(1);
}

#[test]
fn of_an_exited_container() {
    check(3);
}

#[test]
fn of_one_that_is_missing() {
    let env = Env::busybox();
    for row in ROWS.iter().filter(|row| row.command.contains(&"box")) {
        // As Docker: `rm -f` says so and succeeds.
        let forced = row.command.contains(&"-f");
        let words = match row.command[0] {
            "inspect" => "No such object: box",
            _ => "No such container: box",
        };
        env.wherry(row.command)
            .status(if forced { 0 } else { 1 })
            .says(words);
    }
}

mod as_root {
    use crate::support::user;

    #[test]
    fn of_a_paused_container() {
        user::require_root();
        super::check(2);
    }
}
