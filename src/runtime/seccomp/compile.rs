//! Outcomes per system call to classic BPF (seccomp(2), Linux
//! Documentation/networking/filter.rst). Numbers are found by a balanced tree:
//! the kernel runs a new filter once for every number, so a list costs 0.3 ms
//! at each container start and a tree 0.07. Knows nothing of profiles.

use super::abi::{Abi, Entry};
use libc::sock_filter;

/// What happens to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A SECCOMP_RET_… value.
    Return(u32),
    /// Index of the tests that decide.
    Tests(u16),
}

/// All conditions hold: return this.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub conditions: Vec<Condition>,
    pub ret: u32,
}

/// Compares the argument `index` (0..6) with `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub index: u32,
    pub op: Op,
    pub value: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Ge,
    Gt,
    /// Equal after the argument and the value were masked with this.
    Masked(u64),
}

/// Everything that a filter is made from.
pub(super) struct Plan<'a> {
    /// One for each row of the table.
    pub outcomes: &'a [Outcome],
    /// The first test that holds decides; none: `default`.
    pub tests: &'a [Vec<Test>],
    /// Return value for everything else, foreign ABIs included.
    pub default: u32,
    pub abis: &'a [&'a Abi],
}

/// One way out of the conditional jump at `position`.
struct Exit {
    position: usize,
    /// The way taken when the condition is true.
    when: bool,
    value: u32,
}

impl Exit {
    /// False when the target is out of reach.
    fn jump_to(&self, target: usize, out: &mut [sock_filter]) -> bool {
        let Ok(distance) = u8::try_from(target - self.position - 1) else {
            return false;
        };
        match self.when {
            true => out[self.position].jt = distance,
            false => out[self.position].jf = distance,
        }
        true
    }
}

/// Numbers from `from` up to the next segment's have one outcome.
#[derive(Clone, Copy)]
struct Segment {
    from: u32,
    outcome: Outcome,
    wide: bool,
}

/// More segments than this do not fit into a group anyway.
const MAX_GROUP: usize = 240;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const JA: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const JEQ: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JGE: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const JGT: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const RET: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Offsets in struct seccomp_data.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

impl Plan<'_> {
    pub fn compile(&self) -> Vec<sock_filter> {
        let mut out = Vec::with_capacity(500);
        out.push(op(LOAD, ARCH));
        let mut rest = self.abis;
        while let Some(first) = rest.first() {
            // ABIs that share an audit token stand next to each other.
            let same = rest.iter().take_while(|a| a.token == first.token).count();
            self.block(&rest[..same], &mut out);
            rest = &rest[same..];
        }
        out.push(op(RET, self.default));
        out
    }

    /// The part for one audit token; falls through when it is another.
    fn block(&self, abis: &[&Abi], out: &mut Vec<sock_filter>) {
        let segments = self.segments(abis);
        out.push(jump(JEQ, abis[0].token, 1, 0));
        let over = out.len();
        out.push(op(JA, 0));
        out.push(op(LOAD, NUMBER));
        self.tree(&segments, out);
        out[over].k = (out.len() - over - 1) as u32;
    }

    fn segments(&self, abis: &[&Abi]) -> Vec<Segment> {
        let default = Outcome::Return(self.default);
        let mut segments = Vec::with_capacity(200);
        let mut push = |from, outcome, wide| match segments.last() {
            Some(Segment { outcome: last, .. })
                if *last == outcome && matches!(last, Outcome::Return(_)) => {}
            _ => segments.push(Segment {
                from,
                outcome,
                wide,
            }),
        };
        let mut next = 0;
        for abi in abis {
            for Entry { number, row } in abi.entries {
                if *number > next {
                    push(next, default, abi.wide);
                }
                push(*number, self.outcomes[usize::from(*row)], abi.wide);
                next = number + 1;
            }
        }
        push(next, default, true);
        segments
    }

    /// A binary search for the segment. Returns are shared within a group as
    /// large as conditional jumps reach: half the instructions, half the time
    /// that the kernel takes to load them.
    fn tree(&self, segments: &[Segment], out: &mut Vec<sock_filter>) {
        if let [leaf] = segments {
            return self.leaf(leaf, out);
        }
        if self.group(segments, out) {
            return;
        }
        let (left, right) = segments.split_at(segments.len() / 2);
        out.push(jump(JGE, right[0].from, 0, 1));
        let over = out.len();
        out.push(op(JA, 0));
        self.tree(left, out);
        out[over].k = (out.len() - over - 1) as u32;
        self.tree(right, out);
    }

    /// A subtree followed by its returns; false, and nothing written, when a
    /// jump would be too far.
    fn group(&self, segments: &[Segment], out: &mut Vec<sock_filter>) -> bool {
        if segments.len() > MAX_GROUP {
            return false;
        }
        let start = out.len();
        let mut exits = Vec::with_capacity(segments.len());
        let mut fits = self.node(segments, out, &mut exits);
        exits.sort_by_key(|exit| exit.value);
        for same in exits.chunk_by(|a, b| a.value == b.value) {
            for exit in same {
                fits &= exit.jump_to(out.len(), out);
            }
            out.push(op(RET, same[0].value));
        }
        if !fits {
            out.truncate(start);
        }
        fits
    }

    /// Two or more segments; leaves that only return are noted in `exits`.
    fn node(
        &self,
        segments: &[Segment],
        out: &mut Vec<sock_filter>,
        exits: &mut Vec<Exit>,
    ) -> bool {
        let (left, right) = segments.split_at(segments.len() / 2);
        let position = out.len();
        out.push(jump(JGE, right[0].from, 0, 0));
        let mut fits = true;
        for (side, when) in [(left, false), (right, true)] {
            let mut exit = Exit {
                position,
                when,
                value: 0,
            };
            if let [
                Segment {
                    outcome: Outcome::Return(value),
                    ..
                },
            ] = side
            {
                exit.value = *value;
                exits.push(exit);
                continue;
            }
            fits &= exit.jump_to(out.len(), out);
            match side {
                [leaf] => self.leaf(leaf, out),
                _ => fits &= self.node(side, out, exits),
            }
        }
        fits
    }

    fn leaf(&self, leaf: &Segment, out: &mut Vec<sock_filter>) {
        match leaf.outcome {
            Outcome::Return(value) => out.push(op(RET, value)),
            Outcome::Tests(index) => {
                for test in &self.tests[usize::from(index)] {
                    test.emit(leaf.wide, out);
                }
                out.push(op(RET, self.default));
            }
        }
    }
}

impl Test {
    fn emit(&self, wide: bool, out: &mut Vec<sock_filter>) {
        let mut failures = Vec::with_capacity(12);
        for condition in &self.conditions {
            match wide {
                true => condition.emit_wide(out, &mut failures),
                false => condition.emit_narrow(out, &mut failures),
            }
        }
        out.push(op(RET, self.ret));
        // At most six conditions of seven instructions: always near.
        for (position, when) in failures {
            let distance = (out.len() - position - 1) as u8;
            match when {
                true => out[position].jt = distance,
                false => out[position].jf = distance,
            }
        }
    }
}

/// Instructions that leave the test, and whether when true or when false.
type Failures = Vec<(usize, bool)>;

impl Condition {
    /// Compares 64 bits: the upper half, then the lower one.
    fn emit_wide(self, out: &mut Vec<sock_filter>, failures: &mut Failures) {
        let (mask, value) = self.masked();
        let (high, low) = ((value >> 32) as u32, value as u32);
        load(out, self.offset() + 4, (mask >> 32) as u32);
        match self.op {
            Op::Eq | Op::Masked(_) => fail_unless(JEQ, high, out, failures),
            Op::Ne => out.push(jump(JEQ, high, 0, 2)),
            Op::Gt | Op::Ge => {
                out.push(jump(JGT, high, 3, 0));
                fail_unless(JEQ, high, out, failures);
            }
            Op::Lt | Op::Le => {
                fail_if(JGT, high, out, failures);
                out.push(jump(JEQ, high, 0, 2));
            }
        }
        load(out, self.offset(), mask as u32);
        self.compare_low(low, out, failures);
    }

    /// Compares the lower 32 bits, all that a 32-bit ABI passes.
    fn emit_narrow(self, out: &mut Vec<sock_filter>, failures: &mut Failures) {
        let (mask, value) = self.masked();
        load(out, self.offset(), mask as u32);
        self.compare_low(value as u32, out, failures);
    }

    fn compare_low(self, low: u32, out: &mut Vec<sock_filter>, failures: &mut Failures) {
        match self.op {
            Op::Eq | Op::Masked(_) => fail_unless(JEQ, low, out, failures),
            Op::Ne => fail_if(JEQ, low, out, failures),
            Op::Gt => fail_unless(JGT, low, out, failures),
            Op::Ge => fail_unless(JGE, low, out, failures),
            Op::Lt => fail_if(JGE, low, out, failures),
            Op::Le => fail_if(JGT, low, out, failures),
        }
    }

    fn masked(self) -> (u64, u64) {
        match self.op {
            Op::Masked(mask) => (mask, self.value & mask),
            _ => (u64::MAX, self.value),
        }
    }

    fn offset(self) -> u32 {
        const { assert!(cfg!(target_endian = "little")) };
        ARGUMENTS + 8 * self.index
    }
}

fn load(out: &mut Vec<sock_filter>, offset: u32, mask: u32) {
    out.push(op(LOAD, offset));
    if mask != u32::MAX {
        out.push(op(AND, mask));
    }
}

fn fail_unless(code: u16, k: u32, out: &mut Vec<sock_filter>, failures: &mut Failures) {
    failures.push((out.len(), false));
    out.push(jump(code, k, 0, 0));
}

fn fail_if(code: u16, k: u32, out: &mut Vec<sock_filter>, failures: &mut Failures) {
    failures.push((out.len(), true));
    out.push(jump(code, k, 0, 0));
}

fn op(code: u16, k: u32) -> sock_filter {
    jump(code, k, 0, 0)
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}
