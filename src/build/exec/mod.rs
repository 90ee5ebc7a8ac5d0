//! Carrying a plan out.
//!
//! ```text
//! wherry build ── reads keys: what is in the cache needs no process at all
//!    ├─ keeper       holds the user namespace U while the build lasts
//!    └─ one worker per stage that has something to do, side by side
//!         ├─ monitor of a RUN's container, as of any other (it ends with us)
//!         └─ a child in U for files: COPY, WORKDIR, packing a step's layer
//! ```
//!
//! The command itself has one thread and draws; workers tell it what they do,
//! and ask it for stages that they need files of. A worker that loses the
//! command is killed by the kernel, and its container by its monitor.

pub mod add;
mod cache_mount;
pub mod chain;
pub mod command;
mod files;
pub mod imports;
mod keeper;
mod key;
mod mounts;
mod points;
mod rootfs;
pub mod schedule;
pub mod stage;
mod wire;
pub mod work;

pub use files::descriptor;

use super::files::tree::Tree;
use super::plan::Plan;
use crate::engine::Engine;
use crate::record::container::Ulimit;
use imports::Imports;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the steps are done with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub no_cache: bool,
    /// `--no-cache-filter`: these stages are done anew.
    pub anew: Vec<String>,
    /// `default`, `none` or `host`.
    pub network: String,
    /// `NAME:ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// Bytes; 0 is the default.
    pub shm_size: i64,
    pub ulimits: Vec<Ulimit>,
    pub limits: Limits,
    /// SOURCE_DATE_EPOCH.
    pub epoch: Option<i64>,
    pub secrets: BTreeMap<String, Secret>,
    /// Sockets of agents by their IDs.
    pub agents: BTreeMap<String, PathBuf>,
    /// Stages at a time.
    pub parallel: usize,
    /// Keep what a step has written that fails.
    pub debug: bool,
}

/// What a step may use.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    pub memory: i64,
    pub memory_swap: i64,
    pub cpu_shares: u64,
    pub cpu_period: i64,
    pub cpu_quota: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub cgroup_parent: String,
}

/// Where a secret is read when a step wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    File(PathBuf),
    Variable(String),
}

/// One build, as all its processes see it.
pub struct Build<'a> {
    /// The user's.
    pub engine: &'a Engine,
    /// The same store, and containers that are steps.
    pub steps: &'a Engine,
    pub plan: &'a Plan,
    pub context: Option<&'a Tree>,
    /// `--build-context` with files.
    pub named: &'a BTreeMap<String, Tree>,
    pub options: &'a Options,
    /// What other machines have done.
    pub imports: &'a Imports,
}

impl<'a> Build<'a> {
    /// The files of a context, if `source` is one.
    pub fn tree(&self, source: &super::plan::Source) -> Option<&'a Tree> {
        match source {
            super::plan::Source::Context => self.context,
            super::plan::Source::Named(name) => self.named.get(name),
            _ => None,
        }
    }
}
