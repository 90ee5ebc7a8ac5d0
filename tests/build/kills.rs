//! kill -9 of builds at random instants: the next command tells the truth, and
//! nothing is left (promise C1).

use super::Site;
use crate::support::kill::{Aim, Dice};
use crate::support::{Env, eventually};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

const TIMES: u32 = 100;

#[test]
fn as_user_killed_builds_leave_nothing() {
    let site = Site::of(Env::busybox_alone());
    site.file("f", "x").file("d/g", "y");
    // One stage has a network, which is shared by its steps.
    site.dockerfile("FROM busybox AS a\nRUN --network=none echo a > /a\nCOPY d /d\nFROM busybox\nRUN --mount=type=cache,target=/c echo $RANDOM > /b; touch /c/x\nCOPY --from=a /a /a2\nWORKDIR /w\nCOPY f .\nRUN sleep 0.01; rm /b\n");
    let build = || {
        let mut command = site.env.wherry_command(["build", "-t", "t"]);
        command.arg(&site.dir);
        command
    };
    // What stays of a build that ends: images, cache and all.
    crate::support::env::run(build(), b"", 60).ok();
    let clear = || {
        site.env.wherry(["rmi", "-f", "t"]);
        site.env.ok(["image", "prune", "-f"]);
        site.env.ok(["builder", "prune", "-af"]);
    };
    // What any command leaves once, and one that finds a killed monitor.
    site.shows("true");
    let id = site
        .env
        .ok(["run", "-d", "--name", "box", "busybox", "sleep", "60"]);
    let monitor = site.env.record(&id, "state")["Monitor"]["Pid"].as_i64();
    let monitor = Pid::from_raw(monitor.unwrap().try_into().unwrap());
    kill(monitor, Signal::SIGKILL).unwrap();
    site.env.ok(["rm", "-f", "box"]);
    site.shows("true");
    clear();
    let before = site.env.snapshot();
    let began = Instant::now();
    crate::support::env::run(build(), b"", 60).ok();
    let mut dice = Dice::new();
    let mut aim = Aim::within(began.elapsed());
    for n in 0..TIMES {
        clear();
        let mut command = build();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        let end = Instant::now() + aim.moment(&mut dice);
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            std::thread::sleep(left.min(Duration::from_micros(300)));
        }
        let killed = matches!(child.try_wait(), Ok(None));
        if killed {
            let pid = Pid::from_raw(child.id().cast_signed());
            match dice.below(2) {
                0 => kill(pid, Signal::SIGKILL).unwrap(),
                _ => killpg(pid, Signal::SIGKILL).unwrap(),
            }
        }
        child.wait().unwrap();
        aim.learn(killed);
        assert_eq!(site.env.ok(["ps", "-aq"]), "", "try {n}");
        if n % 4 == 0 {
            crate::support::env::run(build(), b"", 60).ok();
            assert_eq!(site.shows("cat a2 f; ls /b 2>&1 | wc -l"), "x1", "try {n}");
            site.is_tidy();
        }
    }
    crate::support::env::run(build(), b"", 60).ok();
    clear();
    let difference = || before.difference(&site.env.snapshot());
    assert!(
        eventually(20, || difference().is_empty()),
        "{}",
        difference()
    );
}

#[test]
fn as_user_an_interrupted_build_is_tidy() {
    let site = Site::new();
    site.dockerfile("FROM busybox\nRUN echo begun; sleep 60\n");
    let mut command = site.env.wherry_command(["build", "--network", "none"]);
    command
        .arg(&site.dir)
        .stderr(Stdio::piped())
        .stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().ends_with("begun")));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let status = crate::support::env::wait(&mut child, 20);
    assert_eq!(status, Some(130));
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(
        rest.iter().any(|line| line.contains("Canceled")),
        "{rest:?}"
    );
    site.is_tidy();
    let mut ps = site.env.command("ps");
    ps.args(["-eo", "args"]);
    let processes = crate::support::env::run(ps, b"", 10).text();
    assert!(
        !processes.lines().any(|line| line == "sleep 60"),
        "{processes}"
    );
}
