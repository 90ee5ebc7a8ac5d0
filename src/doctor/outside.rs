//! The way out of containers, and the way in.

use super::storage::opens;
use super::{Check, is_root, read};
use crate::engine::Engine;
use crate::error::Result;
use crate::host::Need;
use crate::network::uplink::{self, embedded};
use crate::userns::task;

/// The port that web servers want.
const WEB: u16 = 80;
const EMBEDDED: &str = "built in, by sockets of the kernel";

pub fn checks(engine: &Engine) -> Vec<Check> {
    let mut checks = vec![way_out(engine)];
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

/// Which one containers use, and why not a better one.
fn way_out(engine: &Engine) -> Check {
    let name = "way out";
    let refusal = match try_embedded(engine) {
        Ok(()) => return Check::good(name, EMBEDDED),
        Err(error) => error,
    };
    let programs = uplink::installed();
    let found = match programs.is_empty() {
        true => refusal.message().to_string(),
        false => format!("{} ({})", programs.join(", "), refusal.message()),
    };
    match programs.is_empty() {
        true => Check::missing(name, Need::Uplink, found),
        false if !opens("/dev/net/tun") => Check::missing(name, Need::TunDevice, found),
        false => Check::good(name, found),
    }
}

fn try_embedded(engine: &Engine) -> Result<()> {
    task::run(&engine.paths, embedded::probe)
}

/// The same for `info`.
pub fn driver(engine: &Engine) -> String {
    match try_embedded(engine) {
        Ok(()) => EMBEDDED.into(),
        Err(refusal) => {
            let program = uplink::installed().into_iter().next();
            format!("{} ({})", program.unwrap_or("none"), refusal.message())
        }
    }
}
