//! `--link NAME[:ALIAS]`: a name by which one container knows another. In a
//! network of the user's own the name server resolves it; in the default one,
//! as in Docker, /etc/hosts and variables of the environment tell.

use super::members::is_up;
use crate::container::state::truth;
use crate::error::{Error, Kind, Result};
use crate::network::etc::Host;
use crate::paths::Paths;
use crate::record::container::{Container, State};
use crate::record::containers;
use crate::record::endpoint::{Endpoint, Given};
use crate::text::id;
use std::net::IpAddr;

/// What links give.
#[derive(Debug, Default)]
pub struct Links {
    /// Lines of /etc/hosts.
    pub hosts: Vec<Host>,
    /// Name, and ID of the container.
    pub names: Vec<(String, String)>,
}

/// Container and alias.
pub fn parse(link: &str) -> (&str, &str) {
    let (name, alias) = link.split_once(':').unwrap_or((link, link));
    let alias = alias.rsplit('/').next().unwrap_or(alias);
    (name, alias)
}

/// The container that a link names.
pub fn target(paths: &Paths, link: &str) -> Result<String> {
    let (name, _) = parse(link);
    containers::find(paths, name).map_err(|e| match e.kind() {
        Kind::NotFound => e.within(format!("could not get container for {name}")),
        _ => e,
    })
}

/// The links of a container that is about to start.
pub fn resolve(paths: &Paths, container: &Container, networks: &[Endpoint]) -> Result<Links> {
    let mut links = Links::default();
    for link in container.host_config.links.iter().flatten() {
        let linked = Linked::find(paths, container, link)?;
        let names = format!(
            "{} {} {}",
            linked.alias,
            id::short(&linked.id),
            linked.state.name
        );
        let addresses = linked.given.addresses.iter();
        links
            .hosts
            .extend(addresses.map(|net| (net.addr(), names.clone())));
    }
    links.names = names(paths, networks)?;
    Ok(links)
}

/// Those that the name server resolves.
pub fn names(paths: &Paths, networks: &[Endpoint]) -> Result<Vec<(String, String)>> {
    let all = networks.iter().flat_map(|endpoint| &endpoint.links);
    all.map(|link| Ok((parse(link).1.to_string(), target(paths, link)?)))
        .collect()
}

/// A container that one on the default network is linked to.
struct Linked {
    id: String,
    alias: String,
    state: State,
    given: Given,
}

impl Linked {
    fn find(paths: &Paths, container: &Container, link: &str) -> Result<Self> {
        let id = target(paths, link)?;
        let state = truth(&containers::state(paths, &id)?);
        let alias = parse(link).1.to_string();
        let given = state
            .networks
            .iter()
            .find(|endpoint| endpoint.network == "bridge")
            .and_then(|endpoint| endpoint.given.clone())
            .filter(|_| is_up(&state));
        let Some(given) = given else {
            let why = if is_up(&state) {
                "that is not in the default network"
            } else {
                "that is not running"
            };
            return Err(Error::conflict(format!(
                "Cannot link to a container {why}: /{} AS /{}/{alias}",
                state.name,
                id::short(&container.id)
            ))
            .hint("a network of your own (`wherry network create`) resolves names without links"));
        };
        Ok(Self {
            id,
            alias,
            state,
            given,
        })
    }
}

/// Docker's variables for links in the default network, before the user's own.
pub fn environment(paths: &Paths, container: &Container) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for link in container.host_config.links.iter().flatten() {
        let linked = Linked::find(paths, container, link)?;
        let config = containers::config(paths, &linked.id)?.config;
        let prefix = linked.alias.to_ascii_uppercase().replace('-', "_");
        let Some(net) = linked.given.address(true) else {
            continue;
        };
        let mut ports: Vec<(u16, &str)> = config
            .exposed_ports
            .keys()
            .filter_map(|key| crate::container::ports::parse(key))
            .collect();
        ports.sort_unstable();
        all.push(format!(
            "{prefix}_NAME=/{}/{}",
            linked.state.name, linked.alias
        ));
        all.extend(of_ports(&prefix, net.addr(), &ports));
        for variable in &config.env {
            if let Some((name, value)) = variable.split_once('=')
                && !matches!(name, "HOME" | "PATH")
            {
                all.push(format!("{prefix}_ENV_{name}={value}"));
            }
        }
    }
    Ok(all)
}

fn of_ports(prefix: &str, ip: IpAddr, ports: &[(u16, &str)]) -> Vec<String> {
    let mut all = Vec::new();
    if let Some((port, protocol)) = ports.first() {
        all.push(format!("{prefix}_PORT={protocol}://{ip}:{port}"));
    }
    for (port, protocol) in ports {
        let name = format!("{prefix}_PORT_{port}_{}", protocol.to_ascii_uppercase());
        all.push(format!("{name}={protocol}://{ip}:{port}"));
        all.push(format!("{name}_ADDR={ip}"));
        all.push(format!("{name}_PORT={port}"));
        all.push(format!("{name}_PROTO={protocol}"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_variables() {
        assert_eq!(parse("db"), ("db", "db"));
        assert_eq!(parse("db:x"), ("db", "x"));
        assert_eq!(parse("/db:/web/x"), ("/db", "x"));
        let ip = "172.17.0.2".parse().unwrap();
        assert_eq!(
            of_ports("DB", ip, &[(80, "tcp"), (53, "udp")])[..3],
            [
                "DB_PORT=tcp://172.17.0.2:80",
                "DB_PORT_80_TCP=tcp://172.17.0.2:80",
                "DB_PORT_80_TCP_ADDR=172.17.0.2"
            ]
        );
    }
}
