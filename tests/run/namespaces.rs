//! Namespaces that are the host's or another container's.

use crate::support::{Env, eventually};
use std::path::Path;

const KINDS: [&str; 5] = ["pid", "ipc", "uts", "cgroup", "net"];

/// The namespaces of the shell that prints them, in the order of `KINDS`.
const LINKS: &str = "cd /proc/self/ns; for kind in pid ipc uts cgroup net; do readlink $kind; done";

fn of_host(kind: &str) -> String {
    let link = std::fs::read_link(Path::new("/proc/self/ns").join(kind)).unwrap();
    link.to_str().unwrap().to_owned()
}

fn run(env: &Env, options: &[&str], script: &str) -> String {
    env.ok([&["run", "--rm"], options, &["busybox", "sh", "-c", script]].concat())
}

fn start(env: &Env, name: &str, options: &[&str]) {
    let command = ["busybox", "sleep", "1000"];
    env.ok([&["run", "-d", "--name", name], options, &command].concat());
}

/// Only what was asked for is the host's, for run and for exec.
#[test]
fn modes_of_the_host() {
    let env = Env::busybox();
    for (option, kind) in [
        ("--pid", "pid"),
        ("--ipc", "ipc"),
        ("--uts", "uts"),
        ("--cgroupns", "cgroup"),
        ("--network", "net"),
    ] {
        let mut options = vec![option, "host"];
        if option != "--network" {
            options.extend(["--network", "none"]);
        }
        start(&env, kind, &options);
        let by_exec = env.ok(["exec", kind, "sh", "-c", LINKS]);
        for by in [run(&env, &options, LINKS), by_exec] {
            for (kind_of_line, link) in KINDS.iter().zip(by.lines()) {
                let shared = link == of_host(kind_of_line);
                assert_eq!(shared, *kind_of_line == kind, "{option} host: {by}");
            }
            assert_eq!(by.lines().count(), KINDS.len());
        }
        env.ok(["rm", "-f", kind]);
    }
}

#[test]
fn what_the_host_has() {
    let env = Env::busybox();
    let script = "cat /proc/1/comm; cat /proc/kcore | wc -c; \
                  echo x 2>/dev/null >/proc/sys/kernel/hostname || echo ro; [ $$ = 1 ] || echo other";
    let comm = std::fs::read_to_string("/proc/1/comm").unwrap();
    let want = format!("{comm}0\nro\nother");
    assert_eq!(
        run(&env, &["--pid", "host", "--network", "none"], script),
        want
    );
    let host = nix::unistd::gethostname().unwrap();
    let host = host.to_str().unwrap();
    assert_eq!(
        run(&env, &["--uts", "host"], "hostname; echo $HOSTNAME"),
        format!("{host}\n{host}")
    );
    let file = format!("/dev/shm/wherry-test-{}", std::process::id());
    std::fs::write(&file, "shared").unwrap();
    let seen = run(&env, &["--ipc", "host"], &format!("cat {file}"));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(seen, "shared");
    let script = "grep -c ' /dev/shm ' /proc/mounts";
    let out = env.wherry([
        "run", "--rm", "--ipc", "none", "busybox", "sh", "-c", script,
    ]);
    assert_eq!(out.text(), "0\n");
    assert_eq!(run(&env, &["--userns", "host"], "id -u"), "0");
}

/// Nothing ends by itself there, and nothing is left all the same.
#[test]
fn nothing_is_left_in_the_hosts_process_namespace() {
    let env = Env::busybox();
    let script = "(sleep 1000 & echo $!; setsid sleep 1000 & echo $!) >/pids; cat /pids";
    let out = run(&env, &["--pid", "host", "--network", "none"], script);
    let pids: Vec<&str> = out.lines().collect();
    assert_eq!(pids.len(), 2, "{out}");
    for pid in pids {
        let gone = || !Path::new("/proc").join(pid).exists();
        assert!(eventually(20, gone), "{pid} is still there");
    }
}

#[test]
fn modes_of_another_container() {
    let env = Env::busybox();
    start(&env, "donor", &["--ipc", "shareable", "-h", "its-name"]);
    let its = env.ok(["exec", "donor", "sh", "-c", LINKS]);
    env.ok([
        "exec",
        "donor",
        "sh",
        "-c",
        "echo kept >/dev/shm/file; echo 1 >/only-there",
    ]);
    for (option, kind) in [("--pid", "pid"), ("--ipc", "ipc"), ("--network", "net")] {
        let mut options = vec![option, "container:donor"];
        if option != "--network" {
            options.extend(["--network", "none"]);
        }
        start(&env, kind, &options);
        let by_exec = env.ok(["exec", kind, "sh", "-c", LINKS]);
        for by in [run(&env, &options, LINKS), by_exec] {
            for ((kind_of_line, link), its) in KINDS.iter().zip(by.lines()).zip(its.lines()) {
                assert_eq!(link == its, *kind_of_line == kind, "{option}: {by}\n{its}");
            }
            assert_eq!(by.lines().count(), KINDS.len());
        }
        env.ok(["rm", "-f", kind]);
    }
    let all = [
        "--pid",
        "container:donor",
        "--ipc",
        "container:donor",
        "--network",
        "container:donor",
    ];
    let script = "cat /proc/1/cmdline | tr '\\0' ' '; cat /dev/shm/file; hostname; ls /only-there 2>&1 | wc -w; \
                  grep CapEff /proc/self/status; cat /proc/kcore | wc -c; id -u";
    let got = run(&env, &all, script);
    let first: Vec<&str> = got.lines().collect();
    assert_eq!(&first[..2], &["sleep 1000 kept", "its-name"], "{got}");
    assert!(got.contains("CapEff:\t00000000a80425fb\n0\n0"), "{got}");
    // It is there by its own name, and ends with the other.
    start(&env, "joined", &all);
    let mode = env.ok(["inspect", "-f", "{{.HostConfig.PidMode}}", "joined"]);
    let id = env.ok(["inspect", "-f", "{{.Id}}", "donor"]);
    assert_eq!(mode, format!("container:{id}"));
    assert_eq!(env.ok(["exec", "joined", "cat", "/dev/shm/file"]), "kept");
    env.ok(["rm", "-f", "donor"]);
    assert_eq!(env.ok(["wait", "joined"]), "137");
}

#[test]
fn what_cannot_be_joined() {
    let env = Env::busybox();
    env.ok(["create", "--name", "created", "busybox", "true"]);
    start(&env, "private", &["--network", "none"]);
    start(&env, "host", &["--pid", "host", "--network", "none"]);
    let id = env.ok(["inspect", "-f", "{{.Id}}", "created"]);
    for (options, says) in [
        (
            &["--pid", "container:nobody"][..],
            "No such container: nobody",
        ),
        (&["--ipc", "container:nobody"], "No such container: nobody"),
        (
            &["--network", "container:nobody"],
            "No such container: nobody",
        ),
        (
            &["--pid", "container:created"],
            &format!("cannot join PID of a non running container: {id}"),
        ),
        (
            &["--ipc", "container:created"],
            &format!("cannot join IPC of a non running container: {id}"),
        ),
        (
            &["--network", "container:created"],
            &format!("cannot join network of a non running container: {id}"),
        ),
        (&["--ipc", "container:private"], "non-shareable IPC"),
        (
            &["--pid", "container:private", "--ipc", "container:host"],
            "cannot join the namespaces of two containers",
        ),
        (
            &["--uts", "host", "-h", "x"],
            "conflicting options: hostname and the UTS mode",
        ),
        (
            &["--network", "container:private", "-p", "80"],
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            &["--ipc", "host", "--sysctl", "kernel.shmmax=1"],
            "sysctl 'kernel.shmmax' is not allowed with a --ipc",
        ),
        (&["--userns", "auto"], "--userns auto is not supported"),
        (&["--userns", "odd"], "--userns: invalid USER mode"),
        (
            &["--init", "--pid", "host"],
            "--init is not supported with --pid host",
        ),
    ] {
        let args = [&["run", "--rm"], options, &["busybox", "true"]].concat();
        env.wherry(args).status(125).says(says);
    }
    // One who has the host's gives the host's on.
    let got = run(
        &env,
        &["--pid", "container:host", "--network", "none"],
        LINKS,
    );
    assert_eq!(got.lines().next().unwrap(), of_host("pid"));
}
