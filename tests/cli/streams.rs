//! What goes to which stream, and streams that go away.

use crate::support::Env;
use crate::support::env::{run, wherry_path};
use std::process::Stdio;
use wherry::cli::commands::{COMMANDS, NOUNS};

#[test]
fn help_goes_to_stdout_when_asked_for_and_to_stderr_when_not() {
    let env = Env::new();
    let asked = env.wherry(["--help"]).ok();
    assert!(
        asked
            .text()
            .starts_with("Usage:  wherry [OPTIONS] COMMAND\n"),
        "{asked}"
    );
    assert_eq!(asked.errors(), "");
    for args in [vec!["help"], vec!["-h"], vec!["foo", "--help"]] {
        assert_eq!(env.wherry(args).ok().text(), asked.text());
    }
    let alone = env.wherry([] as [&str; 0]).ok();
    assert_eq!(
        (alone.text(), alone.errors()),
        (String::new(), asked.text())
    );
    for noun in NOUNS {
        let words: Vec<&str> = noun.name.split(' ').collect();
        let asked = env.wherry([&words[..], &["--help"]].concat()).ok();
        assert_eq!(asked.errors(), "");
        let alone = env.wherry(&words).ok();
        assert_eq!(
            (alone.text(), alone.errors()),
            (String::new(), asked.text())
        );
        let help = env.wherry([&["help"], &words[..]].concat()).ok();
        assert_eq!(help.text(), asked.text());
    }
}

#[test]
fn every_command_has_help_that_fits() {
    let env = Env::new();
    for path in COMMANDS.iter().flat_map(|entry| entry.paths) {
        let words: Vec<&str> = path.split(' ').collect();
        let out = env.wherry(words.iter().copied().chain(["--help"])).ok();
        let text = out.text();
        assert!(text.starts_with(&format!("Usage:  wherry {path}")), "{out}");
        assert_eq!(out.errors(), "");
        let general = text.split("\nOptions:\n").nth(1).unwrap_or_default();
        let general = general.split("\n\n").next().unwrap_or_default();
        assert!(general.contains(" --help "), "{out}");
        for line in text.lines().filter(|l| l.starts_with("  ")) {
            let listed = line.starts_with("  wherry ");
            assert!(listed || line.chars().count() <= 80, "{path}: {line}");
        }
        for line in text.lines().filter(|l| l.trim_start().starts_with('-')) {
            let about = line
                .trim_start()
                .split_once("   ")
                .map_or("", |(_, about)| about.trim());
            assert!(!about.is_empty(), "{path}: no words on {line}");
        }
        assert_eq!(
            env.wherry(["help"].into_iter().chain(words)).ok().text(),
            text
        );
    }
}

#[test]
fn help_looks_like_dockers() {
    let env = Env::new();
    let lines = [
        "ps --help",
        "images --help",
        "inspect --help",
        "container kill --help",
        "help wait",
    ];
    super::golden("help.txt", &super::session(&env, &lines));
}

#[test]
fn a_link_called_docker_is_docker() {
    let env = Env::new();
    let link = env.path("tmp/docker");
    std::os::unix::fs::symlink(wherry_path(), &link).unwrap();
    let docker = |args: &[&str]| {
        let mut command = env.command(&link);
        command.args(args);
        run(command, b"", 20)
    };
    docker(&["ps", "x"])
        .status(1)
        .says("docker: 'docker ps' accepts no arguments");
    assert!(
        docker(&["--version"])
            .ok()
            .text()
            .starts_with("Docker (wherry) version ")
    );
    assert_eq!(docker(&["ps", "-aq"]).ok().text(), "");
    docker(&["run", "--nope"])
        .status(125)
        .says("Usage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]")
        .says("Run 'docker run --help' for more information");
    docker(&["pss"]).status(1).says("did you mean `docker ps`?");
    docker(&["run", "--pull", "never", "nope:1"])
        .status(125)
        .says("docker: ");
    assert!(
        docker(&["container", "ls", "--help"])
            .ok()
            .text()
            .contains("docker container ls, docker container list, docker container ps, docker ps")
    );
}

#[test]
fn a_reader_that_goes_away_ends_us_quietly() {
    let env = Env::new();
    for args in [vec!["--help"], vec!["ps"], vec!["version"]] {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let mut command = env.wherry_command(args);
        let out = command
            .stdin(Stdio::null())
            .stdout(write)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(141));
        assert_eq!(String::from_utf8_lossy(&out.stderr), "");
    }
}

#[test]
fn a_full_disk_behind_stdout_is_an_error() {
    let env = Env::new();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = env.wherry_command(["version"]);
    let out = command
        .stdin(Stdio::null())
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(
        errors,
        "Error: cannot write to standard output: no space left on device\n"
    );
}
