//! Docker's default seccomp profile (moby/profiles seccomp v0.2.3), written
//! down a second time from its documentation and independently of the crate's
//! tables: what the other tests here expect.

use serde_json::{Value, json};

/// Names allowed whatever the capabilities.
const ALLOWED: &str = include_str!("docker_allowed.txt");

/// Capability, and the names it opens.
const GROUPS: [(&str, &str); 13] = [
    ("DAC_READ_SEARCH", "open_by_handle_at"),
    (
        "SYS_ADMIN",
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie \
         lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount \
         open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog \
         umount umount2 unshare",
    ),
    ("SYS_BOOT", "reboot"),
    ("SYS_CHROOT", "chroot"),
    ("SYS_MODULE", "delete_module init_module finit_module"),
    ("SYS_PACCT", "acct"),
    ("SYS_PTRACE", "kcmp pidfd_getfd process_madvise"),
    ("SYS_RAWIO", "iopl ioperm"),
    (
        "SYS_TIME",
        "settimeofday stime clock_settime clock_settime64",
    ),
    ("SYS_TTY_CONFIG", "vhangup"),
    (
        "SYS_NICE",
        "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    ),
    ("SYSLOG", "syslog"),
    ("BPF", "bpf"),
];

/// The profile as a document. The one rule that differs from Docker's text:
/// its `socket > 40` is written `41..=45`, all domains that exist, because the
/// comparison has 64 bits and the system call 32.
pub fn document() -> Value {
    let mut calls = vec![
        json!({"names": words(ALLOWED), "action": "SCMP_ACT_ALLOW"}),
        json!({"names": ["process_vm_readv", "process_vm_writev", "ptrace"],
               "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}}),
        json!({"names": ["arch_prctl", "modify_ldt"],
               "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}}),
        json!({"names": ["clone"], "action": "SCMP_ACT_ALLOW",
               "args": [{"index": 0, "value": 0x7e02_0000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
               "excludes": {"caps": ["CAP_SYS_ADMIN"]}}),
        json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38,
               "excludes": {"caps": ["CAP_SYS_ADMIN"]}}),
        first("socket", "LT", 38),
        json!({"names": ["perf_event_open"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_PERFMON"]}}),
    ];
    calls.extend([39, 41, 42, 43, 44, 45].map(|domain| first("socket", "EQ", domain)));
    calls.extend([0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff].map(|p| first("personality", "EQ", p)));
    calls.extend(GROUPS.map(|(cap, names)| {
        json!({"names": words(names), "action": "SCMP_ACT_ALLOW", "includes": {"caps": [format!("CAP_{cap}")]}})
    }));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "archMap": [{"architecture": "SCMP_ARCH_X86_64",
                     "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
        "syscalls": calls,
    })
}

fn first(name: &str, operator: &str, value: u64) -> Value {
    json!({"names": [name], "action": "SCMP_ACT_ALLOW",
           "args": [{"index": 0, "value": value, "op": format!("SCMP_CMP_{operator}")}]})
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn the_list_is_complete() {
    assert_eq!(words(ALLOWED).len(), 361);
    assert_eq!(words(GROUPS[1].1).len(), 26);
}
