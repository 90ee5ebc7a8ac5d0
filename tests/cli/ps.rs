//! `ps` on a fixed set of records.

use super::records::{Records, ago};
use super::{golden, session};
use crate::support::pty::Pty;
use crate::support::{Env, eventually};
use wherry::record::container::{MountPoint, PortBinding, Status};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn port(ip: &str, port: &str) -> PortBinding {
    PortBinding {
        host_ip: ip.into(),
        host_port: port.into(),
    }
}

fn fill(records: &Records<'_>) {
    records.add(0xa1, "web", 5 * DAY, |container, state| {
        records.running(state, 3 * HOUR);
        container.path = "sh".into();
        container.args = vec!["-c".into(), "sleep 0.1; echo \"hi\"".into()];
        container
            .config
            .labels
            .insert("a.b-c_d".into(), "x<y".into());
        container.config.labels.insert("k".into(), "v".into());
        container
            .config
            .exposed_ports
            .insert("443/tcp".into(), serde_json::Map::new());
        container.mounts = [("/very/long/path/to/somewhere", "/data"), ("/etc", "/mnt")]
            .map(|(source, destination)| MountPoint {
                source: source.into(),
                destination: destination.into(),
                ..MountPoint::default()
            })
            .into();
        for n in ["8000", "8001"] {
            state
                .ports
                .insert(format!("{n}/tcp"), vec![port("0.0.0.0", n)]);
        }
        state.ports.insert(
            "80/tcp".into(),
            vec![port("0.0.0.0", "8080"), port("::", "8080")],
        );
    });
    records.add(0xa2, "held", 4 * DAY, |container, state| {
        records.running(state, 90 * MINUTE);
        state.status = Status::Paused;
        container.config.image = format!("alpine@sha256:{}", "12".repeat(32));
        container.host_config.network_mode = "none".into();
    });
    records.add(0xa3, "ended", 3 * DAY, |container, state| {
        state.status = Status::Exited;
        state.exit_code = 3;
        state.started_at = ago(3 * DAY);
        state.finished_at = ago(2 * DAY);
        container.config.image = "ee".repeat(32);
        container.config.labels.insert("k".into(), "other".into());
    });
    records.add(0xa4, "fresh", 2 * DAY, |container, _| {
        container.config.image = String::new();
        container
            .config
            .exposed_ports
            .insert("80/tcp".into(), serde_json::Map::new());
    });
    // Its machine was started anew since.
    records.add(0xb5, "before-boot", DAY, |_, state| {
        records.running(state, DAY);
        state.boot_id = "00000000-0000-0000-0000-000000000000".into();
    });
    // Its number belongs to another process by now.
    records.add(0xb6, "recycled", DAY - HOUR, |_, state| {
        records.running(state, DAY);
        let process = state.init.as_mut().unwrap();
        process.start_time -= 1;
        state.monitor = state.init;
    });
}

#[test]
fn forms_and_filters() {
    let mut env = Env::new();
    env.set("TZ", "UTC");
    let records = Records::new(&env);
    fill(&records);
    let text = session(
        &env,
        &[
            "ps",
            "ps -a",
            "ps --no-trunc",
            "ps -q",
            "ps -aq --no-trunc",
            "ps -n 2",
            "ps -l",
            "container ls -a --format '{{.Names}}'",
            "container list -a --format 'table {{.ID}}\\t{{.Label \"a.b-c_d\"}}\\t{{upper .Names}}'",
            "container ps --format json --filter name=web",
            "ps --format raw -f name=held",
            "ps -aq --format '{{.Names}}' -f name=web",
            "ps -a --format '{{.Names}} {{.Mounts}} {{.Networks}} {{.LocalVolumes}} {{.State}} {{json .Platform}}'",
            "ps -a -f name=e --format '{{.Names}}'",
            "ps -a -f 'name=^/ended$' --format '{{.Names}}'",
            "ps -a -f id=b --format '{{.Names}}'",
            "ps -a -f label=k --format '{{.Names}}'",
            "ps -a -f label=k=v --format '{{.Names}}'",
            "ps -a -f label=k -f label=a.b-c_d --format '{{.Names}}'",
            "ps -f status=exited --format '{{.Names}}'",
            "ps -f status=paused -f status=created --format '{{.Names}}'",
            "ps -f exited=3 --format '{{.Names}}'",
            "ps -a -f exited=3 --format '{{.Names}}'",
            "ps -a -f exited=255 --format '{{.Names}}'",
            "ps -a -f before=ended --format '{{.Names}}'",
            "ps -a -f since=ended --format '{{.Names}}'",
            "ps -a -f volume=/data --format '{{.Names}}'",
            "ps -a -f volume=/etc --format '{{.Names}}'",
            "ps -a -f network=none --format '{{.Names}}'",
            "ps -a -f publish=8080 --format '{{.Names}}'",
            "ps -a -f publish=1-100 --format '{{.Names}}'",
            "ps -a -f expose=80-90/tcp --format '{{.Names}}'",
            "ps -a -f ancestor=alpine --format '{{.Names}}'",
            "ps -a -f health=none -f is-task=false --format '{{.Names}}'",
        ],
    );
    // Moments are those of this very run.
    let moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC";
    let moment = regex_lite::Regex::new(moment).unwrap();
    golden("ps.txt", &moment.replace_all(&text, "MOMENT"));
}

#[test]
fn the_damaged_is_dead_and_the_newer_is_left_out() {
    let env = Env::new();
    let records = Records::new(&env);
    fill(&records);
    let all = env.ok(["ps", "-a"]);
    std::fs::create_dir_all(records.dir(0x01)).unwrap();
    std::fs::write(records.dir(0x01).join("config.json"), "{}").unwrap();
    for (n, text) in [
        (0x02, ""),
        (0x03, "{"),
        (0x04, "{\"Version\": 99}"),
        (0x05, "\0\0\0"),
        (0x06, "[[[["),
    ] {
        std::fs::create_dir_all(records.dir(n)).unwrap();
        std::fs::write(records.dir(n).join("config.json"), "{}").unwrap();
        std::fs::write(records.dir(n).join("state.json"), text).unwrap();
    }
    std::fs::write(env.path("data/wherry/containers/stray"), "x").unwrap();
    let dead = ["01", "02", "03", "05", "06"].map(|n| n.repeat(6));
    let dead = dead.map(|id| format!("{id} Dead"));
    let args = [
        "ps",
        "-a",
        "-f",
        "status=dead",
        "--format",
        "{{.ID}} {{.Status}}",
    ];
    assert_eq!(env.ok(args), dead.join("\n"));
    let table = env.ok(["ps", "-a"]);
    let rest: Vec<&str> = table.lines().filter(|l| !l.contains(" Dead ")).collect();
    assert_eq!(rest.join("\n"), all);
}

#[test]
fn settings_of_the_client_give_the_format() {
    let env = Env::new();
    let records = Records::new(&env);
    fill(&records);
    let settings = |dir: &str, text: &str| {
        std::fs::create_dir_all(env.path(dir)).unwrap();
        std::fs::write(env.path(dir).join("config.json"), text).unwrap();
    };
    settings("home/.docker", r#"{"psFormat": "{{.Names}}!"}"#);
    assert_eq!(env.ok(["ps"]), "held!\nweb!");
    assert_eq!(env.ok(["ps", "--format", "{{.State}}"]), "paused\nrunning");
    // --config, before DOCKER_CONFIG, before ~/.docker.
    settings("tmp/given", r#"{"psFormat": "table {{.Names}}"}"#);
    settings("tmp/set", r#"{"psFormat": "{{.Names}}?"}"#);
    let given = env.path("tmp/given");
    let given = given.to_str().unwrap();
    let mut command = env.wherry_command(["ps"]);
    command.env("DOCKER_CONFIG", env.path("tmp/set"));
    let out = crate::support::env::run(command, b"", 20).ok();
    assert_eq!(out.text(), "held?\nweb?\n");
    let mut command = env.wherry_command(["--config", given, "ps"]);
    command.env("DOCKER_CONFIG", env.path("tmp/set"));
    let out = crate::support::env::run(command, b"", 20).ok();
    assert_eq!(out.text(), "NAMES\nheld\nweb\n");
    settings("home/.docker", "{broken");
    assert!(env.ok(["ps"]).starts_with("CONTAINER ID"));
}

#[test]
fn terminals_are_not_handed_control_characters() {
    let env = Env::new();
    let records = Records::new(&env);
    let evil = "\x1b]0;owned\x07\r\u{9b}2J\u{202e}";
    records.add(0xa1, "web", DAY, |container, _| {
        container.config.labels.insert("l".into(), evil.into());
        container.args = vec![evil.into()];
    });
    let words = [
        "ps",
        "-a",
        "--no-trunc",
        "--format",
        "{{.Command}} {{.Labels}} {{.Label \"l\"}}",
    ];
    let mut terminal = Pty::spawn(&env.wherry_command(words), 24, 200);
    assert_eq!(terminal.wait(), 0);
    let whole = || terminal.text().matches("\\u202e").count() == 3;
    assert!(eventually(10, whole), "{:?}", terminal.text());
    let shown = terminal.text();
    for bad in ["\x1b", "\x07", "\u{9b}", "\u{202e}"] {
        assert!(!shown.contains(bad), "{shown:?}");
    }
    assert!(
        shown.contains("\\x1b]0;owned\\x07\\r\\u009b2J\\u202e"),
        "{shown:?}"
    );
    // A pipe gets the label as it is.
    assert_eq!(env.ok(["ps", "-a", "--format", "{{.Label \"l\"}}"]), evil);
}
