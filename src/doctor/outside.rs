//! The way out of containers, and the way in.

use super::storage::opens;
use super::{Check, is_root, read};
use crate::host::Need;
use crate::network::uplink;

/// The port that web servers want.
const WEB: u16 = 80;

pub fn checks() -> Vec<Check> {
    let name = "way out";
    let programs = uplink::installed();
    let mut checks = vec![match programs.is_empty() {
        true => Check::missing(name, Need::Uplink, "neither is installed"),
        false if !opens("/dev/net/tun") => Check::missing(
            name,
            Need::TunDevice,
            format!("{}, but no /dev/net/tun", programs.join(", ")),
        ),
        false => Check::good(name, format!("{}, /dev/net/tun", programs.join(", "))),
    }];
    let start: u16 = read("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .parse()
        .unwrap_or(1024);
    if !is_root() {
        let found = format!("from {start} on");
        checks.push(match start > WEB {
            true => Check::advice("publishing ports", Need::LowPorts(WEB), found),
            false => Check::good("publishing ports", found),
        });
    }
    checks
}
