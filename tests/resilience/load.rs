//! Many containers one after the other and at once leave nothing behind
//! (promises K1 and Z1, a sample).

use crate::support::{Env, eventually};

/// One turn of the mix.
fn cycle(env: &Env, n: usize) {
    let name = format!("c{n}");
    match n % 8 {
        0 => drop(env.ok(["run", "--rm", "busybox", "true"])),
        1 => drop(env.ok(["run", "--rm", "--network", "none", "busybox", "true"])),
        2 => {
            env.ok(["run", "-d", "--name", &name, "busybox", "sleep", "600"]);
            assert_eq!(env.ok(["exec", &name, "echo", "hi"]), "hi");
            env.wherry(["exec", &name, "nope"]).status(127);
            env.ok(["rm", "-f", &name]);
        }
        3 => drop(env.wherry(["run", "--rm", "busybox", "nope"]).status(127)),
        4 => {
            let port = ["-p", "127.0.0.1::80"];
            let head = ["run", "-d", "--name", &name];
            env.ok([&head[..], &port, &["busybox", "sleep", "600"]].concat());
            assert!(env.ok(["ps"]).contains("->80/tcp"));
            env.ok(["stop", "-t", "0", &name]);
            env.ok(["rm", &name]);
        }
        5 => {
            env.wherry([
                "run",
                "--rm",
                "--network",
                "none",
                "busybox",
                "sh",
                "-c",
                "exit 9",
            ])
            .status(9);
            env.wherry(["run", "--rm", "-v", "/:relative", "busybox", "true"])
                .status(125);
        }
        6 => {
            env.ok([
                "create",
                "--name",
                &name,
                "--network",
                "none",
                "busybox",
                "true",
            ]);
            env.ok(["start", &name]);
            assert_eq!(env.ok(["wait", &name]), "0");
            env.ok(["rm", &name]);
        }
        _ => {
            let head = ["run", "-d", "--rm", "--name", &name, "--network", "none"];
            env.ok([&head[..], &["busybox", "sleep", "600"]].concat());
            env.ok(["kill", &name]);
        }
    }
}

#[test]
fn two_hundred_cycles() {
    let env = Env::busybox_alone();
    (0..8).for_each(|n| cycle(&env, n));
    let before = env.snapshot();
    (0..200).for_each(|n| cycle(&env, n));
    assert!(eventually(10, || env.ok(["ps", "-aq"]).is_empty()));
    before.assert_same();
}

#[test]
fn twenty_at_once() {
    let env = Env::busybox_alone();
    (0..8).for_each(|n| cycle(&env, n));
    let before = env.snapshot();
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for n in 0..20 {
                let env = &env;
                scope.spawn(move || cycle(env, n));
            }
        });
    }
    assert!(eventually(10, || env.ok(["ps", "-aq"]).is_empty()));
    before.assert_same();
}

/// Promise K5: what vanishes while it is listed is no error.
#[test]
fn lists_go_on_meanwhile() {
    let env = Env::busybox();
    let done = std::sync::atomic::AtomicBool::new(false);
    let lists = std::thread::scope(|scope| {
        let lister = scope.spawn(|| {
            let mut lists = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for line in env
                    .ok(["ps", "-a", "--format", "{{.ID}} {{.Names}} {{.State}}"])
                    .lines()
                {
                    assert_eq!(line.split(' ').count(), 3, "{line}");
                }
                env.ok(["images"]);
                lists += 1;
            }
            lists
        });
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let env = &env;
                scope.spawn(move || {
                    for n in 0..10 {
                        let name = format!("w{worker}-{n}");
                        super::detached(env, &name, &["sleep", "600"]);
                        env.ok(["rm", "-f", &name]);
                    }
                })
            })
            .collect();
        let ended = workers.into_iter().map(|w| w.join()).collect::<Vec<_>>();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
        lister.join().unwrap()
    });
    assert!(lists > 5, "only {lists} lists were made meanwhile");
}
