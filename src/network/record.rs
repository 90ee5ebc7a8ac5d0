//! A network's record, `networks/<name>.json`: what was asked for, and what was
//! chosen for it. Field names and order are those of Docker's `network inspect`
//! (Engine API 1.50), with two numbers of our own at the end.

use super::lan::Lan;
use crate::error::Result;
use crate::text::{id, time};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// The version written into new records; a newer one is refused.
pub const VERSION: u32 = 1;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    pub name: String,
    /// 64 lower-case hex digits.
    pub id: String,
    /// RFC 3339 with nanoseconds, UTC.
    pub created: String,
    pub scope: String,
    pub driver: String,
    #[serde(rename = "EnableIPv4")]
    pub enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    pub ipam: Ipam,
    pub internal: bool,
    pub attachable: bool,
    pub options: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// Its bridge's interface number in N, unlike that of any other network.
    pub index: u32,
    pub version: u32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ipam {
    pub driver: String,
    pub options: BTreeMap<String, String>,
    pub config: Vec<Pool>,
}

/// A subnet and what is given out of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pool {
    pub subnet: IpNet,
    #[serde(rename = "IPRange", default, skip_serializing_if = "Option::is_none")]
    pub ip_range: Option<IpNet>,
    /// `None`: there is no way out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Name of a host or router -> its address, which is never given out.
    #[serde(
        rename = "AuxiliaryAddresses",
        default,
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub auxiliary: BTreeMap<String, IpAddr>,
    /// The user has chosen it, and may so choose addresses in it.
    #[serde(default)]
    pub asked: bool,
}

/// The three that are always there.
pub const PREDEFINED: [&str; 3] = ["bridge", "host", "none"];

impl Network {
    /// A new one that every user has.
    pub fn predefined(name: &str, driver: &str) -> Result<Self> {
        Ok(Self {
            name: name.into(),
            id: id::random()?,
            created: time::now(),
            scope: "local".into(),
            driver: driver.into(),
            enable_ipv4: true,
            ipam: Ipam {
                driver: "default".into(),
                ..Ipam::default()
            },
            version: VERSION,
            ..Self::default()
        })
    }

    pub fn is_predefined(&self) -> bool {
        PREDEFINED.contains(&self.name.as_str())
    }

    /// One with a bridge in N.
    pub fn is_bridge(&self) -> bool {
        self.driver == "bridge"
    }

    /// The host's interface that its containers have parts of, if it is such a
    /// network.
    pub fn lan(&self) -> Option<Lan> {
        let lan = (self.driver == "macvlan").then(|| Lan::parse(&self.options));
        lan.and_then(Result::ok)
    }

    /// Containers can be connected to it.
    pub fn connects(&self) -> bool {
        self.is_bridge() || self.driver == "macvlan"
    }

    /// The default network: names are not resolved there.
    pub fn is_default(&self) -> bool {
        self.name == "bridge"
    }

    /// Name of its bridge in N: at most 15 bytes.
    pub fn bridge_name(&self) -> String {
        format!("br-{}", &self.id[..self.id.len().min(12)])
    }

    /// The number that the option for the MTU gives.
    pub fn mtu(&self) -> Option<u32> {
        self.options.get(MTU)?.parse().ok()
    }

    /// Where ports are published that name no address of the host; `None`: on
    /// all of them.
    pub fn host_binding(&self) -> Option<Ipv4Addr> {
        let ip = self.options.get(HOST_BINDING)?.parse().ok();
        ip.filter(|ip: &Ipv4Addr| !ip.is_unspecified())
    }

    pub fn pools(&self) -> &[Pool] {
        &self.ipam.config
    }

    /// The first of each family: containers get an address of it.
    pub fn pool(&self, four: bool) -> Option<&Pool> {
        self.pools()
            .iter()
            .find(|pool| pool.subnet.addr().is_ipv4() == four)
    }

    /// The pool that an address belongs to.
    pub fn pool_of(&self, ip: IpAddr) -> Option<&Pool> {
        self.pools().iter().find(|pool| pool.subnet.contains(&ip))
    }
}

impl Pool {
    /// What addresses are taken from.
    pub fn range(&self) -> IpNet {
        self.ip_range.unwrap_or(self.subnet)
    }

    /// Whether it may be given to a container.
    pub fn is_free(&self, ip: IpAddr) -> bool {
        let reserved = match self.subnet {
            IpNet::V4(net) if net.prefix_len() < 31 => ip == net.network() || ip == net.broadcast(),
            IpNet::V4(_) => false,
            IpNet::V6(net) => net.prefix_len() < 127 && ip == net.network(),
        };
        self.subnet.contains(&ip)
            && !reserved
            && Some(ip) != self.gateway
            && !self.auxiliary.values().any(|other| *other == ip)
    }
}

/// Options of the bridge driver.
pub const MTU: &str = "com.docker.network.driver.mtu";
pub const HOST_BINDING: &str = "com.docker.network.bridge.host_binding_ipv4";
