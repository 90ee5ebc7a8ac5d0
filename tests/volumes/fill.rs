//! The first use of a volume: the image's files are copied into it, once.

use super::{data, on_disk, place, sh, volumes};
use crate::support::Env;
use crate::support::image::Image;
use crate::support::kill::{Aim, Dice};
use crate::support::registry::Registry;
use crate::support::tree::Tree;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

const LOOK: &str = "cd /data; stat -c '%n %u:%g %a %h %F' . * closed/*; cat file; readlink link";

/// Owners, modes, links: as in the image, wherever it is seen from.
#[test]
fn what_is_copied() {
    let env = place();
    let image = sh(
        &env,
        &["--mount", "type=image,src=filled,dst=/i"],
        "busybox",
        &LOOK.replace("/data", "/i/data"),
    );
    let volume = sh(&env, &["-v", "data:/data"], "filled", LOOK);
    assert_eq!(volume, image);
    assert!(volume.contains("file 33:33 640 2 regular file"), "{volume}");
    assert!(volume.contains("suid 0:0 4755 1 regular file"), "{volume}");
    assert!(volume.contains("closed/inside 1000:1000 600"), "{volume}");
    // Attributes: nobody in busybox reads them, so from U.
    let mut getfattr = env.command("unshare");
    let in_u: &[&str] = match crate::support::user::is_root() {
        true => &[],
        false => &["--user", "--map-root-user", "--map-auto"],
    };
    getfattr
        .args(in_u)
        .args(["getfattr", "-n", "user.note", "--only-values"]);
    getfattr.arg(data(&env, "data").join("file"));
    let out = crate::support::env::run(getfattr, b"", 10).ok();
    assert_eq!(out.text(), "kept");
    // An empty directory gives what it has: its owner and mode.
    let empty = sh(
        &env,
        &["-v", "bare:/empty"],
        "filled",
        "stat -c '%u:%g %a' /empty",
    );
    assert_eq!(empty, "33:33 1777");
    // What there is not in the image stays root's.
    let new = sh(
        &env,
        &["-v", "new:/no/such"],
        "filled",
        "stat -c '%u:%g %a' /no/such",
    );
    assert_eq!(new, "0:0 755");
}

/// S37, CVE-2020-1726.
#[test]
fn what_is_not() {
    let env = place();
    let list = |options: &[&str]| sh(&env, options, "filled", "ls /data | wc -l");
    assert_eq!(list(&["-v", "without:/data:nocopy"]), "0");
    assert_eq!(
        list(&["--mount", "type=volume,src=without,dst=/data,volume-nocopy"]),
        "0"
    );
    // What a volume has is not written over, nor added to.
    sh(&env, &["-v", "full:/x"], "busybox", "echo mine >/x/file");
    assert_eq!(
        sh(
            &env,
            &["-v", "full:/data"],
            "filled",
            "ls /data; cat /data/file"
        ),
        "file\nmine"
    );
    assert_eq!(
        sh(&env, &["-v", "full:/data:ro"], "filled", "ls /data"),
        "file"
    );
    // A read-only one that is empty is filled all the same.
    assert_eq!(list(&["-v", "ro:/data:ro"]), "6");
    // Changed once, it stays so.
    sh(&env, &["-v", "ro:/data"], "filled", "rm /data/suid");
    assert_eq!(list(&["-v", "ro:/data"]), "5");
    // On a file there can be none.
    env.wherry(["run", "--rm", "-v", "vv:/etc/passwd", "busybox", "true"])
        .status(125)
        .says("cannot mount volume over existing file, file exists /etc/passwd");
    assert_eq!(env.ok(["ps", "-aq"]), "");
    // Nor does a container have a volume that starts after it is emptied.
    let id = env.ok(["create", "-v", "late:/data", "filled", "ls", "/data"]);
    sh(
        &env,
        &["-v", "late:/x"],
        "busybox",
        "rm -r /x/* /x/..?* /x/.[!.]* 2>/dev/null; ls -A /x",
    );
    assert_eq!(env.ok(["start", "-a", &id]), "");
}

/// Many starters of one volume: exactly one copy, and nobody sees half of it.
#[test]
fn many_at_once() {
    let env = big(400);
    for round in 0..3 {
        let mount = format!("v{round}:/data");
        let script = "ls /data | grep -v mine | wc -l; echo x >/data/mine-$HOSTNAME; sleep 0.2; cat /data/mine-$HOSTNAME";
        let args = [
            "run",
            "--rm",
            "--network",
            "none",
            "-v",
            &mount,
            "big",
            "sh",
            "-c",
            script,
        ];
        let children: Vec<_> = (0..12).map(|_| env.spawn(args)).collect();
        for child in children {
            let out = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&out.stdout);
            let errors = String::from_utf8_lossy(&out.stderr);
            assert_eq!((&*text, &*errors), ("401\nx\n", ""));
        }
    }
}

/// An image with so many files in /data, and a last one that says so.
fn big(files: usize) -> Env {
    let registry = Registry::plain();
    let env = Env::with(&registry);
    let mut tree = Tree::default();
    tree.dir("data", 0o755).owner(33, 33);
    for n in 0..files {
        tree.file(&format!("data/{n}"), vec![b'x'; 2000], 0o644)
            .owner(33, 33);
    }
    tree.dir("data/sub", 0o755);
    tree.file("data/sub/whole", "x", 0o644);
    registry.push(&env, &Image::busybox().layer(tree), "library/big:latest");
    env.ok(["pull", "-q", "big"]);
    env
}

/// Killed at any instant, with its workers, a first use leaves a volume that
/// the next one fills, and never half of a copy for the whole.
#[test]
fn killed_half_way() {
    let env = big(300);
    let mut dice = Dice::new();
    let whole = "ls /data | wc -l; stat -c %u:%g /data; cat /data/sub/whole; head -c 5 /data/299";
    let start = Instant::now();
    assert_eq!(
        sh(&env, &["-v", "first:/data"], "big", whole),
        "301\n33:33\nxxxxxx"
    );
    let mut aim = Aim::within(start.elapsed());
    let mut killed = 0;
    let mut pending = 0;
    for n in 0..40 {
        let name = format!("v{}", n % 3);
        let mount = format!("{name}:/data");
        let mut command = env.wherry_command([
            "create", "--name", "box", "-v", &mount, "-v", "/anon", "big", "sh", "-c", whole,
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.process_group(0).spawn().unwrap();
        std::thread::sleep(aim.moment(&mut dice).min(Duration::from_secs(5)));
        let in_time = matches!(child.try_wait(), Ok(None));
        if in_time {
            killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).unwrap();
            killed += 1;
        }
        child.wait().unwrap();
        aim.learn(in_time);
        let dir = env.path("data/wherry/volumes").join(&name);
        pending += usize::from(dir.join(".tmp-filled").exists() || dir.join("filled").exists());
        if n % 2 == 0 && !env.ok(["ps", "-aq", "-f", "name=box"]).is_empty() {
            // The container that it left is as good as any.
            assert_eq!(
                env.ok(["start", "-a", "box"]),
                "301\n33:33\nxxxxxx",
                "start after {n}"
            );
        } else {
            assert_eq!(
                sh(&env, &["-v", &mount], "big", whole),
                "301\n33:33\nxxxxxx",
                "run after {n}"
            );
        }
        env.wherry(["rm", "-f", "-v", "box"]);
        env.ok(["volume", "rm", "-f", &name]);
    }
    assert!(killed > 10, "only {killed} were killed in time");
    println!("{killed} killed, {pending} copies half done");
    env.ok(["volume", "rm", "first"]);
    assert!(volumes(&env).is_empty(), "{:?}", volumes(&env));
    assert!(on_disk(&env).is_empty(), "{:?}", on_disk(&env));
}
