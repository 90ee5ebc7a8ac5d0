//! Wrong command lines.

use super::{golden, session};
use crate::support::Env;

#[test]
fn wrong_command_lines() {
    let text = session(
        &Env::new(),
        &[
            "foo",
            "rum",
            "context ls",
            "swarm init",
            "container foo",
            "container sop",
            "container --foo",
            "run",
            "run --foo",
            "run --detatch",
            "ps -azl",
            "ps --format",
            "ps -f",
            "ps -n x",
            "ps foo",
            "ps --all=maybe",
            "ps -f foo",
            "ps -f foo=1",
            "ps -f status=bad",
            "ps -f exited=x",
            "ps -f since=nope",
            "ps -f 'name=['",
            "ps --format '{{.Nope}}'",
            "ps --format '{{.ID'",
            "inspect",
            "inspect nope",
            "inspect -s nope",
            "inspect --type foo nope",
            "inspect --type volume nope",
            "inspect -f '{{.Id' nope",
            "version -f '{{.Id'",
            "version -f '{{.Nope}}'",
            "container inspect nope",
            "image inspect nope",
            "-z",
            "--foo",
            "-H tcp://x ps",
            "--context=a ps",
            "--log-level loud ps",
            "--config",
            "run -p abc x",
            "run -p 99999:80 x",
            "run --mount type=foo x",
            "run --mount type=foo,dst=/x x",
            "run --mount type=bind,src=/nope-nope,dst=/x x",
            "run --rm --restart always x",
            "run --pull foo x",
            "run -v data:x x",
            "run -v /a:rel x",
            "run -v /a:/b:bogus x",
            "run -v a/b:/x x",
            "run --tmpfs /b -v /a:/b x",
            "run --network name=foo,nope=1 x",
            "run --network container: y",
            "run -m abc x",
            "run --ulimit foo x",
            "run --add-host a x",
            "run --env-file /nope x",
            "create --env-file /nope x",
            "create -v /a:rel x",
            "create --stop-timeout x y",
            "--debug inspect nope",
            "images -f until=maybe",
            "images -f before=nope",
            "images --format '{{.Nope}}'",
        ],
    );
    golden("errors.txt", &text);
}

#[test]
fn arguments_that_are_not_utf8_are_refused_with_a_sentence() {
    use std::os::unix::ffi::OsStringExt;
    let env = Env::new();
    let bad = std::ffi::OsString::from_vec(vec![b'a', 0xff]);
    for first in ["inspect", "run"] {
        let mut command = env.wherry_command([first]);
        command.arg(&bad);
        let out = crate::support::env::run(command, b"", 20);
        assert!(matches!(out.status, 1 | 125), "{out}");
        assert!(!out.errors().contains("panicked"), "{out}");
    }
    let mut command = env.wherry_command([] as [&str; 0]);
    command.arg(&bad);
    crate::support::env::run(command, b"", 20)
        .status(1)
        .says("unknown command");
}
