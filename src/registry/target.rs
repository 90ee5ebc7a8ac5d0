//! Where a server may send us: redirects and token realms, checked before any
//! connection is made.

use super::failure::shown;
use crate::error::{Error, Kind, Result};
use reqwest::Url;
use std::net::IpAddr;

/// Scheme, host and port: what credentials are tied to.
pub fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host_str() == b.host_str()
        && a.port_or_known_default() == b.port_or_known_default()
}

/// Refuses a target that a server outside has no business sending us to.
/// `from` is the registry itself or the last hop.
pub fn check(from: &Url, to: &Url, what: &str) -> Result<()> {
    let refuse = |why: &str| {
        Err(Error::new(
            Kind::Denied,
            format!(
                "{what} from {} to {} refused: {why}",
                shown(from),
                shown(to)
            ),
        ))
    };
    match to.scheme() {
        "https" => {}
        "http" if from.scheme() == "http" => {}
        "http" => return refuse("it leaves https"),
        _ => return refuse("neither http nor https"),
    }
    if !to.username().is_empty() || to.password().is_some() {
        return refuse("the address carries a user name");
    }
    if is_local(to) && !is_local(from) {
        return refuse("it leads to this machine or its link");
    }
    Ok(())
}

/// Whether the host is this machine or a link-local address (which includes
/// the metadata services of clouds).
pub fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.');
    match bare.parse::<IpAddr>() {
        Ok(ip) => is_local_ip(ip),
        Err(_) => bare == "localhost" || bare.ends_with(".localhost"),
    }
}

pub fn is_local_ip(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unspecified(),
    }
}

/// Whether the password of `registry` may go to the token service `realm`:
/// to the same host, to a sibling under the same registered name, or to the
/// known service of a known registry.
pub fn may_have_password(registry: &Url, realm: &Url) -> bool {
    const KNOWN: [(&str, &str); 2] = [
        ("registry-1.docker.io", "auth.docker.io"),
        ("registry.redhat.io", "sso.redhat.com"),
    ];
    let (Some(registry), Some(realm)) = (registry.host_str(), realm.host_str()) else {
        return false;
    };
    registry == realm
        || KNOWN.contains(&(registry, realm))
        || registered_name(registry).is_some_and(|name| registered_name(realm) == Some(name))
}

/// The part of a host name that somebody registered, without a table of
/// suffixes: two labels, three where the second is short (`co.uk`, `com.au`).
/// Errs on the side of taking siblings for strangers; `None` for addresses.
fn registered_name(host: &str) -> Option<&str> {
    if host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let labels: Vec<&str> = host.rsplit('.').collect();
    let wanted = match labels[..] {
        [top, second, ..] if top.len() == 2 && second.len() <= 4 => 3,
        _ => 2,
    };
    if labels.len() < wanted {
        return None;
    }
    let length = labels[..wanted].iter().map(|l| l.len() + 1).sum::<usize>() - 1;
    host.get(host.len() - length..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn targets() {
        for (from, to, ok) in [
            ("https://a.io/v2/", "https://cdn.b.io/x", true),
            ("https://a.io/v2/", "https://a.io:444/x", true),
            ("https://a.io/v2/", "http://a.io/x", false),
            ("http://a.io/v2/", "http://b.io/x", true),
            ("http://a.io/v2/", "https://b.io/x", true),
            ("https://a.io/v2/", "ftp://a.io/x", false),
            ("https://a.io/v2/", "file:///etc/passwd", false),
            ("https://a.io/v2/", "unix:///run/x.sock", false),
            ("https://a.io/v2/", "gopher://a.io/", false),
            ("https://a.io/v2/", "https://user:pw@a.io/x", false),
            ("https://a.io/v2/", "https://127.0.0.1:6443/", false),
            ("https://a.io/v2/", "https://2130706433/", false),
            ("https://a.io/v2/", "https://0x7f.1/", false),
            ("https://a.io/v2/", "https://0.0.0.0/", false),
            ("https://a.io/v2/", "https://localhost/", false),
            ("https://a.io/v2/", "https://localhost./", false),
            ("https://a.io/v2/", "https://x.localhost/", false),
            ("https://a.io/v2/", "https://[::1]/", false),
            ("https://a.io/v2/", "https://[::ffff:127.0.0.1]/", false),
            ("https://a.io/v2/", "https://169.254.169.254/latest", false),
            ("https://a.io/v2/", "https://[fe80::1]/", false),
            ("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5001/x", true),
            ("http://localhost:5000/v2/", "http://127.0.0.1:5001/x", true),
        ] {
            assert_eq!(
                check(&url(from), &url(to), "redirect").is_ok(),
                ok,
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn origins() {
        for (a, b, same) in [
            ("https://a.io/x", "https://a.io:443/y", true),
            ("https://a.io/x", "https://A.io/y", true),
            ("https://a.io/x", "http://a.io/x", false),
            ("https://a.io/x", "https://a.io:444/x", false),
            ("https://a.io/x", "https://b.a.io/x", false),
            ("https://a.io/x", "https://a.io.evil/x", false),
        ] {
            assert_eq!(same_origin(&url(a), &url(b)), same, "{a} {b}");
        }
    }

    #[test]
    fn realms() {
        for (registry, realm, ok) in [
            (
                "https://registry-1.docker.io",
                "https://auth.docker.io/token",
                true,
            ),
            ("https://quay.io", "https://quay.io/v2/auth", true),
            (
                "https://registry.gitlab.com",
                "https://gitlab.com/jwt/auth",
                true,
            ),
            (
                "https://registry.example.co.uk",
                "https://auth.example.co.uk",
                true,
            ),
            (
                "https://registry.example.co.uk",
                "https://evil.co.uk",
                false,
            ),
            ("https://registry.example.com", "https://evil.com", false),
            (
                "https://registry.example.com",
                "https://example.com.evil.com",
                false,
            ),
            ("https://registry", "https://auth", false),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", true),
            ("http://127.0.0.1:5000", "http://127.0.0.2/token", false),
            ("http://10.1.0.1:5000", "http://10.2.0.1/token", false),
        ] {
            assert_eq!(
                may_have_password(&url(registry), &url(realm)),
                ok,
                "{registry} -> {realm}"
            );
        }
    }
}
