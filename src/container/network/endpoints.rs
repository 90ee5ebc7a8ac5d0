//! What a container is given in each of its networks: an address, names, and
//! the pair of interfaces to be made for it.

use super::links;
use super::members::Living;
use crate::error::{Error, Result};
use crate::monitor::net::Connection;
use crate::network::record::{Network, Pool};
use crate::network::register::{self, Register};
use crate::network::store;
use crate::network::wire::{Wire, mac_of};
use crate::paths::Paths;
use crate::record::container::{Container, HostConfig};
use crate::record::endpoint::{Endpoint, Given};
use crate::text::id;
use ipnet::IpNet;
use std::net::IpAddr;

/// The networks of a container that is being made, checked, by the names that
/// their records have. `asked` is what the command line says; without it there
/// is the one of `--network`.
pub fn at_creation(
    paths: &Paths,
    host: &mut HostConfig,
    asked: Vec<Endpoint>,
) -> Result<Vec<Endpoint>> {
    let own = asked.iter().flat_map(|endpoint| &endpoint.links);
    for link in own.chain(host.links.iter().flatten()) {
        links::target(paths, link)?;
    }
    if !has_networks(host) {
        return match asked.iter().find(|e| !e.is_plain()) {
            Some(_) => Err(Error::invalid(
                "conflicting options: an address or alias of a network and the network mode",
            )),
            None if asked.len() > 1 => Err(mixed()),
            None => Ok(Vec::new()),
        };
    }
    let mut asked = match asked.is_empty() {
        true => vec![Endpoint::of(&host.network_mode)],
        false => asked,
    };
    for index in 0..asked.len() {
        if !is_network(&asked[index].network) {
            return Err(mixed());
        }
        let network = store::find(paths, name_of(&asked[index].network))?;
        asked[index].network.clone_from(&network.name);
        if asked[..index].iter().any(|e| e.network == network.name) {
            return Err(Error::usage(format!(
                "network \"{}\" is specified multiple times",
                network.name
            )));
        }
        check(&network, &asked[index])
            .map_err(|e| e.within(format!("invalid config for network {}", network.name)))?;
    }
    host.network_mode.clone_from(&asked[0].network);
    Ok(asked)
}

fn mixed() -> Error {
    Error::invalid(
        "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
    )
}

/// Whether a container has networks at all.
pub fn has_networks(host: &HostConfig) -> bool {
    is_network(&host.network_mode)
}

fn is_network(mode: &str) -> bool {
    !matches!(mode, "none" | "host") && !mode.starts_with("container:")
}

fn name_of(mode: &str) -> &str {
    match mode {
        "" | "default" => "bridge",
        name => name,
    }
}

/// Refuses what a network cannot give, in Docker's words.
pub fn check(network: &Network, endpoint: &Endpoint) -> Result<()> {
    if !network.connects() {
        return Err(Error::invalid(format!(
            "container cannot be disconnected from {0} network or connected to {0} network",
            network.name
        )));
    }
    if network.is_default() && !endpoint.aliases.is_empty() {
        return Err(Error::invalid(
            "network-scoped aliases are only supported for user-defined networks",
        ));
    }
    if let Some(alias) = endpoint.aliases.iter().find(|a| !register::is_label(a)) {
        return Err(Error::invalid(format!(
            "invalid alias \"{}\": a name has no blanks and no slashes",
            alias.escape_debug()
        )));
    }
    let addresses = [endpoint.ipv4.map(IpAddr::V4), endpoint.ipv6.map(IpAddr::V6)];
    for ip in addresses.into_iter().flatten() {
        check_address(network, ip)?;
    }
    if !endpoint.mac_address.is_empty() {
        parse_mac(&endpoint.mac_address)?;
    }
    Ok(())
}

fn check_address(network: &Network, ip: IpAddr) -> Result<()> {
    let invalid = |text: String| Error::invalid(format!("invalid endpoint settings: {text}"));
    if network.is_default() {
        return Err(invalid(
            "user specified IP address is supported on user defined networks only".into(),
        ));
    }
    let same = |pool: &&Pool| pool.subnet.addr().is_ipv4() == ip.is_ipv4();
    if !network.pools().iter().any(|pool| same(&pool) && pool.asked) {
        return Err(invalid(
            "user specified IP address is supported only when connecting to networks with user configured subnets".into(),
        ));
    }
    match network.pool_of(ip) {
        Some(pool) if pool.is_free(ip) => Ok(()),
        Some(_) => Err(invalid(format!("{ip} is not an address for a container"))
            .hint("it is the network's own, its gateway's, or an --aux-address")),
        None => Err(invalid(format!(
            "no configured subnet or ip-range contain the IP address {ip}"
        ))),
    }
}

/// `02:42:ac:11:00:02`, also with dashes.
pub fn parse_mac(text: &str) -> Result<[u8; 6]> {
    let invalid = || Error::invalid(format!("{text} is not a valid mac address"));
    let mut mac = [0; 6];
    let words: Vec<&str> = text.split([':', '-']).collect();
    if words.len() != mac.len() {
        return Err(invalid());
    }
    for (byte, word) in mac.iter_mut().zip(words) {
        *byte = u8::from_str_radix(word, 16)
            .ok()
            .filter(|_| word.len() == 2)
            .ok_or_else(invalid)?;
    }
    // One of a group, or nobody's.
    match mac[0] & 1 != 0 || mac == [0; 6] {
        true => Err(invalid().hint("the second digit of a single interface's address is even")),
        false => Ok(mac),
    }
}

/// Addresses that were given out, and go back unless they are kept.
pub struct Leases<'a> {
    paths: &'a Paths,
    owner: &'a str,
    given: Vec<(String, IpAddr)>,
}

impl<'a> Leases<'a> {
    pub fn new(paths: &'a Paths, owner: &'a str) -> Self {
        Self {
            paths,
            owner,
            given: Vec::new(),
        }
    }

    /// The container's from now on.
    pub fn keep(mut self) {
        self.given.clear();
    }

    /// Connects it to `network` as its `number`th interface, from 0.
    pub fn give(
        &mut self,
        container: &Container,
        name: &str,
        endpoint: &mut Endpoint,
        network: &Network,
        number: u32,
    ) -> Result<Connection> {
        check(network, endpoint)?;
        let mut addresses = Vec::new();
        for (four, wanted) in [
            (true, endpoint.ipv4.map(IpAddr::V4)),
            (false, endpoint.ipv6.map(IpAddr::V6)),
        ] {
            let Some(pool) = network.pool(four) else {
                continue;
            };
            // The user's own may be of another subnet.
            let pool = wanted.and_then(|ip| network.pool_of(ip)).unwrap_or(pool);
            addresses.push(self.address(network, pool, wanted)?);
        }
        let mac = match (endpoint.mac_address.as_str(), addresses.first()) {
            ("", Some(IpNet::V4(net))) => mac_of(net.addr()),
            ("", _) => random_mac()?,
            (given, _) => parse_mac(given)?,
        };
        let wire = Wire::new(network, number, mac, addresses.clone());
        let names = match network.is_default() {
            true => Vec::new(),
            false => names(container, name, endpoint),
        };
        endpoint.given = Some(Given {
            network_id: network.id.clone(),
            id: id::random()?,
            number,
            mac: mac.map(|byte| format!("{byte:02x}")).join(":"),
            addresses,
            gateways: match network.internal {
                true => Vec::new(),
                false => wire.ways(),
            },
            names: names.clone(),
        });
        Ok(Connection {
            wire,
            names,
            priority: endpoint.gw_priority,
        })
    }

    fn address(&mut self, network: &Network, pool: &Pool, wanted: Option<IpAddr>) -> Result<IpNet> {
        let register = Register::of(self.paths, &network.id);
        let living = Living {
            paths: self.paths,
            network: &network.name,
        };
        let ip = match wanted {
            Some(ip) => {
                register.take_this(pool, ip, self.owner, &living)?;
                ip
            }
            None => register.take(network, pool, self.owner, &living)?,
        };
        self.given.push((network.id.clone(), ip));
        IpNet::new(ip, pool.subnet.prefix_len())
            .map_err(|_| Error::internal(format!("{} has no such prefix", pool.subnet)))
    }
}

impl Drop for Leases<'_> {
    fn drop(&mut self) {
        for (network, ip) in &self.given {
            Register::of(self.paths, network).release(*ip, self.owner);
        }
    }
}

/// The names by which others find it, its own first.
pub fn names(container: &Container, name: &str, endpoint: &Endpoint) -> Vec<String> {
    let short = id::short(&container.id);
    let mut names = vec![name.to_string()];
    names.extend(endpoint.aliases.iter().cloned());
    names.extend([short.to_string(), container.config.hostname.clone()]);
    let mut unique: Vec<String> = Vec::new();
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        if !unique.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            unique.push(name);
        }
    }
    unique
}

fn random_mac() -> Result<[u8; 6]> {
    let mut mac = [0; 6];
    getrandom::fill(&mut mac)
        .map_err(|e| Error::internal(format!("cannot get random bytes from the kernel: {e}")))?;
    // Of one interface, and administered here.
    mac[0] = mac[0] & 0xfc | 2;
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        assert_eq!(
            parse_mac("02:42:ac:11:00:0f").unwrap(),
            [2, 0x42, 0xac, 0x11, 0, 15]
        );
        assert!(parse_mac("92-d0-c6-0a-29-33").is_ok());
        for bad in [
            "",
            "02:42",
            "02:42:ac:11:00:2",
            "01:00:00:00:00:00",
            "00:00:00:00:00:00",
        ] {
            assert!(parse_mac(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_told_once() {
        let container = Container {
            id: "0123456789abcdef".into(),
            config: crate::record::container::Config {
                hostname: "0123456789ab".into(),
                ..Default::default()
            },
            ..Container::default()
        };
        let endpoint = Endpoint {
            aliases: vec!["db".into(), "WEB".into()],
            ..Endpoint::default()
        };
        assert_eq!(
            names(&container, "web", &endpoint),
            ["web", "db", "0123456789ab"]
        );
    }
}
