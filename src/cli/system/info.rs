//! `wherry info`: Docker's keys, as far as they make sense without a daemon.

use crate::cgroup;
use crate::cli::complete::LOG_DRIVERS;
use crate::cli::registry::server::{HUB, INDEX, logins};
use crate::cli::{Front, Verb, stdout};
use crate::config::{Credential, Proxies, Registries};
use crate::container::list::{self, Which};
use crate::doctor::{self, State, outside, storage};
use crate::engine::Engine;
use crate::error::{Context, Result};
use crate::image::{Digest, Platform};
use crate::output::template::{Object, Template};
use crate::record::container::Status;
use crate::text::escape::visible;
use crate::text::{size, time};
use serde_json::{Map, Value, json};

#[derive(clap::Args)]
pub struct InfoArgs {
    /// Format output using a custom template: 'json', or a Go template
    #[arg(short, long)]
    format: Option<String>,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Verb for InfoArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let text = self.format.as_deref().unwrap_or_default();
        let template = match text {
            "" | "json" => None,
            text => Some(Template::parse(text).map_err(|e| e.within("template parsing error"))?),
        };
        let facts = facts(front)?;
        let text = match template {
            None if text == "json" => format!("{facts}\n"),
            None => shown(&facts),
            Some(template) => {
                let text = template
                    .render(&Facts(&facts))
                    .map_err(|e| e.within("template parsing error"))?;
                text + "\n"
            }
        };
        stdout::print(&visible(&text))?;
        if self.format.is_none() {
            for warning in facts["Warnings"].as_array().into_iter().flatten() {
                front.note(&visible(warning.as_str().unwrap_or_default()));
            }
        }
        Ok(0)
    }
}

fn facts(front: &Front) -> Result<Value> {
    let engine = Engine::open()?;
    let controllers = cgroup::controllers();
    let has = |name: &str| controllers.iter().flatten().any(|c| c == name);
    let mut facts = Map::new();
    for part in [
        containers(&engine)?,
        limits(&has, controllers.as_deref().unwrap_or_default()),
        host(&engine)?,
        outside(front)?,
        fixed(),
        json!({
            "Debug": front.debug,
            "Warnings": warnings(&engine, &has),
            "ClientInfo": client(front),
        }),
    ] {
        if let Value::Object(members) = part {
            facts.extend(members);
        }
    }
    Ok(Value::Object(facts))
}

fn containers(engine: &Engine) -> Result<Value> {
    let all = Which {
        all: true,
        ..Which::default()
    };
    let states: Vec<Status> = list::list(engine, &all)?
        .iter()
        .map(|summary| summary.state.status)
        .collect();
    let count = |wanted: &[Status]| states.iter().filter(|s| wanted.contains(s)).count();
    let running = count(&[Status::Running, Status::Restarting]);
    let paused = count(&[Status::Paused]);
    Ok(json!({
        "ID": id(engine),
        "Containers": states.len(),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": states.len() - running - paused,
        "Images": engine.store()?.images()?.len(),
        "Driver": "overlay2",
        "DriverStatus": storage::driver(engine),
        "WayOut": outside::driver(engine),
        "Plugins": {
            "Volume": [],
            "Network": ["bridge", "host", "null"],
            "Authorization": null,
            "Log": LOG_DRIVERS.iter().filter(|d| **d != "none").collect::<Vec<_>>(),
        },
    }))
}

fn limits(has: &dyn Fn(&str) -> bool, controllers: &[String]) -> Value {
    json!({
        "MemoryLimit": has("memory"),
        "SwapLimit": has("memory"),
        "CpuCfsPeriod": has("cpu"),
        "CpuCfsQuota": has("cpu"),
        "CPUShares": has("cpu"),
        "CPUSet": has("cpuset"),
        "PidsLimit": has("pids"),
        "IPv4Forwarding": true,
        "OomKillDisable": false,
        "LoggingDriver": "json-file",
        "CgroupDriver": if controllers.is_empty() { "none" } else { "cgroupfs" },
        "CgroupVersion": if cgroup::is_version1() { "1" } else { "2" },
        "CgroupControllers": controllers,
    })
}

fn host(engine: &Engine) -> Result<Value> {
    let kernel = nix::sys::utsname::uname().context(|| "cannot ask for the kernel's version")?;
    Ok(json!({
        "SystemTime": time::now(),
        "KernelVersion": kernel.release().to_string_lossy(),
        "OperatingSystem": operating_system(),
        "OSVersion": os_release("VERSION_ID"),
        "OSType": "linux",
        "Architecture": kernel.machine().to_string_lossy(),
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "MemTotal": memory(),
        "DockerRootDir": engine.paths.data().to_string_lossy(),
        "Name": kernel.nodename().to_string_lossy(),
        "SecurityOptions": security_options(),
    }))
}

fn outside(front: &Front) -> Result<Value> {
    let registries = Registries::find()?;
    let proxies = Proxies::find()?;
    Ok(json!({
        "IndexServerAddress": INDEX,
        "RegistryConfig": registry_config(&registries),
        "HttpProxy": masked(proxies.http().unwrap_or_default()),
        "HttpsProxy": masked(proxies.https().unwrap_or_default()),
        "NoProxy": std::env::var("NO_PROXY").unwrap_or_default(),
        "Username": username(front),
    }))
}

fn fixed() -> Value {
    json!({
        "GenericResources": null,
        "Labels": [],
        "ExperimentalBuild": false,
        "ServerVersion": VERSION,
        "Runtimes": {"wherry": {"path": "wherry"}},
        "DefaultRuntime": "wherry",
        "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive",
                  "ControlAvailable": false, "Error": "", "RemoteManagers": null},
        "LiveRestoreEnabled": true,
        "Isolation": "",
        "InitBinary": "docker-init",
    })
}

fn client(front: &Front) -> Value {
    json!({
        "Debug": front.debug,
        "Version": VERSION,
        "DefaultAPIVersion": super::version::API,
        "Os": "linux",
        "Arch": Platform::host().architecture,
        "Context": "default",
        "Plugins": [],
        "Warnings": null,
    })
}

/// Without the password that a proxy's address may carry.
fn masked(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://xxxxx:xxxxx@{host}"),
        None => url.to_string(),
    }
}

/// The same for this host and data root at any time.
fn id(engine: &Engine) -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let of = format!("{machine}{}", engine.paths.data().display());
    let digest = Digest::of(of.as_bytes());
    let hex = digest.hex();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32],
    ];
    parts.join("-")
}

/// `name=…`, as the Engine API has them.
fn security_options() -> Vec<&'static str> {
    let mut options = vec!["name=seccomp,profile=builtin"];
    if !nix::unistd::geteuid().is_root() {
        options.extend(["name=rootless", "name=userns"]);
    }
    options.push("name=cgroupns");
    options
}

fn registry_config(registries: &Registries) -> Value {
    let mirrors = registries.mirrors_of(HUB);
    let mut indexes =
        json!({HUB: {"Mirrors": mirrors, "Name": HUB, "Official": true, "Secure": true}});
    for host in registries.insecure_hosts() {
        indexes[&host] = json!({"Mirrors": [], "Name": host, "Official": false, "Secure": false});
    }
    json!({
        "IndexConfigs": indexes,
        "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
        "Mirrors": mirrors,
    })
}

fn username(front: &Front) -> String {
    match logins(front).credential(HUB, "") {
        Ok(Credential::Password { username, .. }) => username,
        _ => String::new(),
    }
}

/// Docker's sentences for limits that cannot be set, then what else is missing.
fn warnings(engine: &Engine, has: &dyn Fn(&str) -> bool) -> Vec<String> {
    let limits = [
        ("memory", "No memory limit support"),
        ("memory", "No swap limit support"),
        ("cpu", "No cpu cfs quota support"),
        ("cpu", "No cpu cfs period support"),
        ("cpu", "No cpu shares support"),
        ("cpuset", "No cpuset support"),
        ("pids", "No pids limit support"),
    ];
    let limits = limits.iter().filter(|(controller, _)| !has(controller));
    let mut warnings: Vec<String> = limits.map(|(_, text)| format!("WARNING: {text}")).collect();
    for check in doctor::examine(engine) {
        if let State::Missing(need) = check.state {
            warnings.push(format!("WARNING: {}", need.hint()));
        }
    }
    warnings
}

fn operating_system() -> String {
    match os_release("PRETTY_NAME") {
        name if name.is_empty() => "Linux".into(),
        name => name,
    }
}

fn os_release(key: &str) -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_default().trim_matches('"').to_string()
}

fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Docker's two blocks; what is empty is left out.
fn shown(facts: &Value) -> String {
    let client = &facts["ClientInfo"];
    let mut out = format!(
        "Client:\n Version:    {}\n Context:    {}\n Debug Mode: {}\n\nServer:\n",
        text(&client["Version"]),
        text(&client["Context"]),
        client["Debug"]
    );
    let mut line = |indent: usize, key: &str, value: String| {
        if !value.is_empty() {
            out.push_str(&format!("{:indent$}{key}: {value}\n", ""));
        }
    };
    line(1, "Containers", text(&facts["Containers"]));
    line(2, "Running", text(&facts["ContainersRunning"]));
    line(2, "Paused", text(&facts["ContainersPaused"]));
    line(2, "Stopped", text(&facts["ContainersStopped"]));
    line(1, "Images", text(&facts["Images"]));
    line(1, "Server Version", text(&facts["ServerVersion"]));
    line(1, "Storage Driver", text(&facts["Driver"]));
    for pair in facts["DriverStatus"].as_array().into_iter().flatten() {
        line(2, &text(&pair[0]), text(&pair[1]));
    }
    line(1, "Logging Driver", text(&facts["LoggingDriver"]));
    line(1, "Cgroup Driver", text(&facts["CgroupDriver"]));
    line(1, "Cgroup Version", text(&facts["CgroupVersion"]));
    line(1, "Cgroup Controllers", words(&facts["CgroupControllers"]));
    out.push_str(" Plugins:\n");
    let mut line = |indent: usize, key: &str, value: String| {
        if !value.is_empty() {
            out.push_str(&format!("{:indent$}{key}: {value}\n", ""));
        }
    };
    for kind in ["Volume", "Network", "Log"] {
        line(2, kind, words(&facts["Plugins"][kind]));
    }
    line(1, "Way Out", text(&facts["WayOut"]));
    line(1, "Swarm", text(&facts["Swarm"]["LocalNodeState"]));
    line(1, "Runtimes", text(&facts["DefaultRuntime"]));
    line(1, "Default Runtime", text(&facts["DefaultRuntime"]));
    line(1, "Init Binary", text(&facts["InitBinary"]));
    out.push_str(" Security Options:\n");
    for option in facts["SecurityOptions"].as_array().into_iter().flatten() {
        for (i, part) in option.as_str().unwrap_or_default().split(',').enumerate() {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match i {
                0 => out.push_str(&format!("  {value}\n")),
                _ => out.push_str(&format!("   {}: {value}\n", capital(key))),
            }
        }
    }
    out + &rest(facts)
}

fn rest(facts: &Value) -> String {
    let mut out = String::new();
    let memory = facts["MemTotal"].as_u64().unwrap_or(0);
    for (key, value) in [
        ("Kernel Version", text(&facts["KernelVersion"])),
        ("Operating System", text(&facts["OperatingSystem"])),
        ("OSType", text(&facts["OSType"])),
        ("Architecture", text(&facts["Architecture"])),
        ("CPUs", text(&facts["NCPU"])),
        ("Total Memory", size::binary(memory)),
        ("Name", text(&facts["Name"])),
        ("ID", text(&facts["ID"])),
        ("Docker Root Dir", text(&facts["DockerRootDir"])),
        ("Debug Mode", text(&facts["Debug"])),
        ("HTTP Proxy", text(&facts["HttpProxy"])),
        ("HTTPS Proxy", text(&facts["HttpsProxy"])),
        ("No Proxy", text(&facts["NoProxy"])),
        ("Username", text(&facts["Username"])),
        ("Registry", text(&facts["IndexServerAddress"])),
        ("Experimental", text(&facts["ExperimentalBuild"])),
    ] {
        if !value.is_empty() {
            out.push_str(&format!(" {key}: {value}\n"));
        }
    }
    let registries = &facts["RegistryConfig"];
    out.push_str(" Insecure Registries:\n");
    for (name, index) in registries["IndexConfigs"].as_object().into_iter().flatten() {
        if index["Secure"] == false {
            out.push_str(&format!("  {name}\n"));
        }
    }
    let ranges = registries["InsecureRegistryCIDRs"].as_array();
    let mirrors = registries["Mirrors"].as_array();
    for range in ranges.into_iter().flatten() {
        out.push_str(&format!("  {}\n", text(range)));
    }
    if mirrors.is_some_and(|mirrors| !mirrors.is_empty()) {
        out.push_str(" Registry Mirrors:\n");
        for mirror in mirrors.into_iter().flatten() {
            out.push_str(&format!("  {}\n", text(mirror)));
        }
    }
    out.push_str(&format!(
        " Live Restore Enabled: {}\n\n",
        facts["LiveRestoreEnabled"]
    ));
    out
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn words(value: &Value) -> String {
    let list = value.as_array().into_iter().flatten().map(text);
    list.collect::<Vec<_>>().join(" ")
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

struct Facts<'a>(&'a Value);

impl Object for Facts<'_> {
    fn field(&self, name: &str) -> Option<Value> {
        self.0.get(name).cloned()
    }
    fn whole(&self) -> Value {
        self.0.clone()
    }
    fn unknown(&self, name: &str) -> String {
        format!("can't evaluate field {name} in type system.dockerInfo")
    }
}
