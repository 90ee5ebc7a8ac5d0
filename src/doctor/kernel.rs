//! The kernel: its calls, and user namespaces.

use super::{Check, is_root, read};
use crate::host::Need;
use crate::sys::clone::{self, Fork};
use crate::sys::{pidfd, probe};
use crate::userns::enter;

pub fn checks() -> Vec<Check> {
    let mut checks = vec![calls()];
    if !is_root() {
        checks.push(namespaces());
    }
    checks.push(match &*read("/proc/sys/vm/memfd_noexec") {
        "2" => Check::missing(
            "programs in memory",
            Need::ProgramsInMemory,
            "vm.memfd_noexec is 2",
        ),
        _ => Check::good("programs in memory", "allowed"),
    });
    checks
}

fn calls() -> Check {
    let name = "kernel";
    let release = read("/proc/sys/kernel/osrelease");
    let missing = probe::missing_calls();
    match missing.is_empty() {
        true => Check::good(name, format!("Linux {release} has every call")),
        false => Check::missing(
            name,
            Need::Kernel,
            format!("Linux {release} without {}", missing.join(", ")),
        ),
    }
}

/// Makes one, which is gone at once.
fn namespaces() -> Check {
    let name = "user namespaces";
    match clone::clone(libc::CLONE_NEWUSER, None) {
        Ok(Fork::Child) => clone::exit(0),
        Ok(Fork::Parent { pidfd, .. }) => {
            let _ = pidfd::reap(&pidfd);
            Check::good(name, "one was made")
        }
        Err(errno) => Check::missing(name, enter::refusal(errno), errno.desc()),
    }
}
