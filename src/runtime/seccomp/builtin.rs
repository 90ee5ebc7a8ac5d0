//! Docker's default profile, evaluated for a bounding set.

use super::compile::{Condition, Op, Outcome, Test};
use super::table::{Row, Rule, SYS_ADMIN, TABLE};
use crate::sys::caps::CapSet;
use libc::{SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO};

pub(super) const DEFAULT: u32 = SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ENOSYS: u32 = SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

const CLONE: u16 = 0;
const PERSONALITY: u16 = 1;
const SOCKET: u16 = 2;

/// One outcome per row of the table, and the tests they refer to.
pub(super) fn profile(bounding: CapSet) -> (Vec<Outcome>, Vec<Vec<Test>>) {
    let outcome = |Row(_, rule, _): &Row| match *rule {
        Rule::Always => Outcome::Return(SECCOMP_RET_ALLOW),
        Rule::With(caps) if bounding.0 & caps != 0 => Outcome::Return(SECCOMP_RET_ALLOW),
        Rule::Never | Rule::With(_) => Outcome::Return(DEFAULT),
        Rule::CloneFlags | Rule::Clone3 if bounding.0 & SYS_ADMIN != 0 => {
            Outcome::Return(SECCOMP_RET_ALLOW)
        }
        Rule::CloneFlags => Outcome::Tests(CLONE),
        Rule::Clone3 => Outcome::Return(ENOSYS),
        Rule::Personality => Outcome::Tests(PERSONALITY),
        Rule::Socket => Outcome::Tests(SOCKET),
    };
    (TABLE.iter().map(outcome).collect(), tests())
}

fn tests() -> Vec<Vec<Test>> {
    let personality = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];
    vec![
        vec![allow(Op::Masked(NEW_NAMESPACES), 0)],
        personality.map(|value| allow(Op::Eq, value)).into(),
        socket(),
    ]
}

/// Docker's rule is `< 38`, `== 39`, `> 40`: not AF_ALG (CVE-2026-31431), not
/// AF_VSOCK. The filter sees 64 bits of which the kernel uses 32, so `> 40`
/// alone would let 2^32 + AF_ALG through; AF_MAX is 46.
fn socket() -> Vec<Test> {
    let above = Test {
        conditions: vec![first(Op::Ge, 41), first(Op::Lt, 46)],
        ret: SECCOMP_RET_ALLOW,
    };
    vec![allow(Op::Lt, 38), allow(Op::Eq, 39), above]
}

/// The first argument is such: the call is allowed.
fn allow(op: Op, value: u64) -> Test {
    Test {
        conditions: vec![first(op, value)],
        ret: SECCOMP_RET_ALLOW,
    }
}

fn first(op: Op, value: u64) -> Condition {
    Condition {
        index: 0,
        op,
        value,
    }
}
