//! How the container is reached, and what it finds.

use super::{address, listed, publish};
use crate::error::Result;
use crate::record::container::{Config, HostConfig};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkFlags {
    /// Connect a container to a network (bridge, host, none)
    #[arg(long, alias = "net", value_name = "network", value_parser = address::network)]
    network: Option<String>,
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
    pub fn apply(self, config: &mut Config, host: &mut HostConfig) -> Result<()> {
        if let Some(network) = self.network {
            host.network_mode = network;
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
        Ok(())
    }
}
