//! What a monitor is given by the command that forks it.

use super::health::Checks;
use super::net::Net;
use super::protocol::Attach;
use crate::fs::replace::Durability;
use crate::logs::Target;
use crate::network::publish::Listener;
use crate::network::uplink::Uplink;
use crate::paths::Paths;
use crate::record::container::{RestartPolicy, State};
use crate::runtime::plan::Plan;
use crate::userns::layout::Layout;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What is given to the container's user: a path of the host, and perhaps what
/// is beneath it.
pub struct Given {
    pub path: PathBuf,
    pub subpath: String,
}

pub struct Job {
    pub paths: Paths,
    pub id: String,
    pub plan: Plan,
    /// `--user` and `--group-add` as given.
    pub user: String,
    pub group_add: Vec<String>,
    /// It has volumes that go with it when it is removed.
    pub volumes: bool,
    /// Files and directories of the host that are given to that user (`:U`).
    pub given: Vec<Given>,
    pub ids: Layout,
    /// Keep a pipe to its stdin.
    pub open_stdin: bool,
    /// Close that pipe when a command that gave input goes away.
    pub stdin_once: bool,
    /// What the starting command is attached to.
    pub attach: Attach,
    /// Whether it is started again when it has ended.
    pub restart: RestartPolicy,
    /// What is checked while it runs.
    pub checks: Option<Checks>,
    /// Remove the container when it has ended.
    pub auto_remove: bool,
    /// It is killed when the command that starts it goes away: a step of a build.
    pub ends_with_starter: bool,
    /// `None`: `--log-driver none`.
    pub log: Option<Target>,
    /// The state to go on from; name and counters are kept.
    pub state: State,
    /// Content of hosts, hostname and resolv.conf in the run directory.
    pub files: Vec<(&'static str, String)>,
    /// Its networks, where it has a network of its own with something in it.
    pub net: Option<Net>,
    /// The way out, asked of the command once the network namespace exists.
    pub uplink: Option<Uplink>,
    /// Published ports: sockets bound in the host's network namespace.
    pub listeners: Vec<Listener>,
    /// The container's cgroup: where it is, and a descriptor to clone into.
    pub cgroup: Option<(PathBuf, OwnedFd)>,
}

impl Job {
    /// Of the container's state: one of `--rm` does not outlive the machine, nor
    /// does a step.
    pub fn durability(&self) -> Durability {
        if self.auto_remove || self.ends_with_starter {
            Durability::Passing
        } else {
            Durability::Fast
        }
    }
}
