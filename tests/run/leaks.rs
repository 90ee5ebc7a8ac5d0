//! Nothing is left behind, however a run ends.

use crate::support::{Env, eventually};

#[test]
fn by_run_rm_that_ends_well_badly_or_not_at_all() {
    let env = Env::busybox_alone();
    env.ok(["run", "--rm", "busybox", "true"]);
    let before = env.snapshot();
    for _ in 0..5 {
        env.ok(["run", "--rm", "busybox", "true"]);
        env.ok([
            "run",
            "--rm",
            "--network",
            "none",
            "-v",
            "/tmp:/mnt",
            "busybox",
            "touch",
            "/x",
        ]);
        env.wherry(["run", "--rm", "busybox", "nope"]).status(127);
        env.wherry(["run", "--rm", "-u", "nobody-there", "busybox", "true"])
            .status(125);
        env.wherry(["run", "--rm", "-p", "0:99999", "busybox", "true"])
            .status(125);
        env.wherry(["run", "--rm", "busybox", "sh", "-c", "sleep 100 & exit 3"])
            .status(3);
    }
    before.assert_same();
}

#[test]
fn by_twenty_at_once() {
    let env = Env::busybox_alone();
    env.ok(["run", "--rm", "--network", "none", "busybox", "true"]);
    let before = env.snapshot();
    std::thread::scope(|scope| {
        for n in 0..20 {
            let env = &env;
            scope.spawn(move || {
                let args = [
                    "run",
                    "--rm",
                    "--network",
                    "none",
                    "busybox",
                    "echo",
                    &n.to_string(),
                ];
                assert_eq!(env.ok(args), n.to_string());
            });
        }
    });
    before.assert_same();
}

#[test]
fn by_a_detached_container_that_is_removed() {
    let env = Env::busybox_alone();
    env.ok(["run", "--rm", "busybox", "true"]);
    let before = env.snapshot();
    for _ in 0..3 {
        let id = env.ok(["run", "-d", "busybox", "sleep", "100"]);
        env.ok(["exec", &id, "true"]);
        env.ok(["rm", "-f", &id]);
        env.ok([
            "run", "-d", "--rm", "--name", "short", "busybox", "sleep", "0.1",
        ]);
        assert!(eventually(10, || env.ok(["ps", "-aq"]).is_empty()));
    }
    before.assert_same();
}
