//! `build --debug`: a shell where a step has failed.

use super::Site;
use crate::support::eventually;
use crate::support::pty::Pty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const TEXT: &str = "FROM busybox AS other\nRUN echo other > /other\n\
    FROM busybox\nENV A=of-the-image\nWORKDIR /w\nRUN echo before > before\n\
    RUN --mount=type=secret,id=s --mount=from=other,target=/m echo half > half; rm before; exit 7\n";

fn start(site: &Site) -> Pty {
    site.file("secret", "hidden").dockerfile(TEXT);
    let mut command = site.env.wherry_command(["build", "--debug", "-t", "t"]);
    command
        .arg("--secret=id=s,src=secret")
        .arg(&site.dir)
        .current_dir(&site.dir);
    let mut pty = Pty::spawn(&command, 40, 120);
    pty.expect("exit code: 7");
    pty.expect("a shell where the step has failed");
    pty.expect("# ");
    pty
}

#[test]
fn a_shell_with_all_that_the_step_had() {
    let site = Site::new();
    let mut pty = start(&site);
    for (command, answer) in [
        ("pwd; echo $A", "/w\r\nof-the-image"),
        ("cat half; ls", "half\r\nhalf"),
        ("cat /m/other", "other"),
        ("cat /run/secrets/s; echo", "hidden"),
        ("ip route | grep -c default", "1"),
        ("stty size", "40 120"),
    ] {
        pty.send(format!("{command}\n"));
        pty.expect(&format!("\r\n{answer}\r\n"));
    }
    pty.send("exit 0\n");
    // The build has failed all the same.
    assert_eq!(pty.wait(), 1);
    site.is_tidy();
    site.env.wherry(["image", "inspect", "t"]).status(1);
}

#[test]
fn a_killed_one_leaves_nothing() {
    let site = Site::new();
    let mut pty = start(&site);
    pty.send("echo is-$((40 + 2))\n");
    pty.expect("is-42");
    kill(Pid::from_raw(pty.pid()), Signal::SIGKILL).unwrap();
    pty.wait();
    let text = "FROM busybox\nRUN echo next\n";
    site.ok(text);
    assert!(eventually(10, || {
        site.ok(text);
        let work = std::fs::read_dir(site.env.path("data/wherry/build/work"));
        work.is_ok_and(|entries| entries.count() == 0)
    }));
}

#[test]
fn without_a_terminal_there_is_none() {
    let site = Site::new();
    site.dockerfile("FROM busybox\nRUN exit 3\n");
    let out = site.build(&["--debug"]).status(1);
    assert!(out.errors().contains("exit code: 3"));
    out.says("needs a terminal");
    site.is_tidy();
    site.ok("FROM busybox\nRUN true\n");
}
