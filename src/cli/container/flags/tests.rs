//! From words to the request, through clap as a command does it.

use super::CreateFlags;
use crate::container::create::{CreateRequest, Pull};
use crate::error::{Error, Kind, Result};
use crate::record::container::HostConfig;
use clap::{Args, FromArgMatches};

#[derive(clap::Args)]
struct Probe {
    #[command(flatten)]
    flags: CreateFlags,
    #[arg(required = true, trailing_var_arg = true)]
    words: Vec<String>,
}

fn read(words: &str) -> Result<CreateRequest> {
    let command = crate::cli::parse::pflag(Probe::augment_args(clap::Command::new("create")));
    let matches = command
        .try_get_matches_from(
            words
                .split(' ')
                .filter(|w| !w.is_empty())
                .map(|w| w.replace('␣', " ").replace('∅', "")),
        )
        .map_err(|e| Error::usage(e.to_string()))?;
    let probe = Probe::from_arg_matches(&matches).map_err(|e| Error::usage(e.to_string()))?;
    let (image, command) = probe.flags.split(probe.words);
    probe.flags.into_request(&image, command)
}

#[test]
fn nothing_asked_for_is_dockers_default() {
    let request = read("alpine").unwrap();
    assert_eq!(request.config.image, "alpine");
    assert_eq!(request.config.cmd, None);
    assert_eq!(request.config.entrypoint, None);
    assert!(request.config.attach_stdout && request.config.attach_stderr);
    assert!(!request.config.attach_stdin && !request.config.open_stdin);
    assert_eq!(request.pull, Pull::Missing);
    let text = |host: &HostConfig| serde_json::to_string(host).unwrap();
    assert_eq!(text(&request.host_config), text(&HostConfig::default()));
}

#[test]
fn options_end_at_the_image() {
    let request = read("-i alpine sh -c exit -t --rm").unwrap();
    assert_eq!(
        request.config.cmd.unwrap(),
        ["sh", "-c", "exit", "-t", "--rm"]
    );
    assert!(request.config.open_stdin && request.config.attach_stdin && request.config.stdin_once);
    assert!(!request.config.tty && !request.host_config.auto_remove);
}

#[test]
fn a_root_directory_has_no_image() {
    let request = read("--rootfs / sh -c x").unwrap();
    assert_eq!(request.config.image, "");
    assert_eq!(request.rootfs.as_deref(), Some(std::path::Path::new("/")));
    assert_eq!(request.config.cmd.unwrap(), ["sh", "-c", "x"]);
}

#[test]
fn everything_reaches_the_record() {
    let request = read(
        "--name web --platform linux/amd64 --pull never --cidfile /c --rm -t -a stdin -w /w -u 1:2 --entrypoint ∅ \
         -h box --domainname d --init -l a=b --annotation x=y --stop-signal INT --stop-timeout 3 --no-healthcheck \
         -e A=1 -v /a:/b:ro --tmpfs /run:size=5m --read-only --shm-size 1m --network none -p 80:80 -P --expose 7 \
         --add-host a:1.2.3.4 --dns 1.1.1.1 --dns-option ndots:1 --dns-search d --cap-add X --cap-drop Y \
         --security-opt no-new-privileges:true --privileged --device /dev/null --group-add 5 --sysctl a.b=c \
         --pid host --ipc none --uts host --cgroupns host -m 64m --memory-reservation 32m --memory-swap -1 \
         --cpus 1.5 -c 7 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 9 --ulimit nofile=5:7 --oom-score-adj 3 \
         --log-opt max-size=5m --cpu-period 5000 --cpu-quota 2000 --cgroup-parent /p --blkio-weight 20 \
         --blkio-weight-device /dev/a:30 --device-read-bps /dev/a:1k --device-write-bps /dev/a:2k \
         --device-read-iops /dev/a:3 --device-write-iops /dev/a:4 --device-cgroup-rule c␣1:3␣r --volumes-from v:ro \
         --runtime runc img cmd",
    );
    let request = request.unwrap();
    let got = serde_json::json!({ "Config": request.config, "HostConfig": request.host_config });
    let got = serde_json::to_string_pretty(&got).unwrap() + "\n";
    crate::cli::golden::check("cli/create-request.json", &got);
    assert_eq!(request.name.as_deref(), Some("web"));
    assert_eq!(request.pull, Pull::Never);
}

/// In Docker's words where it has some.
#[test]
fn what_is_not_there_is_refused() {
    for (words, kind, message) in [
        (
            "--runtime kata x",
            Kind::NotFound,
            "Unknown runtime specified kata",
        ),
        (
            "--ip nope x",
            Kind::Invalid,
            "user specified IP address is supported on user defined networks only",
        ),
        (
            "--network n --ip nope x",
            Kind::Usage,
            "invalid IPv4 address: nope",
        ),
        (
            "--network name=n,alias=a --net-alias b x",
            Kind::Usage,
            "conflicting options: cannot specify both --network-alias and per-network alias",
        ),
        (
            "--mac-address nope x",
            Kind::Usage,
            "nope is not a valid mac address",
        ),
        (
            "--volume-driver x y",
            Kind::NotFound,
            "error looking up volume plugin x: plugin \"x\" not found",
        ),
        (
            "--gpus all x",
            Kind::Unsupported,
            "could not select device driver \"\" with capabilities: [[gpu]]",
        ),
        (
            "--memory-swappiness 101 x",
            Kind::Invalid,
            "invalid value: 101, valid memory swappiness range is 0-100",
        ),
        (
            "--memory-swappiness 5 x",
            Kind::Unsupported,
            "--memory-swappiness is not supported: cgroup v2 has no such setting",
        ),
        (
            "--oom-kill-disable x",
            Kind::Unsupported,
            "--oom-kill-disable is not supported: cgroup v2 has no such setting",
        ),
        (
            "--cpu-rt-period 5 x",
            Kind::Unsupported,
            "--cpu-rt-period is not supported: cgroup v2 has no such setting",
        ),
    ] {
        let error = read(words).unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, message), "{words}");
    }
}

/// Options that are known and refused, each by a message that says which.
#[test]
fn what_cannot_be_carried_out_is_named() {
    for option in [
        "--link-local-ip 169.254.1.1",
        "--storage-opt size=1G",
        "--cpu-rt-runtime 1",
    ] {
        let error = read(&format!("{option} x")).unwrap_err();
        let name = option.split(' ').next().unwrap();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.message().contains(name), "{}", error.message());
    }
    // Their defaults are no requests.
    read("--memory-swappiness -1 --oom-kill-disable=false --volume-driver local --gpus ∅ x")
        .unwrap();
}

#[test]
fn refusals() {
    for (words, kind, message) in [
        (
            "--rm --restart always x",
            Kind::Usage,
            "conflicting options: cannot specify both --restart and --rm",
        ),
        (
            "--restart sometimes x",
            Kind::Invalid,
            "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        ),
        (
            "--restart always:3 x",
            Kind::Invalid,
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            "--restart on-failure:-1 x",
            Kind::Invalid,
            "invalid restart policy: maximum retry count cannot be negative",
        ),
        (
            "--restart :1 x",
            Kind::Usage,
            "invalid restart policy format: no policy provided before colon",
        ),
        (
            "--restart on-failure:x y",
            Kind::Usage,
            "invalid restart policy format: maximum retry count must be an integer",
        ),
        (
            "--pull foo x",
            Kind::Usage,
            "invalid pull option: 'foo': must be one of \"always\", \"missing\" or \"never\"",
        ),
        (
            "--env-file /nope x",
            Kind::Usage,
            "open /nope: no such file or directory",
        ),
        (
            "--label-file /nope x",
            Kind::Usage,
            "open /nope: no such file or directory",
        ),
        ("--pid foo x", Kind::Usage, "--pid: invalid PID mode"),
        (
            "--uts container:a x",
            Kind::Usage,
            "--uts: invalid UTS mode",
        ),
        (
            "--cgroupns foo x",
            Kind::Usage,
            "--cgroupns: invalid CGROUP mode",
        ),
        (
            "--security-opt foo x",
            Kind::Usage,
            "Invalid --security-opt: \"foo\"",
        ),
        (
            "--log-driver none --log-opt max-size=1 x",
            Kind::Usage,
            "invalid logging opts for driver none",
        ),
        (
            "--log-opt foo=1 x",
            Kind::Invalid,
            "unknown log opt 'foo' for json-file log driver",
        ),
        (
            "-v /a:/b --tmpfs /b/ x",
            Kind::Invalid,
            "Duplicate mount point: /b",
        ),
        (
            "--oom-score-adj 5000 x",
            Kind::Invalid,
            "Invalid value 5000, range for oom score adj is [-1000, 1000]",
        ),
    ] {
        let error = read(words).unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, message), "{words}");
    }
}
