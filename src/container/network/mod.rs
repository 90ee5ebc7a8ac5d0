//! A container's way to the network, prepared by the command that starts it:
//! published ports are bound and helpers found before anything of the
//! container exists, and its files in /etc are written from the same facts.

pub mod change;
pub mod endpoints;
mod links;
pub mod members;
pub mod operate;

use crate::engine::Engine;
use crate::error::Result;
use crate::monitor::net::{Net, Wiring};
use crate::monitor::protocol::{Network, UplinkPaths};
use crate::network::dns;
use crate::network::etc::{self, Resolver, Wanted};
use crate::network::publish::{self, Listener, Protocol, Publication};
use crate::network::store;
use crate::network::uplink::{self, ADDRESS, Helper, Target, Uplink};
use crate::record::container::{Container, PortBinding, State, Status};
use crate::record::containers;
use crate::record::endpoint::Endpoint;
use endpoints::{Leases, has_networks};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// What is prepared before the container starts.
pub struct Attachment {
    /// The way out, where one of its networks has one.
    uplink: Option<Uplink>,
    wiring: Option<Wiring>,
    networks: Vec<Endpoint>,
    /// What the files are made of.
    resolver: Resolver,
    linked: Vec<etc::Host>,
    dir: PathBuf,
    listeners: Vec<Listener>,
    warnings: RefCell<Vec<String>>,
    helper: Cell<Option<Helper>>,
}

impl Attachment {
    /// `leases` keeps what it gives until the container runs.
    pub fn prepare(
        engine: &Engine,
        container: &Container,
        state: &State,
        leases: &mut Leases<'_>,
    ) -> Result<Self> {
        let host = &container.host_config;
        let mut attachment = Self {
            uplink: None,
            wiring: None,
            networks: state.networks.clone(),
            resolver: Resolver::default(),
            linked: Vec::new(),
            dir: engine.paths.container(&container.id),
            listeners: Vec::new(),
            warnings: RefCell::default(),
            helper: Cell::new(None),
        };
        let mut wanted = publications(container)?;
        if !has_networks(host) {
            if host.network_mode == "host" && !wanted.is_empty() {
                attachment
                    .warn("Published ports are discarded when using host network mode".into());
            }
            attachment.resolver = Resolver::of_host().for_container(asked(container), None)?;
            return Ok(attachment);
        }
        let wiring = attachment.wire(engine, container, state, leases)?;
        if wiring.way_out().is_some() {
            attachment.uplink = Some(Uplink::find());
        }
        let way = wiring.way_out().map(|way| way.wire.network.as_str());
        if let (Some(way), false) = (way, wanted.is_empty()) {
            let chosen = store::find(&engine.paths, way)?.host_binding();
            for publication in &mut wanted {
                publication.host_ip = publication.host_ip.or(chosen.map(IpAddr::from));
            }
        }
        attachment.wiring = Some(wiring);
        let passed = if wanted.is_empty() {
            Vec::new()
        } else {
            crate::config::passed::sockets()
        };
        attachment.listeners = publish::bind(&wanted, passed, &|protocol, address| {
            publisher(engine, protocol, address)
        })?;
        Ok(attachment)
    }

    /// Its connections, with what it resolves.
    fn wire(
        &mut self,
        engine: &Engine,
        container: &Container,
        state: &State,
        leases: &mut Leases<'_>,
    ) -> Result<Wiring> {
        let paths = &engine.paths;
        if self.networks.is_empty() {
            // Made by a wherry that knew no networks.
            self.networks = vec![Endpoint::of("bridge")];
        }
        let mut wiring = Wiring::default();
        for (number, endpoint) in (0..).zip(&mut self.networks) {
            let network = store::find(paths, &endpoint.network)?;
            let given = leases.give(container, &state.name, endpoint, &network, number)?;
            wiring.wires.push(given);
        }
        let links = links::resolve(paths, container, &self.networks)?;
        self.linked = links.hosts;
        wiring.links = links.names;
        let resolver = Resolver::of_host();
        let direct = resolver.for_container(asked(container), None)?;
        let resolves = wiring.wires.iter().any(|c| c.wire.resolves);
        // Servers on the host's loopback are asked by the monitor.
        wiring.resolves = direct.servers.is_empty();
        self.resolver = match resolves || wiring.resolves {
            true => direct.behind(dns::ADDRESS.into(), resolves),
            false => direct,
        };
        wiring.servers = container
            .host_config
            .dns
            .iter()
            .filter_map(|server| server.parse().ok())
            .collect();
        Ok(wiring)
    }

    /// What the monitor keeps.
    pub fn net(&self) -> Option<Net> {
        let wiring = self.wiring.clone()?;
        Some(Net::new(wiring))
    }

    /// What it has been given, in the form of the record.
    pub fn networks(&self) -> Vec<Endpoint> {
        self.networks.clone()
    }

    /// The way out, where one is wanted.
    pub fn uplink(&self) -> Option<Uplink> {
        self.uplink.clone()
    }

    pub fn take_listeners(&mut self) -> Vec<Listener> {
        std::mem::take(&mut self.listeners)
    }

    /// The ports as they were bound, in the form of the record.
    pub fn ports(&self) -> BTreeMap<String, Vec<PortBinding>> {
        let mut ports: BTreeMap<String, Vec<PortBinding>> = BTreeMap::new();
        for listener in &self.listeners {
            let protocol = match listener.socket {
                publish::Socket::Tcp(_) => Protocol::Tcp,
                publish::Socket::Udp(_) => Protocol::Udp,
            };
            ports
                .entry(format!("{}/{protocol}", listener.container_port))
                .or_default()
                .push(PortBinding {
                    host_ip: listener.host.ip().to_string(),
                    host_port: listener.host.port().to_string(),
                });
        }
        ports
    }

    /// hosts, hostname and resolv.conf.
    pub fn files(&self, container: &Container) -> Result<Vec<(&'static str, String)>> {
        let (config, host) = (&container.config, &container.host_config);
        let gateway = etc::host_address();
        let extra = host
            .extra_hosts
            .iter()
            .flatten()
            .map(|spec| etc::extra_host(spec, gateway))
            .collect::<Result<Vec<_>>>()?;
        let of_host = host.network_mode == "host";
        let hosts = if of_host {
            etc::hosts_of_host(
                &std::fs::read_to_string("/etc/hosts").unwrap_or_default(),
                &extra,
            )
        } else {
            let extra: Vec<_> = extra.into_iter().chain(self.linked.clone()).collect();
            etc::hosts(&extra, &self.own(), &config.hostname, &config.domainname)
        };
        let untouched =
            host.dns.is_empty() && host.dns_search.is_empty() && host.dns_options.is_empty();
        let resolv = if of_host && untouched {
            std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default()
        } else {
            self.resolver.text()
        };
        Ok(vec![
            ("hosts", hosts),
            (
                "hostname",
                etc::hostname(&config.hostname, &config.domainname),
            ),
            ("resolv.conf", resolv),
        ])
    }

    /// The container's own addresses.
    fn own(&self) -> Vec<IpAddr> {
        let wiring = self.wiring.as_ref();
        wiring.map(Wiring::addresses).unwrap_or_default()
    }

    /// Gives the container's network namespace its way out. A host without
    /// one is no reason not to run: that is a warning.
    pub fn connect(&self, paths: &UplinkPaths) -> Result<Network> {
        let Some(uplink) = &self.uplink else {
            return Ok(Network::default());
        };
        let target = Target {
            userns: paths.userns.as_ref().map(PathBuf::from),
            netns: PathBuf::from(&paths.netns),
            dir: self.dir.clone(),
        };
        match uplink
            .start(target)
            .and_then(|starting| starting.finish(uplink::PATIENCE))
        {
            Ok(helper) => {
                self.helper.set(Some(helper));
                Ok(Network {
                    address: ADDRESS.to_string(),
                })
            }
            Err(e) => {
                let hint = e.hint_text().map(|hint| format!("\nhint: {hint}"));
                let (what, hint) = (e.message(), hint.unwrap_or_default());
                self.warn(format!("{what}; {}{hint}", paths.why));
                Ok(Network::default())
            }
        }
    }

    /// The start has failed. The monitor may have cleaned up before the helper
    /// was noted, so it is ended here.
    pub fn abandon(&self) {
        if let Some(helper) = self.helper.take() {
            helper.terminate();
        }
    }

    fn warn(&self, text: String) {
        self.warnings.borrow_mut().push(text);
    }

    /// What the user is to be told.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }
}

/// The variables that `--link` brings.
pub fn add_environment(engine: &Engine, container: &mut Container) -> Result<()> {
    if container.host_config.links.is_some() {
        let mut env = links::environment(&engine.paths, container)?;
        env.append(&mut container.config.env);
        container.config.env = env;
    }
    Ok(())
}

fn asked(container: &Container) -> Wanted<'_> {
    let host = &container.host_config;
    Wanted {
        servers: &host.dns,
        search: &host.dns_search,
        options: &host.dns_options,
    }
}

/// `-p`, and with `-P` every exposed port that has none.
fn publications(container: &Container) -> Result<Vec<Publication>> {
    let host = &container.host_config;
    let mut all = Vec::new();
    for (key, bindings) in &host.port_bindings {
        for binding in bindings {
            all.push(Publication::recorded(
                key,
                &binding.host_ip,
                &binding.host_port,
            )?);
        }
    }
    if host.publish_all_ports {
        for key in container.config.exposed_ports.keys() {
            if !host.port_bindings.contains_key(key) {
                all.push(Publication::recorded(key, "", "")?);
            }
        }
    }
    Ok(all)
}

/// The container of ours that publishes there.
fn publisher(engine: &Engine, protocol: Protocol, address: SocketAddr) -> Option<String> {
    let suffix = format!("/{protocol}");
    let port = address.port().to_string();
    let publishes = |state: &State| {
        let mut ports = state.ports.iter().filter(|(key, _)| key.ends_with(&suffix));
        ports.any(|(_, bindings)| bindings.iter().any(|b| b.host_port == port))
    };
    let ids = containers::ids(&engine.paths).unwrap_or_default();
    ids.iter().find_map(|id| {
        let state = containers::state(&engine.paths, id).ok()?;
        let runs = crate::container::state::truth(&state).status == Status::Running;
        (runs && publishes(&state)).then_some(state.name)
    })
}
