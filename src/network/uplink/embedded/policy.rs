//! Where the container may go: everywhere the host can, except to what is the
//! host's own by being on its loopback (row S77 of the security table). The
//! host's other addresses are those under which Docker's containers reach it.

use super::packet::Unreachable;
use super::rules::Local;
use crate::network::etc;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The host's address for what the container calls `to`, or what it is told.
pub fn outside(to: SocketAddr, local: &Local) -> Result<SocketAddr, Unreachable> {
    let ip = address(to.ip(), local)?;
    Ok(SocketAddr::new(ip, to.port()))
}

/// The same for what has no port.
pub fn address(to: IpAddr, local: &Local) -> Result<IpAddr, Unreachable> {
    if local.gateways.contains(&to) {
        return etc::host_address()
            .filter(|ip| ip.is_ipv4() == to.is_ipv4())
            .ok_or(Unreachable::Host);
    }
    match is_outside(to) {
        true => Ok(to),
        false => Err(Unreachable::Network),
    }
}

/// Of one machine, and not of this one by definition.
fn is_outside(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let this_network = ip.octets()[0] == 0;
            !(ip.is_loopback() || this_network || ip.is_multicast() || ip == Ipv4Addr::BROADCAST)
        }
        IpAddr::V6(ip) => {
            // The deprecated IPv4-compatible ones include :: and ::1.
            let compatible = ip.octets()[..12] == [0; 12];
            !(compatible || ip.is_multicast() || ip.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_loopback_has_many_names() {
        for inside in [
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0.0.0.0",
            "fe80::1",
            "ff02::1",
        ] {
            let ip = inside.parse().unwrap();
            assert_eq!(
                address(ip, &Local::default()),
                Err(Unreachable::Network),
                "{inside}"
            );
        }
        for outside in [
            "192.0.2.1",
            "10.0.0.1",
            "169.254.169.254",
            "2001:db8::1",
            "fd00::1",
        ] {
            let ip = outside.parse().unwrap();
            assert_eq!(address(ip, &Local::default()), Ok(ip), "{outside}");
        }
    }
}
