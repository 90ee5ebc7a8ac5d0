//! Docker's defaults as a container sees them, by run and by exec: part 2 of
//! the security table.

use super::cage::Cage;
use crate::support::user;
use std::collections::BTreeMap;

const DOCKER: u64 = 0xa804_25fb;
const ADMIN: u64 = 1 << 21;
const RAW: u64 = 1 << 13;

fn all_known() -> u64 {
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
    u64::MAX >> (63 - last.trim().parse::<u32>().unwrap())
}

/// Inheritable, permitted, effective, bounding, ambient.
fn capabilities(status: &str) -> [u64; 5] {
    ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(|name| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    })
}

/// S16, S17.
#[test]
fn capabilities_of_run_and_exec() {
    let cage = Cage::new();
    let show = ["cat", "/proc/self/status"];
    let root = |set| [0, set, set, set, 0];
    let other = |set| [0, 0, 0, set, 0];
    let table: [(&[&str], [u64; 5], u64); 7] = [
        (&[], root(DOCKER), DOCKER),
        (&["-u", "1000"], other(DOCKER), DOCKER),
        (&["--cap-drop", "ALL"], root(0), 0),
        (
            &["--cap-drop", "net_raw", "--cap-add", "CAP_SYS_ADMIN"],
            root(DOCKER & !RAW | ADMIN),
            DOCKER & !RAW | ADMIN,
        ),
        (
            &["-u", "1000", "--cap-add", "SYS_ADMIN"],
            other(DOCKER | ADMIN),
            DOCKER | ADMIN,
        ),
        (
            &["--security-opt", "no-new-privileges"],
            root(DOCKER),
            DOCKER,
        ),
        (
            &["--cap-drop", "ALL", "--cap-add", "CHOWN", "-u", "alice"],
            other(1),
            1,
        ),
    ];
    for (n, (options, of_run, bounding)) in table.into_iter().enumerate() {
        let name = format!("caps{n}");
        assert_eq!(
            capabilities(&cage.ok(options, &show)),
            of_run,
            "run {options:?}"
        );
        cage.start(&name, options);
        let exec =
            |user: &[&str]| capabilities(&cage.exec(user, &name, &["cat", "/proc/self/status"]));
        assert_eq!(exec(&[]), of_run, "exec in {options:?}");
        assert_eq!(exec(&["-u", "0"]), root(bounding), "exec -u 0 {options:?}");
        assert_eq!(
            exec(&["-u", "1000"]),
            other(bounding),
            "exec -u 1000 {options:?}"
        );
        cage.env.ok(["rm", "-f", &name]);
    }
}

#[test]
fn no_new_privileges_and_filter() {
    let cage = Cage::new();
    let show = "sed -n 's/^\\(NoNewPrivs\\|Seccomp\\):\\t/\\1 /p' /proc/self/status";
    for (options, expected) in [
        (&[][..], "NoNewPrivs 0\nSeccomp 2"),
        (
            &["--security-opt", "no-new-privileges"],
            "NoNewPrivs 1\nSeccomp 2",
        ),
        (
            &["--security-opt", "seccomp=unconfined"],
            "NoNewPrivs 0\nSeccomp 0",
        ),
    ] {
        assert_eq!(cage.sh(options, show), expected, "{options:?}");
        cage.start("box", options);
        assert_eq!(cage.exec(&[], "box", &["sh", "-c", show]), expected);
        cage.env.ok(["rm", "-f", "box"]);
    }
}

/// `--privileged` gives all capabilities that its owner can give.
#[test]
fn privileged() {
    let cage = Cage::new();
    let mut all = all_known();
    if user::is_root() {
        all &= capabilities(&std::fs::read_to_string("/proc/self/status").unwrap())[3];
    }
    let show = ["cat", "/proc/self/status"];
    let caps = capabilities(&cage.ok(&["--privileged"], &show));
    assert_eq!(caps, [0, all, all, all, 0]);
    cage.start("box", &[]);
    let caps = capabilities(&cage.exec(&["--privileged"], "box", &show));
    assert_eq!(caps, [0, all, all, all, 0]);
    let caps = capabilities(&cage.exec(&["--privileged", "-u", "1000"], "box", &show));
    assert_eq!(caps, [0, 0, 0, all, 0]);
}

/// Target to (type, options of the mount, options of the file system).
fn mounts(text: &str) -> BTreeMap<String, (String, String, String)> {
    let parse = |line: &str| {
        let (mount, fs) = line.split_once(" - ").unwrap();
        let (mount, fs): (Vec<_>, Vec<_>) = (mount.split(' ').collect(), fs.split(' ').collect());
        let options = mount[5].replace(",relatime", "");
        (mount[4].into(), (fs[0].into(), options, fs[2].into()))
    };
    text.lines().map(parse).collect()
}

const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

fn on_host(paths: &[&'static str]) -> Vec<&'static str> {
    let exists = |path: &&&str| std::path::Path::new(path).exists();
    paths.iter().filter(exists).copied().collect()
}

#[test]
fn mounts_are_dockers_and_no_others() {
    let cage = Cage::new();
    let seen = mounts(&cage.ok(&[], &["cat", "/proc/self/mountinfo"]));
    cage.start("box", &[]);
    let by_exec = mounts(&cage.exec(&[], "box", &["cat", "/proc/self/mountinfo"]));
    let keys = |m: &BTreeMap<String, _>| m.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&seen), keys(&by_exec));

    let quiet = "rw,nosuid,nodev,noexec";
    let locked = "ro,nosuid,nodev,noexec";
    let mut table = vec![
        ("/proc", "proc", quiet, ""),
        ("/dev", "tmpfs", "rw,nosuid", "size=65536k,mode=755"),
        (
            "/dev/pts",
            "devpts",
            "rw,nosuid,noexec",
            "mode=620,ptmxmode=666",
        ),
        ("/dev/shm", "tmpfs", quiet, "size=65536k"),
        ("/dev/mqueue", "mqueue", quiet, ""),
        ("/sys", "sysfs", locked, ""),
    ];
    let host = std::fs::read_to_string("/proc/filesystems").unwrap();
    assert!(host.contains("cgroup2"), "the kernel has cgroup v2");
    table.push(("/sys/fs/cgroup", "cgroup2", locked, ""));
    table.extend(on_host(&READ_ONLY).iter().map(|p| (*p, "proc", locked, "")));
    for (target, fstype, options, of_fs) in &table {
        let (t, o, f) = &seen[*target];
        assert_eq!((t.as_str(), o.as_str()), (*fstype, *options), "{target}");
        for option in of_fs.split(',') {
            assert!(f.contains(option), "{target}: {option} is not in {f}");
        }
    }
    let mut expected: Vec<String> = table.iter().map(|row| row.0.into()).collect();
    expected.extend(on_host(&MASKED).iter().map(ToString::to_string));
    expected
        .extend(["/", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].map(ToString::to_string));
    if !user::is_root() {
        expected.extend(DEVICES.map(|name| format!("/dev/{name}")));
    }
    expected.extend(
        on_host_throttles()
            .into_iter()
            .map(|path| path.display().to_string()),
    );
    expected.sort();
    assert_eq!(keys(&seen), expected);
}

fn on_host_throttles() -> Vec<std::path::PathBuf> {
    let cpus = std::fs::read_dir("/sys/devices/system/cpu").unwrap();
    let paths = cpus.map(|e| e.unwrap().path().join("thermal_throttle"));
    paths.filter(|path| path.exists()).collect()
}

/// S27.
#[test]
fn masked_paths_are_empty_and_fixed_ones_fixed() {
    let cage = Cage::new();
    let masked = on_host(&MASKED);
    assert!(masked.len() > 3, "{masked:?}");
    cage.start("box", &[]);
    for path in masked {
        let script = format!(
            "if [ -d {path} ]; then ls -A {path}; touch {path}/x 2>/dev/null && echo made; \
             else cat {path}; [ $(stat -c %t,%T {path}) = 1,3 ] || echo not null; fi; true"
        );
        assert_eq!(cage.sh(&[], &script), "", "{path}");
        assert_eq!(cage.exec(&[], "box", &["sh", "-c", &script]), "", "{path}");
    }
    // With nothing hidden the same looks show something.
    let open = ["--security-opt", "systempaths=unconfined"];
    let script = "[ $(stat -c %t,%T /proc/timer_list) = 1,3 ] || echo not null";
    assert_eq!(cage.sh(&open, script), "not null");
    for write in [
        "echo x >/proc/sysrq-trigger",
        "echo x >/proc/sys/kernel/core_pattern",
        "echo 1 >/proc/sys/kernel/ns_last_pid",
        "mkdir /sys/fs/cgroup/x",
        "echo 1 >/sys/kernel/uevent_seqnum",
        "mount -o remount,rw /sys",
        "mount -t tmpfs none /tmp",
        "umount /proc/sys",
    ] {
        let script = format!("({write}) 2>&1 && echo done; true");
        for said in [
            cage.sh(&[], &script),
            cage.exec(&[], "box", &["sh", "-c", &script]),
        ] {
            assert!(
                !said.contains("done") && !said.is_empty(),
                "{write}: {said}"
            );
        }
    }
}

#[test]
fn devices_and_links() {
    let cage = Cage::new();
    let script = "cd /dev; for n in *; do if [ -L $n ]; then echo $n $(readlink $n); \
                  elif [ -c $n ]; then echo $n $(stat -c '%a %t,%T' $n); else echo $n/; fi; done";
    let expected = "core /proc/kcore\nfd /proc/self/fd\nfull 666 1,7\nmqueue/\nnull 666 1,3\n\
                    ptmx pts/ptmx\npts/\nrandom 666 1,8\nshm/\nstderr /proc/self/fd/2\n\
                    stdin /proc/self/fd/0\nstdout /proc/self/fd/1\ntty 666 5,0\n\
                    urandom 666 1,9\nzero 666 1,5";
    assert_eq!(cage.sh(&[], script), expected);
    for name in ["null", "zero", "full", "random", "urandom"] {
        cage.sh(&["-u", "1000"], &format!("head -c 1 /dev/{name} | cat"));
    }
    let made = cage.sh(
        &[],
        "mknod /tmp/disk b 8 0 2>&1 && head -c 1 /tmp/disk 2>&1; true",
    );
    assert!(
        made.contains("not permitted") || made.contains("ermission denied"),
        "{made}"
    );
}

#[test]
fn settings_of_the_kernel() {
    let cage = Cage::new();
    let read =
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range";
    let text = cage.sh(&[], read);
    let (ports, groups) = text.split_once('\n').unwrap();
    assert_eq!(ports, "0");
    let last: u64 = groups.split_whitespace().last().unwrap().parse().unwrap();
    let expected = match (user::is_root(), user::subuids()) {
        (true, _) => 2_147_483_647,
        (false, Some(_)) => 65_536,
        (false, None) => 0,
    };
    assert_eq!(last, expected);
}

/// The caller's umask, score and limits, and what of them goes inside.
#[test]
fn umask_score_and_limits() {
    let cage = Cage::new();
    let show = "umask; cat /proc/self/oom_score_adj; ulimit -Sn; ulimit -Hn";
    let caller = |arguments: Vec<&str>| {
        let mut sh = cage.env.command("sh");
        let script = "umask 077; echo 300 >/proc/self/oom_score_adj; ulimit -Sn 123; ulimit -Hn 456; exec \"$@\"";
        sh.args(["-c", script, "sh"])
            .arg(crate::support::env::wherry_path())
            .args(arguments);
        crate::support::env::run(sh, b"", 30).ok().text()
    };
    let run =
        |options: &[&str]| caller(cage.arguments(&["run", "--rm"], options, &["sh", "-c", show]));
    assert_eq!(run(&[]), "0022\n0\n123\n456\n");
    let limited = ["--ulimit", "nofile=50:60", "--oom-score-adj", "400"];
    assert_eq!(run(&limited), "0022\n400\n50\n60\n");
    let verb = ["run", "-d", "--name", "box"];
    caller(cage.arguments(&verb, &limited, &["sleep", "600"]));
    assert_eq!(
        caller(vec!["exec", "box", "sh", "-c", show]),
        "0022\n400\n50\n60\n"
    );
    // The root directory and mount points, too, are for everybody.
    let walk = "ls -d / /dev /dev/pts /proc /sys /etc/hosts >/dev/null && cat /etc/hosts >/dev/null && stat -c %a /dev/shm /dev";
    let seen = caller(cage.arguments(&["run", "--rm"], &["-u", "1000"], &["sh", "-c", walk]));
    assert_eq!(seen, "1777\n755\n");
}

/// S67: nothing of the caller's.
#[test]
fn environment() {
    let mut cage = Cage::new();
    for (name, value) in [
        ("WHERRY_SECRET", "token"),
        ("LD_PRELOAD", "/x.so"),
        ("AWS_KEY", "k"),
        ("RUST_BACKTRACE", "1"),
        ("SSH_AUTH_SOCK", "/s"),
    ] {
        cage.env.set(name, value);
    }
    let sorted = |text: String| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let expected = [
        "HOME=/root",
        "HOSTNAME=box",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ];
    assert_eq!(sorted(cage.ok(&["-h", "box"], &["env"])), expected);
    cage.start("box", &["-h", "box"]);
    assert_eq!(sorted(cage.exec(&[], "box", &["env"])), expected);
    // Only what is named: its value comes from the caller.
    let named = cage.ok(&["-e", "AWS_KEY", "-e", "NOT_THERE"], &["env"]);
    assert!(
        named.contains("AWS_KEY=k") && !named.contains("NOT_THERE"),
        "{named}"
    );
    // Nor by the first process, where that is the engine's own.
    let looks = "cat /proc/1/environ 2>&1; tr '\\0' ' ' </proc/1/cmdline";
    let seen = cage.sh(&["--init", "-e", "X=hidden"], looks);
    assert!(
        !seen.contains("token") && !seen.contains("hidden") && !seen.contains("rootfs"),
        "{seen}"
    );
}

/// S25, S24: what holds without a controller.
#[test]
fn the_cgroup_is_out_of_reach() {
    let cage = Cage::new();
    for path in [
        "release_agent",
        "notify_on_release",
        "cgroup.procs",
        "../cgroup.procs",
    ] {
        let script = format!("(echo $$ >/sys/fs/cgroup/{path}) 2>&1 && echo done; true");
        let said = cage.sh(&[], &script);
        assert!(!said.contains("done") && !said.is_empty(), "{path}: {said}");
    }
    let said = cage.sh(&[], "unshare -m true 2>&1; unshare -U true 2>&1; true");
    assert_eq!(said.matches("not permitted").count(), 2, "{said}");
    let own = cage.sh(&[], "cat /proc/self/cgroup");
    assert!(
        own.lines()
            .filter(|l| l.starts_with("0::"))
            .all(|l| l == "0::/"),
        "{own}"
    );
}
