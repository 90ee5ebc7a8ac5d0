//! The filters compared with those that libseccomp makes of the same profile,
//! call by call. Needs python3 and libseccomp2 on x86_64.

use super::bpf::{self, Call};
use super::docker_profile;
use libc::sock_filter;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use wherry::runtime::seccomp::{Filter, Profile, filter};
use wherry::sys::caps::CapSet;

/// x86_64, x32, i386: audit token and the bit of the numbers.
const ABIS: [(u32, u32); 3] = [
    (0xc000_003e, 0),
    (0xc000_003e, 0x4000_0000),
    (0x4000_0003, 0),
];

/// Names newer than libseccomp 2.5.4.
const NEW: [(&str, u32); 20] = [
    ("uretprobe", 335),
    ("cachestat", 451),
    ("fchmodat2", 452),
    ("map_shadow_stack", 453),
    ("futex_wake", 454),
    ("futex_wait", 455),
    ("futex_requeue", 456),
    ("statmount", 457),
    ("listmount", 458),
    ("lsm_get_self_attr", 459),
    ("lsm_set_self_attr", 460),
    ("lsm_list_modules", 461),
    ("mseal", 462),
    ("setxattrat", 463),
    ("getxattrat", 464),
    ("listxattrat", 465),
    ("removexattrat", 466),
    ("open_tree_attr", 467),
    ("file_getattr", 468),
    ("file_setattr", 469),
];

/// xorshift64*: the same calls in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

#[test]
fn default_profile_is_libseccomps() {
    let document = docker_profile::document();
    let sets = [
        "",
        "SYS_ADMIN",
        "SYS_PTRACE SYS_TIME BPF",
        "PERFMON SYSLOG SYS_NICE",
        "ALL",
    ];
    let mut random = Random(0x5eed_0001);
    for names in sets {
        let add: Vec<String> = names.split_whitespace().map(str::to_string).collect();
        let bounding = CapSet::apply(CapSet::DOCKER, CapSet::NAMED, &add, &[]).unwrap();
        let theirs = libseccomp(&document, bounding);
        let custom = compile(&document, bounding);
        let builtin = filter(&Profile::Builtin, bounding).unwrap().unwrap();
        let values = [
            0,
            1,
            8,
            37,
            38,
            39,
            40,
            41,
            45,
            46,
            0x2_0000,
            0x2_0008,
            0x7e02_0000,
            0xffff_ffff,
        ];
        compare(&[&builtin, &custom], &theirs, 200_000, &values, &mut random);
    }
}

#[test]
fn random_profiles_are_libseccomps() {
    let mut random = Random(0x5eed_0002);
    for _ in 0..40 {
        let (document, values) = random_profile(&mut random);
        let ours = compile(&document, CapSet::DOCKER);
        compare(
            &[&ours],
            &libseccomp(&document, CapSet::DOCKER),
            25_000,
            &values,
            &mut random,
        );
    }
}

fn compile(document: &Value, bounding: CapSet) -> Filter {
    filter(&Profile::parse(&document.to_string()).unwrap(), bounding)
        .unwrap()
        .unwrap()
}

fn libseccomp(document: &Value, bounding: CapSet) -> Vec<Vec<sock_filter>> {
    let numbers: Value = NEW
        .iter()
        .map(|(name, n)| (name.to_string(), json!(n)))
        .collect();
    let request = json!({"profile": document, "caps": bounding.names(), "numbers": numbers});
    let script = "tests/security/libseccomp.py";
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(request.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "libseccomp.py failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let programs: Vec<_> = text.lines().map(program).collect();
    assert_eq!(programs.len(), ABIS.len());
    programs
}

fn program(hex: &str) -> Vec<sock_filter> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let instruction = |b: &[u8]| sock_filter {
        code: u16::from_le_bytes([b[0], b[1]]),
        jt: b[2],
        jf: b[3],
        k: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
    };
    bytes.chunks_exact(8).map(instruction).collect()
}

fn compare(
    ours: &[&Filter],
    theirs: &[Vec<sock_filter>],
    calls: usize,
    values: &[u64],
    random: &mut Random,
) {
    for round in 0..calls {
        let abi = random.below(ABIS.len());
        let (arch, bit) = ABIS[abi];
        // Every number in turn at first, then far ones as well.
        let near = match round {
            0..3_000 => (round / 3) as u32,
            _ => random.below(600) as u32,
        };
        let number = if random.below(50) == 0 {
            random.next() as u32
        } else {
            near | bit
        };
        let new = (451..470).contains(&(number & !bit));
        let of_other_abi = arch == ABIS[0].0 && (number & 0x4000_0000) != bit;
        if (abi != 0 && new) || of_other_abi {
            continue;
        }
        let mut call = Call {
            number,
            arch,
            args: [0; 6],
        };
        for arg in &mut call.args {
            *arg = argument(values, random);
        }
        let expected = bpf::run(&theirs[abi], &call).unwrap();
        for filter in ours {
            let got = bpf::run(&filter.program, &call).unwrap();
            assert_eq!(
                got, expected,
                "{call:#x?}: {got:#x}, libseccomp {expected:#x}"
            );
        }
    }
}

/// A value of the profile, one beside it, one with other upper bits, or any.
fn argument(values: &[u64], random: &mut Random) -> u64 {
    let value = random.pick(values);
    match random.below(6) {
        0 => value.wrapping_add(1),
        1 => value.wrapping_sub(1),
        2 => value ^ (1 << (32 + random.below(32))),
        3 => random.next(),
        _ => value,
    }
}

/// Rules for names that exist on all ABIs and are not hidden in socketcall or
/// ipc; all rules with conditions of one name have one action, since nothing
/// says which of two wins.
fn random_profile(random: &mut Random) -> (Value, Vec<u64>) {
    let names = [
        "read",
        "write",
        "close",
        "ioctl",
        "mount",
        "clone",
        "ptrace",
        "prctl",
        "futex",
        "kill",
        "openat",
        "execve",
        "dup3",
        "fcntl",
        "getrandom",
        "unshare",
        "mkdirat",
        "personality",
        "vmsplice",
        "readv",
        "preadv",
        "move_pages",
        "openat2",
        "landlock_add_rule",
    ];
    let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    let mut values = vec![0, 1, u64::MAX];
    let mut calls = Vec::new();
    for name in names {
        let action = random.pick(&["ALLOW", "TRAP", "KILL_PROCESS", "LOG"]);
        // Once libseccomp has found the first half of an argument or the first
        // of several arguments to hold, it does not go back to try another rule
        // (ours are all tried): so one rule of any kind, or several on equality.
        let (rules, arguments) =
            random.pick(&[(0, 0), (1, 0), (1, 1), (1, 2), (1, 3), (3, 1), (6, 1)]);
        let operators = if rules > 1 { &["EQ"][..] } else { &operators };
        let first = random.below(6);
        for _ in 0..rules {
            let mut indexes = [0, 1, 2, 3, 4, 5];
            indexes.rotate_left(first);
            let mut args = Vec::new();
            for index in &indexes[..arguments] {
                let width = random.pick(&[4, 16, 32, 64]);
                let value = random.next() >> (64 - width);
                let two = random.next() >> (64 - width);
                values.extend([value, two]);
                args.push(json!({"index": index, "value": value, "valueTwo": two,
                                 "op": format!("SCMP_CMP_{}", random.pick(operators))}));
            }
            calls.push(
                json!({"names": [name], "action": format!("SCMP_ACT_{action}"), "args": args}),
            );
        }
    }
    let document = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": random.below(4095),
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": calls,
    });
    (document, values)
}
