//! A container's part in one network, as its state keeps it: what was asked
//! for, and while the container runs what it has been given.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Endpoint {
    /// The network's name.
    pub network: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// `CONTAINER[:ALIAS]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    #[serde(rename = "IPv4", skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<Ipv4Addr>,
    #[serde(rename = "IPv6", skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Ipv6Addr>,
    /// As given, `02:42:ac:11:00:02`; empty: one that goes with the address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_opts: BTreeMap<String, String>,
    /// The highest one leads out.
    #[serde(skip_serializing_if = "is_zero")]
    pub gw_priority: i64,
    /// `None` while it is not connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
}

/// What it has while it is connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Given {
    pub network_id: String,
    /// 64 hex digits, of this connection alone.
    pub id: String,
    /// Of the interface: `eth0` is 0.
    pub number: u32,
    pub mac: String,
    pub addresses: Vec<IpNet>,
    pub gateways: Vec<IpAddr>,
    /// The names by which others find it, its own first.
    pub names: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Endpoint {
    pub fn of(network: &str) -> Self {
        Self {
            network: network.into(),
            ..Self::default()
        }
    }

    /// Whether the user has chosen something that only a network of its own has.
    pub fn is_plain(&self) -> bool {
        self.aliases.is_empty() && self.ipv4.is_none() && self.ipv6.is_none()
    }
}

impl Given {
    /// The address of this family.
    pub fn address(&self, four: bool) -> Option<IpNet> {
        let mut all = self.addresses.iter().copied();
        all.find(|net| net.addr().is_ipv4() == four)
    }

    pub fn gateway(&self, four: bool) -> Option<IpAddr> {
        let mut all = self.gateways.iter().copied();
        all.find(|ip| ip.is_ipv4() == four)
    }
}
