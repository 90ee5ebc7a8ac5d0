//! kill -9 of commands, of all their processes and of monitors at random
//! instants (promise C1).

use super::{field, monitors, state};
use crate::support::env::{Output, run, wait};
use crate::support::image::Image;
use crate::support::kill::{Aim, Dice, delay_syscall};
use crate::support::registry::Registry;
use crate::support::tree::Tree;
use crate::support::{Env, eventually};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TIMES: u32 = 100;

/// Who is killed along with the command itself.
#[derive(Debug, Clone, Copy)]
enum Also {
    Nobody,
    /// Its process group: the workers it has forked.
    Group,
    /// The group, and all monitors.
    Monitors,
}

impl Also {
    fn roll(dice: &mut Dice) -> Self {
        match dice.below(3) {
            0 => Self::Nobody,
            1 => Self::Group,
            _ => Self::Monitors,
        }
    }
}

/// Starts the command and kills it after `moment`; true when it had not ended
/// by then.
fn kill_after(env: &Env, mut command: Command, moment: Duration, also: Also) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = command.spawn().expect("wherry starts");
    let end = Instant::now() + moment;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::sleep(left.min(Duration::from_micros(300)));
    }
    // Until it is reaped the number cannot be another's.
    let killed = matches!(child.try_wait(), Ok(None));
    if killed {
        let pid = Pid::from_raw(child.id().cast_signed());
        match also {
            Also::Nobody => kill(pid, Signal::SIGKILL).unwrap(),
            Also::Group | Also::Monitors => killpg(pid, Signal::SIGKILL).unwrap(),
        }
    }
    if matches!(also, Also::Monitors) {
        for pid in monitors(env) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
    wait(&mut child, 10).expect("a killed process ends");
    killed
}

fn took(act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

/// What every command must still do.
fn assert_truth(env: &Env, what: &str) {
    for line in env
        .ok(["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}"])
        .lines()
    {
        let (id, listed) = line.split_once(' ').unwrap();
        let legal = ["created", "running", "exited"];
        assert!(legal.contains(&listed), "{what}: {line}");
        // It may go on between the two.
        let mut found = (String::new(), None);
        let same = eventually(5, || {
            found = (state_of(env, id), inspected(env, id));
            found.0 == found.1.as_deref().unwrap_or_default()
        });
        assert!(same, "{what}: ps and inspect say {found:?}");
    }
    env.ok(["images"]);
}

fn state_of(env: &Env, id: &str) -> String {
    let filter = format!("id={id}");
    env.ok(["ps", "-a", "--filter", &filter, "--format", "{{.State}}"])
}

/// Its state, or `None` when it has gone since it was listed.
fn inspected(env: &Env, id: &str) -> Option<String> {
    let out = env.wherry(["inspect", "--format", "{{.State.Status}}", id]);
    match out.status {
        0 => Some(out.text().trim().to_owned()),
        _ => {
            out.status(1).says("No such");
            None
        }
    }
}

/// Removed now or before.
fn removed(out: Output) {
    if out.status != 0 {
        out.status(1).says("No such container");
    }
}

#[test]
fn of_a_pull() {
    let registry = Registry::plain();
    let env = Env::alone();
    env.short_names_from(&registry);
    let mut image = Image::new();
    for n in 0..3 {
        let mut tree = Tree::busybox();
        tree.file(&format!("noise{n}"), crate::registry::noise(1 << 20), 0o644);
        image = image.layer(tree);
    }
    registry.push(&env, &image, "library/app:latest");
    let mut dice = Dice::new();
    let content = || {
        let sum = "cat /noise0 /noise1 /noise2 | wc -c";
        env.ok(["run", "--rm", "--network", "none", "app", "sh", "-c", sum])
    };
    let pull = || drop(env.ok(["pull", "-q", "app"]));
    pull();
    content();
    env.ok(["rmi", "app"]);
    let mut aim = Aim::within(took(pull));
    env.ok(["rmi", "app"]);
    let before = env.snapshot();
    let mut killed = 0;
    for n in 0..TIMES {
        let (moment, also) = (aim.moment(&mut dice), Also::roll(&mut dice));
        let what = format!(
            "kill {n} after {moment:?} of {also:?}, seed {}",
            dice.seed()
        );
        let command = env.wherry_command(["pull", "-q", "app"]);
        let was_killed = kill_after(&env, command, moment, also);
        killed += u32::from(was_killed);
        aim.learn(was_killed);
        assert_truth(&env, &what);
        // All of it or nothing; a worker that lives may just make it whole.
        let listed = env.ok(["images", "-q", "app"]);
        let out = env.wherry(["image", "inspect", "app"]);
        assert!(out.status == 0 || listed.is_empty(), "{what}: {out}");
        if out.status == 0 {
            assert!(!env.ok(["images", "-q", "app"]).is_empty(), "{what}");
        }
        // The repeat, sometimes of what the other half of pulls has left.
        if dice.below(2) == 0 {
            pull();
            assert_eq!(env.ok(["images", "-q", "app"]).lines().count(), 1, "{what}");
            env.ok(["rmi", "app"]);
        }
    }
    assert!(killed > TIMES / 4, "only {killed} of {TIMES} were killed");
    pull();
    assert_eq!(content(), (3 << 20).to_string());
    env.ok(["rmi", "app"]);
    before.assert_same();
}

#[test]
fn of_run_rm() {
    let env = Env::busybox_alone();
    let mut dice = Dice::new();
    let args = |name| ["run", "--rm", "--name", name, "busybox", "sleep", "0.02"];
    env.ok(args("box"));
    let mut aim = Aim::within(took(|| drop(env.ok(args("box")))));
    let before = env.snapshot();
    let mut killed = 0;
    for n in 0..TIMES {
        let (moment, also) = (aim.moment(&mut dice), Also::roll(&mut dice));
        let what = format!(
            "kill {n} after {moment:?} of {also:?}, seed {}",
            dice.seed()
        );
        let was_killed = kill_after(&env, env.wherry_command(args("box")), moment, also);
        killed += u32::from(was_killed);
        aim.learn(was_killed);
        assert_truth(&env, &what);
        // The same name: taken by what still runs, else free.
        let again = eventually(10, || {
            let out = env.wherry(args("box"));
            if out.status != 0 {
                out.status(125)
                    .says("Conflict. The container name \"/box\" is already in use");
                return false;
            }
            true
        });
        assert!(
            again,
            "{what}: the name is not free: {}",
            env.ok(["ps", "-a"])
        );
    }
    assert!(killed > TIMES / 4, "only {killed} of {TIMES} were killed");
    env.ok(args("last"));
    assert!(eventually(10, || env.ok(["ps", "-aq"]).is_empty()));
    before.assert_same();
}

#[test]
fn of_rm_f() {
    let env = Env::busybox_alone();
    let mut dice = Dice::new();
    let start = |network: &str| {
        env.ok([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            network,
            "busybox",
            "sh",
            "-c",
            "echo x >/file; exec sleep 600",
        ])
    };
    start("bridge");
    let mut aim = Aim::within(took(|| drop(env.ok(["rm", "-f", "box"]))));
    let before = env.snapshot();
    let mut killed = 0;
    for n in 0..TIMES {
        // A helper for the network costs much of the time; some have it.
        start(if n % 5 == 0 { "bridge" } else { "none" });
        let (moment, also) = (aim.moment(&mut dice), Also::roll(&mut dice));
        let what = format!(
            "kill {n} after {moment:?} of {also:?}, seed {}",
            dice.seed()
        );
        let command = env.wherry_command(["rm", "-f", "box"]);
        let was_killed = kill_after(&env, command, moment, also);
        killed += u32::from(was_killed);
        aim.learn(was_killed);
        assert_truth(&env, &what);
        if state(&env, "box") == "exited" {
            let code = field(&env, "box", "{{.State.ExitCode}}");
            assert!(["137", "255"].contains(&code.as_str()), "{what}: {code}");
        }
        removed(env.wherry(["rm", "-f", "box"]));
        assert_eq!(state(&env, "box"), "", "{what}");
    }
    assert!(killed > TIMES / 4, "only {killed} of {TIMES} were killed");
    env.ok(["run", "--rm", "busybox", "true"]);
    before.assert_same();
}

/// Promise K8: a lock ends with its holder, and one that is stopped does not
/// keep readers waiting.
#[test]
fn of_who_holds_a_lock() {
    let env = Env::busybox();
    super::detached(&env, "box", &["sleep", "600"]);
    // Stopped where it takes the container out of sight, which needs the lock.
    let remove = env.wherry_command(["rm", "-f", "box"]);
    let mut strace = delay_syscall(&remove, "rename,renameat,renameat2", 600, 1)
        .spawn()
        .unwrap();
    let mut holder = None;
    assert!(eventually(20, || {
        holder = child_of(strace.id()).filter(|pid| holds_a_lock(*pid));
        holder.is_some()
    }));
    env.ok(["ps", "-a"]);
    env.ok(["images"]);
    env.ok(["inspect", "box"]);
    kill(holder.unwrap(), Signal::SIGKILL).unwrap();
    strace.kill().unwrap();
    strace.wait().unwrap();
    run(env.wherry_command(["rm", "-f", "box"]), b"", 5).ok();
    assert_eq!(state(&env, "box"), "");
}

fn child_of(pid: u32) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split(' ').next()?.parse().ok().map(Pid::from_raw)
}

/// By proc_locks(5): `1: FLOCK  ADVISORY  WRITE PID …`.
fn holds_a_lock(pid: Pid) -> bool {
    let locks = std::fs::read_to_string("/proc/locks").unwrap();
    let pid = pid.to_string();
    locks
        .lines()
        .any(|line| line.split_whitespace().nth(4) == Some(&pid))
}
