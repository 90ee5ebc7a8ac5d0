//! Signals that the attached command gets, 1 to 64 (promise M5).

use super::{Piped, detached};
use crate::resilience::state;
use crate::support::env::wait;
use crate::support::{Env, eventually};

/// Tells every signal that can be told. Not CHLD: its own children end.
const TELLS: &str = "for s in $(seq 1 64); do [ $s = 17 ] || trap \"echo got $s.\" $s; done \
                     2>/dev/null; echo ready; while :; do sleep 0.02; done";

/// Nobody can catch the first two; two are libc's own in the container; the
/// rest stays with the command.
const NOT_TOLD: [i32; 9] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    32,
    33,
    libc::SIGCHLD,
    libc::SIGPIPE,
    libc::SIGURG,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

#[test]
fn all_are_passed_on() {
    let env = Env::busybox();
    let head = ["run", "--name", "box", "--network", "none", "busybox"];
    let client = Piped::spawn(&env, &[&head[..], &["sh", "-c", TELLS]].concat());
    client.expect("ready\n");
    for signal in (1..=64).filter(|s| !NOT_TOLD.contains(s)) {
        client.signal(signal);
        if signal == libc::SIGTSTP {
            // It stops as well, where a shell could continue it. Continued too
            // early, the container would have no time to be told.
            let got = format!("got {signal}.");
            assert!(eventually(20, || env.ok(["logs", "box"]).contains(&got)));
            assert!(eventually(20, || client.is_stopped() || client.has(&got)));
            client.signal(libc::SIGCONT);
        }
        client.expect(&format!("got {signal}.\n"));
    }
    for signal in [32, 33, libc::SIGCHLD, libc::SIGPIPE, libc::SIGURG] {
        client.signal(signal);
    }
    // Signals in front of it have been dealt with once this one has.
    client.signal(40);
    let told = || client.out.text().matches("got 40.\n").count();
    assert!(eventually(20, || told() == 2));
    for signal in NOT_TOLD {
        assert!(!client.has(&format!("got {signal}.\n")), "{signal}");
    }
    env.ok(["kill", "box"]);
    assert_eq!(client.end().0, 137);
}

#[test]
fn by_attach_as_well() {
    let env = Env::busybox();
    let ticks = TELLS.replace("sleep 0.02", "echo tick; sleep 0.02");
    detached(&env, &[], &["sh", "-c", &ticks]);
    for args in [&["attach", "box"][..], &["start", "-a", "box"]] {
        let client = Piped::spawn(&env, args);
        client.expect("tick\n");
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGUSR2, 64] {
            client.signal(signal);
            client.expect(&format!("got {signal}.\n"));
        }
        client.signal(libc::SIGKILL);
        assert_eq!(client.end().0, 137);
    }
    assert_eq!(state(&env, "box"), "running");
}

/// Then they do to the command what they do to any.
#[test]
fn none_without_proxy() {
    let env = Env::busybox();
    let ticks = TELLS.replace("sleep 0.02", "echo tick; sleep 0.02");
    let head = ["run", "--name", "box", "--network", "none"];
    let run = [
        &head[..],
        &["--sig-proxy=false", "busybox", "sh", "-c", &ticks],
    ]
    .concat();
    let attach = ["attach", "--sig-proxy=false", "box"];
    for args in [&run[..], &attach, &attach] {
        let client = Piped::spawn(&env, args);
        client.expect("tick\n");
        client.signal(libc::SIGWINCH);
        client.signal(libc::SIGTERM);
        assert_eq!(client.end().0, 143);
        assert_eq!(state(&env, "box"), "running");
    }
    let log = env.ok(["logs", "box"]);
    assert!(!log.contains("got"), "{log}");
}

/// One that does not listen is left alone after the third Ctrl-C.
#[test]
fn three_times_is_enough() {
    let env = Env::busybox();
    let head = ["run", "--name", "box", "--network", "none", "busybox"];
    let client = Piped::spawn(
        &env,
        &[
            &head[..],
            &["sh", "-c", "trap '' INT; echo ready; sleep 600"],
        ]
        .concat(),
    );
    client.expect("ready\n");
    let mut client = client;
    // Two at the same time count once.
    let asked = eventually(20, || {
        client.signal(libc::SIGINT);
        matches!(client.child.try_wait(), Ok(Some(_)))
    });
    assert!(asked);
    assert_eq!(wait(&mut client.child, 1), Some(1));
    let (_, _, said) = client.end();
    assert!(
        said.contains("got 3 SIGTERM/SIGINTs, forcefully exiting"),
        "{said}"
    );
    assert_eq!(state(&env, "box"), "running");
}
