//! The network in real namespaces. Needs `ip` (iproute2) and `unshare`
//! (util-linux); as an ordinary user the tests run again in a user namespace.

mod dns;
mod embedded;
mod exhausted;
mod forward;
mod lan;
mod uplink;

use std::os::fd::OwnedFd;
use std::process::Command;
use wherry::sys::ns;

/// True when the test was run, in a user namespace of its own, by this call:
/// there is nothing left to do. False when we may make namespaces ourselves.
pub fn ran_in_user_namespace(test: &str) -> bool {
    let allowed =
        std::thread::spawn(|| nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_ok());
    if allowed.join().unwrap() {
        return false;
    }
    let me = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user"])
        .arg(me)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .status()
        .expect("unshare");
    assert!(status.success(), "{test} failed in a user namespace");
    true
}

/// A network namespace with `lo` up, after `prepare` ran in it.
pub fn namespace(prepare: impl FnOnce() + Send + 'static) -> OwnedFd {
    let thread = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        ns::loopback_up().unwrap();
        prepare();
        std::fs::File::open("/proc/thread-self/ns/net")
            .unwrap()
            .into()
    });
    thread.join().unwrap()
}

/// Runs `work` in a thread inside the namespace.
pub fn within<T: Send + 'static>(
    netns: &OwnedFd,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let netns = netns.try_clone().unwrap();
    std::thread::spawn(move || {
        ns::join(&netns, libc::CLONE_NEWNET).unwrap();
        work()
    })
}

pub fn ip(arguments: &str) {
    let status = Command::new("ip")
        .args(arguments.split(' '))
        .status()
        .expect("ip");
    assert!(status.success(), "ip {arguments}");
}
