//! `-p`, `--expose`: ports.

use super::mount::fields;
use crate::error::{Error, Result};
use crate::record::container::PortBinding;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// `80/tcp` -> where it is published.
pub type Bindings = BTreeMap<String, Vec<PortBinding>>;

/// Adds what one `-p` asks for: `[[IP:][HOST]:]CONTAINER[/PROTOCOL]`, either
/// port a range, or the long form `target=…,published=…,protocol=…`.
pub fn publish(text: &str, bindings: &mut Bindings) -> Result<()> {
    if text.contains('=') {
        return publish(&short_form(text)?, bindings);
    }
    let (rest, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = check_protocol(protocol)?;
    let (host, container) = rest.rsplit_once(':').unwrap_or(("", rest));
    let (ip, host) = host.rsplit_once(':').unwrap_or(("", host));
    let ip = check_ip(ip)?;
    if container.is_empty() {
        return Err(Error::usage(format!("no port specified: {text}<empty>")));
    }
    let inner = range(container)
        .ok_or_else(|| Error::usage(format!("invalid containerPort: {container}")))?;
    let outer = match host {
        "" => None,
        host => Some(range(host).ok_or_else(|| Error::usage(format!("invalid hostPort: {host}")))?),
    };
    if let Some(outer) = &outer
        && outer.len() != inner.len()
        && inner.len() != 1
    {
        return Err(Error::usage(format!(
            "invalid ranges specified for container and host Ports: {container} and {host}"
        )));
    }
    let same_length = outer.as_ref().is_some_and(|o| o.len() == inner.len());
    for (index, port) in inner.enumerate() {
        let host_port = match &outer {
            None => String::new(),
            Some(outer) if same_length => outer.clone().nth(index).unwrap_or(port).to_string(),
            // A range for one port: any free one of it.
            Some(_) => host.to_string(),
        };
        let list = bindings.entry(format!("{port}/{protocol}")).or_default();
        let known = list
            .iter()
            .any(|b| b.host_ip == ip && b.host_port == host_port);
        if !known {
            list.push(PortBinding {
                host_ip: ip.clone(),
                host_port,
            });
        }
    }
    Ok(())
}

fn short_form(text: &str) -> Result<String> {
    let (mut target, mut published, mut protocol) = (None, None, "tcp".to_string());
    for field in fields(text)? {
        let Some((key, value)) = field.split_once('=') else {
            return Err(Error::usage(format!("invalid field: {field}")));
        };
        match key {
            "target" => target = Some(value.to_string()),
            "published" => published = Some(value.to_string()),
            "protocol" => protocol = value.to_string(),
            "mode" if matches!(value, "host" | "ingress") => {}
            "mode" => {
                return Err(Error::usage(format!(
                    "invalid publish mode value ({value})"
                )));
            }
            _ => return Err(Error::usage(format!("invalid field key: {key}"))),
        }
    }
    let target = target.ok_or_else(|| Error::usage("a target port is required"))?;
    Ok(match published {
        Some(published) => format!("{published}:{target}/{protocol}"),
        None => format!("{target}/{protocol}"),
    })
}

/// The ports of one `--expose`: `PORT[-PORT][/PROTOCOL]`.
pub fn expose(text: &str) -> Result<Vec<String>> {
    if text.contains(':') {
        return Err(Error::usage(format!(
            "invalid port format for --expose: {text}"
        )));
    }
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = check_protocol(protocol)?;
    let ports = range(ports)
        .ok_or_else(|| Error::usage(format!("invalid range format for --expose: {text}")))?;
    Ok(ports.map(|port| format!("{port}/{protocol}")).collect())
}

fn check_protocol(text: &str) -> Result<String> {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "tcp" | "udp" | "sctp") {
        Ok(lower)
    } else {
        Err(Error::usage(format!("invalid proto: {text}")))
    }
}

fn check_ip(text: &str) -> Result<String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse::<IpAddr>()
        .map(|_| bare.to_string())
        .map_err(|_| Error::usage(format!("invalid IP address: {text}")))
}

/// `80` or `80-90`, the first not above the last.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut bindings = Bindings::new();
        publish(text, &mut bindings).unwrap();
        let show = |(port, list): (&String, &Vec<PortBinding>)| {
            let list: Vec<_> = list
                .iter()
                .map(|b| format!("{}|{}", b.host_ip, b.host_port))
                .collect();
            format!("{port}={}", list.join(","))
        };
        bindings.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn all_forms() {
        for (text, want) in [
            ("53", "53/tcp=|"),
            ("80:80", "80/tcp=|80"),
            (":80", "80/tcp=|"),
            ("8080:80/udp", "80/udp=|8080"),
            ("8080:80/SCTP", "80/sctp=|8080"),
            (
                "127.0.0.1:8000-8001:9000-9001",
                "9000/tcp=127.0.0.1|8000 9001/tcp=127.0.0.1|8001",
            ),
            ("1.2.3.4::80", "80/tcp=1.2.3.4|"),
            ("[::1]:5:6", "6/tcp=::1|5"),
            ("::1:80:80", "80/tcp=::1|80"),
            ("1-3:80", "80/tcp=|1-3"),
            ("0:80", "80/tcp=|0"),
            ("7-8", "7/tcp=| 8/tcp=|"),
            (
                "target=80,published=8080,protocol=udp,mode=host",
                "80/udp=|8080",
            ),
            ("target=80", "80/tcp=|"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn refusals() {
        for (text, want) in [
            ("abc", "invalid containerPort: abc"),
            ("abc:80", "invalid hostPort: abc"),
            ("99999:80", "invalid hostPort: 99999"),
            ("80:", "no port specified: 80:<empty>"),
            ("1:2:3", "invalid IP address: 1"),
            ("localhost:80:80", "invalid IP address: localhost"),
            ("80:80/x", "invalid proto: x"),
            (
                "1-3:5-8",
                "invalid ranges specified for container and host Ports: 5-8 and 1-3",
            ),
            ("3-1:80", "invalid hostPort: 3-1"),
            ("65536", "invalid containerPort: 65536"),
            ("+1", "invalid containerPort: +1"),
            ("published=1", "a target port is required"),
            ("target=1,nope=2", "invalid field key: nope"),
        ] {
            let error = publish(text, &mut Bindings::new()).unwrap_err();
            assert_eq!(error.message(), want, "{text}");
        }
    }

    #[test]
    fn the_same_port_twice_is_one_binding() {
        let mut bindings = Bindings::new();
        publish("80:80", &mut bindings).unwrap();
        publish("80:80", &mut bindings).unwrap();
        publish("81:80", &mut bindings).unwrap();
        assert_eq!(bindings["80/tcp"].len(), 2);
    }

    #[test]
    fn exposed_ranges() {
        assert_eq!(expose("7-9/udp").unwrap(), ["7/udp", "8/udp", "9/udp"]);
        assert_eq!(
            expose("5-3").unwrap_err().message(),
            "invalid range format for --expose: 5-3"
        );
        assert_eq!(
            expose("80:1").unwrap_err().message(),
            "invalid port format for --expose: 80:1"
        );
    }
}
