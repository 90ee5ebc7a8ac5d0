//! Which devices root's containers may open: a BPF program on the container's
//! cgroup, deny by default (GHSA-g54h-m393-cpwq). Without root there is none
//! and no need: a user namespace cannot make device nodes.

use crate::error::{Context, Result};
use crate::sys::bpf::{self, Insn};
use std::os::fd::OwnedFd;

/// `b` or `c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Block = 1,
    Character = 2,
}

pub const MKNOD: u32 = 1;
pub const READ: u32 = 2;
pub const WRITE: u32 = 4;

/// A device that may be used; `None` is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub kind: Kind,
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub access: u32,
}

/// null, zero, full, random, urandom, tty, console, ptmx, terminals.
const DEFAULT: [(u32, Option<u32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// Docker's rules: the devices above, `extra` of `--device`, and mknod(2) of
/// anything, which alone opens nothing.
pub fn restrict(cgroup: &OwnedFd, extra: &[Rule]) -> Result<()> {
    let mut rules: Vec<Rule> = DEFAULT
        .iter()
        .map(|&(major, minor)| Rule {
            kind: Kind::Character,
            major: Some(major),
            minor,
            access: MKNOD | READ | WRITE,
        })
        .collect();
    rules.extend_from_slice(extra);
    let program = bpf::load_device_filter(&compile(&rules))
        .context(|| "cannot load the container's device filter")?;
    bpf::attach_device_filter(cgroup, &program)
        .context(|| "cannot attach the container's device filter")
}

// Registers as the program uses them.
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;
const RESULT: u8 = 0;

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbf;
const MOVE_IMMEDIATE: u8 = 0xb7;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

fn insn(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Insn {
    Insn {
        code,
        registers: destination | source << 4,
        offset,
        immediate,
    }
}

/// The context is `struct bpf_cgroup_dev_ctx`: access << 16 | kind, major, minor.
fn compile(rules: &[Rule]) -> Vec<Insn> {
    let mut program = vec![
        insn(LOAD_WORD, KIND, CONTEXT, 0, 0),
        insn(MOVE, ACCESS, KIND, 0, 0),
        insn(AND, KIND, 0, 0, 0xffff),
        insn(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        insn(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        insn(LOAD_WORD, MINOR, CONTEXT, 8, 0),
        insn(JUMP_NOT_EQUAL, ACCESS, 0, 2, MKNOD as i32),
    ];
    program.extend(verdict(1));
    for rule in rules {
        program.extend(allow(rule));
    }
    program.extend(verdict(0));
    program
}

/// Falls through to what follows unless the rule allows the access.
fn allow(rule: &Rule) -> Vec<Insn> {
    let mut checks = vec![(JUMP_NOT_EQUAL, KIND, rule.kind as i32)];
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        checks.extend(number.map(|n| (JUMP_NOT_EQUAL, register, n as i32)));
    }
    checks.push((JUMP_NOT_EQUAL, SCRATCH, 0));
    // What is asked for beyond what is allowed must be nothing.
    let mut program = vec![
        insn(MOVE, SCRATCH, ACCESS, 0, 0),
        insn(AND, SCRATCH, 0, 0, !(rule.access as i32)),
    ];
    let count = checks.len() as i16;
    for (i, (code, register, value)) in checks.into_iter().enumerate() {
        let past_verdict = count - i as i16 - 1 + 2;
        program.push(insn(code, register, 0, past_verdict, value));
    }
    program.extend(verdict(1));
    program
}

fn verdict(value: i32) -> [Insn; 2] {
    [
        insn(MOVE_IMMEDIATE, RESULT, 0, 0, value),
        insn(EXIT, 0, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would, for the instructions we use.
    fn run(program: &[Insn], kind: Kind, access: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind as u32, major, minor];
        let mut registers = [0u64; 11];
        let mut at = 0;
        loop {
            let i = program[at];
            let (d, s) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            match i.code {
                LOAD_WORD => registers[d] = u64::from(context[i.offset as usize / 4]),
                MOVE => registers[d] = registers[s],
                MOVE_IMMEDIATE => registers[d] = i.immediate as u64,
                AND => registers[d] = u64::from(registers[d] as u32 & i.immediate as u32),
                SHIFT_RIGHT => registers[d] = u64::from((registers[d] as u32) >> i.immediate),
                JUMP_NOT_EQUAL if registers[d] != i.immediate as u64 => at += i.offset as usize,
                JUMP_NOT_EQUAL => {}
                EXIT => return registers[0] == 1,
                other => panic!("unknown instruction {other:#x}"),
            }
            at += 1;
        }
    }

    #[test]
    fn default_deny() {
        let disk = Rule {
            kind: Kind::Block,
            major: Some(8),
            minor: Some(1),
            access: READ,
        };
        let null = Rule {
            kind: Kind::Character,
            major: Some(1),
            minor: Some(3),
            access: READ | WRITE | MKNOD,
        };
        let terminals = Rule {
            kind: Kind::Character,
            major: Some(136),
            minor: None,
            access: READ | WRITE,
        };
        let program = compile(&[disk, null, terminals]);
        assert!(run(&program, Kind::Character, READ | WRITE, 1, 3));
        assert!(run(&program, Kind::Character, WRITE, 136, 77));
        assert!(run(&program, Kind::Block, READ, 8, 1));
        assert!(run(&program, Kind::Block, MKNOD, 8, 0));
        assert!(!run(&program, Kind::Block, READ | WRITE, 8, 1));
        assert!(!run(&program, Kind::Block, READ, 8, 0));
        assert!(!run(&program, Kind::Block, READ, 1, 3));
        assert!(!run(&program, Kind::Character, READ, 1, 1));
        assert!(!run(&program, Kind::Character, READ | MKNOD, 10, 229));
    }
}
