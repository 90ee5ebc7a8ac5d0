//! Containers that are only records: nothing was started.

use crate::support::Env;
use jiff::{SignedDuration, Timestamp};
use std::path::PathBuf;
use wherry::record::container::{Container, State, Status, VERSION};
use wherry::sys::procfs;
use wherry::text::time::rfc3339;

/// Takes all records away again before the `Env` would remove the containers.
pub struct Records<'a> {
    env: &'a Env,
    process: std::process::Child,
}

impl<'a> Records<'a> {
    pub fn new(env: &'a Env) -> Self {
        let mut sleep = std::process::Command::new("sleep");
        let process = sleep.arg("600").spawn().unwrap();
        Self { env, process }
    }

    /// The 64 digits of container number `n`.
    pub fn id(n: u8) -> String {
        format!("{n:02x}").repeat(32)
    }

    pub fn dir(&self, n: u8) -> PathBuf {
        self.env.path("data/wherry/containers").join(Self::id(n))
    }

    /// A container made `age` seconds ago, changed by `edit`.
    pub fn add(&self, n: u8, name: &str, age: i64, edit: impl FnOnce(&mut Container, &mut State)) {
        let mut container = Container {
            version: VERSION,
            id: Self::id(n),
            created: ago(age),
            path: "sleep".into(),
            args: vec!["600".into()],
            image: format!("sha256:{}", Self::id(0xee)),
            platform: "linux/amd64".into(),
            ..Container::default()
        };
        container.config.image = "alpine".into();
        let mut state = State {
            version: VERSION,
            name: name.into(),
            networks: vec![wherry::record::endpoint::Endpoint::of("bridge")],
            ..State::default()
        };
        edit(&mut container, &mut state);
        let dir = self.dir(n);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(
            dir.join("config.json"),
            serde_json::to_vec(&container).unwrap(),
        )
        .unwrap();
        std::fs::write(dir.join("state.json"), serde_json::to_vec(&state).unwrap()).unwrap();
        let names = self.env.path("data/wherry/names");
        std::fs::create_dir_all(&names).unwrap();
        std::fs::write(names.join(name), format!("{} 1.1", container.id)).unwrap();
    }

    /// Makes a state that of a living process, started `age` seconds ago.
    pub fn running(&self, state: &mut State, age: i64) {
        state.status = Status::Running;
        state.init = procfs::Process::of(i32::try_from(self.process.id()).unwrap());
        state.monitor = state.init;
        state.boot_id = procfs::boot_id().unwrap();
        state.started_at = ago(age);
    }
}

impl Drop for Records<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(self.env.path("data/wherry/containers"));
    }
}

pub fn ago(seconds: i64) -> String {
    rfc3339(Timestamp::now() - SignedDuration::from_secs(seconds))
}
