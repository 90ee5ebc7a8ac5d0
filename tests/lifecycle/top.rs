//! The processes of a container as ps(1) of the host shows them.

use crate::support::{Env, eventually};

#[test]
fn shows_the_containers_processes_and_no_others() {
    let env = Env::busybox();
    for name in ["box", "other"] {
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
            "sleep 601 & exec sleep 602",
        ]);
    }
    // One that comes in from outside is one of them.
    env.ok(["exec", "-d", "box", "sleep", "603"]);
    let sleeps = |text: &str| {
        let mut found: Vec<_> = text
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().last().unwrap().to_owned())
            .collect();
        found.sort();
        found.join(" ")
    };
    let mut shown = String::new();
    assert!(
        eventually(10, || {
            shown = env.ok(["top", "box"]);
            sleeps(&shown) == "601 602 603"
        }),
        "{shown}"
    );
    let header: Vec<_> = shown.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        header,
        ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    );
    // Columns of 20, as Docker's.
    assert!(
        shown.starts_with("UID                 PID                 PPID "),
        "{shown}"
    );
    let own = env.ok(["container", "top", "box", "-o", "pid,args"]);
    assert!(own.starts_with("PID                 COMMAND\n"), "{own}");
    assert_eq!(sleeps(&own), "601 602 603");
    let init = env.ok(["inspect", "-f", "{{.State.Pid}}", "box"]);
    assert!(own.contains(&format!("\n{init} ")), "{own}");
    env.wherry(["top", "box", "-o", "args"])
        .status(1)
        .says("Couldn't find PID field in ps output");
    env.wherry(["top", "box", "--no-such-option"])
        .status(1)
        .says("Error: unknown gnu long option");
    env.wherry(["top"])
        .status(1)
        .says("requires at least 1 argument");
}
