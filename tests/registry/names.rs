//! Names, addresses, TLS and proxies: what is reached, and how it is told when
//! it is not.

use super::*;
use crate::support::fault_registry::FaultRegistry;
use crate::support::registry::{Registry, Setup};
use std::net::TcpListener;
use wherry::config::Proxies;

fn secure(host: &str) -> Source {
    let mut source = source(host);
    source.endpoint.insecure = false;
    source
}

fn error_of(source: Source) -> String {
    client_of(vec![source])
        .manifest_by_tag("latest")
        .unwrap_err()
        .to_string()
}

#[test]
fn localhost_is_found_without_dns() {
    let registry = FaultRegistry::start();
    let manifest = put_manifest(&registry);
    let port = registry.host().split(':').nth(1).unwrap().to_owned();
    for host in ["localhost", "x.localhost"] {
        let client = client_of(vec![source(&format!("{host}:{port}"))]);
        assert_eq!(client.manifest_by_tag("latest").unwrap().bytes, manifest);
    }
}

#[test]
fn nobody_listens() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let start = std::time::Instant::now();
    let error = error_of(source(&closed));
    let expected = format!(
        "Get \"http://{closed}/v2/team/app/manifests/latest\": dial tcp {closed}: connect: connection refused"
    );
    assert_eq!(error, expected);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn tls_is_verified_unless_the_registry_is_insecure() {
    let registry = Registry::start(Setup {
        tls: true,
        password: false,
    });
    let image = crate::support::image::Image::busybox();
    let env = crate::support::Env::new();
    registry.push(&env, &image, &format!("{REPOSITORY}:latest"));
    let error = error_of(secure(&registry.host()));
    assert!(error.contains("tls: "), "{error}");
    client_of(vec![source(&registry.host())])
        .manifest_by_tag("latest")
        .unwrap();
    let ca = registry.ca().unwrap();
    let with_ca = Source {
        certificates: vec![ca.parent().unwrap().to_owned()],
        ..secure(&registry.host())
    };
    client_of(vec![with_ca.clone()])
        .manifest_by_tag("latest")
        .unwrap();
    // The certificate is for 127.0.0.1 and localhost only.
    let port = registry.host().split(':').nth(1).unwrap().to_owned();
    let named = |host: &str| {
        let mut source = with_ca.clone();
        source.endpoint.host = format!("{host}:{port}");
        source
    };
    client_of(vec![named("localhost")])
        .manifest_by_tag("latest")
        .unwrap();
    let error = error_of(named("other.localhost"));
    assert!(
        error.contains("tls: ") && error.contains("not valid for name"),
        "{error}"
    );
}

#[test]
fn plain_http_is_never_taken_for_https() {
    // A server that answers a TLS hello in plain HTTP, as real ones do.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let error = error_of(secure(&host));
    assert!(
        error.ends_with("http: server gave HTTP response to HTTPS client"),
        "{error}"
    );
}

#[test]
fn proxies_are_used_and_left_out() {
    let proxy = FaultRegistry::start();
    let manifest = put_manifest(&proxy);
    let through = Some(format!("http://user:word@{}", proxy.host()));
    let ask = |no_proxy: &str| {
        let mut options = options();
        options.proxies = Proxies::new(through.clone(), through.clone(), no_proxy).unwrap();
        let reference = Reference::parse("registry.test/team/app").unwrap();
        let mut source = source("registry.test:80");
        source.endpoint.insecure = true;
        Client::new(&reference, vec![source], &options).manifest_by_tag("latest")
    };
    proxy.put(
        "http://registry.test/v2/team/app/manifests/latest",
        &manifest,
        "x",
    );
    let got = ask("");
    let log = proxy.log();
    let connect = log
        .iter()
        .find(|r| r.method == "CONNECT")
        .expect("https goes by CONNECT");
    assert_eq!(connect.path, "registry.test:80");
    assert!(connect.header("proxy-authorization").is_some());
    let plain = log
        .iter()
        .find(|r| r.method == "GET")
        .expect("http is asked for");
    assert!(
        plain.path.starts_with("http://registry.test"),
        "{}",
        plain.path
    );
    assert_eq!(got.unwrap().bytes, manifest);
    proxy.clear_log();
    assert!(ask("registry.test").is_err());
    assert_eq!(proxy.log().len(), 0);
}
