//! kill -9 of a command with all that it has started, at random instants: what
//! is there stays whole, the same command succeeds afterwards, and in the end
//! nothing is left over. `WHERRY_KILLS` is the number of kills of each command.

use super::tool;
use crate::support::env::{Env, wait};
use crate::support::image::Image;
use crate::support::kill::{Aim, Dice};
use crate::support::registry::Registry;
use crate::support::tree::Tree;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

fn kills() -> usize {
    let text = std::env::var("WHERRY_KILLS");
    text.map_or(25, |text| text.parse().expect("WHERRY_KILLS is a number"))
}

/// Starts the command in a process group of its own and kills all of that;
/// whether it was not over by itself.
fn kill(mut command: Command, delay: std::time::Duration) -> bool {
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    std::thread::sleep(delay);
    let before = child.try_wait().unwrap().is_some();
    let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    wait(&mut child, 30).expect("a killed command ends");
    !before
}

/// Kills `args` of each round and looks at what is left by `check`.
fn rounds(env: &Env, args: impl Fn(usize) -> Vec<String>, check: impl Fn(usize)) {
    let mut dice = Dice::new();
    let start = Instant::now();
    env.ok(args(0));
    let mut aim = Aim::within(start.elapsed());
    check(0);
    let mut killed = 0;
    for n in 1..=kills() {
        let command = env.wherry_command(args(n));
        let was_killed = kill(command, aim.moment(&mut dice));
        aim.learn(was_killed);
        killed += usize::from(was_killed);
        whole(env);
        check(n);
    }
    assert!(
        killed * 4 >= kills(),
        "only {killed} kills met a living command"
    );
}

/// Every image that is listed can be read from its first to its last byte.
fn whole(env: &Env) {
    let ids = env.ok(["images", "-aq", "--no-trunc"]);
    for id in ids.lines() {
        env.wherry(["save", id]).ok();
    }
    env.ok(["ps", "-aq"]);
    env.ok(["system", "df"]);
}

/// Without images there is nothing.
fn nothing_left(env: &Env) {
    let ids = env.ok(["ps", "-aq"]);
    let ids: Vec<&str> = ids.lines().collect();
    if !ids.is_empty() {
        env.ok([&["rm", "-f"][..], &ids].concat());
    }
    env.ok(["image", "prune", "-af"]);
    assert_eq!(env.ok(["images", "-aq"]), "");
    for dir in ["layers", "images/blobs/sha256", "containers"] {
        let dir = env.path("data/wherry").join(dir);
        let left: Vec<_> = std::fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert!(left.is_empty(), "{}: {left:?}", dir.display());
    }
}

fn noise() -> Image {
    noise_of(3)
}

fn noise_of(megabytes: usize) -> Image {
    let mut bytes = vec![0; megabytes << 20];
    getrandom::fill(&mut bytes).unwrap();
    let mut above = Tree::default();
    above.file("noise", bytes, 0o644).owner(7, 8);
    Image::busybox().layer(above)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn pull_and_push() {
    let (env, registry) = (Env::new(), Registry::plain());
    let host = registry.host();
    env.without_tls(&[&host]);
    let layout = registry.push(&env, &noise(), "library/noise:1");
    let from = format!("{host}/library/noise:1");
    rounds(
        &env,
        |_| words(&["pull", "-q", &from]),
        |_| {
            env.ok(["pull", "-q", &from]);
            assert!(
                env.ok(["image", "inspect", &from])
                    .contains(&layout.manifest)
            );
            env.ok(["rmi", "-f", &from]);
        },
    );
    env.ok(["pull", "-q", &from]);
    let to = |n: usize| format!("{host}/copy/n{n}:1");
    for n in 0..=kills() {
        env.ok(["tag", &from, &to(n)]);
    }
    rounds(
        &env,
        |n| words(&["push", "-q", &to(n)]),
        |n| {
            env.ok(["push", "-q", &to(n)]);
            let name = format!("docker://{}", to(n));
            let raw = tool(
                &env,
                "skopeo",
                &["inspect", "--tls-verify=false", "--raw", &name],
            );
            assert_eq!(
                wherry::image::Digest::of(raw.as_bytes()).to_string(),
                layout.manifest
            );
        },
    );
    nothing_left(&env);
}

#[test]
fn load_and_rmi() {
    let env = Env::new();
    let layout = noise().write(&env.path("tmp/layout"), "x");
    let archive = env.path("tmp/noise.tar");
    let to = format!("docker-archive:{}:noise:1", archive.display());
    tool(
        &env,
        "skopeo",
        &[
            "copy",
            "--insecure-policy",
            "-q",
            &format!("oci:{}", layout.reference()),
            &to,
        ],
    );
    let path = archive.to_str().unwrap();
    let run = || env.ok(["run", "--rm", "noise:1", "stat", "-c", "%s %u", "/noise"]);
    rounds(
        &env,
        |_| words(&["load", "-qi", path]),
        |_| {
            env.ok(["load", "-qi", path]);
            assert_eq!(run(), "3145728 7");
            env.ok(["rmi", "-f", "noise:1"]);
        },
    );
    env.ok(["load", "-qi", path]);
    rounds(
        &env,
        |_| words(&["rmi", "noise:1"]),
        |_| {
            // Gone or whole, and it can come again.
            if env.wherry(["image", "inspect", "noise:1"]).status == 0 {
                assert_eq!(run(), "3145728 7");
            }
            env.ok(["load", "-qi", path]);
            assert_eq!(run(), "3145728 7");
        },
    );
    nothing_left(&env);
}

/// What was loaded plain is packed by the first save of it.
#[test]
fn save_of_what_is_plain() {
    let env = Env::new();
    let layout = noise_of(16).write(&env.path("tmp/layout"), "x");
    let archive = env.path("tmp/noise.tar");
    let from = format!("oci:{}", layout.reference());
    let to = format!("docker-archive:{}:noise:1", archive.display());
    tool(
        &env,
        "skopeo",
        &["copy", "--insecure-policy", "-q", &from, &to],
    );
    let saved = env.path("tmp/saved.tar");
    let (path, saved) = (archive.to_str().unwrap(), saved.to_str().unwrap());
    let again = || {
        if env.wherry(["image", "inspect", "noise:1"]).status == 0 {
            env.ok(["rmi", "-f", "noise:1"]);
        }
        env.ok(["load", "-qi", path]);
    };
    again();
    let first = env.ok(["image", "inspect", "-f", "{{.Id}}", "noise:1"]);
    rounds(
        &env,
        |_| words(&["save", "-o", saved, "noise:1"]),
        |_| {
            env.ok(["save", "-o", saved, "noise:1"]);
            assert_eq!(
                env.ok(["image", "inspect", "-f", "{{.Id}}", "noise:1"]),
                first
            );
            again();
        },
    );
    nothing_left(&env);
}

#[test]
fn commit() {
    let env = Env::busybox();
    env.ok([
        "run",
        "--name",
        "cc",
        "busybox",
        "sh",
        "-c",
        "head -c 3145728 /dev/urandom >/noise; rm /etc/group",
    ]);
    let want = env.wherry(["export", "cc"]).ok().stdout;
    rounds(
        &env,
        |_| words(&["commit", "cc", "made:1"]),
        |n| {
            env.ok(["commit", "cc", "made:1"]);
            if n % 10 == 0 {
                env.ok(["create", "--name", "look", "made:1"]);
                assert!(env.wherry(["export", "look"]).ok().stdout == want);
                env.ok(["rm", "look"]);
            }
            assert_eq!(env.ok(["diff", "cc"]), "C /etc\nD /etc/group\nA /noise");
            env.ok(["rmi", "-f", "made:1"]);
        },
    );
    nothing_left(&env);
}
