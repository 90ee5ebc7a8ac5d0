//! Exit statuses 0 to 255 and what is said with 125, 126 and 127.

use crate::support::Env;

#[test]
fn is_that_of_the_command() {
    let env = Env::busybox();
    for (status, command) in [
        (0, &["true"][..]),
        (1, &["false"]),
        (42, &["sh", "-c", "exit 42"]),
        (125, &["sh", "-c", "exit 125"]),
        (255, &["sh", "-c", "exit 255"]),
    ] {
        let out = env.wherry([&["run", "--rm", "busybox"], command].concat());
        assert_eq!(out.errors(), "", "{out}");
        out.status(status);
    }
}

#[test]
fn is_128_and_the_signal() {
    let env = Env::busybox();
    for (status, signal) in [(137, "KILL"), (143, "TERM"), (134, "ABRT"), (130, "INT")] {
        // As pid 1 a process is immune to its own signals.
        let script = format!("kill -{signal} $$");
        env.wherry(["run", "--rm", "--init", "busybox", "sh", "-c", &script])
            .status(status);
    }
}

#[test]
fn tells_why_the_command_did_not_run() {
    let env = Env::busybox();
    for (status, command, words) in [
        (
            127,
            "nope",
            "exec: \"nope\": executable file not found in $PATH",
        ),
        (
            127,
            "/nope",
            "exec: \"/nope\": stat /nope: no such file or directory",
        ),
        (126, "/etc", "exec: \"/etc\": permission denied"),
        (
            126,
            "/etc/passwd",
            "exec: \"/etc/passwd\": permission denied",
        ),
    ] {
        let out = env
            .wherry(["run", "--rm", "busybox", command])
            .status(status)
            .says(words);
        assert!(out.stdout.is_empty(), "{out}");
    }
}

#[test]
fn is_125_when_wherry_itself_cannot() {
    let env = Env::busybox();
    for (args, words) in [
        (&["--no-such-flag", "busybox"][..], "--no-such-flag"),
        (
            &["--pull", "never", "nowhere"],
            "No such image: nowhere:latest",
        ),
        (
            &["-u", "nobody-there", "busybox"],
            "unable to find user nobody-there: no matching entries in passwd file",
        ),
        (
            &["-w", "relative", "busybox"],
            "the working directory 'relative' is invalid",
        ),
        (
            &["-v", "/a:relative", "busybox"],
            "mount path must be absolute",
        ),
        (
            &[
                "--mount",
                "type=bind,source=/not/there,target=/a",
                "busybox",
            ],
            "bind source path does not exist: /not/there",
        ),
        (&["--cap-add", "NO_SUCH", "busybox"], "unknown capability"),
        (
            &["--name", "-bad-", "busybox"],
            "Invalid container name (-bad-)",
        ),
        (&["--rootfs", "/not/there"], "/not/there"),
    ] {
        let out = env
            .wherry([&["run", "--rm"], args, &["true"]].concat())
            .status(125)
            .says(words);
        assert!(
            out.stdout.is_empty() && !out.errors().contains("panicked"),
            "{out}"
        );
    }
    assert_eq!(env.ok(["ps", "-aq"]), "");
}

#[test]
fn a_name_is_given_once() {
    let env = Env::busybox();
    let id = env.ok(["run", "-d", "--name", "one", "busybox", "true"]);
    env.wherry(["run", "--name", "one", "busybox", "true"])
        .status(125)
        .says(&format!(
            "Conflict. The container name \"/one\" is already in use by container \"{id}\"."
        ));
}
