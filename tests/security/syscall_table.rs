//! Every system call made for real under the default filter, and the outcomes
//! compared with a golden table (section 2.5 of the security yardstick).

use crate::support::payload;
use std::collections::HashMap;
use std::process::Command;

const GOLDEN: &str = include_str!("syscalls_x86.txt");
const ABIS: [&str; 3] = ["x86_64", "x32", "i386"];

/// `ABI NUMBER` (or `socket DOMAIN` and so on) to outcome.
type Outcomes = HashMap<String, String>;

fn run(mode: &str) -> Outcomes {
    let output = Command::new(payload("syscall_probe"))
        .arg(mode)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    parse(&String::from_utf8(output.stdout).unwrap())
}

fn parse(text: &str) -> Outcomes {
    let line = |line: &str| {
        let (key, outcome) = line
            .match_indices(' ')
            .nth(1)
            .map(|(at, _)| line.split_at(at))
            .unwrap();
        (key.to_string(), outcome.trim().to_string())
    };
    text.lines().map(line).collect()
}

/// `ABI NUMBER` to (name, verdict).
fn golden() -> HashMap<String, (&'static str, &'static str)> {
    let mut table = HashMap::new();
    for line in GOLDEN.lines().filter(|l| !l.starts_with('#')) {
        let fields: Vec<_> = line.split(' ').collect();
        let [name, verdict, numbers @ ..] = &fields[..] else {
            panic!("{line}")
        };
        assert_eq!(numbers.len(), ABIS.len(), "{line}");
        for (abi, number) in ABIS.iter().zip(numbers).filter(|(_, n)| **n != "-") {
            table.insert(format!("{abi} {number}"), (*name, *verdict));
        }
    }
    table
}

#[test]
fn every_call_has_the_golden_outcome() {
    compare(&run("plain"), &run("filter"));
}

/// What the probe printed without a filter and with the default one.
pub fn assert_golden(free: &str, filtered: &str) {
    compare(&parse(free), &parse(filtered));
}

fn compare(plain: &Outcomes, filtered: &Outcomes) {
    let table = golden();
    let mut wrong = Vec::new();
    let mut stopped = 0;
    for key in ABIS
        .iter()
        .flat_map(|abi| (0..=600).map(move |n| format!("{abi} {n}")))
    {
        let (name, verdict) = table.get(&key).copied().unwrap_or(("unknown", "deny"));
        let verdict = match (verdict, name) {
            // -1 has 32 bits there, and 0xffffffff (ask only) is allowed.
            ("argument", "personality") if !key.starts_with("x86_64") => "allow",
            ("argument", _) => "deny",
            other => other.0,
        };
        let (before, after) = (&plain[&key], &filtered[&key]);
        let expected = match verdict {
            "allow" => before,
            "deny" => "errno 1",
            "enosys" => "errno 38",
            // The kernel does not ask filters about its own trampoline's call.
            "exempt" if before == after => before,
            "exempt" => "errno 1",
            other => panic!("{other}"),
        };
        stopped += usize::from(verdict != "allow" && before != after);
        // sigreturn takes its registers from whatever is on the stack: the
        // fault that follows is one of two.
        let fault = |outcome: &str| matches!(outcome, "signal 7" | "signal 11");
        let same_fault = name.ends_with("sigreturn") && fault(before) && fault(after);
        // Whether sync(2) and the like are done in time depends on the disk; what
        // a filter denies is answered at once.
        let refused = |outcome: &str| matches!(outcome, "errno 1" | "errno 38");
        let slow = after == "hangs" || before == "hangs" && !refused(after);
        if after != expected && !((same_fault || slow) && verdict == "allow") {
            wrong.push(format!("{key} {name}: {after}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The comparison means something: most denied calls do something else otherwise.
    assert!(stopped > 500, "{stopped}");
}

#[test]
fn arguments_are_filtered() {
    let (plain, filtered) = (run("plain"), run("filter"));
    let domains = (0..48).chain([0x1_0000_0026u64, 0x1_0000_0028]);
    let denied = |d: &u64| matches!(d, 38 | 40 | 46..);
    let sockets = domains.map(|d| (format!("socket {d}"), denied(&d)));
    let clones =
        [7, 17, 25, 26, 27, 28, 29, 30].map(|bit| (format!("clone {}", 1u64 << bit), bit != 7));
    let personas = [
        (0u64, false),
        (8, false),
        (0x2_0000, false),
        (0x2_0008, false),
        (0xffff_ffff, false),
        (0x4_0000, true),
        (0x10_0000, true),
    ];
    let personas = personas.map(|(value, denied)| (format!("personality {value}"), denied));
    for (key, denied) in sockets.chain(clones).chain(personas) {
        let expected = if denied { "errno 1" } else { &plain[&key] };
        assert_eq!(filtered[&key], expected, "{key}");
    }
}
