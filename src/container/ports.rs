//! Published and exposed ports as `ps` shows them.

use super::state::truth;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::container::{PortBinding, Status};
use crate::record::containers;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A port of a container. Sorted as Docker sorts them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    pub inner: u16,
    /// Address and port of the host; `None` is only exposed.
    pub host: Option<(String, u16)>,
    pub protocol: String,
}

/// `80/tcp`; other text is no port.
pub fn parse(text: &str) -> Option<(u16, &str)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some((port.parse().ok()?, protocol))
}

/// All ports: published ones once per binding, and exposed ones without any.
pub fn all<'a>(
    published: &BTreeMap<String, Vec<PortBinding>>,
    exposed: impl Iterator<Item = &'a str>,
) -> Vec<Port> {
    let mut ports = BTreeSet::new();
    for (key, bindings) in published {
        let Some((inner, protocol)) = parse(key) else {
            continue;
        };
        for binding in bindings {
            let ip = if binding.host_ip.is_empty() {
                "0.0.0.0"
            } else {
                &binding.host_ip
            };
            let host = binding
                .host_port
                .parse()
                .ok()
                .map(|port| (ip.to_string(), port));
            ports.insert(Port {
                inner,
                host,
                protocol: protocol.into(),
            });
        }
    }
    for key in exposed {
        if published.get(key).is_some_and(|b| !b.is_empty()) {
            continue;
        }
        if let Some((inner, protocol)) = parse(key) {
            ports.insert(Port {
                inner,
                host: None,
                protocol: protocol.into(),
            });
        }
    }
    ports.into_iter().collect()
}

/// What `port` shows: where a container's ports are published, one to a line;
/// with `wanted` (`80`, `53/udp`) where that one is.
pub fn published(engine: &Engine, name: &str, wanted: Option<&str>) -> Result<Vec<String>> {
    let id = containers::find(&engine.paths, name)?;
    let state = truth(&containers::state(&engine.paths, &id)?);
    let bound = match state.status {
        Status::Running | Status::Paused => all(&state.ports, std::iter::empty()),
        _ => Vec::new(),
    };
    let Some(wanted) = wanted else {
        let line = |port: &Port| {
            let (ip, outer) = port.host.as_ref()?;
            let outer = joined(ip, &outer.to_string());
            Some(format!("{}/{} -> {outer}", port.inner, port.protocol))
        };
        return Ok(bound.iter().filter_map(line).collect());
    };
    let (inner, protocol) =
        parse(wanted).ok_or_else(|| Error::invalid(format!("invalid container port: {wanted}")))?;
    let hosts: Vec<String> = bound
        .iter()
        .filter(|port| port.inner == inner && port.protocol == protocol)
        .filter_map(|port| port.host.as_ref())
        .map(|(ip, outer)| joined(ip, &outer.to_string()))
        .collect();
    match hosts.is_empty() {
        true => Err(Error::not_found(format!(
            "No public port '{inner}/{protocol}' published for {name}"
        ))),
        false => Ok(hosts),
    }
}

/// A run of ports that are shown as one.
struct Run<'a> {
    ip: Option<&'a str>,
    protocol: &'a str,
    first: u16,
    last: u16,
}

impl Run<'_> {
    fn text(&self) -> String {
        let span = if self.first == self.last {
            self.first.to_string()
        } else {
            format!("{}-{}", self.first, self.last)
        };
        match self.ip {
            Some(ip) => format!("{}->{span}/{}", joined(ip, &span), self.protocol),
            None => format!("{span}/{}", self.protocol),
        }
    }
}

/// `0.0.0.0:8000-8001->8000-8001/tcp, 443/tcp`: ports that are the same inside
/// and outside, or only exposed, are merged to runs; the others follow one by
/// one.
pub fn shown(ports: &[Port]) -> String {
    let mut done: Vec<String> = Vec::new();
    let mut open: Vec<Run<'_>> = Vec::new();
    let mut single: Vec<String> = Vec::new();
    for port in ports {
        let ip = match &port.host {
            Some((ip, outer)) if *outer != port.inner => {
                let host = joined(ip, &outer.to_string());
                single.push(format!("{host}->{}/{}", port.inner, port.protocol));
                continue;
            }
            Some((ip, _)) => Some(ip.as_str()),
            None => None,
        };
        let known = open
            .iter_mut()
            .find(|r| r.ip == ip && r.protocol == port.protocol);
        match known {
            Some(run) if u32::from(port.inner) == u32::from(run.last) + 1 => run.last = port.inner,
            Some(run) => {
                done.push(run.text());
                (run.first, run.last) = (port.inner, port.inner);
            }
            None => open.push(Run {
                ip,
                protocol: &port.protocol,
                first: port.inner,
                last: port.inner,
            }),
        }
    }
    done.extend(open.iter().map(Run::text));
    done.extend(single);
    done.join(", ")
}

/// `IP:PORT`, an IPv6 address in brackets.
fn joined(ip: &str, port: &str) -> String {
    match ip.parse() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
        _ => format!("{ip}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(list: &[(&str, &str, &str)]) -> BTreeMap<String, Vec<PortBinding>> {
        let mut all: BTreeMap<String, Vec<PortBinding>> = BTreeMap::new();
        for (key, ip, port) in list {
            all.entry((*key).into()).or_default().push(PortBinding {
                host_ip: (*ip).into(),
                host_port: (*port).into(),
            });
        }
        all
    }

    #[test]
    fn as_docker_shows_them() {
        let cases: [(&[_], &[&str], &str); 6] = [
            (
                &[("80/tcp", "0.0.0.0", "8080"), ("80/tcp", "::", "8080")],
                &[],
                "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
            ),
            (
                &[],
                &["80/tcp", "300/tcp", "301/tcp", "302/tcp"],
                "80/tcp, 300-302/tcp",
            ),
            (
                &[
                    ("8000/tcp", "0.0.0.0", "8000"),
                    ("8001/tcp", "", "8001"),
                    ("80/tcp", "0.0.0.0", "8080"),
                ],
                &["443/tcp", "80/tcp"],
                "443/tcp, 0.0.0.0:8000-8001->8000-8001/tcp, 0.0.0.0:8080->80/tcp",
            ),
            (
                &[("53/udp", "127.0.0.1", "53"), ("53/tcp", "127.0.0.1", "53")],
                &[],
                "127.0.0.1:53->53/tcp, 127.0.0.1:53->53/udp",
            ),
            (
                &[("65535/tcp", "", "65535")],
                &["nonsense"],
                "0.0.0.0:65535->65535/tcp",
            ),
            (&[], &[], ""),
        ];
        for (bound, exposed, want) in cases {
            let ports = all(&published(bound), exposed.iter().copied());
            assert_eq!(shown(&ports), want);
        }
    }
}
