//! The moments in which a process of ours is already inside: starting, exec,
//! and the reaper of `--init`.

use super::cage::Cage;
use crate::support::env::{run, wherry_path};
use crate::support::payload;
use crate::support::user;
use crate::support::{env, pty::Pty};
use sha2::{Digest, Sha256};
use std::os::fd::AsRawFd;
use std::process::{Child, Stdio};

fn engine() -> Vec<u8> {
    Sha256::digest(std::fs::read(wherry_path()).unwrap()).to_vec()
}

/// Starts `attack_probe stalk` as a container's command and waits for it.
fn stalker(cage: &Cage, options: &[&str]) -> Child {
    cage.add_payload("attack_probe");
    let verb = ["run", "--rm", "--name", "stalker"];
    let command = ["/attack_probe", "stalk", "60"];
    let mut wherry = cage
        .env
        .wherry_command(cage.arguments(&verb, options, &command));
    let mut child = wherry.stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    let out = child.stdout.as_mut().unwrap();
    std::io::Read::read_exact(out, &mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    child
}

fn report(cage: &Cage, mut child: Child) -> Vec<String> {
    std::fs::write(cage.root.join("stop"), "").unwrap();
    let mut text = String::new();
    let out = child.stdout.as_mut().unwrap();
    std::io::Read::read_to_string(out, &mut text).unwrap();
    assert_eq!(env::wait(&mut child, 20), Some(0), "{text}");
    text.lines().map(str::to_owned).collect()
}

/// What may be seen of a process that has been through the exec stub.
fn is_inside(line: &str) -> bool {
    const STUB: &str = "/memfd:wherry-exec";
    match line.split_once(' ').unwrap() {
        ("cwd" | "root", path) => path == "/",
        ("exe" | "maps" | "traced", path) => {
            path.starts_with("/bin/") || path.starts_with(STUB) || path.starts_with('[')
        }
        // The status socket until the stub has gone.
        ("fd", kind) => {
            ["/dev/null", "pipe:", "socket:", "/proc"].contains(&kind) || kind.starts_with("/proc/")
        }
        ("environ", variable) => ["PATH=", "HOSTNAME=", "HOME=", "MARK="]
            .iter()
            .any(|name| variable.starts_with(name)),
        _ => false,
    }
}

/// S01, CVE-2016-9962: nothing of the host is to be seen of an exec, and
/// nobody attaches to it before it is the container's own process.
fn stalked_execs(options: &[&str]) {
    let mut cage = Cage::new();
    let child = stalker(&cage, options);
    cage.env.set("WHERRY_SECRET", "token");
    let before = engine();
    for _ in 0..300 {
        cage.exec(&["-e", "MARK=1"], "stalker", &["true"]);
    }
    let lines = report(&cage, child);
    let number = |what: &str| -> u64 {
        let line = lines.iter().find_map(|l| l.strip_prefix(what));
        line.unwrap().trim().parse().unwrap()
    };
    assert!(number("rounds") > 300, "{lines:?}");
    if options.contains(&"SYS_PTRACE") {
        // It can attach: to what is the container's own.
        assert!(number("attached") > 0, "{lines:?}");
    }
    // It did see processes of exec, or the race was none.
    assert!(lines.iter().any(|l| l == "environ MARK=1"), "{lines:?}");
    let outside: Vec<_> = lines
        .iter()
        .filter(|l| !l.starts_with("rounds ") && !l.starts_with("attached "))
        .filter(|l| !is_inside(l))
        .collect();
    assert!(outside.is_empty(), "{outside:?}");
    assert_eq!(before, engine());
}

#[test]
fn an_exec_shows_nothing_of_the_host() {
    stalked_execs(&[]);
}

mod as_user {
    use super::*;

    /// Root of a container in a user namespace may trace its own processes and
    /// still none of ours.
    #[test]
    fn nor_to_one_who_may_trace() {
        user::require_user();
        stalked_execs(&["--cap-add", "SYS_PTRACE"]);
    }
}

/// S02, CVE-2019-5736: the engine's binary is not to be had by way of
/// `/proc/self/exe`, neither as command nor as interpreter.
#[test]
fn the_engine_is_not_its_own_payload() {
    let cage = Cage::new();
    let script = |name: &str, text: &str| {
        let path = cage.root.join(name);
        std::fs::write(&path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    };
    script("self", "#!/proc/self/exe\n");
    script("self-words", "#!/proc/self/exe run --rm\n");
    script("first", "#!/proc/1/exe\n");
    let before = engine();
    cage.start("box", &["--init"]);
    let exe = ["/proc/self/exe", "--version"];
    for command in [
        &exe[..],
        &["/self"],
        &["/self-words"],
        &["/proc/1/exe", "x"],
    ] {
        for options in [&[][..], &["--init"], &["--cap-add", "SYS_PTRACE"]] {
            let out = cage.run(options, command);
            assert!([126, 127].contains(&out.status), "{options:?}: {out}");
            assert!(!out.text().contains("wherry"), "{out}");
        }
        let out = cage.env.wherry([&["exec", "box"], command].concat());
        assert!([126, 127].contains(&out.status), "{out}");
    }
    cage.run(&[], &["/first"]);
    // The reaper, too, is a program of its own, and sealed.
    let write = "readlink /proc/1/exe; (echo x >/proc/1/exe) 2>&1 && echo written; \
                 (echo x >>/proc/1/exe) 2>&1 && echo written; true";
    let in_run = cage.sh(&["--init"], write);
    let in_exec = cage.exec(&[], "box", &["sh", "-c", write]);
    for seen in [in_run, in_exec] {
        assert!(seen.starts_with("/memfd:wherry-init"), "{seen}");
        assert!(!seen.contains("written"), "{seen}");
    }
    let caps = cage.exec(&[], "box", &["grep", "Cap", "/proc/1/status"]);
    assert_eq!(caps.matches("0000000000000020").count(), 3, "{caps}");
    assert_eq!(before, engine());
    // The program itself is the container's.
    assert_eq!(cage.ok(&[], &["readlink", "/proc/1/exe"]), "/bin/readlink");
}

/// S02: a loader that is the container's own runs only inside.
#[test]
fn a_trojan_opens_the_engine_for_writing_in_vain() {
    let cage = Cage::new();
    cage.start("box", &[]);
    let before = engine();
    // Tries to keep the executable of every process that comes by.
    let watcher = "while [ ! -e /stop ]; do for p in /proc/[0-9]*; do \
                   echo pwned 2>/dev/null >>$p/exe && echo $p; done; done";
    cage.exec(&["-d"], "box", &["sh", "-c", watcher]);
    for _ in 0..150 {
        cage.exec(&[], "box", &["true"]);
    }
    std::fs::write(cage.root.join("stop"), "").unwrap();
    assert_eq!(before, engine());
}

/// S03, CVE-2024-21626: descriptors of ours are no way out, even inherited
/// ones that a caller forgot.
#[test]
fn only_three_descriptors() {
    let cage = Cage::new();
    cage.start("box", &[]);
    let leaked = std::fs::File::open("/etc").unwrap();
    let flags = nix::fcntl::FdFlag::empty();
    nix::fcntl::fcntl(&leaked, nix::fcntl::FcntlArg::F_SETFD(flags)).unwrap();
    // A shell on top, so that other commands of this process do not get it.
    let number = leaked.as_raw_fd();
    let with_leak = |arguments: Vec<&str>| {
        let mut sh = cage.env.command("bash");
        let script = format!("exec 17</etc 200</; exec {number}</etc; exec \"$@\"");
        sh.args(["-c", &script, "sh", wherry_path()])
            .args(arguments);
        run(sh, b"", 30)
    };
    drop(leaked);
    // ls has one of its own, for the directory.
    let list = ["ls", "/proc/self/fd"];
    for options in [&[][..], &["-i"], &["--init"], &["-u", "1000"]] {
        let text = with_leak(cage.arguments(&["run", "--rm"], options, &list));
        assert_eq!(text.ok().text(), "0\n1\n2\n3\n", "{options:?}");
    }
    let text = with_leak([&["exec", "box"][..], &list].concat());
    assert_eq!(text.ok().text(), "0\n1\n2\n3\n");
    let every = "for p in /proc/[0-9]*; do ls -l $p/fd; done 2>/dev/null | grep -v /proc/ | grep -c ' /[^d]'; true";
    assert_eq!(
        with_leak(cage.arguments(&["run", "--rm"], &["--init"], &["sh", "-c", every]))
            .ok()
            .text(),
        "0\n"
    );
    for n in 0..64 {
        for dir in [
            format!("/proc/self/fd/{n}"),
            format!("/proc/self/fd/{n}/../.."),
            format!("/proc/thread-self/fd/{n}"),
        ] {
            let look = ["sh", "-c", "pwd; ls -a /proc/self/cwd"];
            let run = with_leak(cage.arguments(&["run", "--rm"], &["-w", &dir], &look));
            let exec = with_leak([&["exec", "-w", &dir, "box"][..], &look].concat());
            for out in [run, exec] {
                let seen = out.text();
                assert!(
                    out.status != 0 || !seen.contains("shadow") && !seen.contains("lost+found"),
                    "{dir}: {out}"
                );
                assert!(!out.errors().contains("panicked"), "{out}");
            }
            if n > 4 {
                break;
            }
        }
    }
    // By a link of the image.
    std::os::unix::fs::symlink("/proc/self/fd/17", cage.root.join("link")).unwrap();
    for dir in ["/link", "/link/new", "/proc/self/fd/200/tmp"] {
        let out = with_leak(cage.arguments(&["run", "--rm"], &["-w", dir], &["ls", "-a"]));
        assert_ne!(out.status, 0, "{dir}: {out}");
    }
}

/// A started container has no controlling terminal of the caller's (S29), and
/// what it pushes into its own never reaches his.
#[test]
fn the_callers_terminal_is_not_passed_in() {
    let cage = Cage::new();
    cage.add_payload("attack_probe");
    let push = ["/attack_probe", "push"];
    let on_pty = |options: &[&str]| {
        let command = cage
            .env
            .wherry_command(cage.arguments(&["run", "--rm"], options, &push));
        let mut pty = Pty::spawn(&command, 24, 80);
        pty.expect("ed\r\n");
        assert_eq!(pty.wait(), 0, "{}", pty.text());
        pty.text()
    };
    assert_eq!(on_pty(&["-i"]).trim(), "0 0 0 refused");
    assert_eq!(on_pty(&[]).trim(), "0 0 0 refused");
    let own = on_pty(&["-it"]);
    assert!(own.contains("1 1 1 "), "{own}");
    // The shell that started it reads nothing but what was typed.
    let mut shell = cage.env.command("sh");
    let run = cage.arguments(&["run", "--rm"], &["-it"], &push);
    shell
        .args([
            "-c",
            "\"$@\"; stty -icanon min 0 time 2; echo \"left:$(dd bs=99 count=1 2>/dev/null):\"",
            "sh",
        ])
        .arg(wherry_path())
        .args(run);
    let mut pty = Pty::spawn(&shell, 24, 80);
    pty.expect("left:");
    pty.expect(":");
    assert!(pty.text().contains("left::"), "{}", pty.text());
    pty.wait();
}

/// S30: keys of the caller's session are not the container's.
#[test]
fn the_callers_keys_are_not_passed_in() {
    let cage = Cage::new();
    cage.add_payload("attack_probe");
    let with_key = |arguments: Vec<&str>| {
        let mut probe = cage.env.command(payload("attack_probe"));
        probe.arg("with-key").args(arguments);
        run(probe, b"", 30).ok().text()
    };
    let wherry = wherry_path();
    let inside = ["/attack_probe", "find-key"];
    let probe = payload("attack_probe");
    assert_eq!(
        with_key(vec![probe.to_str().unwrap(), "find-key"]),
        "found\n",
        "the test sees keys at all"
    );
    let free = ["--security-opt", "seccomp=unconfined"];
    let run_free = cage.arguments(&["run", "--rm"], &free, &inside);
    let seen = with_key([&[wherry][..], &run_free].concat());
    assert!(!seen.contains("found"), "{seen}");
    let run_default = cage.arguments(&["run", "--rm"], &[], &inside);
    let seen = with_key([&[wherry][..], &run_default].concat());
    assert!(seen.contains("not permitted"), "{seen}");
    cage.start("box", &free);
    let seen = with_key([&[wherry, "exec", "box"][..], &inside].concat());
    assert!(!seen.contains("found"), "{seen}");
}
