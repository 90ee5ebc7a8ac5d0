//! The registry client against a registry that misbehaves to a script.
//! Needs nothing but loopback.

mod blobs;
mod credentials;
mod documents;
mod names;

use crate::support::fault_registry::FaultRegistry;
use std::time::Duration;
use wherry::config::{Credential, Endpoint, Source};
use wherry::image::manifest::OCI_MANIFEST;
use wherry::image::{Descriptor, Digest, Reference};
use wherry::registry::{Client, Options, Watch};

pub const REPOSITORY: &str = "team/app";

/// Quick enough for tests: four tries, waits of milliseconds.
pub fn options() -> Options {
    Options {
        tries: 4,
        first_wait: Duration::from_millis(10),
        longest_wait: Duration::from_secs(2),
        stall: Duration::from_millis(400),
        ..Options::default()
    }
}

pub fn source(host: &str) -> Source {
    Source {
        endpoint: Endpoint {
            host: host.into(),
            path: REPOSITORY.into(),
            insecure: true,
            mirror: false,
        },
        credential: Credential::Anonymous,
        certificates: Vec::new(),
    }
}

pub fn client_of(sources: Vec<Source>) -> Client {
    let reference = Reference::parse(&format!("registry.test/{REPOSITORY}:latest")).unwrap();
    Client::new(&reference, sources, &options())
}

pub fn client(registry: &FaultRegistry) -> Client {
    client_of(vec![source(&registry.host())])
}

/// A blob of `size` bytes that look random.
pub fn noise(size: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    let next = std::iter::repeat_with(move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    });
    next.take(size).collect()
}

pub fn descriptor(bytes: &[u8]) -> Descriptor {
    Descriptor::new(
        "application/octet-stream",
        Digest::of(bytes),
        bytes.len() as u64,
    )
}

/// What reading the blob from `offset` gives.
pub fn read(client: &Client, blob: &Descriptor, offset: u64) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let mut reader = client.blob(blob, offset, Watch::nobody());
    let mut out = Vec::new();
    match reader.read_to_end(&mut out) {
        Ok(_) => Ok(out),
        Err(e) => Err(reader.failure().map_or(e.to_string(), |f| format!("{f:?}"))),
    }
}

pub fn put_manifest(registry: &FaultRegistry) -> Vec<u8> {
    let manifest = br#"{"schemaVersion":2,"config":{},"layers":[]}"#.to_vec();
    registry.put_manifest(REPOSITORY, "latest", &manifest, OCI_MANIFEST);
    manifest
}
