//! kill -9 and full disks at any instant of a pull: the store stays sound, and
//! the same pull afterwards succeeds and can be read back.

use super::*;
use crate::support::env::run;
use crate::support::kill::{Aim, Dice, End, after, at_syscall, fail_syscall};
use crate::support::payload;
use crate::support::registry::Registry;
use std::path::Path;
use std::process::Command;

fn command(env: &Env, root: &Path, name: &str) -> Command {
    let mut command = env.command(payload("pull_probe"));
    command.arg(root).arg(name);
    command
}

/// A traced command in a user namespace of its own: under strace newuidmap
/// has no rights, and as root the probe does not need it.
fn as_root(env: &Env, traced: Command) -> Command {
    let mut unshare = env.command("unshare");
    unshare
        .args(["--user", "--map-root-user"])
        .arg(traced.get_program())
        .args(traced.get_args());
    unshare
}

/// No image, or the whole image; and the repeat makes it whole.
fn assert_sound(env: &Env, root: &Path, name: &str, what: &str) {
    let store = Store::open(&Paths::at(root.join("data"), root.join("run"))).unwrap();
    let check = || {
        let images = store.images().unwrap_or_else(|e| panic!("{what}: {e}"));
        for image in &images {
            let config = store
                .config(image)
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            for blob in store.manifest(image).unwrap().layers {
                assert!(store.has_blob(&blob.digest), "{what}: {}", blob.digest);
            }
            let dirs = store
                .lower_dirs(&config.diff_ids)
                .unwrap_or_else(|e| panic!("{what}: {e}"));
            let noise = dirs
                .iter()
                .map(|d| d.join("noise"))
                .find(|p| p.exists())
                .expect("noise");
            let size = std::fs::metadata(noise).unwrap().len();
            assert_eq!(size, 2 << 20, "{what}");
        }
        images.len()
    };
    assert!(check() <= 1);
    let repeat = run(command(env, root, name), b"", 60);
    assert_eq!(repeat.status, 0, "{what}: {}", repeat.errors());
    assert_eq!(check(), 1, "{what}");
}

fn prepared() -> (Env, Registry, String) {
    let (env, registry) = (Env::new(), Registry::plain());
    let layout = write(&three_layers(), &env);
    registry.push_layout(&layout, "team/app:latest", &["--preserve-digests"]);
    let name = format!("{}/team/app", registry.host());
    (env, registry, name)
}

#[test]
fn killed_at_random_moments() {
    let (env, _registry, name) = prepared();
    let mut dice = Dice::new();
    let start = std::time::Instant::now();
    run(command(&env, &env.path("tmp/first"), &name), b"", 60).ok();
    let mut aim = Aim::within(start.elapsed());
    let mut killed = 0;
    for n in 0..40 {
        let root = env.path(&format!("tmp/kill{n}"));
        let was_killed = after(command(&env, &root, &name), aim.moment(&mut dice)) == End::Killed;
        aim.learn(was_killed);
        killed += u32::from(was_killed);
        assert_sound(
            &env,
            &root,
            &name,
            &format!("kill {n} of seed {}", dice.seed()),
        );
    }
    assert!(killed > 10, "only {killed} of 40 pulls were killed");
}

#[test]
fn killed_at_each_step_that_counts() {
    let (env, _registry, name) = prepared();
    for syscall in ["rename", "fdatasync", "syncfs", "flock", "utimensat"] {
        let mut survived = false;
        for n in 1..60 {
            let root = env.path(&format!("tmp/{syscall}{n}"));
            let command = at_syscall(&command(&env, &root, &name), syscall, n);
            let status = run(as_root(&env, command), b"", 60).status;
            assert_sound(&env, &root, &name, &format!("{syscall} {n}"));
            if status == 0 {
                survived = true;
                break;
            }
        }
        assert!(survived, "{syscall} comes more than 60 times");
    }
}

#[test]
fn a_failing_disk_is_told() {
    let (env, _registry, name) = prepared();
    for (syscall, errno, says) in [
        ("fdatasync", "EIO", "i/o error"),
        ("rename", "EROFS", "read-only file system"),
        ("mkdirat", "ENOSPC", "no space left on device"),
        ("utimensat", "EDQUOT", "quota exceeded"),
    ] {
        for n in 1..4 {
            let root = env.path(&format!("tmp/{syscall}{n}"));
            let failing = fail_syscall(&command(&env, &root, &name), syscall, errno, n);
            let output = run(as_root(&env, failing), b"", 60);
            let tag = format!("{syscall} {n}: {} {}", output.status, output.errors());
            // Threads take turns, so the nth call may be one that can be spared.
            assert!(output.status == 0 || output.status == 1, "{tag}");
            let told = output.errors().to_lowercase();
            assert!(output.status == 0 || told.contains(says), "{tag}");
            assert_sound(&env, &root, &name, &tag);
        }
    }
}

/// In a mount namespace of its own: no room for the blob, for the layer, for
/// the last of them.
#[test]
fn a_full_disk_is_told() {
    let (env, _registry, name) = prepared();
    let place = env.path("tmp/small");
    std::fs::create_dir(&place).unwrap();
    for size in ["1m", "3m", "4m", "16m"] {
        let mut unshare = env.command("unshare");
        let script = "mount -t tmpfs -o size=$1 tmpfs $2 && $3 $2 $4; code=$?; ls $2/data/images/index.json; exit $code";
        unshare.args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            size,
        ]);
        unshare.arg(&place).arg(payload("pull_probe")).arg(&name);
        let output = run(unshare, b"", 60);
        let tag = format!("{size}: {}", output.errors());
        if size == "16m" {
            assert_eq!(output.status, 0, "{tag}");
            continue;
        }
        assert_eq!(output.status, 1, "{tag}");
        assert!(
            output.errors().to_lowercase().contains("no space left"),
            "{tag}"
        );
        assert!(!output.text().contains("index.json"), "{tag}");
    }
}
