//! What the tests need that have their process run out of descriptors: other
//! processes, which do not.

use super::within;
use crate::support::process::Running;
use nix::sys::resource::{Resource, getrlimit};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const DESCRIPTORS: usize = 100;

/// True when the test was run, with [`DESCRIPTORS`] at most, by this call.
pub fn ran_with_few_descriptors(test: &str) -> bool {
    if getrlimit(Resource::RLIMIT_NOFILE).unwrap().0 <= DESCRIPTORS as u64 {
        return false;
    }
    let status = Command::new("prlimit")
        .arg(format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .status()
        .expect("prlimit");
    assert!(status.success(), "{test} failed with few descriptors");
    true
}

/// How many descriptors this process has open.
pub fn descriptors() -> usize {
    // SAFETY: F_GETFD of any number only answers.
    (0..DESCRIPTORS as i32)
        .filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0)
        .count()
}

/// A server that leaves connections waiting until it is told to go on; then it
/// says "again" to each.
pub struct Server(Running);

const SERVER: &str = "
import socket, sys
listener = socket.create_server((sys.argv[1], 80), backlog=128)
print('ready', flush=True)
sys.stdin.readline()
while True:
    stream = listener.accept()[0]
    try:
        stream.send(b'again')
    except OSError:
        pass
    stream.close()
";

impl Server {
    pub fn start(netns: &OwnedFd, address: &'static str) -> Self {
        let server = within(netns, move || {
            let mut python = Command::new("python3");
            python
                .args(["-c", SERVER, address])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped());
            Running::start(&mut python)
        });
        let mut server = server.join().unwrap();
        let mut ready = [0; 6];
        let words = server.0.stdout.take();
        words.unwrap().read_exact(&mut ready).unwrap();
        Self(server)
    }

    fn go_on(&mut self) {
        let words = self.0.0.stdin.take();
        words.unwrap().write_all(b"go\n").unwrap();
    }
}

/// Has so many clients connect from `netns`, or from here, to HOST/PORT that
/// all descriptors are in use, and then end: nothing spins meanwhile (`turns`
/// counts the poll loop's), and afterwards descriptors are free again. The
/// server goes on.
pub fn exhaust(
    netns: Option<&OwnedFd>,
    address: &str,
    mut server: Server,
    turns: &AtomicUsize,
) -> Server {
    let script = format!(
        "for i in $(seq {DESCRIPTORS}); do (exec {{fd}}<>/dev/tcp/{address} && sleep 30) & done; wait"
    );
    let start = move || {
        let mut bash = Command::new("bash");
        Running::start(bash.args(["-c", &script]).stderr(Stdio::null()))
    };
    let clients = match netns {
        Some(netns) => within(netns, start).join().unwrap(),
        None => start(),
    };
    let deadline = Instant::now() + crate::support::limit(10);
    let wait = |what: &str, until: &dyn Fn(usize) -> bool| {
        while !until(descriptors()) {
            let open = descriptors();
            assert!(Instant::now() < deadline, "{open} descriptors, {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait("not all in use", &|open| open >= DESCRIPTORS - 6);
    std::thread::sleep(Duration::from_millis(300));
    let before = turns.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(500));
    let woken = turns.load(Ordering::Relaxed) - before;
    assert!(woken < 40, "{woken} turns in half a second");
    drop(clients);
    server.go_on();
    wait("still in use", &|open| open <= 40);
    server
}
