//! Kills at any moment, errors from the kernel and full disks: what is visible
//! is whole, what is not is collected by the next command, which succeeds.

use super::{layers, store_at, take, take_command};
use crate::support::env::{Env, run};
use crate::support::image::{Image, Layout, Packing};
use crate::support::kill;
use crate::support::payload;
use crate::support::tree::Tree;
use std::path::Path;

fn image(env: &Env, tag: &str) -> Layout {
    let mut more = Tree::default();
    more.dir("data", 0o755);
    for n in 0..300 {
        more.file(&format!("data/f{n}"), vec![n as u8; 3000], 0o644)
            .owner(5, 5);
    }
    let dir = env.path("tmp/layout");
    Image::busybox()
        .layer(more)
        .packed(Packing::Gzip)
        .write(&dir, tag)
}

/// Whatever is listed can be used: config and layers are there and whole.
fn assert_sound(root: &Path) {
    let store = store_at(root);
    for image in store.images().unwrap() {
        let config = store.config(&image).unwrap();
        assert!(
            config.diff_ids.iter().all(|id| store.has_layer(id)),
            "{image:?}"
        );
        for blob in &store.manifest(&image).unwrap().layers {
            store.read_blob(&blob.digest, blob.size).unwrap();
        }
    }
}

/// The command again: it succeeds, and no garbage is left.
fn assert_repeats(env: &Env, root: &Path, layout: &Layout) {
    assert_sound(root);
    take(env, root, &layout.dir, &layout.tag).ok();
    assert_sound(root);
    assert_eq!(store_at(root).images().unwrap().len(), 1);
    assert_eq!(layers(root).len(), 2, "{:?}", layers(root));
    let partials = std::fs::read_dir(root.join("data/images/partial")).unwrap();
    assert_eq!(partials.count(), 0);
}

#[test]
fn killed_at_random_moments() {
    let env = Env::new();
    let layout = image(&env, "a");
    let began = std::time::Instant::now();
    take(&env, &env.path("tmp/whole"), &layout.dir, "a").ok();
    let mut aim = kill::Aim::within(began.elapsed());
    let mut dice = kill::Dice::new();
    let mut killed = 0;
    let root = env.path("tmp/store");
    for n in 0..40 {
        if n % 8 == 0 {
            crate::support::env::remove(&root);
        }
        let command = take_command(&env, &root, &layout.dir, "a");
        let was_killed = kill::after(command, aim.moment(&mut dice)) == kill::End::Killed;
        aim.learn(was_killed);
        killed += u32::from(was_killed);
        if root.join("data").exists() {
            assert_sound(&root);
        }
    }
    assert!(killed > 5, "only {killed} were killed");
    assert_repeats(&env, &root, &layout);
}

#[test]
fn killed_at_every_kind_of_call() {
    let env = Env::new();
    let layout = image(&env, "a");
    let mut killed = 0;
    for syscall in [
        "fsync,fdatasync",
        "syncfs",
        "rename,renameat,renameat2",
        "mkdirat,mkdir",
        "flock",
        "unlinkat,unlink",
    ] {
        for nth in 1..=3 {
            let root = env.path("tmp").join(format!("{}-{nth}", &syscall[..5]));
            let command = take_command(&env, &root, &layout.dir, "a");
            let ended = run(kill::at_syscall(&command, syscall, nth), b"", 60);
            // Of a user's, the worker in his namespace may be the one that dies.
            killed += usize::from(ended.status != 0);
            if root.join("data").exists() {
                assert_repeats(&env, &root, &layout);
            }
        }
    }
    assert!(killed > 9, "only {killed} were killed");
}

#[test]
fn errors_of_the_kernel() {
    let env = Env::new();
    let layout = image(&env, "a");
    let mut hit = 0;
    for (syscall, errno) in [
        ("write", "ENOSPC"),
        ("write", "EIO"),
        ("openat", "EMFILE"),
        ("openat", "ENOSPC"),
        ("mkdirat", "EDQUOT"),
        ("fdatasync", "EIO"),
        ("syncfs", "EIO"),
        ("rename", "ENOSPC"),
        ("utimensat", "EIO"),
        ("fchown", "EDQUOT"),
    ] {
        for nth in [1, 30] {
            let root = env.path("tmp").join(format!("{syscall}-{errno}-{nth}"));
            let command = take_command(&env, &root, &layout.dir, "a");
            let ended = run(kill::fail_syscall(&command, syscall, errno, nth), b"", 60);
            assert!(
                [0, 1].contains(&ended.status),
                "{syscall} {errno} {nth}: {ended}"
            );
            assert!(!ended.errors().contains("panicked"), "{ended}");
            if root.join("data").exists() {
                if ended.status != 0 {
                    hit += 1;
                    assert!(
                        store_at(&root).images().unwrap().is_empty(),
                        "{syscall} {errno} {nth}"
                    );
                }
                assert_repeats(&env, &root, &layout);
            }
            crate::support::env::remove(&root);
        }
    }
    assert!(hit > 8, "only {hit} calls were made to fail");
}

#[test]
fn two_at_once_do_the_work_once() {
    let env = Env::new();
    let layout = image(&env, "a");
    let root = env.path("tmp/store");
    let mut children: Vec<_> = (0..6)
        .map(|_| {
            take_command(&env, &root, &layout.dir, "a")
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in &mut children {
        assert_eq!(crate::support::env::wait(child, 60), Some(0));
    }
    assert_repeats(&env, &root, &layout);
}

/// A tmpfs of a few sizes, in a namespace where this user may mount one.
#[test]
fn full_disks() {
    let env = Env::new();
    let layout = image(&env, "a");
    let script = r#"mkdir -p m; for size in 64k 256k 900k 1300k 2m 3m; do
        mount -t tmpfs -o size=$size tmpfs m
        if "$1" m "$2" a 2>err >out; then echo "$size taken"; else
            echo "$size refused: $(cat err)"; ls m/data/layers 2>/dev/null; fi
        umount m; done"#;
    let mut command = env.command("unshare");
    if !crate::support::user::is_root() {
        command.args(["--map-root-user", "--map-auto"]);
    }
    command
        .args(["--mount", "sh", "-ec", script, "sh"])
        .arg(payload("store_probe"))
        .arg(&layout.dir);
    let shown = run(command, b"", 60).ok().text();
    let lines: Vec<&str> = shown.lines().collect();
    let refused = lines.iter().filter(|l| l.contains("refused")).count();
    assert!(refused >= 3, "{shown}");
    assert!(
        lines
            .iter()
            .all(|l| l.contains("taken") || l.contains("no space left on device") || is_layer(l)),
        "{shown}"
    );
    assert!(!shown.contains(".tmp-"), "{shown}");
}

/// With no byte free an image can still be removed, and then there is space.
#[test]
fn an_image_is_removed_from_a_full_disk() {
    let env = Env::new();
    let layout = image(&env, "a");
    let script = r#"mkdir -p m; mount -t tmpfs -o size=16m tmpfs m; "$1" m "$2" a >/dev/null
        ! head -c 20m /dev/zero >m/filler 2>/dev/null; ! echo x >m/more 2>/dev/null
        WHERRY_ROOT=$PWD/m/data WHERRY_RUNROOT=$PWD/m/run "$3" rmi a
        ls m/data/layers; head -c 1m /dev/zero >m/more; umount m"#;
    let mut command = env.command("unshare");
    if !crate::support::user::is_root() {
        command.args(["--map-root-user", "--map-auto"]);
    }
    command.args(["--mount", "sh", "-ec", script, "sh"]);
    command
        .arg(payload("store_probe"))
        .arg(&layout.dir)
        .arg(crate::support::env::wherry_path());
    let shown = run(command, b"", 60).ok().text();
    assert_eq!(
        shown,
        format!("Untagged: a:latest\nDeleted: {}\n", layout.id)
    );
}

fn is_layer(line: &str) -> bool {
    line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit())
}
