//! Sockets that the parent has opened for us: systemd's socket activation
//! (sd_listen_fds(3)).

use crate::sys;
use std::os::fd::OwnedFd;

/// The first descriptor that is passed.
const FIRST: i32 = 3;
/// More are a mistake.
const MOST: i32 = 1024;

/// Copies of the descriptors that are meant for this process.
pub fn sockets() -> Vec<OwnedFd> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<i32>().ok();
    if number("LISTEN_PID") != i32::try_from(std::process::id()).ok() {
        return Vec::new();
    }
    let count = number("LISTEN_FDS").unwrap_or(0).clamp(0, MOST);
    (FIRST..FIRST + count)
        .filter_map(|fd| sys::inherited(fd).ok())
        .collect()
}
