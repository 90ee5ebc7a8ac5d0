//! Completion as a person meets it: bash (alone, and with bash-completion,
//! which loads it when it is needed), zsh and fish on a terminal. `wherry` is a
//! stand-in there that shows its arguments, and asks the real one only for
//! completion: so what was completed is what comes out, however the shell has
//! drawn it.

use crate::support::Env;
use crate::support::env::wherry_path;
use crate::support::pty::Pty;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

const TAB: &str = "\t";

/// Two containers, one of them running, and an image.
fn env() -> Env {
    let env = Env::busybox();
    env.ok(["run", "-d", "--name", "lively", "busybox", "sleep", "600"]);
    env.ok(["create", "--name", "lonely", "busybox", "true"]);
    std::fs::write(env.path("home/file.env"), "").unwrap();
    std::fs::create_dir(env.path("home/folder")).unwrap();
    let script = format!(
        "#!/bin/sh\ncase $1 in __complete*) exec {} \"$@\" ;; esac\n\
         printf ran\nprintf ' <%s>' \"$@\"\necho\n",
        wherry_path()
    );
    std::fs::create_dir(env.path("bin")).unwrap();
    for name in ["wherry", "docker"] {
        let path = env.path("bin").join(name);
        std::fs::write(&path, &script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    env
}

fn completions() -> PathBuf {
    std::path::absolute("completions").unwrap()
}

/// A shell that finds the stand-in and has shown its prompt.
fn shell(env: &Env, command: &[&str], setup: &[&str]) -> Pty {
    let mut shell = env.command(command[0]);
    let path = format!("{}:/usr/bin:/bin", env.path("bin").display());
    shell.args(&command[1..]).env("PATH", path);
    start(shell, setup)
}

fn start(shell: Command, setup: &[&str]) -> Pty {
    let mut pty = Pty::spawn(&shell, 40, 200);
    for line in setup {
        pty.send(format!("{line}\r"));
    }
    pty.send("echo rea''dy\r");
    pty.expect("ready");
    pty
}

/// What is typed (`>` is the tabulator key), and the command that this gives.
const CASES: &[(&str, &str)] = &[
    ("wherry ru>", "<run>"),
    ("wherry rm lo>", "<rm> <lonely>"),
    ("wherry stop l>", "<stop> <lively>"),
    ("wherry start l>", "<start> <lonely>"),
    (
        "wherry container rm -f lonely li>",
        "<container> <rm> <-f> <lonely> <lively>",
    ),
    ("wherry run --net>", "<run> <--network>"),
    ("wherry run --network no>", "<run> <--network> <none>"),
    ("wherry run --network=no>", "<run> <--network=none>"),
    (
        "wherry -D run -it --pull al>",
        "<-D> <run> <-it> <--pull> <always>",
    ),
    ("wherry run bus>", "<run> <busybox:latest>"),
    ("wherry run busybox:l>", "<run> <busybox:latest>"),
    (
        "wherry kill -s SIGKI> li>",
        "<kill> <-s> <SIGKILL> <lively>",
    ),
    ("wherry ps -f status=rem>", "<ps> <-f> <status=removing>"),
    (
        "wherry ps --filter=status=rem>",
        "<ps> <--filter=status=removing>",
    ),
    ("wherry run --env-file fi>", "<run> <--env-file> <file.env>"),
    ("wherry run --env-file=fi>", "<run> <--env-file=file.env>"),
    ("wherry run --rootfs fo>", "<run> <--rootfs> <folder>"),
    ("docker ru>", "<run>"),
];

fn drive(pty: &mut Pty, shown: [&str; 2]) {
    for (typed, wanted) in CASES {
        pty.send(format!("{}\r", typed.replace('>', TAB)));
        pty.expect("ran ");
        let got = pty.expect("\r\n");
        // Some shells take the slash of a directory away again.
        let got = got.trim_end().replace("/>", ">");
        assert_eq!(got, *wanted, "{typed}\n{}", pty.text());
    }
    // Two beginnings: both are shown.
    pty.send(format!("wherry container st{TAB}{TAB}"));
    for words in shown {
        pty.expect(words);
    }
}

#[test]
fn bash() {
    let env = env();
    let script = completions().join("wherry.bash");
    let source = format!(". {}", script.display());
    let line = ["bash", "--norc", "--noprofile", "-i"];
    let mut pty = shell(&env, &line, &[&source, "complete -F _wherry docker"]);
    drive(&mut pty, ["start", "stop"]);
}

#[test]
fn bash_completion_loads_it() {
    let env = env();
    let dir = env.path("data/bash-completion/completions");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::copy(completions().join("wherry.bash"), dir.join("wherry")).unwrap();
    let line = ["bash", "--norc", "--noprofile", "-i"];
    let source = ". /usr/share/bash-completion/bash_completion";
    let mut pty = shell(&env, &line, &[source]);
    pty.send(format!("wherry rm lo{TAB}\r"));
    pty.expect("ran <rm> <lonely>");
}

#[test]
fn zsh() {
    let env = env();
    let fpath = format!("fpath=({} $fpath)", completions().display());
    let setup = [
        fpath.as_str(),
        "autoload -Uz compinit && compinit -u -D",
        "compdef _wherry docker",
    ];
    let mut pty = shell(&env, &["zsh", "-f", "-i"], &setup);
    drive(&mut pty, ["start  -- Start", "stop   -- Stop"]);
}

#[test]
fn fish() {
    let env = env();
    let dir = env.path("share/fish/vendor_completions.d");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::copy(completions().join("wherry.fish"), dir.join("wherry.fish")).unwrap();
    let mut shell = env.command("fish");
    let path = format!("{}:/usr/bin:/bin", env.path("bin").display());
    let share = format!("{}:/usr/share", env.path("share").display());
    shell
        .arg("-i")
        .env("PATH", path)
        .env("XDG_DATA_DIRS", share);
    let shown = ["Start one or more stopped", "Stop one or more running"];
    drive(&mut start(shell, &["complete -c docker -w wherry"]), shown);
}
