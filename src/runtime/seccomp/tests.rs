//! Filters asked through an interpreter, and loaded into threads of our own.

#[path = "../../../tests/security/bpf.rs"]
mod bpf;

use super::abi::ABIS;
use super::compile::Outcome;
use super::table::{TABLE, find};
use super::*;
use bpf::Call;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

fn built(json: &str, bounding: CapSet) -> Filter {
    filter(&Profile::parse(json).unwrap(), bounding)
        .unwrap()
        .unwrap()
}

fn ask(filter: &Filter, name: &str, args: &[u64]) -> u32 {
    ask_abi(filter, 0, name, args)
}

fn ask_abi(filter: &Filter, abi: usize, name: &str, args: &[u64]) -> u32 {
    let row = find(name).unwrap();
    let abi = &ABIS[abi];
    let entry = abi.entries.iter().find(|e| usize::from(e.row) == row);
    number(
        filter,
        abi.token,
        entry.expect("a call of this ABI").number,
        args,
    )
}

fn number(filter: &Filter, arch: u32, number: u32, args: &[u64]) -> u32 {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    let call = Call {
        number,
        arch,
        args: all,
    };
    bpf::run(&filter.program, &call).unwrap()
}

fn caps(names: &[&str]) -> CapSet {
    names.iter().fold(CapSet::DOCKER, |set, name| {
        set.with(CapSet::named(name).unwrap())
    })
}

fn default_filter(bounding: CapSet) -> Filter {
    filter(&Profile::Builtin, bounding).unwrap().unwrap()
}

#[test]
fn default_profile_without_arguments() {
    let filter = default_filter(CapSet::DOCKER);
    for name in [
        "read",
        "execve",
        "openat2",
        "chroot",
        "ptrace",
        "memfd_secret",
        "mseal",
        "seccomp",
    ] {
        assert_eq!(ask(&filter, name, &[]), ALLOW, "{name}");
    }
    for name in [
        "mount",
        "umount2",
        "pivot_root",
        "move_mount",
        "fsopen",
        "open_tree",
        "unshare",
        "setns",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring_setup",
        "add_key",
        "keyctl",
        "kexec_load",
        "init_module",
        "reboot",
        "swapon",
        "open_by_handle_at",
        "settimeofday",
        "kcmp",
        "pidfd_getfd",
        "mbind",
        "vhangup",
        "open_tree_attr",
        "file_getattr",
    ] {
        assert_eq!(ask(&filter, name, &[]), EPERM, "{name}");
    }
    assert_eq!(ask(&filter, "clone3", &[]), ENOSYS);
}

#[test]
fn default_profile_with_arguments() {
    let filter = default_filter(CapSet::DOCKER);
    for (name, argument, expected) in [
        ("clone", 0x0012_0011, EPERM), // CLONE_NEWNS
        ("clone", 0x0100_0011, ALLOW),
        ("clone", 0x1000_0000, EPERM), // CLONE_NEWUSER
        ("clone", 0xffff_ffff_0000_0011, ALLOW),
        ("personality", 0, ALLOW),
        ("personality", 8, ALLOW),
        ("personality", 0x2_0008, ALLOW),
        ("personality", 0xffff_ffff, ALLOW),
        ("personality", 0x4_0000, EPERM), // ADDR_NO_RANDOMIZE
        ("personality", 0xffff_ffff_ffff_ffff, EPERM),
        ("socket", 1, ALLOW),
        ("socket", 37, ALLOW),
        ("socket", 38, EPERM), // AF_ALG
        ("socket", 39, ALLOW),
        ("socket", 40, EPERM), // AF_VSOCK
        ("socket", 44, ALLOW),
        ("socket", 0x1_0000_0026, EPERM), // AF_ALG to the kernel, which takes an int
        ("socket", 0xffff_ffff_0000_0028, EPERM),
    ] {
        assert_eq!(
            ask(&filter, name, &[argument]),
            expected,
            "{name}({argument:#x})"
        );
    }
}

#[test]
fn capabilities_open_their_groups() {
    for (cap, names) in [
        (
            "SYS_ADMIN",
            &[
                "mount", "unshare", "setns", "clone3", "bpf", "syslog", "fsopen",
            ][..],
        ),
        (
            "SYS_MODULE",
            &["init_module", "finit_module", "delete_module"],
        ),
        ("SYS_PTRACE", &["kcmp", "pidfd_getfd", "process_madvise"]),
        ("SYS_TIME", &["settimeofday", "clock_settime"]),
        ("SYS_BOOT", &["reboot"]),
        ("SYS_NICE", &["mbind", "set_mempolicy", "get_mempolicy"]),
        ("SYS_PACCT", &["acct"]),
        ("SYS_TTY_CONFIG", &["vhangup"]),
        ("SYSLOG", &["syslog"]),
        ("BPF", &["bpf"]),
        ("PERFMON", &["perf_event_open"]),
        ("DAC_READ_SEARCH", &["open_by_handle_at"]),
    ] {
        let filter = default_filter(caps(&[cap]));
        for name in names {
            assert_eq!(ask(&filter, name, &[]), ALLOW, "{cap} {name}");
        }
        assert_eq!(ask(&filter, "add_key", &[]), EPERM, "{cap}");
    }
    let admin = default_filter(caps(&["SYS_ADMIN"]));
    assert_eq!(ask(&admin, "clone", &[0x1000_0000]), ALLOW);
    let dropped = CapSet::DOCKER.without(CapSet::named("SYS_CHROOT").unwrap());
    assert_eq!(ask(&default_filter(dropped), "chroot", &[]), EPERM);
}

#[test]
fn numbers_and_abis_that_nobody_knows_get_the_default() {
    let filter = default_filter(CapSet::NAMED);
    for abi in &ABIS {
        for unknown in [
            470,
            511,
            548,
            9_999,
            0x3fff_ffff,
            0x4000_0000 + 470,
            0x7fff_ffff,
            u32::MAX,
        ] {
            assert_eq!(
                number(&filter, abi.token, unknown, &[]),
                EPERM,
                "{unknown:#x}"
            );
        }
    }
    for arch in [0, 0xc000_00f3, 0x8000_0016, u32::MAX] {
        for call in [0, 1, 39, 60] {
            assert_eq!(number(&filter, arch, call, &[]), EPERM, "{arch:#x}");
        }
    }
}

/// Every number of every ABI has exactly its row's outcome.
#[test]
fn the_tree_finds_every_number() {
    for bounding in [CapSet::DOCKER, CapSet::EMPTY, CapSet::NAMED] {
        let filter = default_filter(bounding);
        let (outcomes, _) = super::builtin::profile(bounding);
        for abi in &ABIS {
            for entry in abi.entries {
                let row = usize::from(entry.row);
                if let Outcome::Return(expected) = outcomes[row] {
                    let got = number(&filter, abi.token, entry.number, &[u64::MAX; 6]);
                    assert_eq!(got, expected, "{} {:?}", TABLE[row].0, abi.arch);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn other_abis_of_the_machine() {
    let filter = default_filter(CapSet::DOCKER);
    let (x32, i386) = (1, 2);
    assert_eq!(ask_abi(&filter, i386, "socketcall", &[1]), ALLOW);
    assert_eq!(ask_abi(&filter, i386, "mount", &[]), EPERM);
    assert_eq!(ask_abi(&filter, i386, "socket", &[38]), EPERM);
    // A 32-bit call passes 32 bits.
    assert_eq!(ask_abi(&filter, i386, "socket", &[0x1_0000_0002]), ALLOW);
    assert_eq!(ask_abi(&filter, x32, "execve", &[]), ALLOW);
    assert_eq!(ask_abi(&filter, x32, "unshare", &[]), EPERM);
}

#[test]
fn all_operators() {
    let high = 0x5_0000_0007u64;
    let values = [
        0,
        6,
        7,
        8,
        0x5_0000_0006,
        high,
        high + 1,
        0x4_ffff_ffff,
        0x6_0000_0000,
        u64::MAX,
    ];
    for (op, holds) in [
        ("EQ", (|a, b| a == b) as fn(u64, u64) -> bool),
        ("NE", |a, b| a != b),
        ("LT", |a, b| a < b),
        ("LE", |a, b| a <= b),
        ("GT", |a, b| a > b),
        ("GE", |a, b| a >= b),
    ] {
        let json = format!(
            r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["read"],"action":"SCMP_ACT_ERRNO",
            "args":[{{"index":5,"value":{high},"op":"SCMP_CMP_{op}"}}]}}]}}"#
        );
        let filter = built(&json, CapSet::DOCKER);
        for value in values {
            let expected = if holds(value, high) { EPERM } else { ALLOW };
            assert_eq!(
                ask(&filter, "read", &[0, 0, 0, 0, 0, value]),
                expected,
                "{value:#x} {op}"
            );
        }
    }
    let masked = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_TRAP",
        "args":[{"index":1,"value":1095216660735,"valueTwo":4294967297,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#;
    let filter = built(masked, CapSet::DOCKER); // mask 0xff_0000_00ff, left 0x1_0000_0001
    for (value, expected) in [
        (0x1_0000_0001, 0x0003_0000),
        (0x701_0000_0101, 0x0003_0000),
        (0x1_0000_0003, ALLOW),
        (0x2_0000_0001, ALLOW),
    ] {
        assert_eq!(ask(&filter, "read", &[0, value]), expected, "{value:#x}");
    }
}

#[test]
fn rules_combine_as_in_runc() {
    let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":13,"syscalls":[
        {"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":3,"op":"SCMP_CMP_EQ"}]},
        {"names":["read"],"action":"SCMP_ACT_ALLOW","args":[
            {"index":0,"value":4,"op":"SCMP_CMP_EQ"},{"index":1,"value":5,"op":"SCMP_CMP_GE"}]},
        {"names":["write"],"action":"SCMP_ACT_ALLOW","args":[
            {"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":9,"op":"SCMP_CMP_EQ"}]},
        {"names":["close"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]},
        {"name":"close","action":"SCMP_ACT_ERRNO","errnoRet":22},
        {"names":["dup"],"action":"SCMP_ACT_ALLOW"},
        {"names":["dup"],"action":"SCMP_ACT_ERRNO","errnoRet":13},
        {"names":["no_such_call","getpid"],"action":"SCMP_ACT_LOG"}]}"#;
    let filter = built(json, CapSet::DOCKER);
    let eacces = 0x0005_000d;
    for (name, args, expected) in [
        ("read", &[3][..], ALLOW),
        ("read", &[4, 5], ALLOW),
        ("read", &[4, 4], eacces),
        ("write", &[1], ALLOW),
        ("write", &[9], ALLOW),
        ("write", &[2], eacces),
        ("close", &[1], 0x0005_0016),
        ("dup", &[], ALLOW),
        ("getpid", &[], 0x7ffc_0000),
        ("open_by_handle_at", &[], eacces),
    ] {
        assert_eq!(ask(&filter, name, args), expected, "{name} {args:?}");
    }
    assert_eq!(filter.flags, libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW);
}

#[test]
fn scopes() {
    let rule = |scope: &str| {
        format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","archMap":[],
            "syscalls":[{{"names":["mount"],"action":"SCMP_ACT_ALLOW",{scope}}}]}}"#
        )
    };
    let here = super::abi::NAME;
    for (scope, expected) in [
        (r#""includes":{},"excludes":{}"#.to_string(), ALLOW),
        (
            r#""includes":{"caps":["CAP_KILL","CAP_CHOWN"]}"#.into(),
            ALLOW,
        ),
        (
            r#""includes":{"caps":["CAP_KILL","CAP_SYS_ADMIN"]}"#.into(),
            EPERM,
        ),
        (r#""includes":{"caps":["CAP_NONSENSE"]}"#.into(), EPERM),
        (
            r#""excludes":{"caps":["CAP_SYS_ADMIN","CAP_KILL"]}"#.into(),
            EPERM,
        ),
        (r#""excludes":{"caps":["CAP_SYS_ADMIN"]}"#.into(), ALLOW),
        (
            format!(r#""includes":{{"arches":["s390x","{here}"]}}"#),
            ALLOW,
        ),
        (r#""includes":{"arches":["s390x"]}"#.into(), EPERM),
        (format!(r#""excludes":{{"arches":["{here}"]}}"#), EPERM),
        (r#""includes":{"minKernel":"4.8"}"#.into(), ALLOW),
        (r#""includes":{"minKernel":"99.0"}"#.into(), EPERM),
        (r#""excludes":{"minKernel":"4.8"}"#.into(), EPERM),
        (r#""comment":"free text""#.into(), ALLOW),
    ] {
        assert_eq!(
            ask(&built(&rule(&scope), CapSet::DOCKER), "mount", &[]),
            expected,
            "{scope}"
        );
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn architectures_that_are_not_listed_get_the_default() {
    let with = |arches: &str| {
        format!(
            r#"{{"defaultAction":"SCMP_ACT_KILL_PROCESS",{arches}
            "syscalls":[{{"names":["read"],"action":"SCMP_ACT_ALLOW"}}]}}"#
        )
    };
    let (x32, i386, kill) = (1, 2, 0x8000_0000);
    for (arches, expected) in [
        ("", [ALLOW, kill, kill]),
        (
            r#""architectures":["SCMP_ARCH_X86"],"#,
            [ALLOW, kill, ALLOW],
        ),
        (
            r#""architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X32"],"#,
            [ALLOW, ALLOW, kill],
        ),
        (
            r#""archMap":[{"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_X86"]},
            {"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"]}],"#,
            [ALLOW, ALLOW, ALLOW],
        ),
        (
            r#""archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":null}],"#,
            [ALLOW, kill, kill],
        ),
    ] {
        let filter = built(&with(arches), CapSet::DOCKER);
        let got = [0, x32, i386].map(|abi| ask_abi(&filter, abi, "read", &[]));
        assert_eq!(got, expected, "{arches}");
    }
}

#[test]
fn bad_profiles_are_refused_with_the_reason() {
    for (json, reason) in [
        ("", "decoding seccomp profile failed"),
        ("[]", "decoding seccomp profile failed"),
        (
            r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#,
            "decoding seccomp profile failed",
        ),
        (
            r#"{"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}"#,
            "'defaultAction' is missing",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]}"#,
            "either 'architectures' or 'archMap'",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}"#,
            "either 'name' or 'names'",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#,
            "SCMP_ACT_NOTIFY is not supported",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}"#,
            "'listenerPath' is not supported",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_X"]}"#,
            "SECCOMP_FILTER_FLAG_X",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":4096}"#,
            "errno 4096 is larger",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1}"#,
            "does not take an errno",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW",
            "args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}]}"#,
            "argument index 6",
        ),
        (
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW",
            "includes":{"minKernel":"new"}}]}"#,
            "'minKernel' must be like",
        ),
    ] {
        let error = Profile::parse(json).unwrap_err().to_string();
        assert!(error.contains(reason), "{json}: {error}");
    }
    assert!(matches!(Profile::parse("{}").unwrap(), Profile::Unconfined));
    assert!(
        filter(&Profile::Unconfined, CapSet::DOCKER)
            .unwrap()
            .is_none()
    );
}

#[test]
fn profile_files() {
    let dir = std::env::temp_dir().join(format!("wherry-seccomp-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("p.json");
    let path = file.to_str().unwrap();
    let missing = Profile::read(path).unwrap_err().to_string();
    assert_eq!(
        missing,
        format!("opening seccomp profile ({path}) failed: no such file or directory")
    );
    std::fs::write(&file, "{ \"defaultAction\": \"SCMP_ACT_ALLOW\" }\n").unwrap();
    assert_eq!(
        Profile::read(path).unwrap(),
        r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#
    );
    std::fs::write(&file, vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(
        Profile::read(path)
            .unwrap_err()
            .to_string()
            .contains("larger than 1 MiB")
    );
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(Profile::read("unconfined").unwrap(), "unconfined");
}

/// A profile of a different return value for every row with tests on top is
/// larger than a conditional jump reaches, and than the kernel takes.
#[test]
fn large_profiles() {
    let many = |names: usize| {
        let rules = TABLE.iter().take(names).enumerate().map(|(n, row)| {
            format!(
                r#"{{"names":["{}"],"action":"SCMP_ACT_ERRNO","errnoRet":{},"args":[
                {{"index":0,"value":1,"op":"SCMP_CMP_NE"}},{{"index":1,"value":2,"op":"SCMP_CMP_LT"}}]}}"#,
                row.0,
                n + 2
            )
        });
        let rules = rules.collect::<Vec<_>>().join(",");
        format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rules}]}}"#)
    };
    let filter_of = |names| filter(&Profile::parse(&many(names)).unwrap(), CapSet::DOCKER);
    let good = filter_of(250).unwrap().unwrap();
    for entry in ABIS[0].entries.iter().filter(|e| e.row < 250) {
        let got = number(&good, ABIS[0].token, entry.number, &[0, 1]);
        assert_eq!(got, 0x0005_0000 | (u32::from(entry.row) + 2));
    }
    let error = filter_of(TABLE.len()).err().unwrap().to_string();
    assert!(error.contains("too many rules"), "{error}");
}

/// Loads for real: in a thread, with no_new_privs, and TSYNC off.
#[test]
fn the_kernel_takes_the_filter() {
    let errors = std::thread::spawn(|| {
        let filter = default_filter(CapSet::DOCKER);
        nix::sys::prctl::set_no_new_privs().unwrap();
        crate::sys::seccomp::load(&filter.program, filter.flags).unwrap();
        let open = std::fs::File::open("/proc/self/status").map(drop);
        (
            open.is_ok(),
            nix::sched::unshare(nix::sched::CloneFlags::empty()),
        )
    })
    .join()
    .unwrap();
    assert_eq!(errors, (true, Err(nix::errno::Errno::EPERM)));
    assert_eq!(
        crate::sys::seccomp::load(&[], 0),
        Err(nix::errno::Errno::EINVAL)
    );
}
