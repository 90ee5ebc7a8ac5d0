//! Proxies from the environment, by the rules of Go's httpproxy package, which
//! Docker and podman follow: HTTP_PROXY, HTTPS_PROXY, NO_PROXY and their lower
//! case; this machine itself is never asked through a proxy.

use super::registries::host_without_port;
use crate::error::{Error, Result};
use std::net::IpAddr;

/// Which proxy stands before which host.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    exempt: Vec<Exemption>,
}

#[derive(Debug, Clone)]
struct Exemption {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug, Clone)]
enum Hosts {
    All,
    /// Address and number of leading bits that count.
    Net(IpAddr, u32),
    /// The domain without a leading dot; itself too, or what is below only.
    Domain {
        name: String,
        itself: bool,
    },
}

impl Proxies {
    pub fn find() -> Result<Self> {
        let var = |name: &str| {
            let lower = name.to_ascii_lowercase();
            [name, &lower]
                .into_iter()
                .find_map(|n| std::env::var(n).ok().filter(|v| !v.is_empty()))
        };
        Self::new(
            var("HTTP_PROXY"),
            var("HTTPS_PROXY"),
            &var("NO_PROXY").unwrap_or_default(),
        )
    }

    pub fn http(&self) -> Option<&str> {
        self.http.as_deref()
    }

    pub fn https(&self) -> Option<&str> {
        self.https.as_deref()
    }

    /// From the values of the three variables.
    pub fn new(http: Option<String>, https: Option<String>, no_proxy: &str) -> Result<Self> {
        Ok(Self {
            http: http
                .map(|url| with_scheme(&url, "HTTP_PROXY"))
                .transpose()?,
            https: https
                .map(|url| with_scheme(&url, "HTTPS_PROXY"))
                .transpose()?,
            exempt: no_proxy.split(',').filter_map(Exemption::parse).collect(),
        })
    }

    /// The proxy's URL for a connection to `host` (no brackets) and `port`.
    pub fn select(&self, https: bool, host: &str, port: u16) -> Option<&str> {
        let proxy = if https { &self.https } else { &self.http }.as_deref()?;
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let ip = host.parse::<IpAddr>().ok();
        let here = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        let exempt = || self.exempt.iter().any(|e| e.covers(&host, ip, port));
        (!here && !exempt()).then_some(proxy)
    }
}

fn with_scheme(url: &str, variable: &str) -> Result<String> {
    match url.split_once("://") {
        Some(("http" | "https", _)) => Ok(url.to_owned()),
        None => Ok(format!("http://{url}")),
        Some((scheme, _)) => Err(Error::unsupported(format!(
            "{variable}: proxies of the kind {scheme:?} are not supported"
        ))
        .hint("use an http:// or https:// proxy, or unset the variable")),
    }
}

impl Exemption {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text.is_empty() {
            return None;
        }
        if text == "*" {
            return Some(Self {
                hosts: Hosts::All,
                port: None,
            });
        }
        if let Some((ip, bits)) = text.split_once('/') {
            let ip: IpAddr = ip.parse().ok()?;
            let bits: u32 = bits.parse().ok()?;
            return Some(Self {
                hosts: Hosts::Net(ip, bits),
                port: None,
            });
        }
        let host = host_without_port(&text);
        let after = text.rsplit_once(':').map(|(_, port)| port);
        let port = match after {
            Some(port) if host.len() < text.len() && !text.ends_with(']') => {
                Some(port.parse().ok()?)
            }
            _ => None,
        };
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(Self {
                hosts: Hosts::Net(ip, 128),
                port,
            });
        }
        let bare = host.strip_prefix('*').unwrap_or(host);
        let hosts = match bare.strip_prefix('.') {
            Some(name) => Hosts::Domain {
                name: name.to_owned(),
                itself: false,
            },
            None => Hosts::Domain {
                name: bare.to_owned(),
                itself: true,
            },
        };
        Some(Self { hosts, port })
    }

    fn covers(&self, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
        let hosts = match &self.hosts {
            Hosts::All => true,
            Hosts::Net(net, bits) => ip.is_some_and(|ip| in_net(ip, *net, *bits)),
            Hosts::Domain { name, itself } => {
                (*itself && host == name)
                    || host
                        .strip_suffix(name.as_str())
                        .is_some_and(|rest| rest.ends_with('.'))
            }
        };
        hosts && self.port.is_none_or(|p| p == port)
    }
}

fn in_net(ip: IpAddr, net: IpAddr, bits: u32) -> bool {
    match (ip.to_canonical(), net.to_canonical()) {
        (IpAddr::V4(ip), IpAddr::V4(net)) => {
            let shift = 32u32.saturating_sub(bits);
            ip.to_bits().checked_shr(shift) == net.to_bits().checked_shr(shift)
        }
        (IpAddr::V6(ip), IpAddr::V6(net)) => {
            let shift = 128u32.saturating_sub(bits);
            ip.to_bits().checked_shr(shift) == net.to_bits().checked_shr(shift)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_table() {
        for (no_proxy, host, port, direct) in [
            ("", "a.io", 443, false),
            ("*", "a.io", 443, true),
            ("a.io", "a.io", 443, true),
            ("a.io", "A.IO", 443, true),
            ("A.IO", "a.io", 443, true),
            ("a.io", "a.io.", 443, true),
            ("a.io", "sub.a.io", 443, true),
            ("a.io", "xa.io", 443, false),
            ("a.io", "a.io.evil", 443, false),
            (".a.io", "a.io", 443, false),
            (".a.io", "sub.a.io", 443, true),
            ("*.a.io", "sub.a.io", 443, true),
            ("*.a.io", "a.io", 443, false),
            ("a.io:443", "a.io", 443, true),
            ("a.io:443", "a.io", 5000, false),
            (".a.io:5000", "x.a.io", 5000, true),
            ("10.0.0.1", "10.0.0.1", 443, true),
            ("10.0.0.1", "10.0.0.2", 443, false),
            ("10.0.0.1:80", "10.0.0.1", 443, false),
            ("10.0.0.1:443", "10.0.0.1", 443, true),
            ("10.0.0.0/8", "10.200.3.4", 443, true),
            ("10.0.0.0/8", "11.0.0.1", 443, false),
            ("10.0.0.0/8", "host10", 443, false),
            ("0.0.0.0/0", "8.8.8.8", 443, true),
            ("fd00::/8", "fd12::1", 443, true),
            ("fd00::/8", "fe80::1", 443, false),
            ("::ffff:10.0.0.1", "10.0.0.1", 443, true),
            ("[fd00::1]:443", "fd00::1", 443, true),
            ("[fd00::1]:443", "fd00::1", 80, false),
            ("fd00::1", "fd00::1", 80, true),
            ("x, a.io ,y", "a.io", 443, true),
            ("10.0.0.0/junk,a.io:junk", "a.io", 443, false),
            ("", "localhost", 5000, true),
            ("", "127.0.0.9", 5000, true),
            ("", "::1", 5000, true),
        ] {
            let proxies = Proxies::new(None, Some("proxy:3128".into()), no_proxy).unwrap();
            let got = proxies.select(true, host, port);
            assert_eq!(got.is_none(), direct, "{no_proxy:?} {host}:{port}");
            assert!(got.is_none_or(|url| url == "http://proxy:3128"));
            assert_eq!(proxies.select(false, host, port), None);
        }
        assert!(Proxies::new(Some("socks5://x".into()), None, "").is_err());
    }
}
