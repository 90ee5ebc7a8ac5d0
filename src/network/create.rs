//! Making a network: what was asked for is checked, and what was not is chosen.

use super::etc::Resolver;
use super::lan::Lan;
use super::link::Links;
use super::record::{Ipam, Network, PREDEFINED, Pool, VERSION};
use super::store;
use crate::error::{Error, Kind, Result};
use crate::paths::Paths;
use crate::text::{id, time};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What `network create` asks for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub name: String,
    pub driver: String,
    pub ipv4: bool,
    pub ipv6: bool,
    pub internal: bool,
    pub attachable: bool,
    pub options: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    pub ipam_driver: String,
    pub ipam_options: BTreeMap<String, String>,
    pub pools: Vec<Pool>,
}

/// Numbers of bridges begin here: the kernel's own begin at 1.
const FIRST_INDEX: u32 = 1 << 24;

/// Options of Docker's bridge driver that are carried out, or that mean what
/// is so anyhow.
const OPTIONS: [&str; 4] = [
    super::record::MTU,
    "com.docker.network.bridge.name",
    "com.docker.network.bridge.enable_ip_masquerade",
    "com.docker.network.container_iface_prefix",
];

/// Makes the network; a second value is what the user is to be told.
pub fn create(paths: &Paths, request: Request) -> Result<(Network, Vec<String>)> {
    check(&request)?;
    let mut network = Network {
        name: request.name,
        id: id::random()?,
        created: time::now(),
        scope: "local".into(),
        driver: request.driver,
        enable_ipv4: request.ipv4,
        enable_ipv6: request.ipv6,
        ipam: Ipam {
            driver: request.ipam_driver,
            options: request.ipam_options,
            config: request.pools,
        },
        internal: request.internal,
        attachable: request.attachable,
        options: request.options,
        labels: request.labels,
        index: 0,
        version: VERSION,
    };
    // The default one chooses first, so that it is where everybody expects it.
    store::by_name(paths, "bridge")?;
    let _lock = store::lock(paths)?;
    if paths.network(&network.name).exists() || PREDEFINED.contains(&network.name.as_str()) {
        return Err(Error::conflict(format!(
            "network with name {} already exists",
            network.name
        )));
    }
    let warnings = settle(paths, &mut network)?;
    store::write(paths, &network)?;
    Ok((network, warnings))
}

/// The network `bridge`, made when it is first asked for.
pub fn default(paths: &Paths) -> Result<Network> {
    let _lock = store::lock(paths)?;
    if paths.network("bridge").exists() {
        let known = store::by_name(paths, "bridge")?;
        return known.ok_or_else(|| Error::not_found("network bridge not found"));
    }
    let mut network = Network::predefined("bridge", "bridge")?;
    settle(paths, &mut network)?;
    store::write(paths, &network)?;
    Ok(network)
}

fn check(request: &Request) -> Result<()> {
    let name = request.name.as_str();
    if name.trim().is_empty() {
        return Err(Error::invalid("invalid network name: name is empty"));
    }
    if !store::is_name(name) {
        return Err(Error::invalid(format!(
            "{} includes invalid characters for a network name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed",
            name.escape_debug()
        )));
    }
    if matches!(request.driver.as_str(), "host" | "null" | "none") || PREDEFINED.contains(&name) {
        let what = if PREDEFINED.contains(&name) {
            name
        } else {
            &request.driver
        };
        return Err(Error::new(
            Kind::Denied,
            format!("operation is not permitted on predefined {what} network"),
        ));
    }
    match request.driver.as_str() {
        "bridge" => {}
        "macvlan" => {
            if request.internal {
                return Err(Error::unsupported(
                    "the driver macvlan has no internal networks: its containers are where the host's interface is",
                )
                .hint("the driver bridge has them"));
            }
            Lan::parse(&request.options)?.check()?;
        }
        "ipvlan" => {
            return Err(Error::unsupported("the driver ipvlan is not supported")
                .hint("the driver macvlan gives containers a part of an interface of the host's"));
        }
        "overlay" => {
            return Err(Error::unsupported(
                "the driver overlay is not supported: it connects the hosts of a swarm",
            ));
        }
        other => {
            return Err(Error::not_found(format!("plugin \"{other}\" not found")));
        }
    }
    if !matches!(request.ipam_driver.as_str(), "" | "default") {
        return Err(Error::not_found(format!(
            "plugin \"{}\" not found",
            request.ipam_driver
        )));
    }
    if !request.ipv4 && !request.ipv6 {
        return Err(Error::invalid("IPv4 or IPv6 must be enabled"));
    }
    check_options(&request.options)?;
    check_pools(request)
}

fn check_options(options: &BTreeMap<String, String>) -> Result<()> {
    for (key, value) in options {
        let is_yes = || value.parse().unwrap_or(value.is_empty() || value == "1");
        match key.as_str() {
            super::record::MTU => {
                let mtu = value.parse::<u32>().ok();
                if !mtu.is_some_and(|mtu| (68..=65535).contains(&mtu)) {
                    return Err(Error::invalid(format!("invalid value for {key}: {value}"))
                        .hint("an MTU is between 68 and 65535"));
                }
            }
            "com.docker.network.bridge.enable_icc" if !is_yes() => {
                return Err(unsupported_option(
                    key,
                    "containers of one network reach each other",
                ));
            }
            "com.docker.network.bridge.enable_icc" => {}
            "com.docker.network.bridge.enable_ip_masquerade" if !is_yes() => {
                return Err(unsupported_option(
                    key,
                    "what leaves has an address of the host's",
                ));
            }
            "com.docker.network.container_iface_prefix" if value != "eth" => {
                return Err(unsupported_option(
                    key,
                    "interfaces are called eth0, eth1 and so on",
                ));
            }
            super::record::HOST_BINDING
                if !value.is_empty() && value.parse::<Ipv4Addr>().is_err() =>
            {
                return Err(Error::invalid(format!("invalid value for {key}: {value}"))
                    .hint("it is an IPv4 address of the host, as 127.0.0.1"));
            }
            super::record::HOST_BINDING => {}
            known if OPTIONS.contains(&known) => {}
            // Docker's driver passes over what it does not know.
            other if other.starts_with("com.docker.network.bridge.") => {
                return Err(unsupported_option(key, "it is about the host's firewall"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn unsupported_option(key: &str, why: &str) -> Error {
    Error::unsupported(format!("the option {key} is not supported: {why}"))
}

fn check_pools(request: &Request) -> Result<()> {
    for (index, pool) in request.pools.iter().enumerate() {
        let subnet = pool.subnet;
        if subnet.trunc() != subnet {
            return Err(Error::invalid(format!(
                "invalid network config: invalid subnet {subnet}: it should be {}",
                subnet.trunc()
            )));
        }
        let (is_four, least) = match subnet {
            IpNet::V4(_) => (true, 30),
            IpNet::V6(_) => (false, 126),
        };
        if subnet.prefix_len() > least {
            return Err(Error::invalid(format!(
                "invalid network config: the subnet {subnet} has no address for a container beside its gateway"
            )));
        }
        if subnet.prefix_len() == 0 || is_special(subnet) {
            return Err(Error::invalid(format!(
                "invalid network config: {subnet} is not a subnet for a network of its own"
            )));
        }
        if (is_four && !request.ipv4) || (!is_four && !request.ipv6) {
            let (family, option) = if is_four {
                ("IPv4", "--ipv4")
            } else {
                ("IPv6", "--ipv6")
            };
            return Err(Error::invalid(format!(
                "invalid network config: {family} is not enabled, but the subnet {subnet} is {family}"
            ))
            .hint(format!("{option} enables it")));
        }
        if let Some(range) = pool.ip_range
            && !subnet.contains(&range)
        {
            return Err(Error::invalid(format!(
                "invalid network config: invalid ip-range {range}: it is not in the subnet {subnet}"
            )));
        }
        let others = pool.gateway.iter().chain(pool.auxiliary.values());
        if let Some(ip) = others.into_iter().find(|ip| !subnet.contains(*ip)) {
            return Err(Error::invalid(format!(
                "invalid network config: {ip} is not in the subnet {subnet}"
            )));
        }
        let earlier = &request.pools[..index];
        if let Some(other) = earlier.iter().find(|other| overlap(other.subnet, subnet)) {
            return Err(Error::invalid(format!(
                "multiple overlapping subnet configuration is not supported: {} and {subnet}",
                other.subnet
            )));
        }
    }
    Ok(())
}

/// Loopback, multicast and the like.
fn is_special(subnet: IpNet) -> bool {
    let special: [IpNet; 5] = [
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 3)),
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8)),
        IpNet::V6(Ipv6Net::new_assert(
            Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),
            8,
        )),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    ];
    special.iter().any(|other| overlap(*other, subnet))
}

/// Chooses what was left open. The caller holds the lock.
fn settle(paths: &Paths, network: &mut Network) -> Result<Vec<String>> {
    let others: Vec<Network> = store::written(paths)?
        .into_iter()
        .filter(|other| other.name != network.name)
        .collect();
    let given = |other: &Network| {
        other
            .pools()
            .iter()
            .map(|pool| pool.subnet)
            .collect::<Vec<_>>()
    };
    let mut taken: Vec<(IpNet, String)> = Vec::new();
    for other in &others {
        taken.extend(
            given(other)
                .into_iter()
                .map(|net| (net, other.name.clone())),
        );
    }
    let mut warnings = Vec::new();
    let of_host = of_host();
    for pool in network.pools() {
        let overlaps = |other: IpNet| overlap(other, pool.subnet);
        if let Some((net, name)) = taken.iter().find(|(net, _)| overlaps(*net)) {
            return Err(Error::new(
                Kind::Denied,
                "invalid pool request: Pool overlaps with other one on this address space",
            )
            .hint(format!(
                "{} overlaps with {net} of the network {name}: take another --subnet",
                pool.subnet
            )));
        }
        // One that is on the host's network is in its subnet.
        let hides = |route: &&IpNet| network.is_bridge() && overlaps(**route);
        if let Some(route) = of_host.iter().find(hides) {
            warnings.push(format!(
                "the subnet {} hides {route}, which the host has a route to, from this network's containers",
                pool.subnet
            ));
        }
    }
    let mut taken: Vec<IpNet> = taken.into_iter().map(|(net, _)| net).collect();
    taken.extend(of_host);
    for (wanted, four) in [(network.enable_ipv4, true), (network.enable_ipv6, false)] {
        if wanted && network.pool(four).is_none() {
            let subnet = if four {
                choose_four(&taken)?
            } else {
                choose_six(&taken)?
            };
            network.ipam.config.push(Pool {
                subnet,
                ip_range: None,
                gateway: None,
                auxiliary: BTreeMap::new(),
                asked: false,
            });
        }
    }
    for pool in &mut network.ipam.config {
        if pool.gateway.is_none() {
            pool.gateway = first(pool);
        }
    }
    let used: Vec<u32> = others.iter().map(|other| other.index).collect();
    let free = (FIRST_INDEX..).find(|index| !used.contains(index));
    network.index = free.ok_or_else(|| Error::conflict("there are too many networks"))?;
    Ok(warnings)
}

/// The first address that a gateway can have.
fn first(pool: &Pool) -> Option<IpAddr> {
    pool.subnet.hosts().take(256).find(|ip| pool.is_free(*ip))
}

/// What the host reaches by other than its default route, and its name
/// servers: none of that may be hidden from containers.
fn of_host() -> Vec<IpNet> {
    let routes = Links::open().and_then(|mut links| links.routes());
    let mut all = routes.unwrap_or_default();
    all.extend(Resolver::of_host().servers.into_iter().map(IpNet::from));
    // What the helpers that give a way out use for themselves.
    let helper = Ipv4Net::new_assert(super::uplink::ADDRESS, super::uplink::PREFIX);
    all.push(IpNet::V4(helper.trunc()));
    all
}

/// Docker's pools, and more behind them.
fn choose_four(taken: &[IpNet]) -> Result<IpNet> {
    let large = (17..32).map(|b| (Ipv4Addr::new(172, b, 0, 0), 16));
    let small = (0..16).map(|c| (Ipv4Addr::new(192, 168, c * 16, 0), 20));
    let more = (89..=255).map(|b| (Ipv4Addr::new(10, b, 0, 0), 16));
    let small_more = (0..=255).map(|c| (Ipv4Addr::new(10, 88, c, 0), 24));
    large
        .chain(small)
        .chain(more)
        .chain(small_more)
        .map(|(ip, prefix)| IpNet::V4(Ipv4Net::new_assert(ip, prefix)))
        .find(|net| !taken.iter().any(|other| overlap(*other, *net)))
        .ok_or_else(|| {
            Error::conflict("all predefined address pools have been fully subnetted")
                .hint("`wherry network prune` removes networks that are not used, --subnet takes another one")
        })
}

/// A unique local subnet at random (RFC 4193).
fn choose_six(taken: &[IpNet]) -> Result<IpNet> {
    loop {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes[1..8]).map_err(|e| {
            Error::internal(format!("cannot get random bytes from the kernel: {e}"))
        })?;
        bytes[0] = 0xfd;
        let net = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(bytes), 64));
        if !taken.iter().any(|other| overlap(*other, net)) {
            return Ok(net);
        }
    }
}

fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn subnets_that_are_free() {
        assert_eq!(choose_four(&[]).unwrap(), net("172.17.0.0/16"));
        let taken = [
            net("172.17.0.0/16"),
            net("172.18.5.0/24"),
            net("172.19.0.0/30"),
        ];
        assert_eq!(choose_four(&taken).unwrap(), net("172.20.0.0/16"));
        assert_eq!(
            choose_four(&[net("172.16.0.0/12")]).unwrap(),
            net("192.168.0.0/20")
        );
        let private = [net("172.16.0.0/12"), net("192.168.0.0/16")];
        assert_eq!(choose_four(&private).unwrap(), net("10.89.0.0/16"));
        let all = [net("0.0.0.0/0")];
        assert!(choose_four(&all).is_err());
        let six = choose_six(&[]).unwrap();
        assert!(net("fd00::/8").contains(&six) && six.prefix_len() == 64);
    }

    #[test]
    fn bad_pools() {
        let request = |subnet: &str, change: fn(&mut Pool)| {
            let mut pool = Pool {
                subnet: net(subnet),
                ip_range: None,
                gateway: None,
                auxiliary: BTreeMap::new(),
                asked: true,
            };
            change(&mut pool);
            Request {
                name: "n".into(),
                driver: "bridge".into(),
                ipv4: true,
                pools: vec![pool],
                ..Request::default()
            }
        };
        assert!(check(&request("10.1.0.0/16", |_| {})).is_ok());
        for (subnet, change, want) in [
            (
                "10.1.2.3/16",
                (|_| {}) as fn(&mut Pool),
                "it should be 10.1.0.0/16",
            ),
            ("10.1.0.0/31", |_| {}, "no address for a container"),
            ("127.0.0.0/16", |_| {}, "is not a subnet"),
            ("0.0.0.0/0", |_| {}, "is not a subnet"),
            ("fd00::/64", |_| {}, "IPv6 is not enabled"),
            (
                "10.1.0.0/16",
                |p| p.gateway = Some("10.2.0.1".parse().unwrap()),
                "10.2.0.1 is not in the subnet",
            ),
            (
                "10.1.0.0/16",
                |p| p.ip_range = Some("10.2.0.0/24".parse().unwrap()),
                "is not in the subnet",
            ),
        ] {
            let error = check(&request(subnet, change)).unwrap_err();
            assert!(error.message().contains(want), "{subnet}: {error}");
        }
    }
}
