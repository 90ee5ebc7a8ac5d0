//! Building images: what steps do, what the cache remembers, how failures are
//! told, what hostile contexts and steps cannot do, and what is left when a
//! build is killed.

mod bake;
mod cache;
mod contexts;
mod debug;
mod docker;
mod failures;
mod kills;
mod mounts;
mod networks;
mod outputs;
mod platforms;
mod secure;
mod shared;
mod steps;

use crate::support::Env;
use crate::support::env::{Output, run};
use serde_json::Value;
use std::path::PathBuf;

/// A build context in a place of its own.
struct Site {
    env: Env,
    dir: PathBuf,
}

impl Site {
    fn new() -> Self {
        Self::of(Env::busybox())
    }

    fn of(env: Env) -> Self {
        let dir = env.path("home/site");
        std::fs::create_dir(&dir).unwrap();
        Self { env, dir }
    }

    /// Writes a file of the context.
    fn file(&self, path: &str, content: &str) -> &Self {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    fn dockerfile(&self, text: &str) -> &Self {
        self.file("Dockerfile", text)
    }

    /// `wherry build` with these options, of the context.
    fn build(&self, options: &[&str]) -> Output {
        let mut command = self.env.wherry_command(["build", "--network", "none"]);
        command.args(options).arg(&self.dir);
        run(command, b"", 120)
    }

    /// Builds the text as `t`.
    #[track_caller]
    fn ok(&self, text: &str) -> Output {
        self.dockerfile(text);
        self.build(&["-t", "t"]).ok()
    }

    #[track_caller]
    fn fails(&self, text: &str) -> Output {
        self.dockerfile(text);
        self.build(&[]).status(1)
    }

    /// What a command in a container of `t` prints.
    #[track_caller]
    fn shows(&self, script: &str) -> String {
        self.env.ok([
            "run",
            "--rm",
            "--network",
            "none",
            "--entrypoint",
            "sh",
            "t",
            "-c",
            script,
        ])
    }

    /// `Config` of `t`.
    fn config(&self) -> Value {
        let text = self.env.ok(["image", "inspect", "t"]);
        let all: Value = serde_json::from_str(&text).unwrap();
        all[0]["Config"].clone()
    }

    fn id(&self) -> String {
        self.env.ok(["image", "inspect", "-f", "{{.Id}}", "t"])
    }

    /// Nothing is left of a build's work.
    #[track_caller]
    fn is_tidy(&self) {
        let work = self.env.path("data/wherry/build/work");
        let left: Vec<_> = std::fs::read_dir(work)
            .map(|entries| entries.flatten().map(|e| e.path()).collect())
            .unwrap_or_default();
        assert!(left.is_empty(), "left behind: {left:?}");
        assert_eq!(self.env.ok(["ps", "-aq"]), "");
    }
}

/// The steps that were taken from the cache.
fn cached(output: &Output) -> usize {
    output.errors().matches(" CACHED\n").count()
}
