//! Connecting a container to networks: a pair of interfaces each, one end on
//! the network's bridge in N, the other in the container. All of it is done by
//! a thread that goes into N and then into the container's network namespace,
//! hands back what it has made there, and ends.

use super::lan::Lan;
use super::link::{Bridge, Links, Mac, Peer};
use super::namespace::Hold;
use super::record::Network;
use crate::error::{Context, Result};
use crate::paths::Paths;
use crate::sys::ns;
use ipnet::IpNet;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// How long an address may take to become free.
const TAKEN: Duration = Duration::from_secs(3);

/// One connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wire {
    /// Name of the network, and its ID.
    pub network: String,
    pub id: String,
    /// Of the bridge in N: name, number, and the gateways on it.
    pub bridge: String,
    pub bridge_index: u32,
    pub gateways: Vec<IpNet>,
    /// Instead of a bridge, for networks of the driver macvlan.
    #[serde(default)]
    pub lan: Option<Lan>,
    /// Of the container's end: name and addresses.
    pub interface: String,
    pub mac: Mac,
    pub mtu: Option<u32>,
    pub addresses: Vec<IpNet>,
    /// No way out of it.
    pub internal: bool,
    /// Names are resolved there.
    pub resolves: bool,
}

/// What becomes of a container's connections.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Change {
    pub add: Vec<Wire>,
    /// Interfaces that go.
    pub remove: Vec<String>,
    /// The interface that leads out, and the gateways there.
    pub default: Option<(String, Vec<IpAddr>)>,
}

impl Wire {
    /// A connection to `network` as the `number`th interface.
    pub fn new(network: &Network, number: u32, mac: Mac, addresses: Vec<IpNet>) -> Self {
        let gateways = network.pools().iter().filter_map(|pool| {
            let gateway = pool.gateway?;
            IpNet::new(gateway, pool.subnet.prefix_len()).ok()
        });
        Self {
            network: network.name.clone(),
            id: network.id.clone(),
            bridge: network.bridge_name(),
            bridge_index: network.index,
            lan: network.lan(),
            gateways: gateways.collect(),
            interface: format!("eth{number}"),
            mac,
            mtu: network.mtu(),
            addresses,
            internal: network.internal,
            resolves: !network.is_default(),
        }
    }

    /// Where it leads out.
    pub fn ways(&self) -> Vec<IpAddr> {
        let has = |four: bool| self.addresses.iter().any(|a| a.addr().is_ipv4() == four);
        let gateways = self.gateways.iter().map(IpNet::addr);
        let mut ways: Vec<IpAddr> = Vec::new();
        for gateway in gateways.filter(|gateway| has(gateway.is_ipv4())) {
            if !ways.iter().any(|way| way.is_ipv4() == gateway.is_ipv4()) {
                ways.push(gateway);
            }
        }
        ways
    }

    fn has_six(&self) -> bool {
        self.addresses.iter().any(|a| a.addr().is_ipv6())
    }
}

/// The hardware address that goes with an IPv4 address, as Docker's used to
/// be: one that is given out again is found again by neighbours.
pub fn mac_of(ip: Ipv4Addr) -> Mac {
    let [a, b, c, d] = ip.octets();
    [0x02, 0x42, a, b, c, d]
}

/// That of a bridge: without one of its own it would take over those of its
/// members as they come and go.
fn mac_of_bridge(index: u32) -> Mac {
    let [a, b, c, d] = index.to_be_bytes();
    [0x02, 0x43, a, b, c, d]
}

/// Carries out a change for the container with this network namespace, and
/// does `work` in it. `hold` is N, taken when there is something to add.
pub fn change<T: Send>(
    paths: &Paths,
    hold: &mut Option<Hold>,
    netns: BorrowedFd<'_>,
    change: &Change,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let job = || -> Result<T> {
        // First, while this is the host's namespace.
        let (parts, pairs): (Vec<&Wire>, Vec<&Wire>) =
            change.add.iter().partition(|wire| wire.lan.is_some());
        attach_to_host(&parts, netns)?;
        if !pairs.is_empty() {
            match hold {
                Some(hold) => {
                    ns::join(&*hold, libc::CLONE_NEWNET).context(|| "cannot enter the networks")?;
                }
                None => *hold = Some(Hold::enter(paths)?),
            }
            attach(&pairs, netns)?;
        }
        ns::join(netns, libc::CLONE_NEWNET).context(|| "cannot enter the container's network")?;
        inside(change)?;
        work()
    };
    ns::elsewhere(job).context(|| "cannot start a thread for the container's network")?
}

fn attach_to_host(wires: &[&Wire], netns: BorrowedFd<'_>) -> Result<()> {
    if wires.is_empty() {
        return Ok(());
    }
    let mut links = Links::open().context(|| "cannot ask for network interfaces")?;
    for wire in wires {
        let Some(lan) = &wire.lan else { continue };
        let part = links
            .index(&lan.parent)
            .and_then(|parent| links.add_part(parent, lan.mode, &peer(wire, netns)));
        part.context(|| {
            format!(
                "cannot connect to the network {} by the interface {}",
                wire.network, lan.parent
            )
        })?;
    }
    Ok(())
}

fn peer<'a>(wire: &'a Wire, netns: BorrowedFd<'a>) -> Peer<'a> {
    Peer {
        name: &wire.interface,
        mac: wire.mac,
        mtu: wire.mtu,
        netns,
    }
}

/// In N.
fn attach(wires: &[&Wire], netns: BorrowedFd<'_>) -> Result<()> {
    let mut links = Links::open().context(|| "cannot ask for network interfaces")?;
    for wire in wires {
        let failed = || format!("cannot connect to the network {}", wire.network);
        let bridge = Bridge {
            name: &wire.bridge,
            index: wire.bridge_index,
            mac: mac_of_bridge(wire.bridge_index),
            mtu: wire.mtu,
            addresses: &wire.gateways,
        };
        match links.add_bridge(&bridge) {
            Err(Errno::EEXIST) => {}
            other => other.context(failed)?,
        }
        if wire.has_six() {
            sysctl(&wire.bridge, "accept_ra", "0");
            sysctl(&wire.bridge, "disable_ipv6", "0");
            let six: Vec<IpNet> = wire
                .gateways
                .iter()
                .copied()
                .filter(|g| g.addr().is_ipv6())
                .collect();
            links
                .add_addresses(wire.bridge_index, &six)
                .context(failed)?;
        }
        links
            .add_pair(wire.bridge_index, &peer(wire, netns))
            .context(failed)?;
    }
    Ok(())
}

/// Of IPv6 on an interface of the namespace that this thread is in; a kernel
/// without IPv6 has none of them.
pub(super) fn sysctl(interface: &str, name: &str, value: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{interface}/{name}");
    let _ = std::fs::write(path, value);
}

/// In the container.
fn inside(change: &Change) -> Result<()> {
    let failed = || "cannot set up the container's network";
    let mut links = Links::open().context(failed)?;
    for name in &change.remove {
        links.remove(name).context(failed)?;
    }
    for wire in &change.add {
        if wire.has_six() {
            sysctl(&wire.interface, "accept_ra", "0");
        } else {
            // Nobody on the network can give it an address or a route (S75).
            sysctl(&wire.interface, "disable_ipv6", "1");
        }
        let index = links.index(&wire.interface).context(failed)?;
        if wire.lan.is_some() {
            bring_up(&mut links, index).context(failed)?;
        }
        links.configure(index, &wire.addresses).context(failed)?;
    }
    change.default.as_ref().map_or(Ok(()), lead_out)
}

/// The interface of an earlier run has the same hardware address, and goes
/// shortly after its namespace has lost its last process.
fn bring_up(links: &mut Links, index: u32) -> nix::Result<()> {
    let deadline = Instant::now() + TAKEN;
    loop {
        match links.bring_up(index) {
            Err(Errno::EADDRINUSE) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

/// Has the container that this thread is in lead out by that interface.
pub fn lead_out((interface, gateways): &(String, Vec<IpAddr>)) -> Result<()> {
    let failed = || "cannot set up the container's network";
    let mut links = Links::open().context(failed)?;
    let index = links.index(interface).context(failed)?;
    links.default_routes(index, gateways).context(failed)
}
