//! Several commands attached to one container, without a terminal.

use super::{Piped, detached};
use crate::resilience::{field, process, send, state};
use crate::support::env::{run, wait};
use crate::support::{Env, eventually};
use nix::sys::signal::Signal;
use std::fs::Permissions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use wherry::monitor::door;
use wherry::monitor::protocol::{Attach, Kind};

/// Says a line now and then, until /go is there; then much.
const TICKS: &str = "while [ ! -e /go ]; do echo tick; sleep 0.05; done; \
                     yes | head -c 67108864; touch /done; sleep 600";

#[test]
fn all_hear_and_each_may_speak() {
    let env = Env::busybox();
    detached(&env, &["-i"], &["cat"]);
    let mut first = Piped::spawn(&env, &["attach", "box"]);
    first.say("from the first\n");
    first.expect("from the first\n");
    let mut second = Piped::spawn(&env, &["container", "attach", "box"]);
    second.say("from the second\n");
    second.expect("from the second\n");
    first.expect("from the second\n");
    let mut deaf = Piped::spawn(&env, &["attach", "--no-stdin", "box"]);
    deaf.say("not to be heard\n");
    assert!(eventually(20, || {
        first.say("to all\n");
        deaf.has("to all\n")
    }));
    // One goes; its end of input is not the container's.
    second.signal(libc::SIGKILL);
    assert_eq!(second.end().0, 137);
    first.input.take();
    let mut third = Piped::spawn(&env, &["attach", "box"]);
    third.say("from the third\n");
    third.expect("from the third\n");
    first.expect("from the third\n");
    assert_eq!(state(&env, "box"), "running");
    env.ok(["kill", "box"]);
    for client in [first, deaf, third] {
        let (status, out, _) = client.end();
        assert_eq!(status, 137);
        assert!(!super::contains(&out, "not to be heard"));
    }
}

/// `-i`: the container's input ends with that of the command that gave it.
#[test]
fn input_is_given_once() {
    let env = Env::busybox();
    let head = ["create", "-i", "--name", "box", "--network", "none"];
    env.ok([&head[..], &["busybox", "cat"]].concat());
    // Started without anybody, it waits for input.
    env.ok(["start", "box"]);
    let mut giver = Piped::spawn(&env, &["attach", "box"]);
    giver.say("word");
    giver.expect("word");
    let watcher = Piped::spawn(&env, &["start", "-a", "box"]);
    assert!(eventually(20, || {
        giver.say(".");
        watcher.has(".")
    }));
    let (status, out, _) = giver.end();
    assert_eq!(status, 0);
    assert!(out.starts_with(b"word."));
    assert_eq!(watcher.end().0, 0);
    // The same by a command that is killed.
    let mut giver = Piped::spawn(&env, &["start", "-a", "-i", "box"]);
    giver.say("more");
    giver.expect("more");
    giver.signal(libc::SIGKILL);
    assert!(eventually(10, || state(&env, "box") == "exited"));
    assert_eq!(field(&env, "box", "{{.State.ExitCode}}"), "0");
}

#[test]
fn ends_as_the_container_ends() {
    let env = Env::busybox();
    let script = "while [ ! -e /go ]; do echo tick; sleep 0.05; done; exit 42";
    for args in [&["attach", "box"][..], &["start", "-a", "box"]] {
        detached(&env, &[], &["sh", "-c", script]);
        let client = Piped::spawn(&env, args);
        client.expect("tick\n");
        // The container may end sooner than touch does.
        env.wherry(["exec", "box", "touch", "/go"]);
        assert_eq!(client.end().0, 42);
        env.ok(["rm", "box"]);
    }
    detached(&env, &["--rm"], &["sh", "-c", script]);
    let client = Piped::spawn(&env, &["attach", "box"]);
    client.expect("tick\n");
    env.wherry(["exec", "box", "touch", "/go"]);
    assert_eq!(client.end().0, 42);
}

#[test]
fn nothing_to_attach_to() {
    let env = Env::busybox();
    env.wherry(["attach", "box"])
        .status(1)
        .says("No such container: box");
    let head = ["create", "--name", "box", "--network", "none"];
    env.ok([&head[..], &["busybox", "sleep", "600"]].concat());
    let refusal = "You cannot attach to a stopped container, start it first";
    env.wherry(["attach", "box"]).status(1).says(refusal);
    env.ok(["start", "box"]);
    env.ok(["kill", "box"]);
    env.ok(["wait", "box"]);
    env.wherry(["attach", "box"]).status(1).says(refusal);
    env.wherry(["start", "-a", "box", "other"])
        .status(1)
        .says("you cannot start and attach multiple containers at once");
    env.wherry(["attach", "--detach-keys", "ctrl-", "box"])
        .status(1);
}

/// Promise B2: without the run directory there is no door, and all else works.
#[test]
fn without_the_run_directory() {
    let env = Env::busybox();
    let id = detached(&env, &[], &["sleep", "600"]);
    let run_dir = env.run_dir().join("wherry/containers").join(&id);
    std::fs::remove_dir_all(&run_dir).unwrap();
    env.wherry(["attach", "box"])
        .status(1)
        .says("its socket in the run directory is gone");
    std::fs::remove_dir_all(env.run_dir().join("wherry")).unwrap();
    env.wherry(["attach", "box"]).status(1).says(&id);
    assert_eq!(env.ok(["exec", "box", "echo", "alive"]), "alive");
    env.ok(["stop", "-t", "0", "box"]);
    env.ok(["start", "box"]);
    let client = Piped::spawn(&env, &["attach", "box"]);
    assert!(run_dir.join("attach").exists());
    env.ok(["kill", "box"]);
    // It may not have come in time.
    assert!([137, 1].contains(&client.end().0));
}

#[test]
fn a_monitor_that_was_killed() {
    let env = Env::busybox();
    let id = detached(&env, &[], &["sleep", "600"]);
    send(process(&env, &id, "Monitor"), Signal::SIGKILL);
    assert!(eventually(5, || {
        let out = env.wherry(["attach", "box"]);
        out.status == 1 && out.errors().contains("its monitor was killed")
    }));
}

/// Promise L4: the container does not wait for ever for one that is stopped.
#[test]
fn a_stopped_client_is_let_go() {
    let env = Env::busybox();
    let id = detached(&env, &["--log-driver", "none"], &["sh", "-c", TICKS]);
    let stopped = Piped::spawn(&env, &["attach", "box"]);
    stopped.expect("tick\n");
    let reader = Piped::spawn(&env, &["attach", "box"]);
    reader.expect("tick\n");
    stopped.signal(libc::SIGSTOP);
    env.ok(["exec", "box", "touch", "/go"]);
    let done = || env.wherry(["exec", "box", "test", "-e", "/done"]).status == 0;
    assert!(eventually(40, done), "it waits for the stopped one");
    let kib = memory(&env, &id);
    assert!(kib < 4096, "the monitor keeps {kib} KiB");
    stopped.signal(libc::SIGCONT);
    let (status, _, said) = stopped.end();
    assert_eq!(status, 1);
    assert!(said.contains("was not read for too long"), "{said}");
    env.ok(["kill", "box"]);
    let (status, out, _) = reader.end();
    assert_eq!(status, 137);
    assert_eq!(out.iter().filter(|&&b| b == b'y').count(), 32 << 20);
}

/// Nor does its end wait for the command that started it, which gets the rest.
#[test]
fn the_end_waits_for_nobody() {
    let env = Env::busybox();
    for options in [&[][..], &["--rm"]] {
        let head = ["run", "--name", "box", "--network", "none"];
        let script = ["busybox", "sh", "-c", "echo begun >&2; yes"];
        let mut child = env.spawn([&head[..], options, &script].concat());
        let mut output = child.stdout.take().unwrap();
        let mut first = [0; 2];
        output.read_exact(&mut first).unwrap();
        // It does not read any more; the log grows until all is full.
        let mut last = 0;
        assert!(eventually(20, || {
            let now = env.wherry(["logs", "box"]).stdout.len();
            now > 65536 && std::mem::replace(&mut last, now) == now
        }));
        env.ok(["kill", "box"]);
        assert!(eventually(20, || state(&env, "box") != "running"));
        let log = env.wherry(["logs", "box"]).stdout;
        let mut rest = Vec::new();
        output.read_to_end(&mut rest).unwrap();
        assert_eq!(wait(&mut child, 20), Some(137));
        if options.is_empty() {
            assert_eq!(log.len(), rest.len() + 2);
            env.ok(["rm", "box"]);
        }
    }
}

mod as_root {
    use super::*;
    use crate::support::user;

    #[test]
    fn not_to_one_that_is_paused() {
        user::require_root();
        let env = Env::busybox();
        detached(&env, &[], &["sleep", "600"]);
        env.ok(["pause", "box"]);
        env.wherry(["attach", "box"])
            .status(1)
            .says("You cannot attach to a paused container, unpause it first");
        env.ok(["unpause", "box"]);
    }

    /// By the socket's mode, by its directory, and by the monitor itself.
    #[test]
    fn nobody_else_attaches() {
        user::require_root();
        let env = Env::busybox();
        let ticks = "while :; do echo tick; sleep 0.05; done";
        let id = detached(&env, &[], &["sh", "-c", ticks]);
        let door = env.run_dir().join("wherry/containers").join(&id);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&door.join("attach")), 0o600);
        assert_eq!(mode(&door), 0o700);
        // Open to all, it is the monitor who refuses.
        for open in door.ancestors().take(4).chain([&*door.join("attach")]) {
            std::fs::set_permissions(open, Permissions::from_mode(0o777)).unwrap();
        }
        let script = format!(
            "import os, socket\nos.chdir('{}')\n\
             s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\ns.settimeout(20)\n\
             s.connect('attach')\n\
             try:\n s.send(bytes([11, 7])); print(len(s.recv(99)))\n\
             except OSError: print(0)",
            door.display()
        );
        let ask = |user: &str| {
            let mut python = env.command("setpriv");
            python.args(["--reuid", user, "--clear-groups", "python3", "-c", &script]);
            run(python, b"", 60).ok().text()
        };
        assert_ne!(ask("0"), "0\n");
        assert_eq!(ask("65534"), "0\n");
    }
}

/// Row S80: memory and descriptors of a monitor that many come to.
#[test]
fn coming_and_going() {
    let env = Env::busybox();
    let id = detached(&env, &["-i", "-t"], &["cat"]);
    let run_dir = env.run_dir().join("wherry/containers").join(&id);
    let come = |times: u16| {
        for n in 0..times {
            let end = door::knock(&run_dir, Attach::OUTPUT).unwrap();
            let [a, b] = (n % 200 + 1).to_ne_bytes();
            end.send(Kind::Resize, &[a, b, 80, 0]).unwrap();
        }
        // Served one after the other: heard once all before have been.
        let mut client = door::knock(&run_dir, Attach::OUTPUT).unwrap();
        exchange(&mut client);
    };
    come(100);
    let (kib, open) = (memory(&env, &id), descriptors(&env, &id));
    come(3000);
    let then = memory(&env, &id);
    assert!(then < kib + 512, "{kib} KiB, then {then}");
    // The last one may just be going.
    let flat = || descriptors(&env, &id) <= open;
    assert!(eventually(10, flat), "more than {open} are open");
    // More than are let in at once.
    let knock = || door::knock(&run_dir, Attach::OUTPUT);
    let mut crowd: Vec<_> = (0..64).map(|_| knock().unwrap()).collect();
    let refused = knock().unwrap();
    let mut buffer = [0; 4096];
    let answer = refused.receive(&mut buffer).unwrap().unwrap();
    assert_eq!(answer.kind, Kind::Failed);
    crowd.iter_mut().for_each(exchange);
}

/// Something said by this client comes back to it.
fn exchange(client: &mut wherry::monitor::protocol::End) {
    client.send(Kind::Attach, &[7]).unwrap();
    client.send(Kind::Stdin, b"x\n").unwrap();
    let mut buffer = [0; 65536];
    loop {
        let message = client.receive(&mut buffer).unwrap().unwrap();
        if message.kind == Kind::Stdout && message.payload.contains(&b'x') {
            return;
        }
    }
}

/// The monitor's own memory in KiB.
fn memory(env: &Env, id: &str) -> u64 {
    let monitor = process(env, id, "Monitor");
    let status = std::fs::read_to_string(format!("/proc/{monitor}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let kib = line.unwrap().trim().trim_end_matches("kB").trim();
    kib.parse().unwrap()
}

/// How many it has open, where that can be seen.
fn descriptors(env: &Env, id: &str) -> usize {
    let monitor = process(env, id, "Monitor");
    std::fs::read_dir(format!("/proc/{monitor}/fd")).map_or(0, Iterator::count)
}
