//! The freezer: nothing of a paused container runs.

use crate::support::Env;

mod as_user {
    use super::*;
    use crate::support::user;

    /// Where there is no cgroup for a user's containers, this says what to do.
    #[test]
    fn without_a_cgroup_it_says_what_is_missing() {
        user::require_user();
        let env = Env::busybox();
        let id = env.ok([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "busybox",
            "sleep",
            "600",
        ]);
        if env.record(&id, "state")["Cgroup"] != "" {
            // Delegated: then it works.
            env.ok(["pause", "box"]);
            env.ok(["unpause", "box"]);
            return;
        }
        let out = env.wherry(["pause", "box"]).status(1).says(
            "Error: cannot pause container box: it has no cgroup, whose freezer would do that\nhint: ",
        );
        assert!(out.text().is_empty());
        assert_eq!(env.ok(["exec", "box", "echo", "runs"]), "runs");
    }
}

mod as_root {
    use super::*;
    use crate::support::kill::at_syscall;
    use crate::support::{env, eventually, user};

    const COUNT: &str =
        "trap 'echo term; exit 5' TERM; i=0; while :; do i=$((i+1)); echo $i > /count; done";

    fn counting(env: &Env, script: &str) -> String {
        let id = env.ok([
            "run",
            "-d",
            "--name",
            "box",
            "--network",
            "none",
            "busybox",
            "sh",
            "-c",
            script,
        ]);
        assert!(eventually(10, || count(env, &id) > 0));
        id
    }

    /// Read from outside: nobody in there can be asked.
    fn count(env: &Env, id: &str) -> u64 {
        let path = env
            .path("data/wherry/containers")
            .join(id)
            .join("upper/count");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    fn frozen(env: &Env, id: &str) -> String {
        let cgroup = env.record(id, "state")["Cgroup"]
            .as_str()
            .unwrap()
            .to_owned();
        std::fs::read_to_string(format!("{cgroup}/cgroup.events")).unwrap()
    }

    #[test]
    fn stands_still_and_goes_on() {
        user::require_root();
        let env = Env::busybox();
        let id = counting(&env, COUNT);
        assert_eq!(env.ok(["pause", "box"]), "box");
        assert!(frozen(&env, &id).contains("frozen 1"));
        let shown = env.ok(["ps", "--format", "{{.State}} {{.Status}}"]);
        assert!(
            shown.starts_with("paused Up") && shown.ends_with("(Paused)"),
            "{shown}"
        );
        assert_eq!(
            env.ok([
                "inspect",
                "-f",
                "{{.State.Paused}} {{.State.Running}}",
                "box"
            ]),
            "true true"
        );
        assert_eq!(env.ok(["ps", "-q", "--filter", "status=paused"]), id[..12]);
        // It is written whole lines at a time by one process that stands.
        let before = std::fs::read(
            env.path("data/wherry/containers")
                .join(&id)
                .join("upper/count"),
        );
        env.ok(["top", "box"]);
        let after = std::fs::read(
            env.path("data/wherry/containers")
                .join(&id)
                .join("upper/count"),
        );
        assert_eq!(before.unwrap(), after.unwrap());
        assert_eq!(env.ok(["unpause", "box"]), "box");
        assert!(eventually(10, || count(&env, &id) > 0
            && frozen(&env, &id).contains("frozen 0")));
        assert_eq!(env.ok(["exec", "box", "echo", "on"]), "on");
    }

    /// `stop` lets it hear its signal; `kill` too; SIGKILL needs no thaw.
    #[test]
    fn can_be_ended() {
        user::require_root();
        let env = Env::busybox();
        for (command, status) in [
            (&["stop", "box"][..], "5"),
            (&["kill", "-s", "TERM", "box"], "5"),
            (&["kill", "box"], "137"),
        ] {
            counting(&env, COUNT);
            env.ok(["pause", "box"]);
            env.ok(command);
            assert_eq!(env.ok(["wait", "box"]), status, "{command:?}");
            env.ok(["rm", "box"]);
        }
        counting(&env, COUNT);
        env.ok(["pause", "box"]);
        env.ok(["rm", "-f", "box"]);
        assert_eq!(env.ok(["ps", "-aq"]), "");
    }

    /// Wherever it is killed, what `ps` says is so, and both commands work.
    #[test]
    fn killed_anywhere_the_record_is_true() {
        user::require_root();
        let env = Env::busybox();
        let id = counting(&env, COUNT);
        let mut kills = 0;
        for verb in ["pause", "unpause"] {
            for syscall in ["write", "rename", "flock", "openat"] {
                for n in 1..40 {
                    let command = env.wherry_command([verb, "box"]);
                    let ended = env::run(at_syscall(&command, syscall, n), b"", 60).status;
                    let said = env.ok(["ps", "--format", "{{.State}}"]);
                    // One that was told to freeze may take a moment.
                    let really = if frozen(&env, &id).contains("frozen 1") {
                        "paused"
                    } else {
                        "running"
                    };
                    assert!(
                        said == really || eventually(5, || frozen(&env, &id).contains("frozen 1")),
                        "{verb} {syscall} {n}: {said}, but {really}"
                    );
                    let back = if said == "paused" { "unpause" } else { "pause" };
                    env.ok([back, "box"]);
                    if (verb == "pause") == (back == "pause") {
                        env.ok([if back == "pause" { "unpause" } else { "pause" }, "box"]);
                    }
                    if ended == 0 {
                        break;
                    }
                    assert_eq!(ended, 137, "{verb} {syscall} {n}");
                    kills += 1;
                }
            }
            if verb == "pause" {
                env.ok(["pause", "box"]);
            }
        }
        assert!(kills > 20, "{kills}");
    }
}
