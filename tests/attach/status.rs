//! Statuses and the last bytes are exact, however the command is attached
//! (promises M3, M4), and `-a` in all its combinations.

use super::Piped;
use crate::support::Env;
use crate::support::env::{run, wait};
use std::io::Write;

/// Shares the numbers out among a few threads.
fn in_parallel(numbers: std::ops::Range<usize>, work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for first in 0..4 {
            let (numbers, work) = (numbers.clone(), &work);
            scope.spawn(move || numbers.skip(first).step_by(4).for_each(work));
        }
    });
}

#[test]
fn every_code() {
    let env = Env::busybox();
    in_parallel(0..256, |code| {
        let name = format!("box{code}");
        let script = format!("exit {code}");
        let head = ["run", "--network", "none", "--name", &name, "busybox"];
        let out = env.wherry([&head[..], &["sh", "-c", &script]].concat());
        out.status(code as i32);
        if code % 4 == 0 {
            env.wherry(["start", "-a", &name]).status(code as i32);
            assert_eq!(env.ok(["wait", &name]), code.to_string());
        }
        env.ok(["rm", &name]);
    });
}

#[test]
fn every_signal() {
    let env = Env::busybox();
    // Those that do not end a program; it gets them from another, because a
    // shell has ideas of its own about some.
    let ignored = [
        libc::SIGCHLD,
        libc::SIGURG,
        libc::SIGWINCH,
        libc::SIGCONT,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        32,
        33,
    ];
    in_parallel(1..65, |signal| {
        if ignored.contains(&(signal as i32)) {
            return;
        }
        let script = format!(
            "ulimit -c 0; (while kill -{signal} $$; do sleep 0.05; done) 2>/dev/null & exec sleep 600"
        );
        let head = ["run", "--rm", "--init", "--network", "none", "busybox"];
        let out = env.wherry([&head[..], &["sh", "-c", &script]].concat());
        out.status(128 + signal as i32);
    });
}

#[test]
fn the_last_mebibyte() {
    let env = Env::busybox();
    let script = "head -c 1048576 /dev/zero | tr '\\000' x";
    in_parallel(0..200, |n| {
        let name = format!("box{n}");
        let head = ["run", "--network", "none", "--name", &name];
        // On a terminal, in the log, or both.
        let options: &[&str] = match n % 4 {
            0 => &["-t"],
            1 => &["-t", "--log-driver", "none"],
            2 => &[],
            _ => &["--rm", "--log-driver", "none"],
        };
        let command = ["busybox", "sh", "-c", script];
        let out = env.wherry([&head[..], options, &command].concat()).ok();
        let whole = |bytes: &[u8]| bytes.len() == 1 << 20 && bytes.iter().all(|&b| b == b'x');
        assert!(whole(&out.stdout), "run {n}: {} bytes", out.stdout.len());
        if n % 2 == 0 {
            let log = env.wherry(["logs", &name]).ok();
            assert!(whole(&log.stdout), "log {n}: {} bytes", log.stdout.len());
        }
        if n % 4 != 3 {
            env.ok(["rm", &name]);
        }
    });
}

/// `start -a` is there before the first byte.
#[test]
fn the_first_bytes() {
    let env = Env::busybox();
    let head = ["create", "--network", "none", "--name", "box", "busybox"];
    env.ok([
        &head[..],
        &["sh", "-c", "echo first; echo second >&2; exit 5"],
    ]
    .concat());
    for _ in 0..20 {
        let out = env.wherry(["start", "-a", "box"]).status(5);
        assert_eq!(
            (out.text(), out.errors()),
            ("first\n".into(), "second\n".into())
        );
    }
}

/// `-a`: those streams and no others.
#[test]
fn chosen_streams() {
    let env = Env::busybox();
    let script = "echo out; echo err >&2; exit 7";
    for (streams, out, err) in [
        (&["stdout"][..], "out\n", ""),
        (&["STDERR"], "", "err\n"),
        (&["stdout", "stderr"], "out\n", "err\n"),
        (&["stdin", "stdout"], "out\n", ""),
    ] {
        let mut args = vec!["run", "--rm", "--network", "none"];
        args.extend(streams.iter().flat_map(|stream| ["-a", stream]));
        args.extend(["busybox", "sh", "-c", script]);
        let got = env.wherry(args).status(7);
        assert_eq!(
            (got.text(), got.errors()),
            (out.into(), err.into()),
            "{streams:?}"
        );
    }
    env.wherry(["run", "-d", "-a", "stdout", "busybox"])
        .status(1)
        .says("cannot specify both --attach and --detach");
    env.wherry(["run", "-a", "stdall", "busybox"]).status(125);
}

/// Attached to its input alone, `run` gives that, tells the ID and leaves.
#[test]
fn input_alone() {
    let env = Env::busybox();
    let bytes = vec![b'x'; 3 << 20];
    let args = [
        "run",
        "-i",
        "-a",
        "stdin",
        "--name",
        "box",
        "--network",
        "none",
    ];
    let command = ["busybox", "sh", "-c", "wc -c; exit 8"];
    let out = env
        .wherry_with([&args[..], &command].concat(), &bytes)
        .status(0);
    assert_eq!(out.text().trim_end().len(), 64, "{out}");
    assert_eq!(env.ok(["wait", "box"]), "8");
    assert_eq!(env.ok(["logs", "box"]), bytes.len().to_string());
}

/// Without a stream that the container fills, nothing holds it back.
#[test]
fn a_stream_that_is_not_attached() {
    let env = Env::busybox();
    let script = "yes | head -c 8388608; echo over >&2";
    let args = ["run", "--rm", "--network", "none", "--log-driver", "none"];
    let command = ["-a", "stderr", "busybox", "sh", "-c", script];
    let client = Piped::spawn(&env, &[&args[..], &command].concat());
    let (status, out, err) = client.end();
    assert_eq!((status, out.len(), err.as_str()), (0, 0, "over\n"));
}

/// 100 MB there and back through a shell's pipeline, in which each waits for
/// the next.
#[test]
fn in_a_pipeline() {
    let env = Env::busybox();
    let program = env.wherry_command([""; 0]);
    let program = program.get_program().to_str().unwrap();
    let cat = format!("{program} run --rm -i --network none --log-driver none busybox cat");
    let script = format!(
        "set -o pipefail; head -c 100000000 /dev/urandom >big; \
         cat big | {cat} | (sleep 0.5; cat) | cmp - big && echo same"
    );
    let mut bash = env.command("bash");
    bash.args(["-c", &script]);
    assert_eq!(run(bash, b"", 120).ok().text(), "same\n");
    // A reader that goes away ends it.
    let yes = cat
        .replace("-i ", "")
        .replace(" cat", " sh -c 'while echo y; do :; done'");
    let mut bash = env.command("bash");
    bash.args(["-c", &format!("{yes} | head -n 2; echo ${{PIPESTATUS[0]}}")]);
    assert_eq!(run(bash, b"", 60).ok().text(), "y\ny\n141\n");
}

#[test]
fn input_that_comes_late_is_passed_on() {
    let env = Env::busybox();
    let args = [
        "run",
        "--rm",
        "-i",
        "--network",
        "none",
        "busybox",
        "wc",
        "-c",
    ];
    let mut child = env.spawn(args);
    let mut input = child.stdin.take().unwrap();
    for _ in 0..10 {
        input.write_all(b"0123456789").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    drop(input);
    assert_eq!(wait(&mut child, 20), Some(0));
    let out = std::io::read_to_string(child.stdout.take().unwrap()).unwrap();
    assert_eq!(out, "100\n");
}
