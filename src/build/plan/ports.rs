//! `EXPOSE`: ports and ranges of ports.

use crate::error::{Error, Result};

/// `80`, `80/udp`, `8000-8010/tcp`, `8080:80` (the container's counts), in the
/// form of the image's settings: `80/tcp`.
pub fn expose(text: &str) -> Result<Vec<String>> {
    let bad = || Error::invalid(format!("invalid containerPort: {text}"));
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(Error::invalid(format!("invalid proto: {protocol}")));
    }
    let ports = ports.rsplit(':').next().unwrap_or_default();
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u16>().map_err(|_| bad()),
        false => Err(bad()),
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(Error::invalid(format!(
            "invalid range specified for port: {text}"
        )));
    }
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::expose;

    #[test]
    fn ports() {
        for (text, want) in [
            ("80", &["80/tcp"][..]),
            ("80/UDP", &["80/udp"]),
            ("80-82/sctp", &["80/sctp", "81/sctp", "82/sctp"]),
            ("8080:80", &["80/tcp"]),
            ("127.0.0.1:8080:80/tcp", &["80/tcp"]),
        ] {
            assert_eq!(expose(text).unwrap(), want, "{text}");
        }
        for bad in [
            "", "x", "80/x", "-1", "+1", "65536", "82-80", "80-", "80/", "0x50",
        ] {
            assert!(expose(bad).is_err(), "{bad}");
        }
        assert_eq!(expose("0-65535").unwrap().len(), 65536);
    }
}
