//! reqwest clients: TLS trust, client certificates, proxies, names, timeouts.

use super::Options;
use super::resolve::Resolver;
use crate::config::Proxies;
use crate::error::{Context, Error, Result};
use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{Certificate, Identity, Proxy, redirect};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The most of a certificate or key file that is read, in bytes.
const MAX_PEM: u64 = 1 << 20;

/// For whom a client is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Certificates are verified.
    Verify,
    /// The user called this registry insecure.
    Anything,
}

/// `certificates`: directories of *.crt, and *.cert with *.key.
/// `outside_only`: names may not lead to this machine.
pub fn client(
    options: &Options,
    trust: Trust,
    certificates: &[PathBuf],
    outside_only: bool,
) -> Result<Client> {
    // Err means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("wherry/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(options.stall.min(Duration::from_secs(30)))
        .timeout(options.stall)
        .pool_idle_timeout(Duration::from_secs(60))
        .tcp_nodelay(true)
        .dns_resolver(Arc::new(Resolver::new(outside_only)))
        .no_proxy();
    builder = with_proxies(builder, &options.proxies);
    builder = with_certificates(builder, certificates)?;
    if trust == Trust::Anything {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder.build().map_err(|e| {
        let mut innermost: &dyn std::error::Error = &e;
        while let Some(next) = innermost.source() {
            innermost = next;
        }
        Error::unavailable(format!("cannot set up TLS: {innermost}"))
            .hint("are CA certificates installed (Debian: ca-certificates)?")
    })
}

fn with_proxies(builder: ClientBuilder, proxies: &Proxies) -> ClientBuilder {
    let proxies = proxies.clone();
    builder.proxy(Proxy::custom(move |url| {
        let host = url
            .host_str()?
            .trim_start_matches('[')
            .trim_end_matches(']');
        let port = url.port_or_known_default()?;
        proxies
            .select(url.scheme() == "https", host, port)
            .map(str::to_owned)
    }))
}

fn with_certificates(mut builder: ClientBuilder, dirs: &[PathBuf]) -> Result<ClientBuilder> {
    let mut authorities = Vec::new();
    let mut identity = None;
    for path in dirs.iter().flat_map(|dir| files_of(dir)) {
        let shown = || format!("\"{}\"", path.display());
        match path.extension().and_then(|e| e.to_str()) {
            Some("crt") => {
                let found = Certificate::from_pem_bundle(&read_pem(&path)?);
                authorities.extend(found.map_err(|e| {
                    Error::invalid(format!("{}: not a PEM certificate: {e}", shown()))
                })?);
            }
            Some("cert") if identity.is_none() => {
                let mut pem = read_pem(&path)?;
                pem.push(b'\n');
                pem.extend(read_pem(&path.with_extension("key"))?);
                identity = Some(Identity::from_pem(&pem).map_err(|e| {
                    Error::invalid(format!(
                        "{}: not a PEM certificate with its key: {e}",
                        shown()
                    ))
                })?);
            }
            _ => {}
        }
    }
    if !authorities.is_empty() {
        builder = builder.tls_certs_merge(authorities);
    }
    Ok(match identity {
        Some(identity) => builder.identity(identity),
        None => builder,
    })
}

/// The files of a directory in the order of their names; none when it cannot
/// be read: most hosts have no such directory.
fn files_of(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.flatten().map(|e| e.path()).collect(),
        Err(_) => Vec::new(),
    };
    files.sort();
    files
}

fn read_pem(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|f| f.take(MAX_PEM).read_to_end(&mut bytes));
    read.context(|| format!("cannot read \"{}\"", path.display()))?;
    Ok(bytes)
}
