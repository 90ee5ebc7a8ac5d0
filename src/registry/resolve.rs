//! Names to addresses by /etc/hosts and DNS, without libc: the binary is
//! static, and getaddrinfo would load the host's NSS modules into it.

use super::failure::LookupFailed;
use super::target::is_local_ip;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

/// One resolver per client, made when the first name is looked up.
pub struct Resolver {
    /// Names that lead to this machine are refused: the one who gave us the
    /// name is out there and has no business with what listens here.
    outside_only: bool,
    inner: Arc<OnceLock<TokioResolver>>,
}

impl Resolver {
    pub fn new(outside_only: bool) -> Self {
        Self {
            outside_only,
            inner: Arc::default(),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (inner, outside_only) = (self.inner.clone(), self.outside_only);
        Box::pin(async move {
            let host = name.as_str();
            let found = lookup(&inner, host).await;
            let mut addresses = found.map_err(|why| {
                Box::new(LookupFailed {
                    host: host.to_owned(),
                    why,
                })
            })?;
            addresses.retain(|ip| !(outside_only && is_local_ip(*ip)));
            if addresses.is_empty() {
                return Err(Box::new(LookupFailed {
                    host: host.to_owned(),
                    why: "the name leads to this machine, which is not allowed here".into(),
                }) as _);
            }
            let list = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(list) as Addrs)
        })
    }
}

async fn lookup(inner: &OnceLock<TokioResolver>, host: &str) -> Result<Vec<IpAddr>, String> {
    // RFC 6761, 6.3: never asked of a server.
    let bare = host.trim_end_matches('.').to_ascii_lowercase();
    if bare == "localhost" || bare.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let resolver = match inner.get() {
        Some(resolver) => resolver,
        None => {
            let made = make()?;
            inner.get_or_init(|| made)
        }
    };
    match resolver.lookup_ip(host).await {
        Ok(found) => Ok(found.iter().collect()),
        Err(e) if e.is_no_records_found() || e.is_nx_domain() => Err("no such host".into()),
        Err(e) => Err(e.to_string()),
    }
}

/// With the servers of /etc/resolv.conf; there are no others to fall back to.
fn make() -> Result<TokioResolver, String> {
    let mut builder =
        TokioResolver::builder_tokio().map_err(|e| format!("cannot read /etc/resolv.conf: {e}"))?;
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    builder.build().map_err(|e| e.to_string())
}
