//! JSON from outside: manifests, indexes, image configs, files of logins.

use std::io::Write;
use std::os::fd::AsRawFd;
use wherry::build::plan::settings::Settings;
use wherry::config::{Credential, Logins};
use wherry::image::manifest::{DOCKER_LIST, DOCKER_MANIFEST, MAX_LAYERS, OCI_INDEX, OCI_MANIFEST};
use wherry::image::{Document, ImageConfig, Manifest, Platform, draft};

pub const WORDS: &[&str] = &[
    "\"schemaVersion\":",
    "\"mediaType\":",
    "\"config\":",
    "\"layers\":",
    "\"manifests\":",
    "\"fsLayers\":",
    "\"digest\":",
    "\"size\":",
    "\"platform\":",
    "\"annotations\":",
    "\"subject\":",
    "\"data\":",
    "\"urls\":",
    "\"artifactType\":",
    "null",
    "[]",
    "{}",
    "[",
    "{",
    "}",
    "]",
    ",",
    ":",
    "-1",
    "1e400",
    "18446744073709551615",
    "9223372036854775807",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"rootfs\":",
    "\"diff_ids\":",
    "\"type\":",
    "\"layers\"",
    "\"history\":",
    "\"Env\":",
    "\"Cmd\":",
    "\"Healthcheck\":",
    "\"OnBuild\":",
    "\"os\":",
    "\"variant\":",
    "\"application/vnd.oci.image.index.v1+json\"",
    "\"application/vnd.oci.image.manifest.v1+json\"",
];

pub const LOGINS: &[&str] = &[
    "\"auths\":",
    "\"auth\":",
    "\"credsStore\":",
    "\"credHelpers\":",
    "\"identitytoken\":",
    "\"username\":",
    "\"password\":",
    "\"HttpHeaders\":",
    "null",
    "{}",
    "[]",
    ":",
    ",",
    "}",
    "{",
    "\"a.io\":",
    "\"https://index.docker.io/v1/\":",
    "\"a.io/team\":",
    "\"s3cr3t-s3cr3t\"",
];

/// A document is one thing, and within the limits.
pub fn manifest(data: &[u8]) {
    let kinds = [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_LIST];
    let claims = [None, Some("application/json")];
    let read = claims.into_iter().chain(kinds.map(Some));
    let read: Vec<Document> = read
        .filter_map(|claim| Document::parse(data, claim).ok())
        .collect();
    let mut manifests = 0;
    for document in &read {
        match document {
            Document::Manifest(manifest) => {
                manifests += 1;
                sane(manifest);
            }
            Document::Index(index) => {
                if let Ok(chosen) = index.choose(&Platform::host()) {
                    assert!(index.manifests.contains(chosen));
                }
                for descriptor in &index.manifests {
                    assert_eq!(descriptor.to_oci().size(), descriptor.size);
                }
            }
        }
    }
    // `{}`-like documents say nothing of themselves and are what they are sent as.
    let says = serde_json::from_slice::<serde_json::Value>(data).unwrap_or_default();
    let has = ["config", "layers", "manifests"]
        .iter()
        .any(|name| says.get(name).is_some());
    assert!(
        !has || manifests == 0 || manifests == read.len(),
        "two kinds at once"
    );
}

fn sane(manifest: &Manifest) {
    assert!(manifest.layers.len() <= MAX_LAYERS);
    let all = manifest.layers.iter().chain([&manifest.config]);
    let total: u64 = all.map(|d| d.to_oci().size()).sum();
    assert!(i64::try_from(total).is_ok());
    if manifest.ensure_image().is_ok() {
        let bytes = draft::manifest(b"{}", &manifest.layers).unwrap();
        let Document::Manifest(again) = Document::parse(&bytes, None).unwrap() else {
            panic!("a manifest was written as something else");
        };
        let layers = |m: &Manifest| -> Vec<_> {
            m.layers
                .iter()
                .map(|l| (l.digest.clone(), l.size))
                .collect()
        };
        assert_eq!(layers(&again), layers(manifest));
    }
}

/// What a build writes of a config is read back as the same.
pub fn config(data: &[u8]) {
    let Ok(config) = ImageConfig::parse(data) else {
        return;
    };
    assert!(config.diff_ids.len() <= MAX_LAYERS);
    let _ = (config.on_build(), config.shell(), config.healthcheck());
    let _ = (config.stop_timeout(), config.platform.candidates());
    // Half of a surrogate pair may stand where nobody looks, but in no value.
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(data) else {
        return;
    };
    let written = Settings::of(&document, &config.diff_ids).document(&config.platform);
    let again = ImageConfig::parse(written.to_string().as_bytes());
    let again = again.unwrap_or_else(|e| panic!("{e}: {written}"));
    assert_eq!(again.diff_ids, config.diff_ids);
    let second = Settings::of(&written, &again.diff_ids).document(&again.platform);
    assert_eq!(second, written);
}

/// No part of a login is in what is said about it.
pub fn login(data: &[u8]) {
    const SECRETS: [&str; 3] = ["s3cr3t", "czNjcjN0", "hunter2"];
    let file = nix::sys::memfd::memfd_create(c"login", nix::sys::memfd::MFdFlags::MFD_CLOEXEC);
    let mut file = std::fs::File::from(file.unwrap());
    file.write_all(data).unwrap();
    let path = std::path::PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let logins = Logins::at([path]);
    for (host, repository) in [
        ("docker.io", "library/x"),
        ("a.io", "team/app"),
        ("[::1]:5", "x"),
    ] {
        let found = logins.credential(host, repository);
        let said = match &found {
            Ok(credential) => format!("{credential:?}"),
            Err(e) => format!("{e} {e:?}"),
        };
        // A user's name is not a secret, wherever he has put what is one.
        let user = matches!(&found, Ok(Credential::Password { username, .. })
            if SECRETS.iter().any(|s| username.contains(s)));
        // Nor are names of files, hosts and helpers.
        let text = String::from_utf8_lossy(data);
        let elsewhere = text.split('"').enumerate().any(|(n, part)| {
            n % 2 == 1
                && part != "s3cr3t-s3cr3t"
                && SECRETS.iter().any(|s| part.contains(s))
                && !part.contains("czNjcjN0")
        });
        let named = text.contains("\"credsStore\"") || text.contains("\"credHelpers\"");
        if !user && !elsewhere && !named {
            assert!(!SECRETS.iter().any(|s| said.contains(s)), "{said}");
        }
    }
}
