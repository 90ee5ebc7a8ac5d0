//! What the integration tests stand on: a hermetic place to run wherry in,
//! images, registries, a terminal, an oracle for leaks, attackers and kills.
//! docs/testing.md shows how they are used.

// A part that only later tests use is still compiled.
#![allow(dead_code)]

pub mod env;
pub mod evil_tar;
pub mod fault_registry;
pub mod hostile_rootfs;
pub mod image;
pub mod kill;
pub mod leaks;
pub mod process;
pub mod pty;
pub mod race;
pub mod registry;
pub mod tree;
pub mod user;

pub use env::Env;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// A time limit, longer where `TEST_SLOW` (a factor) says that the machine is.
pub fn limit(seconds: u64) -> Duration {
    let factor = std::env::var("TEST_SLOW")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(1);
    Duration::from_secs(seconds * factor)
}

/// Runs `check` until it is true; false when that does not happen in time.
pub fn eventually(seconds: u64, mut check: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + limit(seconds);
    loop {
        if check() {
            return true;
        }
        if std::time::Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A static program of tests/payload.
pub fn payload(name: &str) -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let dir = me.parent().and_then(Path::parent).unwrap();
    let path = dir.join("examples").join(name);
    let advice = "is missing: run `cargo build --examples`";
    assert!(path.exists(), "{} {advice}", path.display());
    path
}
