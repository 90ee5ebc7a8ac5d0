//! Every file of an image and of a container, damaged in every way one by
//! one: all else is unaffected, and what is damaged can be removed, or pulled
//! again (promise C3).

use super::{data, detached, state};
use crate::support::env::Output;
use crate::support::{Env, eventually};
use std::path::{Path, PathBuf};

const DAMAGES: [&str; 4] = ["deleted", "truncated", "zeroed", "garbage"];

fn damage(path: &Path, how: &str) {
    let length = std::fs::metadata(path).unwrap().len() as usize;
    match how {
        "deleted" => std::fs::remove_file(path).unwrap(),
        "truncated" => {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_len((length / 2) as u64).unwrap();
        }
        "zeroed" => std::fs::write(path, vec![0; length.max(1)]).unwrap(),
        _ => std::fs::write(path, "\u{1b}[2J{\"a\":[[[\n\"").unwrap(),
    }
}

/// Regular files below `dir` that we can change, relative to it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut below) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(next) = below.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                below.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(dir).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// It may fail, but not like that.
fn decent(out: Output, what: &str) -> Output {
    assert!(
        out.status < 128 && !out.errors().contains("panicked"),
        "{what}: {out}"
    );
    assert!(out.status == 0 || !out.errors().is_empty(), "{what}: {out}");
    assert!(!out.errors().contains('\u{1b}'), "{what}: {out}");
    out
}

#[test]
fn of_a_container() {
    let env = Env::busybox();
    detached(&env, "well", &["sh", "-c", "echo fine; sleep 600"]);
    let make = |name: &str| {
        let id = detached(&env, name, &["sh", "-c", "echo out; exit 3"]);
        env.ok(["wait", name]);
        id
    };
    let id = make("box");
    let known = files(&data(&env, "containers").join(&id));
    assert!(known.len() >= 4, "{known:?}");
    env.ok(["rm", "box"]);
    for file in &known {
        for how in DAMAGES {
            let what = format!("{} {how}", file.display());
            let id = make("box");
            damage(&data(&env, "containers").join(&id).join(file), how);
            assert_others(&env, &what);
            // Whatever has become of it, it is seen and can be removed.
            let listed = env.ok(["ps", "-aq", "--no-trunc"]);
            assert!(
                listed.contains(&id),
                "{what}: ps does not show it:\n{listed}"
            );
            for args in [
                &["inspect", "box"][..],
                &["logs", "box"],
                &["start", "box"],
                &["stop", "-t", "0", "box"],
                &["exec", "box", "true"],
            ] {
                decent(env.wherry(args.iter().copied()), &what);
            }
            decent(env.wherry(["rm", "-f", &id]), &what).ok();
            assert!(!data(&env, "containers").join(&id).exists(), "{what}");
            assert!(!env.ok(["ps", "-aq", "--no-trunc"]).contains(&id), "{what}");
            assert!(!data(&env, "names/box").exists(), "{what}: the name stays");
        }
    }
}

/// The records of a container that runs: rm -f ends it as well, where it can
/// be known which process it is.
#[test]
fn of_a_container_that_runs() {
    let env = Env::busybox();
    for file in ["config.json", "log.json"] {
        for how in DAMAGES {
            let what = format!("{file} {how}");
            let id = detached(&env, "box", &["sh", "-c", "echo out; sleep 600"]);
            let init = super::process(&env, &id, "Init");
            let log = || env.wherry(["logs", "box"]).text() == "out\n";
            assert!(eventually(5, log));
            damage(&data(&env, "containers").join(&id).join(file), how);
            assert_eq!(state(&env, "box"), "running", "{what}");
            decent(env.wherry(["logs", "box"]), &what);
            decent(env.wherry(["rm", "-f", "box"]), &what).ok();
            assert_eq!(env.ok(["ps", "-aq"]), "", "{what}");
            let gone = || !Path::new(&format!("/proc/{init}")).exists();
            assert!(eventually(5, gone), "{what}: it still runs");
        }
    }
}

fn assert_others(env: &Env, what: &str) {
    assert_eq!(state(env, "well"), "running", "{what}");
    assert_eq!(env.ok(["logs", "well"]), "fine", "{what}");
    assert_eq!(env.ok(["exec", "well", "echo", "hi"]), "hi", "{what}");
    assert_eq!(env.ok(["images", "-q"]).lines().count(), 1, "{what}");
    let args = ["run", "--rm", "--network", "none", "busybox", "echo", "new"];
    assert_eq!(env.ok(args), "new", "{what}");
}

/// Whatever file of the store is damaged: a pull, if need be after rmi -f,
/// makes it whole.
#[test]
fn of_the_store() {
    let env = Env::busybox();
    let pull = || env.wherry(["pull", "-q", "busybox"]);
    let run = || {
        let args = [
            "run",
            "--rm",
            "--network",
            "none",
            "busybox",
            "echo",
            "well",
        ];
        env.wherry(args)
    };
    run().ok();
    let mut known: Vec<PathBuf> = files(&data(&env, "images"));
    known.retain(|file| !file.to_string_lossy().contains(".reserve"));
    let mut known: Vec<PathBuf> = known.iter().map(|f| Path::new("images").join(f)).collect();
    let layers = std::fs::read_dir(data(&env, "layers")).unwrap();
    for layer in layers.flatten() {
        known.push(
            Path::new("layers")
                .join(layer.file_name())
                .join("meta.json"),
        );
    }
    assert!(known.len() >= 6, "{known:?}");
    for file in known {
        for how in DAMAGES {
            let what = format!("{} {how}", file.display());
            let path = data(&env, "").join(&file);
            // What the last case has changed.
            if !path.exists() {
                std::fs::write(&path, "").unwrap();
            }
            damage(&path, how);
            for args in [
                &["images"][..],
                &["ps", "-a"],
                &["image", "inspect", "busybox"],
            ] {
                decent(env.wherry(args.iter().copied()), &what);
            }
            env.ok(["ps", "-a"]);
            decent(run(), &what);
            decent(env.wherry(["rmi", "-f", "busybox"]), &what);
            pull().ok();
            run().ok();
            assert_eq!(
                env.ok(["images", "-q", "busybox"]).lines().count(),
                1,
                "{what}"
            );
        }
    }
}

/// A damaged index of images costs their names until the next pull, and no
/// container.
#[test]
fn of_the_index_under_a_container() {
    let env = Env::busybox();
    detached(&env, "box", &["sleep", "600"]);
    for how in DAMAGES {
        damage(&data(&env, "images/index.json"), how);
        assert_eq!(state(&env, "box"), "running", "{how}");
        assert_eq!(env.ok(["exec", "box", "echo", "hi"]), "hi", "{how}");
        env.ok(["stop", "-t", "0", "box"]);
        env.ok(["start", "box"]);
        env.ok(["pull", "-q", "busybox"]);
        env.ok(["run", "--rm", "--network", "none", "busybox", "true"]);
    }
    env.ok(["rm", "-f", "box"]);
}
