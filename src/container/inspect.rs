//! A container as `inspect` shows it: Docker's document (Engine API 1.50,
//! ContainerInspect), its members in Docker's order.

use super::size::{self, Files, Sizes};
use super::state::truth;
use crate::engine::Engine;
use crate::error::{Context, Result};
use crate::logs;
use crate::paths::Paths;
use crate::record::container::{Container, MountPoint, State, Status};
use crate::record::containers;
use crate::record::endpoint::Endpoint;
use crate::record::health::Health;
use crate::record::mount::Kind;
use crate::runtime::fuse;
use crate::text::time;
use crate::volume::driver;
use serde_json::{Map, Value, json};
use std::path::Path;

/// Members of `HostConfig` in Docker's order, with what stands for those that
/// wherry has no setting for. An empty text: only there when the record has it.
const HOST: [(&str, &str); 66] = [
    ("Binds", "null"),
    ("ContainerIDFile", "\"\""),
    ("LogConfig", "{}"),
    ("NetworkMode", "\"\""),
    ("PortBindings", "{}"),
    ("RestartPolicy", "{}"),
    ("AutoRemove", "false"),
    ("VolumeDriver", "\"\""),
    ("VolumesFrom", "null"),
    ("ConsoleSize", "[0,0]"),
    ("Annotations", ""),
    ("CapAdd", "null"),
    ("CapDrop", "null"),
    ("CgroupnsMode", "\"\""),
    ("Dns", "[]"),
    ("DnsOptions", "[]"),
    ("DnsSearch", "[]"),
    ("ExtraHosts", "null"),
    ("GroupAdd", "null"),
    ("IpcMode", "\"\""),
    ("Cgroup", "\"\""),
    ("Links", "null"),
    ("OomScoreAdj", "0"),
    ("PidMode", "\"\""),
    ("Privileged", "false"),
    ("PublishAllPorts", "false"),
    ("ReadonlyRootfs", "false"),
    ("SecurityOpt", "null"),
    ("Tmpfs", ""),
    ("UTSMode", "\"\""),
    ("UsernsMode", "\"\""),
    ("ShmSize", "0"),
    ("Sysctls", ""),
    ("Runtime", "\"\""),
    ("Isolation", "\"\""),
    ("CpuShares", "0"),
    ("Memory", "0"),
    ("NanoCpus", "0"),
    ("CgroupParent", "\"\""),
    ("BlkioWeight", "0"),
    ("BlkioWeightDevice", "[]"),
    ("BlkioDeviceReadBps", "[]"),
    ("BlkioDeviceWriteBps", "[]"),
    ("BlkioDeviceReadIOps", "[]"),
    ("BlkioDeviceWriteIOps", "[]"),
    ("CpuPeriod", "0"),
    ("CpuQuota", "0"),
    ("CpuRealtimePeriod", "0"),
    ("CpuRealtimeRuntime", "0"),
    ("CpusetCpus", "\"\""),
    ("CpusetMems", "\"\""),
    ("Devices", "[]"),
    ("DeviceCgroupRules", "null"),
    ("DeviceRequests", "null"),
    ("MemoryReservation", "0"),
    ("MemorySwap", "0"),
    ("MemorySwappiness", "null"),
    ("OomKillDisable", "null"),
    ("PidsLimit", "null"),
    ("Ulimits", "[]"),
    ("CpuCount", "0"),
    ("CpuPercent", "0"),
    ("Mounts", ""),
    ("MaskedPaths", "[]"),
    ("ReadonlyPaths", "[]"),
    ("Init", ""),
];

/// The document of the container with this name, ID or prefix; with the sizes
/// of its files when they are asked for.
pub fn inspect(engine: &Engine, wanted: &str, sizes: bool) -> Result<Value> {
    let paths = &engine.paths;
    let id = containers::find(paths, wanted)?;
    let container = containers::config(paths, &id)?;
    let state = truth(&containers::state(paths, &id)?);
    let sizes = match sizes {
        true => size::of(engine, &[files(&container)])?.pop(),
        false => None,
    };
    document(paths, &container, &state, sizes)
}

fn files(container: &Container) -> Files<'_> {
    Files {
        id: &container.id,
        layers: &container.layers,
        rootfs: container.rootfs.as_deref(),
    }
}

fn document(
    paths: &Paths,
    container: &Container,
    state: &State,
    sizes: Option<Sizes>,
) -> Result<Value> {
    let dir = paths.container(&container.id);
    let run = paths.run_container(&container.id);
    let logs = match container.host_config.log_config.driver.as_str() {
        "" | "json-file" => dir.join(logs::FILE).display().to_string(),
        _ => String::new(),
    };
    let mut all = json!({
        "Id": container.id,
        "Created": container.created,
        "Path": container.path,
        "Args": container.args,
        "State": state_document(state, health(&dir, container, state)),
        "Image": container.image,
        "ResolvConfPath": run.join("resolv.conf"),
        "HostnamePath": run.join("hostname"),
        "HostsPath": run.join("hosts"),
        "LogPath": logs,
        "Name": format!("/{}", state.name),
        "RestartCount": state.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": host_config(container)?,
        "GraphDriver": graph(paths, container),
    });
    if let Some(sizes) = sizes {
        all["SizeRw"] = sizes.writable.into();
        all["SizeRootFs"] = sizes.total.into();
    }
    all["Mounts"] = mounts(paths, container);
    all["Config"] = config(container)?;
    all["NetworkSettings"] = network(container, state);
    if let Some(descriptor) = &container.image_manifest_descriptor {
        all["ImageManifestDescriptor"] =
            serde_json::to_value(descriptor).context(|| "cannot show the image's descriptor")?;
    }
    Ok(all)
}

/// How its checks went, of one that has any and has run.
fn health(dir: &Path, container: &Container, state: &State) -> Option<Health> {
    let checked = container.config.healthcheck.as_ref()?.is_some();
    (checked && !state.started_at.is_empty()).then(|| Health::load(dir))
}

fn state_document(state: &State, health: Option<Health>) -> Value {
    let is = |status| state.status == status;
    let moment = |text: &str| {
        if text.is_empty() {
            time::NEVER.to_string()
        } else {
            text.to_string()
        }
    };
    let mut all = json!({
        "Status": state.status.word(),
        "Running": is(Status::Running) || is(Status::Paused) || is(Status::Restarting),
        "Paused": is(Status::Paused),
        "Restarting": is(Status::Restarting),
        "OOMKilled": state.oom_killed,
        "Dead": is(Status::Dead),
        "Pid": state.init.map_or(0, |p| p.pid),
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": moment(&state.started_at),
        "FinishedAt": moment(&state.finished_at),
    });
    if let Some(health) = health {
        all["Health"] = json!(health);
    }
    if state.monitor_lost {
        all["MonitorLost"] = true.into();
    }
    all
}

fn host_config(container: &Container) -> Result<Value> {
    let record = serde_json::to_value(&container.host_config)
        .context(|| "cannot show the host's settings")?;
    let mut all = Map::new();
    for (name, default) in HOST {
        let value = match record.get(name) {
            Some(value) => Some(value.clone()),
            None if default.is_empty() => None,
            None => serde_json::from_str(default).ok(),
        };
        all.extend(value.map(|value| (name.to_string(), value)));
    }
    Ok(Value::Object(all))
}

/// Docker has `OnBuild` behind `Entrypoint`.
fn config(container: &Container) -> Result<Value> {
    let record = serde_json::to_value(&container.config)
        .context(|| "cannot show the container's settings")?;
    let mut all = Map::new();
    for (name, value) in record.as_object().into_iter().flatten() {
        all.insert(name.clone(), value.clone());
        if name == "Entrypoint" {
            all.insert("OnBuild".into(), Value::Null);
        }
    }
    Ok(Value::Object(all))
}

fn graph(paths: &Paths, container: &Container) -> Value {
    if let Some(rootfs) = &container.rootfs {
        return json!({"Data": {"RootDir": rootfs}, "Name": "rootfs"});
    }
    let dir = paths.container(&container.id);
    // The uppermost layer first, as overlayfs has them.
    let lower: Vec<String> = container
        .layers
        .iter()
        .rev()
        .map(|layer| {
            let hex = layer.split_once(':').map_or(layer.as_str(), |(_, hex)| hex);
            paths.layers().join(hex).join("diff").display().to_string()
        })
        .collect();
    let mut data = json!({
        "ID": container.id,
        "LowerDir": lower.join(":"),
        "UpperDir": dir.join("upper"),
        "WorkDir": dir.join("work"),
    });
    if fuse::serves(&paths.run_container(&container.id)) {
        data["MountProgram"] = fuse::PROGRAM.into();
    }
    json!({"Data": data, "Name": "overlay2"})
}

fn mounts(paths: &Paths, container: &Container) -> Value {
    container
        .mounts
        .iter()
        .map(|point| mount(paths, point))
        .collect()
}

/// Docker's `MountPoint`: `Name` and `Driver` are those of volumes.
fn mount(paths: &Paths, point: &MountPoint) -> Value {
    let mut all = Map::new();
    let mut add = |name: &str, value: Value| all.insert(name.into(), value);
    add("Type", point.kind.word().into());
    if point.kind == Kind::Volume {
        add("Name", point.name.as_str().into());
        add("Source", json!(paths.volume_data(&point.name)));
    } else {
        add("Source", point.source.as_str().into());
    }
    add("Destination", point.destination.as_str().into());
    if point.kind == Kind::Volume {
        add("Driver", driver::LOCAL.into());
    }
    add("Mode", point.mode.as_str().into());
    add("RW", point.rw.into());
    add("Propagation", point.propagation.as_str().into());
    Value::Object(all)
}

fn network(container: &Container, state: &State) -> Value {
    let running = matches!(state.status, Status::Running | Status::Paused);
    let mut ports = Map::new();
    if running {
        for key in container.config.exposed_ports.keys() {
            ports.insert(key.clone(), Value::Null);
        }
        for (key, bindings) in &state.ports {
            ports.insert(key.clone(), json!(bindings));
        }
    }
    let sandbox = state
        .init
        .filter(|_| running)
        .map(|p| format!("/proc/{}/ns/net", p.pid));
    // Docker repeats what the container has in the default network.
    let bridge = state.networks.iter().find(|e| e.network == "bridge");
    let first = endpoint(bridge.unwrap_or(&Endpoint::default()), running);
    let mut networks: Map<String, Value> = state
        .networks
        .iter()
        .map(|e| (e.network.clone(), endpoint(e, running)))
        .collect();
    let mode = container.host_config.network_mode.as_str();
    if let "host" | "none" = mode {
        networks.insert(mode.into(), endpoint(&Endpoint::default(), false));
    }
    json!({
        "Bridge": "",
        "SandboxID": if running { container.id.as_str() } else { "" },
        "SandboxKey": sandbox.unwrap_or_default(),
        "Ports": ports,
        "HairpinMode": false,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null,
        "SecondaryIPv6Addresses": null,
        "EndpointID": first["EndpointID"],
        "Gateway": first["Gateway"],
        "GlobalIPv6Address": first["GlobalIPv6Address"],
        "GlobalIPv6PrefixLen": first["GlobalIPv6PrefixLen"],
        "IPAddress": first["IPAddress"],
        "IPPrefixLen": first["IPPrefixLen"],
        "IPv6Gateway": first["IPv6Gateway"],
        "MacAddress": first["MacAddress"],
        "Networks": networks,
    })
}

/// Docker's EndpointSettings.
fn endpoint(endpoint: &Endpoint, running: bool) -> Value {
    let given = endpoint.given.clone().filter(|_| running);
    let given = given.unwrap_or_default();
    let asked = [
        ("IPv4Address", endpoint.ipv4.map(|ip| ip.to_string())),
        ("IPv6Address", endpoint.ipv6.map(|ip| ip.to_string())),
    ];
    let asked: Map<String, Value> = asked
        .into_iter()
        .filter_map(|(name, ip)| Some((name.to_string(), ip?.into())))
        .collect();
    let ip = |four| {
        let net = given.address(four);
        let (ip, prefix) = net.map_or((String::new(), 0), |net| {
            (net.addr().to_string(), net.prefix_len())
        });
        (ip, prefix)
    };
    let gateway = |four| {
        given
            .gateway(four)
            .map_or(String::new(), |ip| ip.to_string())
    };
    let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let opts = (!endpoint.driver_opts.is_empty()).then(|| endpoint.driver_opts.clone());
    let ((four, four_prefix), (six, six_prefix)) = (ip(true), ip(false));
    let mac = match given.mac.as_str() {
        "" => endpoint.mac_address.as_str(),
        mac => mac,
    };
    json!({
        "IPAMConfig": (!asked.is_empty()).then_some(asked),
        "Links": list(&endpoint.links),
        "Aliases": list(&endpoint.aliases),
        "MacAddress": mac,
        "DriverOpts": opts,
        "GwPriority": endpoint.gw_priority,
        "NetworkID": given.network_id,
        "EndpointID": given.id,
        "Gateway": gateway(true),
        "IPAddress": four,
        "IPPrefixLen": four_prefix,
        "IPv6Gateway": gateway(false),
        "GlobalIPv6Address": six,
        "GlobalIPv6PrefixLen": six_prefix,
        "DNSNames": list(&given.names),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::container::HostConfig;

    #[test]
    fn every_setting_of_the_record_is_shown() {
        let mut host = HostConfig {
            init: Some(true),
            mounts: vec![crate::record::mount::Mount::default()],
            ..HostConfig::default()
        };
        for map in [&mut host.annotations, &mut host.tmpfs, &mut host.sysctls] {
            map.insert("a".into(), "b".into());
        }
        let container = Container {
            host_config: host,
            ..Container::default()
        };
        let record = serde_json::to_value(&container.host_config).unwrap();
        let shown = host_config(&container).unwrap();
        for (name, value) in record.as_object().unwrap() {
            assert_eq!(shown.get(name), Some(value), "{name}");
        }
        for (name, default) in HOST {
            assert!(
                default.is_empty() || serde_json::from_str::<Value>(default).is_ok(),
                "{name}"
            );
            assert!(shown.get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn mounts_as_docker_shows_them() {
        let paths = Paths::at("/data", "/run");
        let volume = mount(
            &paths,
            &MountPoint {
                kind: Kind::Volume,
                name: "v1".into(),
                destination: "/x".into(),
                mode: "z".into(),
                rw: true,
                ..MountPoint::default()
            },
        );
        assert_eq!(
            volume.to_string(),
            "{\"Type\":\"volume\",\"Name\":\"v1\",\"Source\":\"/data/volumes/v1/_data\",\
             \"Destination\":\"/x\",\"Driver\":\"local\",\"Mode\":\"z\",\"RW\":true,\"Propagation\":\"\"}"
        );
        let bind = mount(
            &paths,
            &MountPoint {
                source: "/a".into(),
                destination: "/b".into(),
                propagation: "rprivate".into(),
                ..MountPoint::default()
            },
        );
        assert_eq!(
            bind.to_string(),
            "{\"Type\":\"bind\",\"Source\":\"/a\",\"Destination\":\"/b\",\"Mode\":\"\",\
             \"RW\":false,\"Propagation\":\"rprivate\"}"
        );
    }
}
