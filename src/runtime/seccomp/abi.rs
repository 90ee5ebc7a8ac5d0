//! The system call ABIs that this machine can run, each with its numbers in
//! order. Made by the compiler, so that a container start does not pay for it.

use super::table::TABLE;
use oci_spec::runtime::Arch;

/// One way to make system calls.
pub(super) struct Abi {
    pub arch: Arch,
    /// AUDIT_ARCH_… (linux/audit.h); x32 shares that of x86_64.
    pub token: u32,
    /// Arguments have 64 bits.
    pub wide: bool,
    /// By number.
    pub entries: &'static [Entry],
}

#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub number: u32,
    /// Index into the table.
    pub row: u16,
}

/// x32 calls have this bit in their number.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// The architecture as Docker's profiles name it in `includes.arches`.
#[cfg(target_arch = "x86_64")]
pub(super) const NAME: &str = "amd64";
#[cfg(target_arch = "aarch64")]
pub(super) const NAME: &str = "arm64";

/// The native ABI first; those of one token next to each other, in the order
/// of their numbers.
#[cfg(target_arch = "x86_64")]
pub(super) static ABIS: [Abi; 3] = [
    Abi {
        arch: Arch::ScmpArchX86_64,
        token: 0xc000_003e,
        wide: true,
        entries: &order::<{ count(0) }>(0, 0),
    },
    Abi {
        arch: Arch::ScmpArchX32,
        token: 0xc000_003e,
        wide: false,
        entries: &order::<{ count(2) }>(2, X32),
    },
    Abi {
        arch: Arch::ScmpArchX86,
        token: 0x4000_0003,
        wide: false,
        entries: &order::<{ count(1) }>(1, 0),
    },
];

#[cfg(target_arch = "aarch64")]
pub(super) static ABIS: [Abi; 2] = [
    Abi {
        arch: Arch::ScmpArchAarch64,
        token: 0xc000_00b7,
        wide: true,
        entries: &order::<{ count(3) }>(3, 0),
    },
    Abi {
        arch: Arch::ScmpArchArm,
        token: 0x4000_0028,
        wide: false,
        entries: &order::<{ count(4) }>(4, 0),
    },
];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the system call tables know x86_64 and aarch64 only");

const fn count(column: usize) -> usize {
    let (mut row, mut found) = (0, 0);
    while row < TABLE.len() {
        found += (TABLE[row].2[column] >= 0) as usize;
        row += 1;
    }
    found
}

/// The table's column as entries sorted by number (insertion sort: const).
const fn order<const N: usize>(column: usize, bit: u32) -> [Entry; N] {
    let mut entries = [Entry { number: 0, row: 0 }; N];
    let (mut row, mut filled) = (0, 0);
    while row < TABLE.len() {
        let number = TABLE[row].2[column];
        if number >= 0 {
            let number = number as u32 | bit;
            let mut at = filled;
            while at > 0 && entries[at - 1].number > number {
                entries[at] = entries[at - 1];
                at -= 1;
            }
            entries[at] = Entry {
                number,
                row: row as u16,
            };
            filled += 1;
        }
        row += 1;
    }
    entries
}
