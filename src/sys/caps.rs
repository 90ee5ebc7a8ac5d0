//! Linux capabilities: names, numbers, sets, Docker's rule for `--cap-add` and
//! `--cap-drop`, and the raw calls that give a set to the calling thread. The
//! raw calls allocate nothing and are made between clone and exec.

use crate::error::{Context, Error, Result};
use nix::errno::Errno;
use std::fmt;

/// Names without `CAP_`; the position is the number (linux/capability.h).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities; bit N is capability number N.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CapSet(pub u64);

impl CapSet {
    pub const EMPTY: Self = Self(0);
    /// CAP_KILL alone.
    pub const KILL: Self = Self(1 << 5);
    /// What Docker gives a container: CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD
    /// NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL
    /// AUDIT_WRITE.
    pub const DOCKER: Self = Self(0xa804_25fb);
    /// Every capability that this file has a name for.
    pub const NAMED: Self = Self((1 << NAMES.len()) - 1);

    /// The capability with this name, with or without `CAP_`, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let bare = match name.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("CAP_") => &name[4..],
            _ => name,
        };
        let number = NAMES.iter().position(|n| n.eq_ignore_ascii_case(bare))?;
        Some(Self(1 << number))
    }

    /// All capabilities of the running kernel, also those too new for a name.
    pub fn all_known() -> Result<Self> {
        let file = "/proc/sys/kernel/cap_last_cap";
        let text = std::fs::read_to_string(file).context(|| format!("cannot read \"{file}\""))?;
        match text.trim().parse::<u32>() {
            Ok(last) if last < 64 => Ok(Self(u64::MAX >> (63 - last))),
            _ => Err(Error::internal(format!(
                "cannot read \"{file}\": not a capability number: {text:?}"
            ))),
        }
    }

    /// The bounding set of the calling thread: in a container itself, and
    /// without a user namespace of its own, a process cannot pass on more.
    pub fn bounding() -> Self {
        let mut set = Self::EMPTY;
        for number in 0..64 {
            // SAFETY: PR_CAPBSET_READ takes one integer and touches no memory.
            match unsafe { libc::prctl(libc::PR_CAPBSET_READ, number, 0, 0, 0) } {
                1 => set.0 |= 1 << number,
                0 => {}
                _ => break,
            }
        }
        set
    }

    /// Docker's rule: `add ALL` is everything known without what is dropped,
    /// `drop ALL` is only what is added, else default, less drop, plus add.
    pub fn apply(default: Self, known: Self, add: &[String], drop: &[String]) -> Result<Self> {
        let (add_all, added) = collect(add, known).map_err(|e| e.within("invalid CapAdd"))?;
        let (drop_all, dropped) = collect(drop, known).map_err(|e| e.within("invalid CapDrop"))?;
        Ok(match (add_all, drop_all) {
            (true, _) => known.without(dropped),
            (false, true) => added,
            (false, false) => default.without(dropped).with(added),
        })
    }

    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// `CAP_…` names in numeric order.
    pub fn names(self) -> Vec<String> {
        let held = NAMES
            .iter()
            .enumerate()
            .filter(|(n, _)| self.0 >> n & 1 == 1);
        held.map(|(_, name)| format!("CAP_{name}")).collect()
    }
}

impl fmt::Debug for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CapSet({:#x})", self.0)
    }
}

/// Whether `ALL` is among the names, and the set of the others.
fn collect(names: &[String], known: CapSet) -> Result<(bool, CapSet)> {
    let mut all = false;
    let mut set = CapSet::EMPTY;
    for name in names {
        if name.eq_ignore_ascii_case("ALL") {
            all = true;
            continue;
        }
        let one = CapSet::named(name).ok_or_else(|| unknown(name))?;
        if !known.contains(one) {
            return Err(Error::unsupported(format!(
                "capability not supported on this kernel: {:?}",
                full_name(name)
            )));
        }
        set = set.with(one);
    }
    Ok((all, set))
}

fn unknown(name: &str) -> Error {
    Error::invalid(format!("unknown capability: {:?}", full_name(name))).hint(
        "capabilities(7) lists the names, for example NET_ADMIN or SYS_PTRACE; ALL is all of them",
    )
}

fn full_name(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    match upper.starts_with("CAP_") {
        true => upper,
        false => format!("CAP_{upper}"),
    }
}

/// Drops from the bounding set all that is not in `keep`. Needs CAP_SETPCAP.
/// Safe between clone and exec.
pub fn limit_bounding(keep: CapSet) -> Result<(), Errno> {
    for number in 0..64 {
        if keep.0 >> number & 1 == 1 {
            continue;
        }
        // SAFETY: PR_CAPBSET_DROP takes one integer and touches no memory.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) } == -1 {
            return match Errno::last() {
                // Above the kernel's last capability: nothing left to drop.
                Errno::EINVAL => Ok(()),
                e => Err(e),
            };
        }
    }
    Ok(())
}

/// capset(2) for the calling thread. Safe between clone and exec.
pub fn set(permitted: CapSet, effective: CapSet, inheritable: CapSet) -> Result<(), Errno> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    #[repr(C)]
    struct Half {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let half = |shift: u32| Half {
        effective: (effective.0 >> shift) as u32,
        permitted: (permitted.0 >> shift) as u32,
        inheritable: (inheritable.0 >> shift) as u32,
    };
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let halves = [half(0), half(32)];
    // SAFETY: version 3 reads one header and exactly two data elements; both
    // live on this stack frame.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) };
    Errno::result(result).map(drop)
}

/// Empties the ambient set. Safe between clone and exec.
pub fn clear_ambient() -> Result<(), Errno> {
    // SAFETY: the call takes integers only.
    let result = unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    match Errno::result(result) {
        // Before Linux 4.3 there is no ambient set.
        Err(Errno::EINVAL) => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_are_numbers() {
        for (name, number) in [
            ("CHOWN", 0),
            ("cap_kill", 5),
            ("Cap_Net_Raw", 13),
            ("SYS_ADMIN", 21),
            ("CAP_SETFCAP", 31),
            ("CHECKPOINT_RESTORE", 40),
        ] {
            assert_eq!(CapSet::named(name), Some(CapSet(1 << number)), "{name}");
        }
        for name in [
            "",
            "CAP_",
            "ALL",
            "CAP_ALL",
            "CAP_CAP_KILL",
            "KILL ",
            "é",
            "CAPé",
        ] {
            assert_eq!(CapSet::named(name), None, "{name}");
        }
        assert_eq!(
            CapSet::DOCKER.names().join(" "),
            "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID \
             CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SYS_CHROOT CAP_MKNOD \
             CAP_AUDIT_WRITE CAP_SETFCAP"
        );
    }

    #[test]
    fn add_and_drop_follow_docker() {
        let all = CapSet::NAMED;
        let kill = CapSet::named("KILL").unwrap();
        let admin = CapSet::named("SYS_ADMIN").unwrap();
        let table: &[(&[&str], &[&str], CapSet)] = &[
            (&[], &[], CapSet::DOCKER),
            (&["sys_admin"], &[], CapSet::DOCKER.with(admin)),
            (&[], &["CAP_KILL"], CapSet::DOCKER.without(kill)),
            (&["kill"], &["kill"], CapSet::DOCKER),
            (&[], &["all"], CapSet::EMPTY),
            (&["kill"], &["ALL"], kill),
            (&["ALL"], &[], all),
            (&["ALL"], &["kill"], all.without(kill)),
            (&["ALL"], &["ALL"], all),
        ];
        for (add, drop, expected) in table {
            let got = CapSet::apply(CapSet::DOCKER, all, &owned(add), &owned(drop)).unwrap();
            assert_eq!(got, *expected, "+{add:?} -{drop:?}");
        }
    }

    #[test]
    fn bad_names_are_refused_in_dockers_words() {
        let apply = |add: &[&str], drop: &[&str], known| {
            CapSet::apply(CapSet::DOCKER, known, &owned(add), &owned(drop))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            apply(&["x"], &[], CapSet::NAMED),
            "invalid CapAdd: unknown capability: \"CAP_X\""
        );
        assert_eq!(
            apply(&[], &["cap_"], CapSet::NAMED),
            "invalid CapDrop: unknown capability: \"CAP_\""
        );
        assert_eq!(
            apply(&["bpf"], &[], CapSet(u64::MAX >> 26)),
            "invalid CapAdd: capability not supported on this kernel: \"CAP_BPF\""
        );
    }

    #[test]
    fn the_kernel_knows_at_least_docker_s_set() {
        assert!(CapSet::all_known().unwrap().contains(CapSet::DOCKER));
        assert!(CapSet::all_known().unwrap().contains(CapSet::bounding()));
    }

    /// The raw calls, on a thread: capabilities belong to threads.
    #[test]
    fn raw_calls_shrink_the_thread() {
        let status = std::thread::spawn(|| {
            clear_ambient().unwrap();
            let before = CapSet::bounding();
            let privileged = limit_bounding(CapSet::DOCKER);
            let reduced = CapSet::bounding();
            set(CapSet::EMPTY, CapSet::EMPTY, CapSet::EMPTY).unwrap();
            (
                before,
                privileged,
                reduced,
                std::fs::read_to_string("/proc/thread-self/status").unwrap(),
            )
        })
        .join()
        .unwrap();
        let (before, privileged, reduced, text) = status;
        match privileged {
            Ok(()) => assert_eq!(reduced, before.and(CapSet::DOCKER)),
            Err(e) => {
                assert_eq!((e, reduced), (Errno::EPERM, before));
            }
        }
        for field in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(
                text.contains(&format!("{field}:\t0000000000000000")),
                "{field} in {text}"
            );
        }
    }
}
