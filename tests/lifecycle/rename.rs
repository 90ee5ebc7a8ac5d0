//! A container has one name at a time, whatever happens while it changes.

use crate::support::kill::{self, at_syscall};
use crate::support::{Env, env};
use std::time::Duration;

fn create(env: &Env, name: &str) -> String {
    env.ok([
        "create",
        "--name",
        name,
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
fn in_every_state_and_for_good() {
    let env = Env::busybox();
    let id = env.ok([
        "run",
        "-d",
        "--name",
        "one",
        "--network",
        "none",
        "busybox",
        "sleep",
        "600",
    ]);
    assert_eq!(env.ok(["rename", "one", "two"]), "");
    assert_eq!(names(&env), "two");
    env.wherry(["exec", "one", "true"])
        .status(1)
        .says("No such container: one");
    assert_eq!(env.ok(["exec", "two", "echo", "here"]), "here");
    // Its monitor writes the end under the new name.
    env.ok(["kill", "two"]);
    env.ok(["wait", "two"]);
    assert_eq!(env.ok(["inspect", "-f", "{{.Name}}", &id]), "/two");
    env.ok(["container", "rename", &id[..12], "/three"]);
    env.ok(["start", "three"]);
    assert_eq!(names(&env), "three");
    // The old names are free.
    create(&env, "one");
    create(&env, "two");
    env.ok(["rm", "-f", "one", "two", "three"]);
    assert_eq!(names(&env), "");
    let left = std::fs::read_dir(env.path("data/wherry/names")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn what_it_refuses_changes_nothing() {
    let env = Env::busybox();
    let one = create(&env, "one");
    create(&env, "two");
    let summary = |name: &str| format!("Error: failed to rename container named {name}\n");
    for (old, new, why) in [
        (
            "one",
            "one",
            "Renaming a container with the same name as its current name",
        ),
        (
            &one[..10],
            "/one",
            "Renaming a container with the same name as its current name",
        ),
        (
            "two",
            "one",
            "Conflict. The container name \"/one\" is already in use by container \"",
        ),
        (
            "one",
            "x",
            "Invalid container name (x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        ("one", "a/b", "Invalid container name (a/b), only"),
        ("one", "", "neither old nor new names may be empty"),
        ("nowhere", "other", "No such container: nowhere"),
    ] {
        let out = env.wherry(["rename", old, new]).status(1).says(why);
        assert!(out.errors().ends_with(&summary(old)), "{out}");
        assert_eq!(names(&env), "two\none");
    }
    env.wherry(["rename", "one"])
        .status(1)
        .says("requires 2 arguments");
}

/// Killed at every system call that changes something on disk: the container
/// has exactly one of the two names and nothing keeps the other.
#[test]
fn killed_anywhere_it_is_one_or_the_other() {
    let env = Env::busybox();
    let id = create(&env, "name-0");
    let mut now = "name-0".to_string();
    let mut kills = 0;
    for syscall in ["linkat", "rename", "unlink", "write", "flock"] {
        for n in 1..20 {
            let next = format!("name-{syscall}-{n}");
            let rename = env.wherry_command(["rename", &now, &next]);
            let ended = env::run(at_syscall(&rename, syscall, n), b"", 60).status;
            let names = names(&env);
            assert!(names == now || names == next, "{syscall} {n}: {names}");
            let other = if names == now { &next } else { &now };
            env.wherry(["logs", other])
                .status(1)
                .says("No such container");
            assert_eq!(env.ok(["inspect", "-f", "{{.Id}}", &names]), id);
            // The next command that makes something settles it.
            create(&env, other);
            env.ok(["rm", other]);
            let held = std::fs::read_to_string(env.path("data/wherry/names").join(&names));
            assert!(held.unwrap().starts_with(&id), "{syscall} {n}");
            now = names;
            if ended == 0 {
                break;
            }
            assert_eq!(ended, 137, "{syscall} {n}");
            kills += 1;
        }
    }
    assert!(kills > 10, "{kills}");
    let left: Vec<_> = std::fs::read_dir(env.path("data/wherry/names"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, [std::ffi::OsString::from(&now)]);
    assert!(
        !std::fs::read_to_string(env.path("data/wherry/names").join(&now))
            .unwrap()
            .contains("moving")
    );
}

/// Two that want the same name: one gets it, and the other keeps its own.
#[test]
fn a_race_has_one_winner() {
    let env = Env::busybox();
    for round in 0..5 {
        let (a, b) = (format!("aa{round}"), format!("bb{round}"));
        create(&env, &a);
        create(&env, &b);
        let want = format!("cc{round}");
        let ends: Vec<i32> = std::thread::scope(|scope| {
            let start = |name: &str| {
                let command = env.wherry_command(["rename", name, &want]);
                scope.spawn(move || env::run(command, b"", 60).status)
            };
            let running = [start(&a), start(&b)];
            running.map(|r| r.join().unwrap()).to_vec()
        });
        assert_eq!(ends.iter().sum::<i32>(), 1, "{ends:?}");
        let names = names(&env);
        let loser = if ends[0] == 0 { &b } else { &a };
        let mut names: Vec<_> = names.lines().collect();
        names.sort_unstable();
        let mut wanted = [loser.as_str(), want.as_str()];
        wanted.sort_unstable();
        assert_eq!(names, wanted);
        env.ok(["rm", loser, &want]);
    }
}

/// A container that ends while it is renamed has the new name.
#[test]
fn beside_the_end_of_the_container() {
    let env = Env::busybox();
    let mut dice = kill::Dice::new();
    for n in 0..15 {
        let (old, new) = (format!("old{n}"), format!("new{n}"));
        env.ok([
            "run",
            "-d",
            "--name",
            &old,
            "--network",
            "none",
            "busybox",
            "sleep",
            "0.1",
        ]);
        std::thread::sleep(dice.moment(Duration::from_millis(150)));
        env.ok(["rename", &old, &new]);
        env.ok(["wait", &new]);
        assert_eq!(names(&env), new);
        env.ok(["rm", &new]);
    }
}
