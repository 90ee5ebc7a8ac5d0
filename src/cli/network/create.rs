//! `wherry network create`.

use crate::cli::container::flags::labels;
use crate::cli::{Front, Verb, stdout};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::network::create::{Request, create};
use crate::network::record::Pool;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(clap::Args)]
pub struct CreateArgs {
    /// Enable manual container attachment
    #[arg(long)]
    attachable: bool,
    /// Auxiliary IPv4 or IPv6 addresses used by Network driver
    #[arg(long, value_name = "map", value_parser = auxiliary)]
    aux_address: Vec<(String, IpAddr)>,
    /// The network from which to copy the configuration
    #[arg(long, hide = true)]
    config_from: Option<String>,
    /// Create a configuration only network
    #[arg(long, hide = true)]
    config_only: bool,
    /// Driver to manage the Network
    #[arg(short, long, value_name = "string", default_value = "bridge")]
    driver: String,
    /// IPv4 or IPv6 Gateway for the master subnet
    #[arg(long, value_name = "ipSlice", value_delimiter = ',', value_parser = address)]
    gateway: Vec<IpAddr>,
    /// Create swarm routing-mesh network
    #[arg(long, hide = true)]
    ingress: bool,
    /// Restrict external access to the network
    #[arg(long)]
    internal: bool,
    /// Allocate container ip from a sub-range
    #[arg(long, value_name = "ipNetSlice", value_delimiter = ',', value_parser = subnet)]
    ip_range: Vec<IpNet>,
    /// IP Address Management Driver
    #[arg(long, value_name = "string", default_value = "default")]
    ipam_driver: String,
    /// Set IPAM driver specific options
    #[arg(long, value_name = "map", value_parser = pair)]
    ipam_opt: Vec<(String, String)>,
    /// Enable or disable IPv4 address assignment
    #[arg(long, default_value = "true")]
    ipv4: bool,
    /// Enable or disable IPv6 address assignment
    #[arg(long)]
    ipv6: bool,
    /// Set metadata on a network
    #[arg(long, value_name = "list", value_parser = labels::parse)]
    label: Vec<(String, String)>,
    /// Set driver specific options
    #[arg(short, long = "opt", value_name = "map", value_parser = pair)]
    opt: Vec<(String, String)>,
    /// Control the network's scope
    #[arg(long, hide = true)]
    scope: Option<String>,
    /// Subnet in CIDR format that represents a network segment
    #[arg(long, value_name = "strings", value_delimiter = ',', value_parser = subnet)]
    subnet: Vec<IpNet>,
    #[arg(value_name = "NETWORK")]
    name: String,
}

impl Verb for CreateArgs {
    fn run(self, front: &Front) -> Result<u8> {
        self.refuse_swarm()?;
        let pools = self.pools()?;
        let ipv6 = self.ipv6;
        let request = Request {
            name: self.name,
            driver: self.driver,
            ipv4: self.ipv4,
            ipv6,
            internal: self.internal,
            attachable: self.attachable,
            options: self.opt.into_iter().collect(),
            labels: self.label.into_iter().collect(),
            ipam_driver: self.ipam_driver,
            ipam_options: self.ipam_opt.into_iter().collect(),
            pools,
        };
        let engine = Engine::open()?;
        let (network, warnings) = create(&engine.paths, request)?;
        for warning in warnings {
            front.warn(&warning);
        }
        stdout::line(&network.id)?;
        Ok(0)
    }
}

impl CreateArgs {
    fn refuse_swarm(&self) -> Result<()> {
        for (given, option, why) in [
            (self.ingress, "--ingress", "there is no swarm"),
            (
                self.scope.as_deref().is_some_and(|s| s != "local"),
                "--scope",
                "networks are of this host",
            ),
            (self.config_only, "--config-only", "it is for swarms"),
            (
                self.config_from.is_some(),
                "--config-from",
                "it is for swarms",
            ),
        ] {
            if given {
                return Err(Error::unsupported(format!(
                    "{option} is not supported: {why}"
                )));
            }
        }
        Ok(())
    }

    /// Everything goes to the subnet that it is in, in Docker's words.
    fn pools(&self) -> Result<Vec<Pool>> {
        let mut pools: Vec<Pool> = Vec::new();
        for subnet in &self.subnet {
            let overlaps = |p: &&Pool| p.subnet.contains(subnet) || subnet.contains(&p.subnet);
            if pools.iter().any(|p| overlaps(&p)) {
                return Err(Error::invalid(
                    "multiple overlapping subnet configuration is not supported",
                ));
            }
            pools.push(Pool {
                subnet: *subnet,
                ip_range: None,
                gateway: None,
                auxiliary: BTreeMap::new(),
                asked: true,
            });
        }
        for range in &self.ip_range {
            let pool = pools.iter_mut().find(|p| p.subnet.contains(range));
            let pool = pool
                .ok_or_else(|| Error::invalid(format!("no matching subnet for range {range}")))?;
            if let Some(other) = pool.ip_range.replace(*range) {
                return Err(Error::invalid(format!(
                    "cannot configure multiple ranges ({range}, {other}) on the same subnet ({})",
                    pool.subnet
                )));
            }
        }
        for gateway in &self.gateway {
            let pool = pools.iter_mut().find(|p| p.subnet.contains(gateway));
            let pool = pool.ok_or_else(|| {
                Error::invalid(format!("no matching subnet for gateway {gateway}"))
            })?;
            if let Some(other) = pool.gateway.replace(*gateway) {
                return Err(Error::invalid(format!(
                    "cannot configure multiple gateways ({gateway}, {other}) for the same subnet ({})",
                    pool.subnet
                )));
            }
        }
        for (name, ip) in &self.aux_address {
            let pool = pools.iter_mut().find(|p| p.subnet.contains(ip));
            let pool = pool.ok_or_else(|| {
                Error::invalid(format!("no matching subnet for aux-address {ip}"))
            })?;
            pool.auxiliary.insert(name.clone(), *ip);
        }
        Ok(pools)
    }
}

fn subnet(text: &str) -> Result<IpNet> {
    text.trim()
        .parse()
        .map_err(|_| Error::invalid(format!("invalid CIDR address: {text}")))
}

fn address(text: &str) -> Result<IpAddr> {
    text.trim().parse().map_err(|_| {
        Error::usage(format!(
            "invalid string being converted to IP address: {text}"
        ))
    })
}

fn auxiliary(text: &str) -> Result<(String, IpAddr)> {
    let (name, ip) = pair(text)?;
    Ok((name, address(&ip)?))
}

fn pair(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err(Error::usage(format!(
            "invalid value {text}: must be in the form key=value"
        ))),
    }
}
