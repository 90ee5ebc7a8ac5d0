//! How the container is reached, and what it finds.

use super::{address, listed, publish};
use crate::container::network::endpoints::parse_mac;
use crate::error::{Error, Kind, Result};
use crate::record::container::{Config, HostConfig};
use crate::record::endpoint::Endpoint;
use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkFlags {
    /// Connect a container to a network (bridge, host, none, a network's name,
    /// or container:NAME; also name=NAME,alias=…,ip=…)
    #[arg(long, alias = "net", value_name = "network", value_parser = network)]
    network: Vec<Endpoint>,
    /// Add network-scoped alias for the container
    #[arg(long, alias = "net-alias", value_name = "list")]
    network_alias: Vec<String>,
    /// IPv4 address (e.g., 172.30.100.104)
    #[arg(long, value_name = "ip")]
    ip: Option<String>,
    /// IPv6 address (e.g., 2001:db8::33)
    #[arg(long, value_name = "ip")]
    ip6: Option<String>,
    /// Container MAC address (e.g., 92:d0:c6:0a:29:33)
    #[arg(long)]
    mac_address: Option<String>,
    /// Add link to another container
    #[arg(long, value_name = "list", value_parser = link)]
    link: Vec<String>,
    /// Publish a container's port(s) to the host
    #[arg(short, long)]
    publish: Vec<String>,
    /// Publish all exposed ports to random ports
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// Expose a port or a range of ports
    #[arg(long)]
    expose: Vec<String>,
    /// Add a custom host-to-IP mapping (host:ip)
    #[arg(long, value_parser = address::extra_host)]
    add_host: Vec<String>,
    /// Set custom DNS servers
    #[arg(long, value_parser = address::ip)]
    dns: Vec<String>,
    /// Set DNS options
    #[arg(long, alias = "dns-opt", value_parser = address::dns_option)]
    dns_option: Vec<String>,
    /// Set custom DNS search domains
    #[arg(long, value_parser = address::domain)]
    dns_search: Vec<String>,
}

impl NetworkFlags {
    /// Gives the networks, if any were named.
    pub fn apply(mut self, config: &mut Config, host: &mut HostConfig) -> Result<Vec<Endpoint>> {
        let networks = self.networks(host)?;
        if let Some(first) = networks.first() {
            host.network_mode.clone_from(&first.network);
        }
        for text in &self.publish {
            publish::publish(text, &mut host.port_bindings)?;
        }
        for port in host.port_bindings.keys() {
            config.exposed_ports.entry(port.clone()).or_default();
        }
        for text in &self.expose {
            for port in publish::expose(text)? {
                config.exposed_ports.entry(port).or_default();
            }
        }
        host.publish_all_ports = self.publish_all;
        host.extra_hosts = listed(self.add_host);
        host.dns = self.dns;
        host.dns_options = self.dns_option;
        host.dns_search = self.dns_search;
        Ok(networks)
    }

    /// The options that stand by themselves are about the first one.
    fn networks(&mut self, host: &mut HostConfig) -> Result<Vec<Endpoint>> {
        let mut all = std::mem::take(&mut self.network);
        let is_plain = self.network_alias.is_empty()
            && self.ip.is_none()
            && self.ip6.is_none()
            && self.mac_address.is_none();
        if all.is_empty() && !is_plain {
            all.push(Endpoint::of("bridge"));
        }
        let links = std::mem::take(&mut self.link);
        let Some(first) = all.first_mut() else {
            host.links = listed(links);
            return Ok(all);
        };
        let both = |given: bool, asked: bool, what: &str, option: &str| match given && asked {
            true => Err(Error::usage(format!(
                "conflicting options: cannot specify both --{option} and per-network {what}"
            ))),
            false => Ok(()),
        };
        let has = |list: &[String]| !list.is_empty();
        both(
            has(&self.network_alias),
            has(&first.aliases),
            "alias",
            "network-alias",
        )?;
        both(has(&links), has(&first.links), "links", "link")?;
        both(
            self.ip.is_some(),
            first.ipv4.is_some(),
            "IPv4 address",
            "ip",
        )?;
        both(
            self.ip6.is_some(),
            first.ipv6.is_some(),
            "IPv6 address",
            "ip6",
        )?;
        let own_mac = !first.mac_address.is_empty();
        both(
            self.mac_address.is_some(),
            own_mac,
            "MAC address",
            "mac-address",
        )?;
        first.aliases.append(&mut self.network_alias);
        let is_default = first.network == "bridge";
        let told = |e: Error| match is_default {
            // As Docker, which looks at the network first.
            true => Error::invalid(
                "user specified IP address is supported on user defined networks only",
            ),
            false => e,
        };
        if let Some(ip) = &self.ip {
            first.ipv4 = Some(four(ip).map_err(told)?);
        }
        if let Some(ip) = &self.ip6 {
            first.ipv6 = Some(six(ip).map_err(told)?);
        }
        if let Some(mac) = self.mac_address.take() {
            parse_mac(&mac).map_err(|e| e.with_kind(Kind::Usage))?;
            first.mac_address = mac;
        }
        match first.network.as_str() {
            "bridge" | "none" | "host" => host.links = listed(links),
            _ => first.links.extend(links),
        }
        Ok(all)
    }
}

/// A network's name, or `name=NAME,alias=…,ip=…`.
pub fn network(text: &str) -> Result<Endpoint> {
    if text.is_empty() {
        return Err(Error::usage("no name set for network"));
    }
    let is_long = text
        .split_once('=')
        .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let mut endpoint = Endpoint::default();
    if !is_long {
        endpoint.network = mode(text)?;
        return Ok(endpoint);
    }
    let fields = super::mount::fields(text)?;
    for field in fields {
        let Some((key, value)) = field.split_once('=') else {
            return Err(Error::usage(format!(
                "invalid field {field}: must be in the form key=value"
            )));
        };
        let (key, value) = (key.trim().to_lowercase(), value.trim());
        match key.as_str() {
            "name" => endpoint.network = mode(value)?,
            "alias" => endpoint.aliases.push(value.into()),
            "link" => endpoint.links.push(link(value)?),
            "ip" => endpoint.ipv4 = Some(four(value)?),
            "ip6" => endpoint.ipv6 = Some(six(value)?),
            "mac-address" => {
                parse_mac(value).map_err(|e| e.with_kind(Kind::Usage))?;
                endpoint.mac_address = value.into();
            }
            "link-local-ip" => {
                return Err(Error::unsupported("link-local-ip is not supported"));
            }
            "driver-opt" => {
                let (name, value) = value.split_once('=').unwrap_or((value, ""));
                endpoint
                    .driver_opts
                    .insert(name.to_lowercase(), value.into());
            }
            "gw-priority" => {
                endpoint.gw_priority = value.parse().map_err(|_| {
                    Error::usage(format!("invalid gw-priority: {value}: it is no number"))
                })?;
            }
            other => {
                return Err(Error::usage(format!("invalid field key {other}")));
            }
        }
    }
    match endpoint.network.is_empty() {
        true => Err(Error::usage("network name/id is not specified")),
        false => Ok(endpoint),
    }
}

fn mode(name: &str) -> Result<String> {
    match name {
        "default" => Ok("bridge".into()),
        "container:" => Err(Error::usage("invalid container format container:<name|id>")),
        name => Ok(name.into()),
    }
}

/// `CONTAINER[:ALIAS]`.
pub fn link(text: &str) -> Result<String> {
    let words: Vec<&str> = text.split(':').collect();
    match words.as_slice() {
        [name] | [name, _] if !name.is_empty() => Ok(text.into()),
        [] | [""] => Err(Error::usage("empty string specified for links")),
        _ => Err(Error::usage(format!("bad format for links: {text}"))),
    }
}

pub fn four(text: &str) -> Result<Ipv4Addr> {
    text.trim()
        .parse()
        .map_err(|_| Error::usage(format!("invalid IPv4 address: {text}")))
}

pub fn six(text: &str) -> Result<Ipv6Addr> {
    text.trim()
        .parse()
        .map_err(|_| Error::usage(format!("invalid IPv6 address: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long() {
        for (text, want) in [
            ("none", "none"),
            ("default", "bridge"),
            ("name=none", "none"),
            ("container:x", "container:x"),
            ("my-net", "my-net"),
        ] {
            assert_eq!(network(text).unwrap(), Endpoint::of(want), "{text}");
        }
        let long = "name=n,alias=a,alias=b,ip=10.0.0.2,ip6=fd00::2,mac-address=02:00:00:00:00:01,driver-opt=x=y,gw-priority=2,link=db:d";
        let endpoint = network(long).unwrap();
        assert_eq!(endpoint.aliases, ["a", "b"]);
        assert_eq!(endpoint.links, ["db:d"]);
        assert_eq!(endpoint.ipv4, Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(
            (endpoint.gw_priority, &*endpoint.driver_opts["x"]),
            (2, "y")
        );
        for (text, want) in [
            ("", "no name set for network"),
            ("container:", "invalid container format container:<name|id>"),
            ("alias=a", "network name/id is not specified"),
            ("name=n,nope=1", "invalid field key nope"),
            ("name=n,ip=x", "invalid IPv4 address: x"),
            ("name=n,x", "invalid field x: must be in the form key=value"),
        ] {
            assert_eq!(network(text).unwrap_err().message(), want, "{text}");
        }
        assert!(link("a:b:c").is_err() && link(":a").is_err() && link("").is_err());
    }
}
