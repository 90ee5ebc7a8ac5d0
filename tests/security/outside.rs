//! What stands outside of containers: files, sockets, records, names, helpers.

use super::cage::{Cage, Canary};
use crate::support::env::{run, wherry_path};
use crate::support::hostile_rootfs::CANARY;
use crate::support::pty::Pty;
use crate::support::{Env, user};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

fn with_umask_000(env: &Env, arguments: &[&str]) {
    let mut sh = env.command("sh");
    sh.args(["-c", "umask 000; exec \"$@\"", "sh", wherry_path()])
        .args(arguments);
    run(sh, b"", 60).ok();
}

/// S51, CVE-2021-41091: closed to others at the top, and our own files all the
/// way down, whatever the umask.
#[test]
fn nothing_of_ours_is_open_to_others() {
    let env = Env::busybox();
    with_umask_000(&env, &["pull", "-q", "busybox"]);
    let box_ = [
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo x; exec sleep 600",
    ];
    with_umask_000(&env, &box_);
    with_umask_000(&env, &["exec", "box", "true"]);
    with_umask_000(&env, &["create", "--name", "other", "busybox"]);
    let tops = [env.path("data/wherry"), env.run_dir().join("wherry")];
    for top in &tops {
        assert_eq!(
            top.metadata().unwrap().mode() & 0o7777,
            0o700,
            "{}",
            top.display()
        );
    }
    let (mut left, mut looked, mut found) = (tops.to_vec(), 0, Vec::new());
    while let Some(path) = left.pop() {
        let meta = path.symlink_metadata().unwrap();
        let text = path.display().to_string();
        // Files of containers: their modes are the image's, or for its users.
        let inside = [
            "/diff",
            "/upper",
            "/work",
            "/init-",
            "/hosts",
            "/hostname",
            "/resolv.conf",
        ];
        if inside.iter().any(|part| text.contains(part)) {
            continue;
        }
        looked += 1;
        let open = meta.mode() & 0o077;
        if open != 0 && !meta.is_symlink() {
            found.push(format!("{text}: {:o}", meta.mode()));
        }
        if meta.is_dir() {
            left.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .flatten()
                    .map(|e| e.path()),
            );
        }
    }
    assert!(looked > 10, "{looked}");
    assert!(found.is_empty(), "{}", found.join("\n"));
    if user::is_root() {
        let mut other = Command::new("setpriv");
        other.args(["--reuid=65534", "--regid=65534", "--clear-groups", "ls"]);
        for top in &tops {
            other.arg(top);
        }
        let out = run(other, b"", 10);
        assert_eq!(out.text(), "", "{out}");
    }
}

/// S78, CVE-2020-15257: no socket that a name in a network namespace reaches.
#[test]
fn no_abstract_sockets() {
    let cage = Cage::new();
    let abstract_ones = || {
        let text = std::fs::read_to_string("/proc/net/unix").unwrap();
        let names = text.lines().filter_map(|l| l.split_whitespace().nth(7));
        names
            .filter(|n| n.starts_with('@') && n.contains("wherry"))
            .count()
    };
    cage.start("box", &[]);
    assert_eq!(abstract_ones(), 0);
    let seen = cage.sh(
        &["--network", "host"],
        "grep -c '@.*wherry' /proc/net/unix; true",
    );
    assert_eq!(seen, "0");
    let probe = format!("@wherry-test-{}", std::process::id());
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(
            &probe[1..],
        );
    let _socket = std::os::unix::net::UnixListener::bind_addr(&address.unwrap()).unwrap();
    assert_eq!(abstract_ones(), 1, "such a socket is seen");
}

/// S79: logs and cidfiles are not written through links.
#[test]
fn logs_and_cidfiles_do_not_follow_links() {
    let canary = Canary::plant();
    let cage = Cage::new();
    let say = ["sh", "-c", "echo hello"];
    let id = cage
        .env
        .ok(cage.arguments(&["create", "--name", "box"], &[], &say));
    let log = cage
        .env
        .path("data/wherry/containers")
        .join(&id)
        .join("log.json");
    cage.env.ok(["start", "-a", "box"]);
    assert!(log.metadata().unwrap().is_file());
    let makes: [fn(&Path); 3] = [
        |path| symlink(Path::new(CANARY).join("x"), path).unwrap(),
        |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        |path| std::fs::create_dir(path).unwrap(),
    ];
    for make in makes {
        let _ = std::fs::remove_file(&log);
        make(&log);
        canary.assert_safe(&cage.env.wherry(["start", "-a", "box"]));
        let shown = cage.env.wherry(["logs", "box"]);
        canary.assert_safe(&shown);
        assert!(!shown.text().contains("hello"), "{shown}");
    }
    let cidfile = cage.env.path("tmp/cid");
    for target in [format!("{CANARY}/x"), format!("{CANARY}/new")] {
        symlink(target, &cidfile).unwrap();
        let out = cage.run(&["--cidfile", cidfile.to_str().unwrap()], &["true"]);
        assert_eq!(out.status, 125, "{out}");
        canary.assert_safe(&out);
        std::fs::remove_file(&cidfile).unwrap();
    }
}

/// S81, CVE-2021-25743: what could steer a terminal is spelled out.
#[test]
fn controls_are_spelled_out() {
    let cage = Cage::new();
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\u{9b}31m\u{202e}x";
    let label = format!("a={evil}");
    cage.env.ok(cage.arguments(
        &["create", "--name", "box"],
        &["-l", &label],
        &["echo", evil],
    ));
    let outputs = [
        cage.env.wherry(["ps", "-a", "--no-trunc"]),
        cage.env.wherry(["start", evil]),
        cage.env.wherry(["rm", evil]),
        cage.env.wherry(["run", evil]),
        cage.env.wherry([evil]),
        cage.env.wherry(["ps", "--filter", evil]),
        cage.run(&["-u", evil], &["true"]),
        cage.run(&["-w", evil], &["true"]),
        cage.run(&["--name", evil], &["true"]),
        cage.run(&[], &[evil]),
    ];
    // A template gives scripts what there is, and a person what can be seen.
    let raw = ["ps", "-a", "--format", "{{.Labels}}"];
    assert!(cage.env.ok(raw).contains(evil));
    for (command, end) in [(&raw[..], "x\r\n"), (&["inspect", "box"], "\r\n]")] {
        let mut pty = Pty::spawn(&cage.env.wherry_command(command), 24, 200);
        pty.expect(end);
        assert_eq!(pty.wait(), 0);
        let seen = pty.text();
        assert!(seen.contains("]0;owned"), "{seen:?}");
        assert!(!seen.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{seen:?}");
    }
    for out in outputs {
        let text = out.text() + &out.errors();
        let bad = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        assert!(!text.contains(bad), "{:?} {}", text, out.status);
        assert!(text.contains("owned") || !text.contains('x'), "{text:?}");
    }
}

/// S82: a record with a pid that is another process's now.
#[test]
fn a_foreign_process_gets_no_signal() {
    let cage = Cage::new();
    for change in ["StartTime", "BootId"] {
        let id =
            cage.env
                .ok(cage.arguments(&["run", "-d", "--name", "box"], &[], &["sleep", "600"]));
        let file = cage
            .env
            .path("data/wherry/containers")
            .join(&id)
            .join("state.json");
        let mut state: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let mut victim = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        cage.env.ok(["kill", "box"]);
        cage.env.ok(["wait", "box"]);
        let pid = victim.id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let start: u64 = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .nth(19)
            .unwrap()
            .parse()
            .unwrap();
        for who in ["Init", "Monitor"] {
            let wrong = u64::from(change == "StartTime");
            state[who] = serde_json::json!({ "Pid": pid, "StartTime": start + wrong });
        }
        if change == "BootId" {
            state[change] = "00000000-0000-0000-0000-000000000000".into();
        }
        let forged = state.to_string();
        for verb in [
            &["stop", "-t", "0"][..],
            &["kill"],
            &["restart"],
            &["rm", "-f"],
        ] {
            if file.exists() {
                std::fs::write(&file, &forged).unwrap();
            }
            cage.env.wherry([verb, &["box"]].concat());
            assert!(
                victim.try_wait().unwrap().is_none(),
                "{verb:?} with a wrong {change}"
            );
            if verb == ["restart"] {
                // It runs now; only what is over has its record forged.
                cage.env.ok(["kill", "box"]);
            }
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        cage.env.wherry(["rm", "-f", "box"]);
    }
}

/// S83: names and ids that are paths, options or worse.
#[test]
fn hostile_names() {
    let canary = Canary::plant();
    let cage = Cage::new();
    cage.start("box", &[]);
    let long = "a".repeat(4096);
    let names = [
        "../box",
        "..",
        ".",
        "/",
        "//",
        "../../containers",
        "box/../box",
        "/etc/passwd",
        "%2e%2e",
        "a\nb",
        "box ",
        " box",
        "*",
        "?",
        "[a-z]",
        "~",
        "$HOME",
        "`id`",
        "a;b",
        "a|b",
        "\u{fc}",
        "\u{202e}a",
        ".gone-x",
        ".new-1.1-x",
        &long,
        "names/box",
        "./box",
    ];
    for name in names {
        for verb in ["start", "stop", "kill", "rm", "wait", "logs", "inspect"] {
            let out = cage.env.wherry([verb, "--", name]);
            assert_ne!(out.status, 0, "{verb} {name:?}: {out}");
            canary.assert_safe(&out);
        }
        let out = cage.env.wherry(["exec", "--", name, "true"]);
        assert_ne!(out.status, 0, "{out}");
        let option = format!("--name={name}");
        let out = cage.run(&[&option], &["true"]);
        assert_eq!(out.status, 125, "{name:?}: {out}");
    }
    assert_eq!(cage.exec(&[], "box", &["echo", "alive"]), "alive");
}

/// S85: helpers are not taken from PATH or the current directory, and S87:
/// they get none of the environment.
#[test]
fn planted_helpers_are_not_run() {
    let mut cage = Cage::new();
    let planted = cage.env.path("home");
    let mark = cage.env.path("tmp/mark");
    for name in [
        "newuidmap",
        "newgidmap",
        "pasta",
        "slirp4netns",
        "nft",
        "ip",
        "getent",
        "mount",
    ] {
        let path = planted.join(name);
        std::fs::write(
            &path,
            format!("#!/bin/sh\necho {name} >>{}\n", mark.display()),
        )
        .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    cage.env.set("PATH", &format!(".:{}", planted.display()));
    cage.env.set("LD_PRELOAD", "/nowhere.so");
    let out = cage.run(&["--network", "bridge"], &["true"]);
    assert!(
        !mark.exists(),
        "{} was run",
        std::fs::read_to_string(&mark).unwrap()
    );
    // The loader of a helper would have complained of our LD_PRELOAD.
    assert!(!out.errors().contains("nowhere.so"), "{out}");
    cage.ok(&["-e", "LD_PRELOAD=/inside.so"], &["true"]);
}
