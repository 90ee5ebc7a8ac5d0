//! Attaching, at the start and later: terminals, pipes, several commands at
//! once, job control, signals, statuses (promises B2, L4, M3, M4, M5; row S80).

mod clients;
mod jobs;
mod signals;
mod status;
mod terminal;

use crate::support::env::wait;
use crate::support::{Env, limit};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// `run` without a network, in the background; the ID.
fn detached(env: &Env, options: &[&str], command: &[&str]) -> String {
    let head = ["run", "-d", "--name", "box", "--network", "none"];
    env.ok([&head[..], options, &["busybox"], command].concat())
}

/// A command on three pipes, whose outputs are read as they come.
struct Piped {
    child: Child,
    input: Option<ChildStdin>,
    out: Arc<Heard>,
    err: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    bytes: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Piped {
    fn spawn(env: &Env, args: &[&str]) -> Self {
        let mut child = env.spawn(args.iter().copied());
        Self {
            input: child.stdin.take(),
            out: hear(child.stdout.take().unwrap()),
            err: hear(child.stderr.take().unwrap()),
            child,
        }
    }

    fn say(&mut self, text: &str) {
        let input = self.input.as_mut().expect("its input is open");
        // One that has ended is found out by what it does not answer.
        let _ = input.write_all(text.as_bytes());
    }

    fn signal(&self, number: i32) {
        let pid = self.child.id().cast_signed();
        wherry::sys::signal::kill(pid, number).unwrap_or_else(|e| panic!("signal {number}: {e}"));
    }

    /// By job control or SIGSTOP.
    fn is_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        stat.is_ok_and(|stat| stat.contains(") T "))
    }

    /// Until `text` has come on its stdout.
    #[track_caller]
    fn expect(&self, text: &str) {
        self.out.expect(text);
    }

    fn has(&self, text: &str) -> bool {
        contains(&self.out.bytes.lock().unwrap().0, text)
    }

    /// Its status once it has ended, and all that it wrote.
    #[track_caller]
    fn end(mut self) -> (i32, Vec<u8>, String) {
        drop(self.input.take());
        let Some(status) = wait(&mut self.child, 30) else {
            let _ = self.child.kill();
            panic!("no end; it said {:?}", self.out.text());
        };
        (
            status,
            self.out.all(),
            String::from_utf8_lossy(&self.err.all()).into(),
        )
    }
}

impl Heard {
    #[track_caller]
    fn expect(&self, text: &str) {
        let end = Instant::now() + limit(20);
        let mut heard = self.bytes.lock().unwrap();
        while !contains(&heard.0, text) {
            let left = end.saturating_duration_since(Instant::now());
            let shown = String::from_utf8_lossy(&heard.0).into_owned();
            assert!(!heard.1, "{text:?} did not come, the end did: {shown:?}");
            assert!(!left.is_zero(), "{text:?} did not come: {shown:?}");
            heard = self.changed.wait_timeout(heard, left).unwrap().0;
        }
    }

    fn all(&self) -> Vec<u8> {
        let mut heard = self.bytes.lock().unwrap();
        while !heard.1 {
            heard = self.changed.wait(heard).unwrap();
        }
        std::mem::take(&mut heard.0)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap().0).into()
    }
}

fn hear(mut from: impl Read + Send + 'static) -> Arc<Heard> {
    let heard = Arc::new(Heard::default());
    let theirs = heard.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        loop {
            let n = from.read(&mut buffer).unwrap_or(0);
            let mut heard = theirs.bytes.lock().unwrap();
            heard.0.extend_from_slice(&buffer[..n]);
            heard.1 = n == 0;
            theirs.changed.notify_all();
            if n == 0 {
                return;
            }
        }
    });
    heard
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}
