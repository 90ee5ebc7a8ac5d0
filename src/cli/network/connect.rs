//! `wherry network connect` and `disconnect`.

use crate::cli::container::flags::network::{four, link, six};
use crate::cli::{Front, Verb};
use crate::container::network::change;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::endpoint::Endpoint;
use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(clap::Args)]
pub struct ConnectArgs {
    /// Add network-scoped alias for the container
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    alias: Vec<String>,
    /// driver options for the network
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    driver_opt: Vec<String>,
    /// Highest gw-priority provides the default gateway. Accepts positive and
    /// negative values
    #[arg(
        long,
        value_name = "int",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    gw_priority: i64,
    /// IPv4 address (e.g., "172.30.100.104")
    #[arg(long, value_name = "ip", value_parser = four)]
    ip: Option<Ipv4Addr>,
    /// IPv6 address (e.g., "2001:db8::33")
    #[arg(long, value_name = "ip", value_parser = six)]
    ip6: Option<Ipv6Addr>,
    /// Add link to another container
    #[arg(long, value_name = "list", value_parser = link)]
    link: Vec<String>,
    /// Add a link-local address for the container
    #[arg(long, value_name = "ipSlice")]
    link_local_ip: Vec<String>,
    #[arg(value_name = "NETWORK")]
    network: String,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

#[derive(clap::Args)]
pub struct DisconnectArgs {
    /// Force the container to disconnect from a network
    #[arg(short, long)]
    force: bool,
    #[arg(value_name = "NETWORK")]
    network: String,
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Verb for ConnectArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        if !self.link_local_ip.is_empty() {
            return Err(Error::unsupported(
                "--link-local-ip is not supported: networks here give addresses of their subnets alone",
            ));
        }
        let options = self.driver_opt.iter().map(|option| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            (name.to_string(), value.to_string())
        });
        let endpoint = Endpoint {
            network: self.network,
            aliases: self.alias,
            links: self.link,
            ipv4: self.ip,
            ipv6: self.ip6,
            driver_opts: options.collect(),
            gw_priority: self.gw_priority,
            ..Endpoint::default()
        };
        change::connect(&Engine::open()?, &self.container, endpoint)?;
        Ok(0)
    }
}

impl Verb for DisconnectArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        change::disconnect(&engine, &self.network, &self.container, self.force)?;
        Ok(0)
    }
}
