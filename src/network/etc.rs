//! The contents of a container's /etc/hosts, /etc/hostname and
//! /etc/resolv.conf, as Docker writes them. Pure text, except for
//! [`Resolver::of_host`], which reads the host's files. No value that could
//! start a new line gets into a file (CVE-2022-4318 class).

use crate::error::{Error, Result};
use std::net::{IpAddr, UdpSocket};

/// A line of the hosts file that was asked for: address, name.
pub type Host = (IpAddr, String);

/// /etc/hosts. `own` are the container's addresses.
pub fn hosts(extra: &[Host], own: &[IpAddr], hostname: &str, domainname: &str) -> String {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         fe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n",
    );
    for (address, name) in extra {
        text += &format!("{address}\t{name}\n");
    }
    for address in own {
        text += &own_line(*address, hostname, domainname);
    }
    text
}

/// The line of one of the container's own addresses.
pub fn own_line(address: IpAddr, hostname: &str, domainname: &str) -> String {
    match domainname {
        "" => format!("{address}\t{hostname}\n"),
        domain => format!("{address}\t{hostname}.{domain} {hostname}\n"),
    }
}

/// /etc/hosts of a container in the host's network: the host's, and what was
/// asked for.
pub fn hosts_of_host(host: &str, extra: &[Host]) -> String {
    let mut text = host.to_string();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for (address, name) in extra {
        text += &format!("{address}\t{name}\n");
    }
    text
}

/// /etc/hostname.
pub fn hostname(hostname: &str, domainname: &str) -> String {
    match domainname {
        "" => format!("{hostname}\n"),
        domain => format!("{hostname}.{domain}\n"),
    }
}

/// Splits `NAME:ADDRESS` (or `NAME=ADDRESS`) of `--add-host`; the address may be
/// in brackets, and may be `host-gateway`, which stands for `gateway`.
pub fn extra_host(spec: &str, gateway: Option<IpAddr>) -> Result<Host> {
    let bad = || Error::invalid(format!("bad format for add-host: {spec:?}"));
    let (name, address) = spec
        .split_once('=')
        .or_else(|| spec.split_once(':'))
        .ok_or_else(bad)?;
    if !is_name(name) {
        return Err(bad());
    }
    if address == "host-gateway" {
        let gateway = gateway.ok_or_else(|| {
            Error::unsupported("unable to derive the IP value for host-gateway")
                .hint("the host has no address with a default route, or the container no network; name an address")
        })?;
        return Ok((gateway, name.into()));
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|a| a.strip_suffix(']'))
        .unwrap_or(address);
    match bare.parse() {
        Ok(ip) => Ok((ip, name.into())),
        Err(_) => Err(Error::invalid(format!(
            "invalid IP address in add-host: {address:?}"
        ))),
    }
}

/// The host's address towards its default route: where a container reaches
/// services of the host that do not listen on loopback alone. Sends nothing.
pub fn host_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // TEST-NET-3: connect only chooses a route. Not one that can be the
    // broadcast address of a subnet, where some labs have these.
    socket.connect("203.0.113.1:9").ok()?;
    socket
        .local_addr()
        .ok()
        .map(|a| a.ip())
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

/// What a resolv.conf says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolver {
    pub servers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

/// `--dns`, `--dns-search`, `--dns-option`, as typed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    pub servers: &'a [String],
    pub search: &'a [String],
    pub options: &'a [String],
}

impl Resolver {
    /// Reads resolv.conf(5); lines that make no sense are left out.
    pub fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (keyword, rest) = (words.next().unwrap_or_default(), words);
            match keyword {
                "nameserver" => resolver.servers.extend(rest.take(1).filter_map(server)),
                // The last of these lines counts.
                "search" | "domain" => {
                    resolver.search = rest.filter(|w| is_domain(w)).map(Into::into).collect()
                }
                "options" => resolver
                    .options
                    .extend(rest.filter(|w| is_word(w)).map(Into::into)),
                _ => {}
            }
        }
        resolver
    }

    /// The host's own; where it points at systemd-resolved, what that asks.
    pub fn of_host() -> Self {
        let read = |file| Self::parse(&std::fs::read_to_string(file).unwrap_or_default());
        let host = read("/etc/resolv.conf");
        match host.servers.iter().any(|s| !s.is_loopback()) || host.servers.is_empty() {
            true => host,
            false => host.with_upstream(&read("/run/systemd/resolve/resolv.conf")),
        }
    }

    /// Loopback servers replaced by those behind them.
    fn with_upstream(mut self, upstream: &Self) -> Self {
        if upstream.servers.iter().any(|s| !s.is_loopback()) {
            self.servers.clone_from(&upstream.servers);
        }
        self
    }

    /// What a container gets: the host's, the user's wishes instead where
    /// there are some. A server on the host's loopback cannot be reached from
    /// there; when no other is left it is `forward`, the uplink's.
    pub fn for_container(&self, wanted: Wanted<'_>, forward: Option<IpAddr>) -> Result<Self> {
        let mut servers: Vec<IpAddr> = match wanted.servers {
            [] => self
                .servers
                .iter()
                .copied()
                .filter(|s| !s.is_loopback())
                .collect(),
            asked => asked
                .iter()
                .map(|s| asked_server(s))
                .collect::<Result<_>>()?,
        };
        if servers.is_empty() {
            servers.extend(forward);
        }
        let search = match wanted.search {
            [] => self.search.clone(),
            // `--dns-search .` is no search list at all.
            [dot] if dot == "." => Vec::new(),
            asked => checked(asked, is_domain, "dns-search")?,
        };
        let options = match wanted.options {
            [] => self.options.clone(),
            asked => checked(asked, is_word, "dns-option")?,
        };
        Ok(Self {
            servers,
            search,
            options,
        })
    }

    /// The same for one who asks `server` instead, which knows whom to ask on.
    /// Where it knows single words as names (`ndots`), those are asked for as
    /// they are.
    pub fn behind(mut self, server: IpAddr, ndots: bool) -> Self {
        self.servers = vec![server];
        let has = |option: &String| option.starts_with("ndots:");
        if ndots && !self.options.iter().any(has) {
            self.options.push("ndots:0".into());
        }
        self
    }

    /// As a file.
    pub fn text(&self) -> String {
        let mut text = String::from("# Generated by wherry.\n\n");
        for server in &self.servers {
            text += &format!("nameserver {server}\n");
        }
        for (keyword, words) in [("search", &self.search), ("options", &self.options)] {
            if !words.is_empty() {
                text += &format!("{keyword} {}\n", words.join(" "));
            }
        }
        text
    }
}

fn server(word: &str) -> Option<IpAddr> {
    // A zone (fe80::1%eth0) means nothing in another network namespace.
    word.parse().ok()
}

fn asked_server(text: &str) -> Result<IpAddr> {
    server(text).ok_or_else(|| Error::invalid(format!("{text} is not an ip address")))
}

fn checked(asked: &[String], good: fn(&str) -> bool, option: &str) -> Result<Vec<String>> {
    match asked.iter().find(|word| !good(word)) {
        Some(word) => Err(Error::invalid(format!(
            "{word:?} is not valid for --{option}"
        ))),
        None => Ok(asked.to_vec()),
    }
}

/// Visible ASCII without the characters that start a comment.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'#' && b != b';')
}

fn is_domain(text: &str) -> bool {
    let label = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    is_word(text) && text.bytes().all(label)
}

/// Docker lets any name pass that is one word.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && !text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn hosts_file() {
        let base = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
                    ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
        assert_eq!(hosts(&[], &[], "c", ""), base);
        let own = ["10.0.2.100".parse().unwrap()];
        let extra = [("192.0.2.9".parse().unwrap(), "db".to_string())];
        assert_eq!(
            hosts(&extra, &own, "c", ""),
            format!("{base}192.0.2.9\tdb\n10.0.2.100\tc\n")
        );
        assert_eq!(
            hosts(&[], &own, "c", "example.org"),
            format!("{base}10.0.2.100\tc.example.org c\n")
        );
        assert_eq!(
            hosts_of_host("127.0.0.1 localhost", &extra),
            "127.0.0.1 localhost\n192.0.2.9\tdb\n"
        );
        assert_eq!(hostname("c", ""), "c\n");
        assert_eq!(hostname("c", "example.org"), "c.example.org\n");
    }

    #[test]
    fn extra_hosts() {
        let gateway = Some("192.0.2.2".parse().unwrap());
        for (spec, address, name) in [
            ("db:192.0.2.9", "192.0.2.9", "db"),
            ("db=192.0.2.9", "192.0.2.9", "db"),
            ("db:::1", "::1", "db"),
            ("db=[2001:db8::1]", "2001:db8::1", "db"),
            ("host:host-gateway", "192.0.2.2", "host"),
        ] {
            assert_eq!(
                extra_host(spec, gateway).unwrap(),
                (address.parse().unwrap(), name.into()),
                "{spec}"
            );
        }
        for (spec, message) in [
            ("db", "bad format for add-host: \"db\""),
            (":1.2.3.4", "bad format for add-host: \":1.2.3.4\""),
            ("a\nb:1.2.3.4", "bad format for add-host: \"a\\nb:1.2.3.4\""),
            ("a b:1.2.3.4", "bad format for add-host: \"a b:1.2.3.4\""),
            ("db:1.2.3", "invalid IP address in add-host: \"1.2.3\""),
            (
                "db:1.2.3.4\n6.6.6.6 x",
                "invalid IP address in add-host: \"1.2.3.4\\n6.6.6.6 x\"",
            ),
        ] {
            assert_eq!(extra_host(spec, gateway).unwrap_err().to_string(), message);
        }
        assert!(
            extra_host("h:host-gateway", None)
                .unwrap_err()
                .to_string()
                .contains("host-gateway")
        );
    }

    #[test]
    fn resolv_conf_is_read_as_resolvers_do() {
        let text = "# c\nnameserver 192.0.2.1 # x\n nameserver 2001:db8::1\nnameserver fe80::1%eth0\nnameserver bad\n\
                    domain old.example\nsearch a.example b.example\noptions ndots:2 edns0\noptions rotate\nsortlist x\n";
        let resolver = Resolver::parse(text);
        assert_eq!(
            resolver.servers,
            ["192.0.2.1", "2001:db8::1"].map(|s| s.parse::<IpAddr>().unwrap())
        );
        assert_eq!(resolver.search, ["a.example", "b.example"]);
        assert_eq!(resolver.options, ["ndots:2", "edns0", "rotate"]);
        assert_eq!(Resolver::parse("\0\u{7f}nameserver"), Resolver::default());
    }

    #[test]
    fn what_a_container_gets() {
        let forward = Some("10.0.2.3".parse().unwrap());
        let host = Resolver::parse(
            "nameserver 127.0.0.53\nnameserver 192.0.2.1\nsearch example\noptions edns0\n",
        );
        let plain = host.for_container(Wanted::default(), forward).unwrap();
        assert_eq!(
            plain.text(),
            "# Generated by wherry.\n\nnameserver 192.0.2.1\nsearch example\noptions edns0\n"
        );
        let local = Resolver::parse("nameserver 127.0.0.53\n");
        let upstream = Resolver::parse("nameserver 192.0.2.7\n");
        assert_eq!(
            local
                .for_container(Wanted::default(), forward)
                .unwrap()
                .servers,
            ["10.0.2.3".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(
            local.clone().with_upstream(&upstream).servers,
            upstream.servers
        );
        assert_eq!(local.clone().with_upstream(&local).servers, local.servers);
        let (servers, search, options) = (
            owned(&["192.0.2.8", "127.0.0.1"]),
            owned(&["."]),
            owned(&["ndots:5"]),
        );
        let wanted = Wanted {
            servers: &servers,
            search: &search,
            options: &options,
        };
        let asked = host.for_container(wanted, forward).unwrap();
        assert_eq!(
            asked.text(),
            "# Generated by wherry.\n\nnameserver 192.0.2.8\nnameserver 127.0.0.1\noptions ndots:5\n"
        );
    }

    #[test]
    fn wishes_cannot_add_lines() {
        let host = Resolver::default();
        for text in ["", "a\nnameserver 6.6.6.6", "a b", "#x", "é"] {
            let bad = owned(&[text]);
            let search = Wanted {
                search: &bad,
                ..Wanted::default()
            };
            assert!(host.for_container(search, None).is_err(), "{text:?}");
            let options = Wanted {
                options: &bad,
                ..Wanted::default()
            };
            assert!(host.for_container(options, None).is_err(), "{text:?}");
            let servers = Wanted {
                servers: &bad,
                ..Wanted::default()
            };
            assert!(host.for_container(servers, None).is_err(), "{text:?}");
        }
    }
}
