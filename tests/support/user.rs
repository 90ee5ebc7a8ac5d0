//! Who runs the tests. `make test` runs them twice: as the unprivileged user
//! `wherry-test`, without the modules named `as_root`, and as root, without
//! those named `as_user`. So no case is skipped silently.

use nix::unistd::{Uid, User, geteuid};

pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Call first in a test below a module `as_root`.
pub fn require_root() {
    assert!(
        is_root(),
        "this test needs root; `make test-root` runs it, else use --skip as_root"
    );
}

/// Call first in a test below a module `as_user`.
pub fn require_user() {
    assert!(
        !is_root(),
        "this test needs an ordinary user with subordinate IDs; use --skip as_user"
    );
}

pub fn name() -> String {
    match User::from_uid(geteuid()) {
        Ok(Some(user)) => user.name,
        _ => geteuid().to_string(),
    }
}

/// First uid and count of the caller's subordinate range, from /etc/subuid.
pub fn subuids() -> Option<(u32, u32)> {
    let text = std::fs::read_to_string("/etc/subuid").ok()?;
    let (name, uid) = (name(), geteuid().to_string());
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let first = fields.next()?.parse().ok()?;
        let count = fields.next()?.parse().ok()?;
        (owner == name || owner == uid).then_some((first, count))
    })
}

/// Whether a file of `uid` on the host belongs to us or our containers.
pub fn is_ours(uid: u32) -> bool {
    Uid::from_raw(uid) == geteuid()
        || subuids().is_some_and(|(first, count)| (first..first + count).contains(&uid))
}
