//! A root file system and what is run in it, and the oracle for escapes.

use crate::support::env::{Output, wherry_path};
use crate::support::hostile_rootfs::CANARY;
use crate::support::tree::Tree;
use crate::support::{Env, env, payload};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

/// A directory to be used with `--rootfs`, busybox and what a test adds.
pub struct Cage {
    pub env: Env,
    pub root: PathBuf,
}

impl Cage {
    pub fn new() -> Self {
        Self::of(&Tree::busybox())
    }

    pub fn of(tree: &Tree) -> Self {
        let env = Env::new();
        let root = env.path("tmp/root");
        std::fs::create_dir(&root).unwrap();
        tree.write_to(&root);
        Self { env, root }
    }

    /// Copies a program of the tests to `/NAME`.
    pub fn add_payload(&self, name: &str) {
        std::fs::copy(payload(name), self.root.join(name)).unwrap();
    }

    /// `run --rm` without a network.
    pub fn run(&self, options: &[&str], command: &[&str]) -> Output {
        self.env
            .wherry(self.arguments(&["run", "--rm"], options, command))
    }

    /// Its stdout, and it has to succeed.
    #[track_caller]
    pub fn ok(&self, options: &[&str], command: &[&str]) -> String {
        let output = self.run(options, command).ok();
        output.text().trim_end().to_owned()
    }

    #[track_caller]
    pub fn sh(&self, options: &[&str], script: &str) -> String {
        self.ok(options, &["sh", "-c", script])
    }

    /// A container in the background, of this name, which sleeps.
    #[track_caller]
    pub fn start(&self, name: &str, options: &[&str]) {
        let verb = ["run", "-d", "--name", name];
        self.env
            .ok(self.arguments(&verb, options, &["sleep", "600"]));
    }

    /// What a command of a running container prints.
    #[track_caller]
    pub fn exec(&self, options: &[&str], name: &str, command: &[&str]) -> String {
        self.env.ok([&["exec"], options, &[name], command].concat())
    }

    pub fn arguments<'a>(
        &'a self,
        verb: &[&'a str],
        options: &[&'a str],
        command: &[&'a str],
    ) -> Vec<&'a str> {
        let own = ["--network", "none"];
        let own: &[&str] = match options.contains(&"--network") {
            true => &[],
            false => &own,
        };
        let root = ["--rootfs", self.root.to_str().unwrap()];
        [verb, own, options, &root, command].concat()
    }
}

/// Files outside that nobody may touch: [`CANARY`] and what a test names, the
/// engine's own binary, and the mounts of the host. There is one at a time.
pub struct Canary {
    files: BTreeMap<PathBuf, String>,
    mounts: String,
    _one: MutexGuard<'static, ()>,
}

/// In each file of the canary; nothing may ever print it.
pub const TOKEN: &str = "wherry-canary-token-58c1";

static ONE: Mutex<()> = Mutex::new(());

impl Canary {
    pub fn plant() -> Self {
        let one = ONE.lock().unwrap_or_else(|e| e.into_inner());
        let dir = Path::new(CANARY);
        if dir.exists() {
            env::remove(dir);
        }
        std::fs::create_dir(dir).unwrap();
        for name in ["hosts", "hostname", "resolv.conf", "passwd", "null", "x"] {
            std::fs::write(dir.join(name), TOKEN).unwrap();
        }
        Self {
            files: Self::look(),
            mounts: mounts(),
            _one: one,
        }
    }

    fn look() -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut left = vec![PathBuf::from(CANARY), wherry_path().into()];
        while let Some(path) = left.pop() {
            let meta = path.symlink_metadata().unwrap();
            let content = std::fs::read(&path).map(|bytes| Sha256::digest(bytes).to_vec());
            let facts = (meta.mode(), meta.uid(), meta.gid(), meta.size());
            let facts = (facts, meta.mtime_nsec(), meta.ctime_nsec(), content.ok());
            found.insert(path.clone(), format!("{facts:?}"));
            if meta.is_dir() {
                left.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            }
        }
        found
    }

    #[track_caller]
    pub fn assert_untouched(&self) {
        assert_eq!(self.files, Self::look(), "the canary was touched");
        assert_eq!(self.mounts, mounts(), "the host's mounts have changed");
    }

    /// Also when the command's own output is looked at.
    #[track_caller]
    pub fn assert_safe(&self, output: &Output) {
        assert!(!output.text().contains(TOKEN), "{output}");
        assert!(!output.errors().contains(TOKEN), "{output}");
        assert!(!output.errors().contains("panicked"), "{output}");
        self.assert_untouched();
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        env::remove(Path::new(CANARY));
    }
}

/// Those that an escape would make; other tests make mounts of their own.
fn mounts() -> String {
    let all = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let ours = all.lines().filter(|line| line.contains(CANARY));
    ours.collect()
}

mod tests {
    use super::*;

    /// The oracle sees what it is for.
    #[test]
    fn a_touched_canary_is_noticed() {
        let changes: [fn(&Path); 4] = [
            |dir| std::fs::write(dir.join("new"), "").unwrap(),
            |dir| std::fs::write(dir.join("x"), "other").unwrap(),
            |dir| std::fs::remove_file(dir.join("x")).unwrap(),
            |dir| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(dir.join("x"), mode).unwrap();
            },
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let canary = Canary::plant();
            canary.assert_untouched();
            change(Path::new(CANARY));
            assert_ne!(canary.files, Canary::look(), "change {n}");
        }
    }
}
