//! A place of its own for one test: home, data, run directory and registries,
//! and nothing of the caller's environment.

use super::registry::Registry;
use super::{leaks, limit, user};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

/// Tests that compare the whole machine before and after take it for writing.
static MACHINE: RwLock<()> = RwLock::new(());

enum Share {
    Shared(#[allow(dead_code)] RwLockReadGuard<'static, ()>),
    Alone(#[allow(dead_code)] RwLockWriteGuard<'static, ()>),
}

/// Everything is removed when it is dropped, containers first.
pub struct Env {
    root: PathBuf,
    run: PathBuf,
    vars: Vec<(String, String)>,
    _share: Share,
}

/// How a command ended and what it printed.
#[derive(Debug)]
pub struct Output {
    /// Exit status; 128+n when it was killed by signal n.
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    shown: String,
}

impl Env {
    /// Shares the machine with the other tests.
    pub fn new() -> Self {
        Self::make(Share::Shared(
            MACHINE.read().unwrap_or_else(|e| e.into_inner()),
        ))
    }

    /// While it lives no other test has an `Env`: for [`leaks`].
    pub fn alone() -> Self {
        Self::make(Share::Alone(
            MACHINE.write().unwrap_or_else(|e| e.into_inner()),
        ))
    }

    /// One that pulls short names from `registry` instead of docker.io.
    pub fn with(registry: &Registry) -> Self {
        let env = Self::new();
        env.short_names_from(registry);
        env
    }

    /// One that has the image `busybox`, pulled from the shared registry.
    pub fn busybox() -> Self {
        let env = Self::with(Registry::shared());
        env.ok(["pull", "-q", "busybox"]);
        env
    }

    /// The same, alone on the machine: for [`leaks`].
    pub fn busybox_alone() -> Self {
        let env = Self::alone();
        env.short_names_from(Registry::shared());
        env.ok(["pull", "-q", "busybox"]);
        env
    }

    fn make(share: Share) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let tag = format!(
            "w{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        // Overlay needs a file system that keeps user xattrs, so not /dev/shm;
        // sockets need a short path on a tmpfs, as /run/user/UID is.
        let root = std::env::temp_dir().join(&tag);
        let run = Path::new("/dev/shm").join(&tag);
        for dir in [&root, &run] {
            private_dir(dir);
        }
        for dir in ["home", "data", "tmp", "config"] {
            private_dir(&root.join(dir));
        }
        let at = |name: &str| root.join(name).to_str().expect("UTF-8").to_owned();
        let vars = [
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            ),
            ("HOME", at("home")),
            ("USER", user::name()),
            ("XDG_DATA_HOME", at("data")),
            ("XDG_CONFIG_HOME", at("config")),
            ("XDG_RUNTIME_DIR", run.to_str().expect("UTF-8").to_owned()),
            ("TMPDIR", at("tmp")),
            ("LANG", "C.UTF-8".into()),
            ("CONTAINERS_REGISTRIES_CONF", at("registries.conf")),
        ];
        let env = Self {
            vars: vars
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
            root,
            run,
            _share: share,
        };
        std::fs::write(env.root.join("registries.conf"), "").unwrap();
        env
    }

    /// docker.io is the registry on loopback; other names stay what they are.
    pub fn short_names_from(&self, registry: &Registry) {
        let insecure = !registry.is_tls();
        let conf = format!(
            "unqualified-search-registries = [\"docker.io\"]\n\n[[registry]]\nprefix = \"docker.io\"\n\
             location = \"{0}\"\ninsecure = {insecure}\n\n[[registry]]\nprefix = \"{0}\"\n\
             location = \"{0}\"\ninsecure = {insecure}\n",
            registry.host()
        );
        std::fs::write(self.root.join("registries.conf"), conf).unwrap();
        if let Some(ca) = registry.ca() {
            let dir = self.path("config/containers/certs.d").join(registry.host());
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::copy(ca, dir.join("ca.crt")).unwrap();
        }
    }

    /// Registries that are talked to without TLS, under their own names.
    pub fn without_tls(&self, hosts: &[&str]) {
        let conf = hosts.iter().map(|host| {
            format!("[[registry]]\nprefix = \"{host}\"\nlocation = \"{host}\"\ninsecure = true\n")
        });
        let conf: String = conf.collect();
        std::fs::write(self.root.join("registries.conf"), conf).unwrap();
    }

    /// Writes the user's policy.json.
    pub fn policy(&self, policy: &serde_json::Value) {
        let dir = self.path("home/.config/containers");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("policy.json"), policy.to_string()).unwrap();
    }

    /// A path below the place: `home`, `tmp/x`, `data/wherry`, …
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `$XDG_RUNTIME_DIR`.
    pub fn run_dir(&self) -> &Path {
        &self.run
    }

    /// Sets a variable for all commands from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.vars.retain(|(n, _)| n != name);
        self.vars.push((name.into(), value.into()));
    }

    /// Any program with the environment of the place, started in its home.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(self.vars.iter().cloned())
            .current_dir(self.path("home"));
        command
    }

    /// wherry with these arguments, not started yet.
    pub fn wherry_command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command(wherry_path());
        command.args(args);
        command
    }

    /// Runs wherry with an empty stdin; 60 s at most.
    pub fn wherry<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        run(self.wherry_command(args), b"", 60)
    }

    /// Runs wherry with `input` on stdin.
    pub fn wherry_with<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Output {
        run(self.wherry_command(args), input, 60)
    }

    /// Runs wherry, which has to succeed; its stdout without the last newline.
    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        self.wherry(args)
            .ok()
            .text()
            .trim_end_matches('\n')
            .to_owned()
    }

    /// What is there once nothing changes any more, to be compared later. Only
    /// sound when [`Env::alone`].
    pub fn snapshot(&self) -> leaks::Snapshot {
        let take = || leaks::Snapshot::take(&[&self.root, &self.run]);
        let mut now = take();
        // What ran before may still be cleaning up.
        super::eventually(10, || {
            std::thread::sleep(std::time::Duration::from_millis(200));
            let before = std::mem::replace(&mut now, take());
            before.difference(&now).is_empty()
        });
        now
    }

    /// A record of the container with this full ID: `config`, `state`.
    pub fn record(&self, id: &str, which: &str) -> serde_json::Value {
        let path = self.path("data/wherry/containers").join(id).join(which);
        let bytes = std::fs::read(path.with_extension("json"))
            .unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
        serde_json::from_slice(&bytes).expect("a record is JSON")
    }

    /// Starts wherry with the three streams as pipes.
    pub fn spawn<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Child {
        let mut command = self.wherry_command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("wherry starts")
    }

    fn has_containers(&self) -> bool {
        let dir = self.path("data/wherry/containers");
        std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        if self.has_containers() {
            let ids = run(self.wherry_command(["ps", "-aq"]), b"", 20).text();
            let args = ["rm", "-f"].into_iter().chain(ids.split_whitespace());
            run(self.wherry_command(args), b"", 60);
        }
        for dir in [&self.root, &self.run] {
            remove(dir);
        }
    }
}

impl Output {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Fails with all that was printed when the status is not 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.status(0)
    }

    #[track_caller]
    pub fn status(self, want: i32) -> Self {
        assert_eq!(self.status, want, "status of {self}");
        self
    }

    /// Fails when `text` is not part of what went to stderr.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.errors().contains(text), "no {text:?} from {self}");
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} (status {})", self.shown, self.status)?;
        write!(
            f,
            "-- stdout\n{}\n-- stderr\n{}",
            self.text(),
            self.errors()
        )
    }
}

/// The binary under test: `WHERRY_BIN` where it was copied to a place that
/// the user can reach.
pub fn wherry_path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        std::env::var("WHERRY_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_wherry").into())
    })
}

/// Runs a command to its end. Fails when that takes longer than `seconds`, or
/// when something it left behind keeps its stdout or stderr open.
#[track_caller]
pub fn run(mut command: Command, input: &[u8], seconds: u64) -> Output {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shown = words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ");
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {shown}: {e}"));
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // Not joined: who does not read its stdin ends all the same.
    std::thread::spawn(move || stdin.write_all(&input));
    let Some(status) = wait(&mut child, seconds) else {
        let _ = child.kill();
        let _ = child.wait();
        let out = Output {
            status: -1,
            stdout: stdout.recv_timeout(limit(2)).unwrap_or_default(),
            stderr: stderr.recv_timeout(limit(2)).unwrap_or_default(),
            shown,
        };
        panic!("no end after {seconds} s: {out}");
    };
    let closed = "something keeps the output open after the end of";
    Output {
        stdout: stdout
            .recv_timeout(limit(5))
            .unwrap_or_else(|_| panic!("{closed} {shown}")),
        stderr: stderr
            .recv_timeout(limit(5))
            .unwrap_or_else(|_| panic!("{closed} {shown}")),
        status,
        shown,
    }
}

/// Exit status, 128+n for signal n, or `None` after `seconds`.
pub fn wait(child: &mut Child, seconds: u64) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    let end = Instant::now() + limit(seconds);
    let mut pause = std::time::Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            return Some(
                status
                    .code()
                    .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            );
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(std::time::Duration::from_millis(20));
    }
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

/// What an earlier process with our number has left there goes.
pub fn private_dir(dir: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    remove(dir);
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(dir)
        .unwrap_or_else(|e| panic!("cannot make {}: {e}", dir.display()));
}

/// Removes a tree, also what belongs to subordinate IDs.
pub fn remove(dir: &Path) {
    if std::fs::remove_dir_all(dir).is_ok() || !dir.exists() {
        return;
    }
    let mut rm = Command::new("unshare");
    rm.args(["--user", "--map-root-user", "--map-auto", "rm", "-rf", "--"])
        .arg(dir);
    let done = rm.stderr(Stdio::null()).status();
    if !done.is_ok_and(|status| status.success()) && !std::thread::panicking() {
        panic!("cannot remove {}", dir.display());
    }
}
