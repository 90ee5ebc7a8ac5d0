//! Doors of the kernel: sysctls, system calls, devices, shared memory.

use super::cage::Cage;
use crate::support::user;

/// S22, CVE-2022-0811: only keys that belong to the container's namespaces.
#[test]
fn sysctls() {
    let cage = Cage::new();
    let pattern = || std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let before = pattern();
    let good = [
        ("net.ipv4.ip_forward=1", "net/ipv4/ip_forward", "1"),
        ("kernel.shmmni=77", "kernel/shmmni", "77"),
        ("fs.mqueue.msg_max=9", "fs/mqueue/msg_max", "9"),
        (
            "net.ipv4.ip_unprivileged_port_start=80",
            "net/ipv4/ip_unprivileged_port_start",
            "80",
        ),
    ];
    for (setting, path, value) in good {
        let seen = cage.sh(&["--sysctl", setting], &format!("cat /proc/sys/{path}"));
        assert_eq!(seen, value, "{setting}");
    }
    let keys = [
        "kernel.core_pattern",
        "kernel/core_pattern",
        "net/../kernel/core_pattern",
        "net.ipv4/../../kernel.core_pattern",
        "net/ipv4/../../kernel/core_pattern",
        "net.../kernel.core_pattern",
        "net..ipv4",
        "net.",
        "net",
        ".net.x",
        "/kernel/core_pattern",
        "kernel.shm",
        "kernel.shmmax.",
        "kernel.shmmax ",
        "kernel.sem/../core_pattern",
        "kernel.msgmax/../core_pattern",
        "fs.mqueue",
        "fs.mqueue./x",
        "fs.file-max",
        "fs.suid_dumpable",
        "fs.protected_hardlinks",
        "kernel.modprobe",
        "kernel.hotplug",
        "kernel.kptr_restrict",
        "kernel.dmesg_restrict",
        "kernel.yama.ptrace_scope",
        "kernel.unprivileged_bpf_disabled",
        "kernel.ns_last_pid",
        "kernel.pid_max",
        "kernel.threads-max",
        "kernel.random.boot_id",
        "kernel.hostname",
        "kernel.domainname",
        "kernel.panic",
        "kernel.sysrq",
        "kernel.perf_event_paranoid",
        "kernel.keys.maxkeys",
        "vm.overcommit_memory",
        "vm.swappiness",
        "vm.mmap_min_addr",
        "vm.drop_caches",
        "user.max_user_namespaces",
        "dev.tty.ldisc_autoload",
        "debug.exception-trace",
        "abi.vsyscall32",
        "sunrpc.x",
        "crypto.fips_enabled",
        "KERNEL.SHMMAX",
        "net.ipv4.conf.all.forwarding\n",
        "net.ipv4.\u{202e}",
        "net.ipv4.x y",
        "..",
        "",
        "net.ipv4.%2e%2e.x",
        "net\\..\\kernel",
        "kernel.shmmax;x",
        "net/ipv4/ip_forward",
    ];
    for key in keys {
        let out = cage.run(&["--sysctl", &format!("{key}=|/tmp/x")], &["true"]);
        assert!(out.status == 125, "{key:?}: {out}");
    }
    for value in ["1\n2", "a+b\nkernel.core_pattern=|/x"] {
        let setting = format!("kernel.shmmax={value}");
        cage.run(&["--sysctl", &setting], &["true"]).status(125);
    }
    let host = ["--network", "host", "--sysctl", "net.ipv4.ip_forward=1"];
    cage.run(&host, &["true"]).status(125);
    assert_eq!(before, pattern());
}

/// S28: the filter of a real container is the one that the golden table is about.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_default_filter_is_the_golden_one() {
    let cage = Cage::new();
    cage.add_payload("syscall_probe");
    let probe = ["/syscall_probe", "plain"];
    let free = cage.ok(&["--security-opt", "seccomp=unconfined"], &probe);
    super::syscall_table::assert_golden(&free, &cage.ok(&[], &probe));
    cage.start("box", &[]);
    super::syscall_table::assert_golden(&free, &cage.exec(&[], "box", &probe));
}

/// S31: 64 MiB unless asked for more.
#[test]
fn shared_memory_is_limited() {
    let cage = Cage::new();
    let fill =
        "dd if=/dev/zero of=/dev/shm/x bs=1M 2>&1 | grep -c 'No space'; stat -c %s /dev/shm/x";
    let size = |mib: u64| format!("1\n{}", mib << 20);
    assert_eq!(cage.sh(&[], fill), size(64));
    assert_eq!(cage.sh(&["--shm-size", "3m"], fill), size(3));
    let queues = "cat /proc/sysvipc/shm | wc -l; ls /dev/mqueue | wc -l";
    assert_eq!(cage.sh(&[], queues), "1\n0");
}

/// A device node made in a container opens nothing (S26, rootless S42).
#[test]
fn devices_cannot_be_made_and_opened() {
    let cage = Cage::new();
    for node in ["b 254 0", "c 1 1", "c 10 229", "c 4 1", "b 7 0"] {
        let script = format!(
            "rm -f /tmp/n; mknod /tmp/n {node} 2>&1 && cat /tmp/n 2>&1 >/dev/null && echo opened; true"
        );
        let said = cage.sh(&[], &script);
        assert!(
            said.contains("not permitted") || said.contains("ermission denied"),
            "{node}: {said}"
        );
    }
}

mod as_root {
    use super::*;

    /// S26: the filter of the container's cgroup, where the host has one.
    #[test]
    fn one_device_and_no_more() {
        user::require_root();
        let cage = Cage::new();
        let read = |node: &str, options: &[&str]| {
            let script = format!(
                "rm -f /tmp/n; mknod /tmp/n {node} && (exec 3</tmp/n) && echo opened; rm -f /tmp/n"
            );
            cage.run(options, &["sh", "-c", &script])
        };
        // /dev/null's number is allowed under any name.
        assert_eq!(
            cage.sh(
                &[],
                "rm -f /tmp/n; mknod /tmp/n c 1 3 && echo x >/tmp/n && echo opened"
            ),
            "opened"
        );
        assert_eq!(read("c 1 5", &[]).text(), "opened\n");
        for node in ["c 1 1", "c 10 229", "c 10 200", "c 1 11"] {
            let out = read(node, &[]);
            assert_eq!(out.text(), "", "{node}: {out}");
            assert!(out.errors().contains("not permitted"), "{node}: {out}");
        }
        let granted = read("c 10 200", &["--device", "/dev/net/tun"]);
        assert!(!granted.errors().contains("not permitted"), "{granted}");
        let other = read("c 1 1", &["--device", "/dev/net/tun"]);
        assert!(other.errors().contains("not permitted"), "{other}");
    }
}
