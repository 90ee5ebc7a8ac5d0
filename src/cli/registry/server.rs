//! Which registry a command means, and where its logins are.

use crate::cli::Front;
use crate::config::Logins;
use crate::error::{Error, Result};

/// What Docker calls the default registry.
pub const INDEX: &str = "https://index.docker.io/v1/";
/// Its host.
pub const HUB: &str = "docker.io";

/// The host of `SERVER` as typed: without a scheme and a path; nothing is the
/// default registry.
pub fn host(server: Option<&str>) -> Result<String> {
    let server = server.unwrap_or_default().trim();
    let bare = server
        .strip_prefix("https://")
        .or_else(|| server.strip_prefix("http://"))
        .unwrap_or(server);
    let host = bare.split('/').next().unwrap_or_default();
    match host {
        "" | "docker.io" | "index.docker.io" | "registry-1.docker.io" => Ok(HUB.into()),
        host if host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b)) =>
        {
            Ok(host.to_ascii_lowercase())
        }
        _ => Err(Error::invalid(format!("invalid registry host \"{host}\""))
            .hint("name it as HOST or HOST:PORT")),
    }
}

/// Docker's own settings are where `--config` says.
pub fn logins(front: &Front) -> Logins {
    match &front.config {
        Some(dir) => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            Logins::at([dir.join("config.json")])
                .with_helpers(std::env::split_paths(&path), std::env::vars_os())
        }
        None => Logins::find(),
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn servers_as_typed() {
        for (typed, want) in [
            (None, "docker.io"),
            (Some(""), "docker.io"),
            (Some("docker.io"), "docker.io"),
            (Some("https://index.docker.io/v1/"), "docker.io"),
            (Some("registry-1.docker.io"), "docker.io"),
            (Some("Quay.io"), "quay.io"),
            (Some("http://localhost:5000/v2/"), "localhost:5000"),
            (Some("[::1]:5000"), "[::1]:5000"),
        ] {
            assert_eq!(host(typed).unwrap(), want, "{typed:?}");
        }
        for bad in ["user@host", "a b", "host?x", "h\nx"] {
            assert!(host(Some(bad)).is_err(), "{bad}");
        }
    }
}
