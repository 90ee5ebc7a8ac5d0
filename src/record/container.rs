//! A container's two records. `config.json` is what was asked for and never
//! changes; `state.json` is what is, and is replaced atomically. Field names
//! and order are those of Docker's `inspect` (Engine API 1.50, ContainerInspect).

use super::endpoint::Endpoint;
pub use super::mount::{Mount, MountPoint};
pub use crate::sys::procfs::Process;
use crate::userns::layout::Layout;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The version written into new records; a newer one is refused.
pub const VERSION: u32 = 1;

/// `containers/<id>/config.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Container {
    pub version: u32,
    /// 64 lower-case hex digits.
    pub id: String,
    /// RFC 3339 with nanoseconds, UTC.
    pub created: String,
    /// First word of the command that runs, after entrypoint and cmd are joined.
    pub path: String,
    pub args: Vec<String>,
    /// Image ID, `sha256:…` of the image's config; empty with `--rootfs`.
    pub image: String,
    /// Manifest the image was chosen by: media type, digest, size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_manifest_descriptor: Option<oci_spec::image::Descriptor>,
    /// DiffIDs (`sha256:…`), lowest layer first.
    pub layers: Vec<String>,
    /// `--rootfs`: a directory of the host that is the root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootfs: Option<PathBuf>,
    /// `OS/ARCH[/VARIANT]` of the image.
    pub platform: String,
    pub config: Config,
    pub host_config: HostConfig,
    /// Which ids of the user's namespace its own stand for.
    #[serde(skip_serializing_if = "Layout::is_same")]
    pub ids: Layout,
    /// Every mount but those of `--tmpfs`, resolved when it was made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountPoint>,
}

/// What runs: Docker's `Config`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    pub hostname: String,
    pub domainname: String,
    /// `user`, `uid`, `user:group`, … as given; empty is root.
    pub user: String,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    pub tty: bool,
    pub open_stdin: bool,
    pub stdin_once: bool,
    /// `NAME=value`; at creation those of the image first.
    pub env: Vec<String>,
    /// `None`: the image's.
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The image as typed.
    pub image: String,
    pub volumes: Option<BTreeMap<String, serde_json::Map<String, serde_json::Value>>>,
    pub working_dir: String,
    /// `None`: the image's; an empty list: none at all (`--entrypoint ""`).
    pub entrypoint: Option<Vec<String>>,
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds; -1 is for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
}

/// How the container's health is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`: not at all; `CMD` and words, or `CMD-SHELL` and a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Nanoseconds, as the others; 0 is the default.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Healthcheck {
    /// `--no-healthcheck`: not even what the image asks for.
    pub fn none() -> Self {
        Self {
            test: vec!["NONE".into()],
            ..Self::default()
        }
    }

    /// Whether there is something to run.
    pub fn is_some(&self) -> bool {
        self.test.len() > 1
    }

    /// What is not asked for comes from the image.
    pub fn join(&mut self, of_image: &Self) {
        if self.test.is_empty() {
            self.test.clone_from(&of_image.test);
        }
        for (own, image) in [
            (&mut self.interval, of_image.interval),
            (&mut self.timeout, of_image.timeout),
            (&mut self.start_period, of_image.start_period),
            (&mut self.start_interval, of_image.start_interval),
            (&mut self.retries, of_image.retries),
        ] {
            if *own == 0 {
                *own = image;
            }
        }
    }
}

/// What the host grants: Docker's `HostConfig`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// `SOURCE:TARGET[:OPTIONS]`, absolute paths, from `-v`.
    pub binds: Option<Vec<String>>,
    #[serde(rename = "ContainerIDFile")]
    pub container_id_file: String,
    pub log_config: LogConfig,
    /// `none`, `host`, `bridge` (the default), `container:ID`, or the name of a
    /// network.
    pub network_mode: String,
    /// `80/tcp` -> where it is published.
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    pub restart_policy: RestartPolicy,
    pub auto_remove: bool,
    /// `local`, or empty.
    pub volume_driver: String,
    /// `NAME[:MODE]`.
    pub volumes_from: Option<Vec<String>>,
    /// Rows and columns of the terminal at creation.
    pub console_size: [u16; 2],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    pub cap_add: Option<Vec<String>>,
    pub cap_drop: Option<Vec<String>>,
    pub cgroupns_mode: String,
    pub dns: Vec<String>,
    pub dns_options: Vec<String>,
    pub dns_search: Vec<String>,
    /// `NAME:ADDRESS`.
    pub extra_hosts: Option<Vec<String>>,
    pub group_add: Option<Vec<String>>,
    pub ipc_mode: String,
    /// `NAME[:ALIAS]`, on the default network.
    pub links: Option<Vec<String>>,
    pub oom_score_adj: i32,
    pub pid_mode: String,
    pub privileged: bool,
    pub publish_all_ports: bool,
    pub readonly_rootfs: bool,
    /// `seccomp=…`, `no-new-privileges[:true]`, `systempaths=unconfined`, …
    pub security_opt: Option<Vec<String>>,
    /// Target -> tmpfs(5) options, from `--tmpfs`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<String, String>,
    #[serde(rename = "UTSMode")]
    pub uts_mode: String,
    pub userns_mode: String,
    /// Bytes.
    pub shm_size: i64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    pub runtime: String,
    pub isolation: String,
    pub cpu_shares: u64,
    /// Bytes; 0 is no limit.
    pub memory: i64,
    /// 1e-9 CPUs; 0 is no limit.
    pub nano_cpus: i64,
    /// A cgroup below which the container's own is made.
    pub cgroup_parent: String,
    /// 10 to 1000; 0 is unset.
    pub blkio_weight: u16,
    pub blkio_weight_device: Vec<WeightDevice>,
    pub blkio_device_read_bps: Vec<ThrottleDevice>,
    pub blkio_device_write_bps: Vec<ThrottleDevice>,
    #[serde(rename = "BlkioDeviceReadIOps")]
    pub blkio_device_read_iops: Vec<ThrottleDevice>,
    #[serde(rename = "BlkioDeviceWriteIOps")]
    pub blkio_device_write_iops: Vec<ThrottleDevice>,
    /// Microseconds; 0 is unset.
    pub cpu_period: i64,
    pub cpu_quota: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub devices: Vec<DeviceMapping>,
    /// `c 1:3 mr`, from `--device-cgroup-rule`.
    pub device_cgroup_rules: Option<Vec<String>>,
    pub memory_reservation: i64,
    /// Bytes of memory and swap together; -1 is unlimited swap, 0 unset.
    pub memory_swap: i64,
    pub pids_limit: Option<i64>,
    pub ulimits: Vec<Ulimit>,
    /// `--mount`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    pub masked_paths: Vec<String>,
    pub readonly_paths: Vec<String>,
    /// `--init`: a reaper of wherry's own is pid 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            binds: None,
            container_id_file: String::new(),
            log_config: LogConfig::default(),
            network_mode: "bridge".into(),
            port_bindings: BTreeMap::new(),
            restart_policy: RestartPolicy::default(),
            auto_remove: false,
            volume_driver: String::new(),
            volumes_from: None,
            console_size: [0, 0],
            annotations: BTreeMap::new(),
            cap_add: None,
            cap_drop: None,
            cgroupns_mode: "private".into(),
            dns: Vec::new(),
            dns_options: Vec::new(),
            dns_search: Vec::new(),
            extra_hosts: None,
            group_add: None,
            ipc_mode: "private".into(),
            links: None,
            oom_score_adj: 0,
            pid_mode: String::new(),
            privileged: false,
            publish_all_ports: false,
            readonly_rootfs: false,
            security_opt: None,
            tmpfs: BTreeMap::new(),
            uts_mode: String::new(),
            userns_mode: String::new(),
            shm_size: 64 << 20,
            sysctls: BTreeMap::new(),
            runtime: "wherry".into(),
            isolation: String::new(),
            cpu_shares: 0,
            memory: 0,
            nano_cpus: 0,
            cgroup_parent: String::new(),
            blkio_weight: 0,
            blkio_weight_device: Vec::new(),
            blkio_device_read_bps: Vec::new(),
            blkio_device_write_bps: Vec::new(),
            blkio_device_read_iops: Vec::new(),
            blkio_device_write_iops: Vec::new(),
            cpu_period: 0,
            cpu_quota: 0,
            cpuset_cpus: String::new(),
            cpuset_mems: String::new(),
            devices: Vec::new(),
            device_cgroup_rules: None,
            memory_reservation: 0,
            memory_swap: 0,
            pids_limit: None,
            ulimits: Vec::new(),
            mounts: Vec::new(),
            masked_paths: Vec::new(),
            readonly_paths: Vec::new(),
            init: None,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct LogConfig {
    #[serde(rename = "Type")]
    pub driver: String,
    pub config: BTreeMap<String, String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            driver: "json-file".into(),
            config: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortBinding {
    /// Empty: all addresses.
    pub host_ip: String,
    /// Empty: any free port.
    pub host_port: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestartPolicy {
    pub name: String,
    pub maximum_retry_count: u32,
}

impl RestartPolicy {
    pub fn is_none(&self) -> bool {
        matches!(self.name.as_str(), "" | "no")
    }
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            name: "no".into(),
            maximum_retry_count: 0,
        }
    }
}

/// `--device HOST[:CONTAINER[:rwm]]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceMapping {
    pub path_on_host: String,
    pub path_in_container: String,
    pub cgroup_permissions: String,
}

/// `--blkio-weight-device PATH:WEIGHT`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WeightDevice {
    pub path: String,
    pub weight: u16,
}

/// `--device-read-bps PATH:RATE` and its like; in a second.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ThrottleDevice {
    pub path: String,
    pub rate: u64,
}

/// `--ulimit NAME=SOFT[:HARD]`; -1 is unlimited.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ulimit {
    pub name: String,
    pub hard: i64,
    pub soft: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl State {
    /// Of a container that has no name but its ID, and that `starter` is making.
    pub fn nameless(id: &str, starter: Process) -> Self {
        Self {
            version: VERSION,
            name: crate::text::id::short(id).into(),
            starter: Some(starter),
            ..Self::default()
        }
    }
}

impl Status {
    /// Docker's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }
}

/// `containers/<id>/state.json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct State {
    pub version: u32,
    pub name: String,
    pub status: Status,
    /// The container's init while it runs.
    pub init: Option<Process>,
    pub monitor: Option<Process>,
    /// The `run` that made it, until it runs.
    pub starter: Option<Process>,
    /// /proc/sys/kernel/random/boot_id when it was started.
    pub boot_id: String,
    pub exit_code: i32,
    /// Why it could not be started.
    pub error: String,
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    pub restart_count: u32,
    /// RFC 3339 with nanoseconds, UTC; empty is never.
    pub started_at: String,
    pub finished_at: String,
    /// A command has ended it: its restart policy does not count.
    pub manually_stopped: bool,
    /// The status of the run before the last restart.
    pub last_exit_code: i32,
    /// Its volumes are there, and filled where the image fills them.
    pub volumes_ready: bool,
    /// What `update --restart` has made of the policy in config.json.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// `restart` has stopped it: with `--rm` it stays, to be started again.
    pub manually_restarted: bool,
    /// The monitor was lost, so its end could not be recorded by it.
    pub monitor_lost: bool,
    /// cgroup v2 directory below the mount, e.g. `/user.slice/…/<id>`.
    pub cgroup: String,
    /// Ports as they were really published: `80/tcp` -> bindings.
    pub ports: BTreeMap<String, Vec<PortBinding>>,
    /// Its networks, the first of which is `NetworkMode`'s; none where it has
    /// no network of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Endpoint>,
}
