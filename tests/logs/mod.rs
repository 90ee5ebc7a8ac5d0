//! `logs` of real containers. The files themselves are tested in src/logs.

use crate::support::Env;
use crate::support::env::wait;
use std::io::Read;

/// A container that has ended after this script.
fn after(script: &str) -> Env {
    let env = Env::busybox();
    env.wherry([
        "run",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    env
}

#[test]
fn outputs_go_where_they_came_from() {
    let env = after("echo one; echo two >&2; printf three");
    let out = env.wherry(["logs", "box"]).ok();
    assert_eq!(
        (out.text(), out.errors()),
        ("one\nthree".into(), "two\n".into())
    );
}

#[test]
fn any_bytes_come_back() {
    let env = after("head -c 300000 /dev/urandom | tee /copy; printf '\\0\\377\\r\\n'");
    let foreground = env.wherry(["start", "-a", "box"]).ok().stdout;
    let logs = env.wherry(["logs", "box"]).ok().stdout;
    assert_eq!(logs.len(), 2 * (300_000 + 4));
    assert!(
        logs.ends_with(&foreground),
        "the second run is what start -a showed"
    );
}

#[test]
fn tail_times_and_details() {
    let env = after("for i in 1 2 3 4 5; do echo $i; done");
    for (tail, want) in [
        ("2", "4\n5\n"),
        ("0", ""),
        ("9", "1\n2\n3\n4\n5\n"),
        ("all", "1\n2\n3\n4\n5\n"),
        ("x", "1\n2\n3\n4\n5\n"),
        ("-1", "1\n2\n3\n4\n5\n"),
    ] {
        assert_eq!(
            env.wherry(["logs", "--tail", tail, "box"]).ok().text(),
            want,
            "{tail}"
        );
    }
    assert_eq!(
        env.wherry(["logs", "-n1", "--details", "box"]).ok().text(),
        " 5\n"
    );
    let line = env.ok(["logs", "-t", "-n", "1", "box"]);
    let (time, text) = line.split_once(' ').unwrap();
    assert_eq!((time.len(), text), (30, "5"));
    assert!(time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
    time.parse::<jiff::Timestamp>().unwrap();
    assert_eq!(env.ok(["logs", "--since", time, "-n", "1", "box"]), "5");
    assert_eq!(env.ok(["logs", "--since", "10m", "box"]), "1\n2\n3\n4\n5");
    assert_eq!(env.ok(["logs", "--until", "10m", "box"]), "");
    env.wherry(["logs", "--since", "whenever", "box"])
        .status(1)
        .says(
            "invalid value for \"since\": failed to parse value as time or duration: \"whenever\"",
        );
}

#[test]
fn follows_until_the_end() {
    let env = Env::busybox();
    let script = "echo begin; while [ ! -e /go ]; do sleep 0.05; done; echo end; echo err >&2";
    env.ok([
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
    let mut child = env.spawn(["logs", "-f", "box"]);
    let mut begin = [0; 6];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut begin)
        .unwrap();
    assert_eq!(&begin, b"begin\n");
    env.ok(["exec", "box", "touch", "/go"]);
    assert_eq!(wait(&mut child, 20), Some(0));
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.unwrap().read_to_string(&mut out).unwrap();
    child.stderr.unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("end\n", "err\n"));
}

#[test]
fn follow_ends_when_the_container_is_removed() {
    let env = Env::busybox();
    env.ok([
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo x; sleep 600",
    ]);
    let mut child = env.spawn(["logs", "-f", "box"]);
    let mut begin = [0; 2];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut begin)
        .unwrap();
    env.ok(["rm", "-f", "box"]);
    assert_eq!(wait(&mut child, 20), Some(0));
}

#[test]
fn of_what_never_ran_and_of_nothing() {
    let env = Env::busybox();
    env.ok(["create", "--name", "box", "busybox", "true"]);
    let out = env.wherry(["logs", "box"]).ok();
    assert_eq!((out.text(), out.errors()), (String::new(), String::new()));
    env.ok(["logs", "-f", "box"]);
    env.wherry(["logs", "nowhere"])
        .status(1)
        .says("No such container: nowhere");
}

#[test]
fn rotates_within_its_limits() {
    let env = Env::busybox();
    let script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done";
    let options = [
        "--log-opt",
        "max-size=20k",
        "--log-opt",
        "max-file=3",
        "--network",
        "none",
    ];
    env.ok([
        &["run", "--name", "box"],
        &options[..],
        &["busybox", "sh", "-c", script],
    ]
    .concat());
    let text = env.ok(["logs", "box"]);
    assert!(text.ends_with("line 2999") && text.lines().count() < 3000);
    let first: usize = text.lines().next().unwrap()["line ".len()..]
        .parse()
        .unwrap();
    for (n, line) in text.lines().enumerate() {
        assert_eq!(line, format!("line {}", first + n));
    }
    env.ok([
        "run",
        "--rm",
        "--name",
        "none",
        "--log-driver",
        "none",
        "--network",
        "none",
        "busybox",
        "true",
    ]);
    env.ok([
        "create",
        "--name",
        "none",
        "--log-driver",
        "none",
        "busybox",
        "true",
    ]);
    env.wherry(["logs", "none"])
        .status(1)
        .says("configured logging driver does not support reading");
}

#[test]
fn damage_is_skipped_and_told() {
    let env = after("echo 1; echo 2; echo 3");
    let id = env.ok(["ps", "-aq", "--no-trunc"]);
    let path = env.path("data/wherry/containers").join(id).join("log.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    let zeros = "\0".repeat(lines[1].len());
    lines[1] = &zeros;
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    let out = env.wherry(["logs", "box"]).ok().says("damaged");
    assert_eq!(out.text(), "1\n3\n");
    assert_eq!(out.errors().lines().count(), 1, "{out}");
}

/// Docker's attrs: what `labels`, `env` and `tag` choose goes with each line.
#[test]
fn details_of_labels_variables_and_a_tag() {
    let env = Env::busybox();
    let options = [
        "--log-opt=labels=one,none",
        "--log-opt=labels-regex=^com",
        "--log-opt=env=TWO",
        "--log-opt=env-regex=^LC_",
        "--log-opt=tag={{.Name}}/{{.ImageName}}",
        "--label=one=a b",
        "--label=com.x=1",
        "--label=other=2",
        "-eTWO=c,d",
        "-eLC_ALL=C",
        "-eTHREE=3",
    ];
    let run = ["run", "--name", "box", "--network", "none"];
    env.ok([&run[..], &options, &["busybox", "echo", "hello"]].concat());
    let details = "LC_ALL=C,TWO=c%2Cd,com.x=1,one=a+b,tag=box%2Fbusybox hello";
    assert_eq!(env.ok(["logs", "--details", "box"]), details);
    assert_eq!(env.ok(["logs", "box"]), "hello");
    let refused = ["run", "--log-opt", "tag={{.Nothing}}", "busybox", "true"];
    env.wherry(refused)
        .status(125)
        .says("invalid log opt 'tag'");
    env.wherry(["run", "--log-opt", "tags=x", "busybox", "true"])
        .status(125)
        .says("unknown log opt 'tags' for json-file log driver");
    env.wherry(["create", "--log-driver", "syslog", "busybox"])
        .status(1)
        .says("error looking up logging plugin syslog: plugin \"syslog\" not found");
}

/// Packed while it runs, and read and followed as if it were not.
#[test]
fn local_logs_are_packed() {
    let env = Env::busybox();
    let script = "i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done; \
                  while [ ! -e /go ]; do sleep 0.05; done; echo end";
    let options = [
        "--log-driver",
        "local",
        "--log-opt",
        "max-size=40k",
        "--log-opt",
        "max-file=9",
    ];
    let run = ["run", "-d", "--name", "box", "--network", "none"];
    let id = env.ok([&run[..], &options, &["busybox", "sh", "-c", script]].concat());
    let last = || env.ok(["logs", "-n", "1", "box"]) == "line 3999";
    assert!(crate::support::eventually(60, last));
    let dir = env.path("data/wherry/containers").join(&id);
    let packed = |n| dir.join(format!("log.json.{n}.gz")).exists();
    assert!(packed(2) && packed(3), "the older files are packed");
    let mut child = env.spawn(["logs", "-f", "box"]);
    let mut begin = [0; 7];
    let out = child.stdout.as_mut().unwrap();
    out.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"line 0\n");
    env.ok(["exec", "box", "touch", "/go"]);
    let followed = child.wait_with_output().unwrap();
    let all: String = (0..4000).map(|n| format!("line {n}\n")).collect();
    let followed = String::from_utf8(followed.stdout).unwrap();
    assert_eq!(followed, all[7..].to_owned() + "end\n");
    assert_eq!(env.ok(["logs", "box"]), all + "end");
    assert_eq!(
        env.ok(["logs", "--tail", "3000", "box"]).lines().count(),
        3000
    );
    assert_eq!(
        env.ok([
            "inspect",
            "-f",
            "{{.LogPath}}{{.HostConfig.LogConfig.Type}}",
            "box"
        ]),
        "local"
    );
}

mod as_root {
    use super::*;
    use crate::support::{env, user};
    use std::os::unix::net::UnixDatagram;

    /// wherry where /run is empty but for a socket of ours, if there is one.
    fn with_journal(place: &Env, socket: Option<&str>, args: &[&str]) -> env::Output {
        let script = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && cd /run/systemd/journal && \
                      if [ -n \"$1\" ]; then touch socket && mount --bind \"$1\" socket; fi && shift && exec \"$@\"";
        let mut command = place.command("unshare");
        command.args(["-m", "sh", "-ec", script, "sh", socket.unwrap_or_default()]);
        command.arg(env::wherry_path()).args(args);
        env::run(command, b"", 60)
    }

    #[test]
    fn lines_go_to_the_journal() {
        user::require_root();
        let place = Env::busybox();
        let path = place.path("tmp/journal");
        let server = UnixDatagram::bind(&path).unwrap();
        let script =
            "echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x; echo; printf end";
        let options = [
            "run",
            "--name",
            "box",
            "--network",
            "none",
            "--log-driver",
            "journald",
            "--log-opt",
            "labels=my.label",
            "--label",
            "my.label=v",
            "busybox",
            "sh",
            "-c",
            script,
        ];
        with_journal(&place, path.to_str(), &options).ok();
        let id = place.ok(["ps", "-aq", "--no-trunc"]);
        let short = &id[..12];
        server.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 16];
        let mut messages = Vec::new();
        while let Ok(n) = server.recv(&mut buffer) {
            messages.push(String::from_utf8(buffer[..n].to_vec()).unwrap());
        }
        for message in &messages {
            for field in [
                &format!("CONTAINER_ID={short}\n"),
                &format!("CONTAINER_ID_FULL={id}\n"),
                &format!("CONTAINER_TAG={short}\n"),
                &format!("SYSLOG_IDENTIFIER={short}\n"),
                "CONTAINER_NAME=box\n",
                "IMAGE_NAME=busybox\n",
                "MY_LABEL=v\n",
            ] {
                assert!(message.contains(field), "no {field:?} in {message}");
            }
        }
        let has = |text: &str| messages.iter().filter(|m| m.starts_with(text)).count();
        assert_eq!(has("MESSAGE=out\nPRIORITY=6\n"), 1);
        assert_eq!(has("MESSAGE=err\nPRIORITY=3\n"), 1);
        assert_eq!(has("MESSAGE=end\nPRIORITY=6\nCONTAINER_LOG_ORDINAL"), 1);
        let long = format!(
            "MESSAGE={}\nPRIORITY=6\nCONTAINER_PARTIAL_MESSAGE=true\n",
            "x".repeat(16 << 10)
        );
        assert_eq!(
            (
                has(&long),
                has(&format!("MESSAGE={}\n", "x".repeat(20000 - (16 << 10))))
            ),
            (1, 1)
        );
        assert_eq!(messages.len(), 5);
        let refused = with_journal(&place, None, &["start", "box"]);
        refused
            .status(1)
            .says("failed to initialize logging driver: journald is not enabled on this host");
    }
}
