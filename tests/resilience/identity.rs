//! After a reboot, and when a number has gone to another process: never
//! signalled, and the truth is told (promises B1, M8).

use super::{data, detached, field, process, send, state};
use crate::support::process::Running;
use crate::support::{Env, eventually};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::process::Command;

fn edit(env: &Env, id: &str, change: impl FnOnce(&mut Value)) {
    let mut state = env.record(id, "state");
    change(&mut state);
    let path = data(env, "containers").join(id).join("state.json");
    std::fs::write(path, state.to_string()).unwrap();
}

/// Somebody else's process; killed when it is dropped.
struct Stranger(Running);

impl Stranger {
    fn new() -> Self {
        Self(Running::start(Command::new("sleep").arg("600")))
    }

    fn assert_lives(&mut self, what: &str) {
        let status = self.0.0.try_wait().unwrap();
        assert_eq!(status, None, "{what} has hit somebody else");
    }
}

/// Both processes are gone, and nothing could be written down.
fn lost(env: &Env) -> String {
    let id = detached(env, "box", &["sleep", "600"]);
    let pids = [process(env, &id, "Monitor"), process(env, &id, "Init")];
    for pid in pids {
        send(pid, Signal::SIGKILL);
    }
    let gone = |pid: &Pid| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    assert!(eventually(5, || pids.iter().all(gone)));
    assert_eq!(env.record(&id, "state")["Status"], "running");
    id
}

fn assert_over(env: &Env, stranger: &mut Stranger, case: &str) {
    assert_eq!(state(env, "box"), "exited", "{case}");
    assert_eq!(field(env, "box", "{{.State.ExitCode}}"), "255", "{case}");
    let status = env.ok(["ps", "-a", "--format", "{{.Status}}"]);
    assert!(status.starts_with("Exited (255) "), "{case}: {status}");
    for args in [&["kill", "box"][..], &["exec", "box", "true"]] {
        let out = env.wherry(args.iter().copied());
        out.status(1).says("is not running");
        stranger.assert_lives(&format!("{case}: {}", args[0]));
    }
    env.ok(["stop", "-t", "0", "box"]);
    stranger.assert_lives(&format!("{case}: stop"));
    assert_eq!(env.ok(["wait", "box"]), "255", "{case}");
    env.ok(["start", "box"]);
    assert_eq!(state(env, "box"), "running", "{case}");
    env.ok(["rm", "-f", "box"]);
    stranger.assert_lives(&format!("{case}: rm"));
    assert_eq!(state(env, "box"), "", "{case}");
}

#[test]
fn numbers_of_a_process_that_is_another_now() {
    let env = Env::busybox();
    let mut stranger = Stranger::new();
    let foreign = json!(stranger.0.0.id());
    for (case, names) in [
        ("init", &["Init"][..]),
        ("monitor", &["Monitor"]),
        ("both", &["Init", "Monitor"]),
    ] {
        let id = lost(&env);
        edit(&env, &id, |state| {
            for name in names {
                state[*name]["Pid"] = foreign.clone();
            }
        });
        assert_over(&env, &mut stranger, case);
    }
}

/// Pid and start time may even be the same after a boot.
#[test]
fn numbers_of_another_boot() {
    let env = Env::busybox();
    let mut stranger = Stranger::new();
    let pid = stranger.0.0.id();
    let start_time = wherry::sys::procfs::start_time(pid.cast_signed()).unwrap();
    for names in [&["Init"][..], &["Monitor"], &["Init", "Monitor"]] {
        let id = lost(&env);
        edit(&env, &id, |state| {
            for name in names {
                state[*name] = json!({"Pid": pid, "StartTime": start_time});
            }
            state["BootId"] = json!("01234567-89ab-cdef-0123-456789abcdef");
        });
        let case = format!("boot, {names:?}");
        let began = std::time::Instant::now();
        assert_over(&env, &mut stranger, &case);
        assert!(
            began.elapsed() < crate::support::limit(8),
            "{case}: {:?}",
            began.elapsed()
        );
    }
}

/// rm -f of such a container, which has to be told to, kills nobody.
#[test]
fn removal_by_force() {
    let env = Env::busybox();
    let mut stranger = Stranger::new();
    let pid = stranger.0.0.id();
    let start_time = wherry::sys::procfs::start_time(pid.cast_signed()).unwrap();
    let id = lost(&env);
    edit(&env, &id, |state| {
        state["Init"] = json!({"Pid": pid, "StartTime": start_time});
        state["Monitor"] = json!({"Pid": pid, "StartTime": start_time});
        state["BootId"] = json!("01234567-89ab-cdef-0123-456789abcdef");
    });
    env.ok(["rm", "-f", "box"]);
    stranger.assert_lives("rm -f");
    assert_eq!(env.ok(["ps", "-aq"]), "");
}

/// Promise B2: what a logout takes away is not needed.
#[test]
fn the_run_directory_is_wiped() {
    let env = Env::busybox();
    detached(&env, "box", &["sh", "-c", "echo out; sleep 600"]);
    assert!(eventually(5, || env.ok(["logs", "box"]) == "out"));
    std::fs::remove_dir_all(env.run_dir().join("wherry")).unwrap();
    assert_eq!(state(&env, "box"), "running");
    assert_eq!(env.ok(["exec", "box", "cat", "/etc/hostname"]).len(), 12);
    assert_eq!(env.ok(["logs", "box"]), "out");
    assert_eq!(
        env.ok(["run", "--rm", "--network", "none", "busybox", "echo", "hi"]),
        "hi"
    );
    // Looked at again, and known again.
    assert!(eventually(5, || super::monitors(&env).len() == 1));
    env.ok(["stop", "-t", "0", "box"]);
    assert_eq!(field(&env, "box", "{{.State.ExitCode}}"), "137");
    env.ok(["start", "box"]);
    std::fs::remove_dir_all(env.run_dir().join("wherry")).unwrap();
    env.ok(["rm", "-f", "box"]);
    use std::os::unix::fs::PermissionsExt;
    let meta = std::fs::metadata(env.run_dir().join("wherry")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o700);
}

/// Also with a way out, whose process must not outlive the container.
#[test]
fn the_run_directory_is_wiped_under_a_network() {
    let env = Env::busybox_alone();
    env.ok(["run", "--rm", "busybox", "true"]);
    let before = env.snapshot();
    for last in [&["rm", "-f", "box"][..], &["kill", "box"]] {
        env.ok(["run", "-d", "--name", "box", "busybox", "sleep", "600"]);
        std::fs::remove_dir_all(env.run_dir().join("wherry")).unwrap();
        env.ok(last.iter().copied());
        env.wherry(["rm", "box"]);
        assert_eq!(state(&env, "box"), "");
    }
    env.ok(["run", "--rm", "busybox", "true"]);
    before.assert_same();
}
