//! How many files the monitor may have open: each connection that it carries
//! has two. What it starts gets the caller's limit all the same.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::sync::atomic::{AtomicU64, Ordering};

/// The limit as it was; 0: not raised.
static BEFORE: AtomicU64 = AtomicU64::new(0);
/// Some hosts set no limit worth the name, and the kernel's table grows with
/// the highest number in use.
const ENOUGH: u64 = 1 << 17;

/// As many as there may be.
pub fn raise() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let wanted = hard.min(ENOUGH);
    if soft < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok() {
        BEFORE.store(soft, Ordering::Relaxed);
    }
}

/// In a child, and before the next clone: no allocation, no lock.
pub fn give_back() {
    let soft = BEFORE.swap(0, Ordering::Relaxed);
    if let (true, Ok((_, hard))) = (soft != 0, getrlimit(Resource::RLIMIT_NOFILE)) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    }
}
