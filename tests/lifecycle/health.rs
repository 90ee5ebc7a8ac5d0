//! Health checks (promise M10), done by the monitor.

use crate::support::image::Image;
use crate::support::registry::Registry;
use crate::support::{Env, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

fn run(env: &Env, options: &[&str], script: &str) -> String {
    let head = ["run", "-d", "--name", "box", "--network", "none"];
    env.ok([&head, options, &["busybox", "sh", "-c", script]].concat())
}

fn health(env: &Env) -> serde_json::Value {
    serde_json::from_str(&env.ok(["inspect", "-f", "{{json .State.Health}}", "box"])).unwrap()
}

fn becomes(env: &Env, status: &str) {
    assert!(
        eventually(30, || health(env)["Status"] == status),
        "not {status}: {}",
        health(env)
    );
}

fn shown(env: &Env) -> String {
    env.ok(["ps", "--format", "{{.Status}}"])
}

/// How many processes of the container have these words in their command.
fn count(env: &Env, words: &str) -> usize {
    env.ok(["top", "box"]).matches(words).count()
}

#[test]
fn changes_with_what_the_check_says() {
    let env = Env::busybox();
    let check = "if test -e /well; then echo good; else echo bad >&2; exit 3; fi";
    let options = [
        "--health-cmd",
        check,
        "--health-interval",
        "100ms",
        "--health-retries",
        "2",
        "--health-start-period",
        "1h",
        "--health-start-interval",
        "50ms",
    ];
    let id = run(&env, &options, "sleep 600");
    // Failures of the start period are kept, and do not count.
    assert!(eventually(30, || health(&env)["Log"]
        .as_array()
        .unwrap()
        .len()
        == 5));
    assert_eq!(
        (&health(&env)["Status"], &health(&env)["FailingStreak"]),
        (&"starting".into(), &0.into())
    );
    assert!(
        shown(&env).ends_with(" (health: starting)"),
        "{}",
        shown(&env)
    );
    env.ok(["exec", "box", "touch", "/well"]);
    becomes(&env, "healthy");
    assert!(shown(&env).starts_with("Up ") && shown(&env).ends_with(" (healthy)"));
    assert_eq!(env.ok(["ps", "-q", "--filter", "health=healthy"]), id[..12]);
    assert_eq!(env.ok(["ps", "-q", "--filter", "health=none"]), "");
    assert_eq!(env.ok(["ps", "--format", "{{.HealthStatus}}"]), "healthy");
    // State.json is left alone by the checks.
    let before = std::fs::metadata(
        env.path("data/wherry/containers")
            .join(&id)
            .join("state.json"),
    );
    env.ok(["exec", "box", "rm", "/well"]);
    becomes(&env, "unhealthy");
    let after = std::fs::metadata(
        env.path("data/wherry/containers")
            .join(&id)
            .join("state.json"),
    );
    use std::os::unix::fs::MetadataExt;
    assert_eq!(before.unwrap().ino(), after.unwrap().ino());
    assert!(shown(&env).ends_with(" (unhealthy)"));
    let now = health(&env);
    let log = now["Log"].as_array().unwrap();
    assert!(
        log.len() <= 5 && now["FailingStreak"].as_i64().unwrap() >= 2,
        "{now}"
    );
    let last = log.last().unwrap();
    assert_eq!(
        (&last["ExitCode"], &last["Output"]),
        (&3.into(), &"bad\n".into())
    );
    assert!(last["Start"].as_str() <= last["End"].as_str());
    // The next run begins anew, and what has ended shows no health.
    env.ok(["stop", "-t", "0", "box"]);
    let ended = env.ok(["ps", "-a", "--format", "{{.Status}}"]);
    assert!(
        ended.starts_with("Exited (137)") && !ended.contains("health"),
        "{ended}"
    );
    env.ok(["start", "box"]);
    assert!(
        shown(&env).ends_with(" (health: starting)"),
        "{}",
        shown(&env)
    );
}

#[test]
fn one_that_hangs_is_ended_and_none_overlap() {
    let env = Env::busybox();
    let options = [
        "--health-cmd",
        "echo begun; exec sleep 601",
        "--health-interval",
        "50ms",
        "--health-timeout",
        "300ms",
        "--health-retries",
        "2",
    ];
    run(&env, &options, "sleep 600");
    let mut most = 0;
    assert!(eventually(30, || {
        most = most.max(count(&env, "sleep 601"));
        health(&env)["FailingStreak"].as_u64().unwrap() >= 4
    }));
    assert!(most <= 1, "{most} at once");
    let now = health(&env);
    assert_eq!(now["Status"], "unhealthy");
    assert_eq!(now["Log"][0]["ExitCode"], -1);
    assert_eq!(
        now["Log"][0]["Output"],
        "Health check exceeded timeout (300ms): begun\n"
    );
    // Nothing of a check outlives its container.
    env.ok(["rm", "-f", "box"]);
    assert_eq!(env.ok(["ps", "-aq"]), "");
}

#[test]
fn a_flood_is_cut_and_a_child_that_stays_keeps_nobody() {
    let env = Env::busybox();
    let options = [
        "--health-cmd",
        "sleep 602 & head -c 3000000 /dev/zero | tr '\\0' x",
        "--health-interval",
        "100ms",
    ];
    run(&env, &options, "sleep 600");
    becomes(&env, "healthy");
    let output = health(&env)["Log"][0]["Output"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(output, "x".repeat(4096));
}

#[test]
fn one_that_cannot_be_started_says_why() {
    let env = Env::busybox();
    let options = [
        "--health-cmd",
        "true",
        "--health-interval",
        "100ms",
        "--health-retries",
        "1",
    ];
    run(&env, &options, "rm /bin/sh; exec sleep 600");
    becomes(&env, "unhealthy");
    let last = &health(&env)["Log"][0];
    assert_eq!(last["ExitCode"], -1, "{last}");
    assert!(
        last["Output"].as_str().unwrap().contains("/bin/sh"),
        "{last}"
    );
}

/// A check is the monitor's: without it there is none, and the next run, also
/// one by a restart policy, is checked again.
#[test]
fn goes_with_the_monitor_and_comes_with_the_next_run() {
    let env = Env::busybox();
    let options = [
        "--health-cmd",
        "test -e /slow || exit 0; exec sleep 603",
        "--health-interval",
        "100ms",
        "--health-timeout",
        "10m",
        "--restart",
        "always",
    ];
    let id = run(&env, &options, "sleep 600");
    becomes(&env, "healthy");
    let process = |which: &str| {
        let pid = env.record(&id, "state")[which]["Pid"].as_i64().unwrap();
        Pid::from_raw(pid.try_into().unwrap())
    };
    kill(process("Init"), Signal::SIGKILL).unwrap();
    assert!(eventually(30, || {
        env.ok([
            "inspect",
            "-f",
            "{{.RestartCount}} {{.State.Status}}",
            "box",
        ]) == "1 running"
    }));
    becomes(&env, "healthy");
    env.ok(["exec", "box", "touch", "/slow"]);
    assert!(eventually(30, || count(&env, "sleep 603") == 1));
    kill(process("Monitor"), Signal::SIGKILL).unwrap();
    assert!(eventually(30, || count(&env, "sleep 603") == 0));
    assert_eq!(env.ok(["exec", "box", "echo", "runs"]), "runs");
    env.ok(["rm", "-f", "box"]);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let env = Env::busybox();
    for (options, status, words) in [
        (
            &["--no-healthcheck", "--health-cmd", "true"][..],
            125,
            "--no-healthcheck conflicts with --health-* options",
        ),
        (
            &["--health-interval", "-1s"],
            125,
            "--health-interval cannot be negative",
        ),
        (
            &["--health-retries", "-1"],
            125,
            "--health-retries cannot be negative",
        ),
        (
            &["--health-timeout", "10us"],
            125,
            "--health-timeout cannot be less than 1ms",
        ),
        (&["--health-timeout", "soon"], 125, "time: invalid duration"),
    ] {
        let args = [&["run"], options, &["busybox", "true"]].concat();
        env.wherry(args).status(status).says(words);
    }
    run(&env, &["--no-healthcheck"], "sleep 600");
    assert_eq!(
        env.ok(["inspect", "-f", "{{json .State.Health}}", "box"]),
        "null"
    );
    assert_eq!(
        env.ok(["inspect", "-f", "{{json .Config.Healthcheck}}", "box"]),
        r#"{"Test":["NONE"]}"#
    );
}

/// The image says it, and the command line can say otherwise, part by part.
#[test]
fn of_the_image() {
    let env = Env::with(Registry::shared());
    let check =
        json!({"Test": ["CMD", "test", "-e", "/well"], "Interval": 100_000_000, "Retries": 1});
    let image = Image::busybox().set("Healthcheck", check);
    Registry::shared().push(&env, &image, "library/checked:latest");
    let start = |name: &str, options: &[&str]| {
        let head = ["run", "-q", "-d", "--name", name, "--network", "none"];
        env.ok([&head, options, &["checked", "sleep", "600"]].concat());
    };
    let status = |name: &str| {
        let filter = format!("name={name}");
        env.ok(["ps", "--filter", &filter, "--format", "{{.HealthStatus}}"])
    };
    start("own", &[]);
    start("other", &["--health-cmd", "true"]);
    start("patient", &["--health-retries", "1000000"]);
    start("none", &["--no-healthcheck"]);
    assert!(eventually(30, || status("own") == "unhealthy"));
    assert!(eventually(30, || status("other") == "healthy"));
    assert_eq!(
        (status("patient").as_str(), status("none").as_str()),
        ("starting", "none")
    );
    env.ok(["exec", "own", "touch", "/well"]);
    assert!(eventually(30, || status("own") == "healthy"));
    assert_eq!(
        env.ok(["inspect", "-f", "{{json .Config.Healthcheck}}", "patient"]),
        r#"{"Test":["CMD","test","-e","/well"],"Interval":100000000,"Retries":1000000}"#
    );
}

mod as_root {
    use super::*;
    use crate::support::user;

    /// Who stands still is not asked.
    #[test]
    fn a_paused_container_is_not_checked() {
        user::require_root();
        let env = Env::busybox();
        let options = [
            "--health-cmd",
            "echo x >> /checks",
            "--health-interval",
            "50ms",
            "--health-timeout",
            "100ms",
            "--health-retries",
            "1",
        ];
        let id = run(&env, &options, "sleep 600");
        becomes(&env, "healthy");
        env.ok(["pause", "box"]);
        // Long enough for many checks, each of which would fail.
        std::thread::sleep(std::time::Duration::from_millis(600));
        assert_eq!(health(&env)["Status"], "healthy", "{}", health(&env));
        assert!(shown(&env).ends_with("(Paused)"));
        env.ok(["unpause", "box"]);
        let checks = env
            .path("data/wherry/containers")
            .join(id)
            .join("upper/checks");
        let length = || std::fs::metadata(&checks).unwrap().len();
        let before = length();
        assert!(eventually(30, || length() > before));
    }
}
