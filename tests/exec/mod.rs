//! `exec` in a running container.

use crate::support::Env;
use crate::support::pty::Pty;

fn running(options: &[&str]) -> Env {
    let env = Env::busybox();
    env.ok([
        &["run", "-d", "--name", "box", "--network", "none"],
        options,
        &["busybox", "sleep", "600"],
    ]
    .concat());
    env
}

#[test]
fn statuses_and_streams() {
    let env = running(&[]);
    env.wherry(["exec", "box", "sh", "-c", "exit 42"])
        .status(42);
    env.wherry(["exec", "box", "sh", "-c", "kill -9 $$"])
        .status(137);
    env.wherry(["exec", "box", "nope"])
        .status(127)
        .says("executable file not found in $PATH");
    env.wherry(["exec", "box", "/etc"])
        .status(126)
        .says("permission denied");
    let out = env
        .wherry_with(
            ["exec", "-i", "box", "sh", "-c", "cat; echo e >&2"],
            b"a\0\xff",
        )
        .ok();
    assert_eq!(
        (out.stdout.as_slice(), out.stderr.as_slice()),
        (&b"a\0\xff"[..], &b"e\n"[..])
    );
    let out = env.wherry_with(["exec", "box", "cat"], b"not for it").ok();
    assert_eq!(out.text(), "");
}

#[test]
fn is_inside_and_has_no_more_rights() {
    let env = running(&["-e", "A=outer", "-h", "box"]);
    let script = "hostname; echo $A; cat /proc/1/comm; grep -E '^(CapEff|Seccomp):' /proc/self/status | tr -d '\\t'";
    assert_eq!(
        env.ok(["exec", "box", "sh", "-c", script]),
        "box\nouter\nsleep\nCapEff:00000000a80425fb\nSeccomp:2"
    );
    for ns in ["mnt", "pid", "net", "ipc", "uts", "user", "cgroup"] {
        let link = format!("/proc/1/ns/{ns}");
        let own = format!("/proc/self/ns/{ns}");
        let script = format!("[ $(readlink {link}) = $(readlink {own}) ]");
        env.ok(["exec", "box", "sh", "-c", &script]);
    }
}

#[test]
fn options() {
    let env = running(&["-e", "A=outer"]);
    assert_eq!(
        env.ok(["exec", "-e", "A=inner", "box", "sh", "-c", "echo $A"]),
        "inner"
    );
    assert_eq!(env.ok(["exec", "-w", "/tmp", "box", "pwd"]), "/tmp");
    assert_eq!(env.ok(["exec", "-u", "alice", "box", "id", "-un"]), "alice");
    assert_eq!(
        env.ok(["exec", "-d", "box", "sh", "-c", "echo x >/tmp/made"]),
        ""
    );
    let script =
        "for i in 1 2 3 4 5 6 7 8 9 0; do [ -e /tmp/made ] && exit 0; sleep 0.1; done; exit 1";
    env.ok(["exec", "box", "sh", "-c", script]);
}

#[test]
fn on_a_terminal() {
    let env = running(&[]);
    let mut pty = Pty::spawn(&env.wherry_command(["exec", "-it", "box", "sh"]), 33, 99);
    let before = pty.modes();
    pty.expect("# ");
    pty.send("stty size; exit 3\r");
    pty.expect("33 99");
    assert_eq!(pty.wait(), 3);
    assert_eq!(pty.modes(), before);
}

#[test]
fn only_where_something_runs() {
    let env = Env::busybox();
    env.wherry(["exec", "nowhere", "true"])
        .status(1)
        .says("No such container: nowhere");
    let id = env.ok(["create", "--name", "box", "busybox", "true"]);
    let words = format!("ontainer {id} is not running");
    env.wherry(["exec", "box", "true"]).status(1).says(&words);
    env.ok(["start", "box"]);
    env.ok(["wait", "box"]);
    env.wherry(["exec", "box", "true"]).status(1).says(&words);
}

#[test]
fn twenty_at_once() {
    let env = running(&[]);
    std::thread::scope(|scope| {
        for n in 0..20 {
            let env = &env;
            scope.spawn(move || {
                assert_eq!(
                    env.ok(["exec", "box", "echo", &n.to_string()]),
                    n.to_string()
                )
            });
        }
    });
}
