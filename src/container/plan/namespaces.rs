//! Whose namespaces a container is in: `--pid`, `--ipc`, `--uts`, `--cgroupns`,
//! `--network` and `--userns`.
//!
//! Who joins a container joins its user namespace too, because that owns the
//! others: only so can it mount what belongs to them. So there is one
//! container at most to be joined.

use crate::error::{Error, Result};
use crate::record::container::HostConfig;

/// Whose namespace of one kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Own,
    Host,
    /// The container's that is joined.
    Donor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespaces {
    pub pid: Whose,
    pub ipc: Whose,
    pub uts: Whose,
    pub cgroup: Whose,
    pub network: Whose,
    /// ID or name of the container that is joined.
    pub donor: Option<String>,
}

/// What a mode joins, when it is a container.
pub fn container_of(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:")
}

impl Namespaces {
    pub fn of(host: &HostConfig) -> Result<Self> {
        let all = Self {
            pid: whose("--pid", &host.pid_mode)?,
            ipc: whose("--ipc", &host.ipc_mode)?,
            uts: whose("--uts", &host.uts_mode)?,
            cgroup: whose("--cgroupns", &host.cgroupns_mode)?,
            network: whose("--network", &host.network_mode)?,
            donor: donor(host)?,
        };
        Ok(all)
    }

    /// What a further process enters (CLONE_NEW*). The host's are ours already,
    /// and only the host's root may enter them.
    pub fn entered(&self) -> libc::c_int {
        libc::CLONE_NEWNS | self.flags(Whose::Own) | self.flags(Whose::Donor)
    }

    /// The same when the joined container itself uses the host's namespaces.
    pub fn with_donor(mut self, donor: &Self) -> Self {
        for (mine, its) in [
            (&mut self.pid, donor.pid),
            (&mut self.ipc, donor.ipc),
            (&mut self.network, donor.network),
        ] {
            if *mine == Whose::Donor && its == Whose::Host {
                *mine = Whose::Host;
            }
        }
        self
    }

    /// CLONE_NEW* of those that are `whose`.
    pub fn flags(&self, whose: Whose) -> libc::c_int {
        [
            (self.pid, libc::CLONE_NEWPID),
            (self.ipc, libc::CLONE_NEWIPC),
            (self.uts, libc::CLONE_NEWUTS),
            (self.cgroup, libc::CLONE_NEWCGROUP),
            (self.network, libc::CLONE_NEWNET),
        ]
        .into_iter()
        .filter(|(mine, _)| *mine == whose)
        .fold(0, |all, (_, flag)| all | flag)
    }
}

fn whose(option: &str, mode: &str) -> Result<Whose> {
    match mode {
        "" | "private" => Ok(Whose::Own),
        "host" => Ok(Whose::Host),
        "none" | "shareable" if option == "--ipc" => Ok(Whose::Own),
        other => match container_of(other) {
            // The name of a network.
            None if option == "--network" => Ok(Whose::Own),
            Some(_) if matches!(option, "--pid" | "--ipc" | "--network") => Ok(Whose::Donor),
            _ => Err(Error::unsupported(format!(
                "{option} {other} is not supported yet"
            ))),
        },
    }
}

fn donor(host: &HostConfig) -> Result<Option<String>> {
    let modes = [&host.pid_mode, &host.ipc_mode, &host.network_mode];
    let mut donors = modes.into_iter().filter_map(|mode| container_of(mode));
    let first = donors.next();
    if let Some(other) = donors.find(|&other| Some(other) != first) {
        return Err(Error::unsupported(format!(
            "cannot join the namespaces of two containers, {} and {other}",
            first.unwrap_or_default()
        )));
    }
    Ok(first.map(str::to_string))
}

/// Options that are about a namespace that is not the container's own, in
/// Docker's words.
pub fn check(host: &HostConfig, hostname: &str, exposes: bool) -> Result<()> {
    let conflict = |what: &str, with: &str| {
        Err(Error::invalid(format!(
            "conflicting options: {what} and the {with}"
        )))
    };
    if host.uts_mode == "host" && !hostname.is_empty() {
        return conflict("hostname", "UTS mode");
    }
    // Its init is pid 1, or does nothing.
    if host.init == Some(true) && !matches!(host.pid_mode.as_str(), "" | "private") {
        return Err(Error::unsupported(format!(
            "--init is not supported with --pid {}: it needs a process namespace of the container's own",
            host.pid_mode
        )));
    }
    if container_of(&host.network_mode).is_none() {
        return Ok(());
    }
    let dns = !(host.dns.is_empty() && host.dns_search.is_empty() && host.dns_options.is_empty());
    if !hostname.is_empty() {
        conflict("hostname", "network mode")
    } else if dns {
        conflict("dns", "network mode")
    } else if host.extra_hosts.is_some() {
        conflict("custom host-to-IP mapping", "network mode")
    } else if host.publish_all_ports || !host.port_bindings.is_empty() {
        conflict("port publishing", "container type network mode")
    } else if exposes {
        conflict("port exposing", "container type network mode")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(change: impl Fn(&mut HostConfig)) -> HostConfig {
        let mut host = HostConfig::default();
        change(&mut host);
        host
    }

    #[test]
    fn modes() {
        let all = Namespaces::of(&HostConfig::default()).unwrap();
        let flags = libc::CLONE_NEWPID
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWCGROUP
            | libc::CLONE_NEWNET;
        assert_eq!((all.flags(Whose::Own), all.donor), (flags, None));
        let mixed = host(|h| {
            h.pid_mode = "container:a".into();
            h.ipc_mode = "container:a".into();
            h.uts_mode = "host".into();
        });
        let mixed = Namespaces::of(&mixed).unwrap();
        assert_eq!(mixed.flags(Whose::Host), libc::CLONE_NEWUTS);
        assert_eq!(
            mixed.flags(Whose::Donor),
            libc::CLONE_NEWPID | libc::CLONE_NEWIPC
        );
        assert_eq!(mixed.donor.as_deref(), Some("a"));
        let donor = Namespaces::of(&host(|h| h.pid_mode = "host".into())).unwrap();
        assert_eq!(mixed.with_donor(&donor).pid, Whose::Host);
        let two = host(|h| {
            h.pid_mode = "container:a".into();
            h.ipc_mode = "container:b".into();
        });
        let error = Namespaces::of(&two).unwrap_err();
        assert_eq!(
            error.message(),
            "cannot join the namespaces of two containers, a and b"
        );
        assert!(Namespaces::of(&host(|h| h.uts_mode = "container:a".into())).is_err());
    }

    #[test]
    fn conflicts() {
        let joined = |change: fn(&mut HostConfig)| {
            host(|h| {
                h.network_mode = "container:a".into();
                change(h);
            })
        };
        for (host, hostname, exposes, want) in [
            (
                host(|h| h.uts_mode = "host".into()),
                "x",
                false,
                "hostname and the UTS mode",
            ),
            (joined(|_| {}), "x", false, "hostname and the network mode"),
            (
                joined(|h| h.dns = vec!["1.1.1.1".into()]),
                "",
                false,
                "dns and the network mode",
            ),
            (
                joined(|h| h.extra_hosts = Some(vec![])),
                "",
                false,
                "custom host-to-IP mapping and the network mode",
            ),
            (
                joined(|h| h.publish_all_ports = true),
                "",
                false,
                "port publishing and the container type network mode",
            ),
            (
                joined(|_| {}),
                "",
                true,
                "port exposing and the container type network mode",
            ),
        ] {
            let error = check(&host, hostname, exposes).unwrap_err();
            assert_eq!(error.message(), format!("conflicting options: {want}"));
        }
        check(&HostConfig::default(), "x", true).unwrap();
    }
}
