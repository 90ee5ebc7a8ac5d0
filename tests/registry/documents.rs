//! Manifests and tag lists: checked, bounded, and told in Docker's words.

use super::*;
use crate::support::fault_registry::{Act, FaultRegistry};
use wherry::error::Kind;

fn said(status: u16, code: &str, message: &str) -> Act {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    Act::Status(status, vec![], body)
}

#[test]
fn refusals_in_dockers_words() {
    let app = "registry.test/team/app";
    for (act, kind, message) in [
        (
            said(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            Kind::NotFound,
            format!("manifest for {app}:latest not found: manifest unknown: manifest unknown"),
        ),
        (
            said(404, "NAME_UNKNOWN", "repository name not known to registry"),
            Kind::NotFound,
            format!(
                "repository {app} not found: name unknown: repository name not known to registry"
            ),
        ),
        (
            Act::Status(404, vec![], "<html>".into()),
            Kind::NotFound,
            format!("manifest for {app}:latest not found: manifest unknown"),
        ),
        (
            said(401, "UNAUTHORIZED", "authentication required"),
            Kind::Denied,
            format!(
                "pull access denied for {app}, repository does not exist or may require 'docker login': unauthorized: authentication required"
            ),
        ),
        (
            said(403, "DENIED", "requested access to the resource is denied"),
            Kind::Denied,
            format!(
                "pull access denied for {app}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
            ),
        ),
        (
            said(429, "TOOMANYREQUESTS", "You have reached your limit"),
            Kind::Unavailable,
            "toomanyrequests: You have reached your limit".into(),
        ),
        (
            Act::Status(500, vec![], String::new()),
            Kind::Unavailable,
            "received unexpected HTTP status: 500 Internal Server Error".into(),
        ),
    ] {
        let registry = FaultRegistry::start();
        registry.fault("/manifests/", 0.., act);
        let error = client(&registry).manifest_by_tag("latest").unwrap_err();
        assert_eq!((error.kind(), error.message()), (kind, message.as_str()));
    }
}

#[test]
fn faults_of_a_manifest() {
    let other = br#"{"schemaVersion":2}"#.to_vec();
    for (name, act, once, always) in [
        ("500", Act::Status(500, vec![], String::new()), true, false),
        ("reset", Act::Reset, true, false),
        ("cut", Act::CloseAt(10), true, false),
        ("stall", Act::StallAt(10), true, false),
        ("silence", Act::Silent, true, false),
        ("slow", Act::Drip(Duration::from_millis(50)), false, false),
        (
            "slow head",
            Act::DripHead(Duration::from_millis(20)),
            true,
            false,
        ),
        ("endless", Act::Endless, false, false),
        ("flipped", Act::Flip(3), false, false),
        ("other", Act::Body(other), false, false),
        (
            "wrong digest",
            Act::Header("Docker-Content-Digest", Digest::of(b"x").to_string()),
            false,
            false,
        ),
        (
            "no digest",
            Act::Header("Docker-Content-Digest", "sha256:../../x".into()),
            false,
            false,
        ),
        ("chunked", Act::Chunked, true, true),
        ("no length", Act::NoLength, true, true),
        ("long header", Act::LongHeader(10 << 20), true, false),
        (
            "error flood",
            Act::Status(400, vec![], "x".repeat(5 << 20)),
            false,
            false,
        ),
    ] {
        for (nth, good) in [(0..1, once), (0..usize::MAX, always)] {
            let registry = FaultRegistry::start();
            let manifest = put_manifest(&registry);
            registry.fault("/manifests/", nth, act.clone());
            let got = client(&registry).manifest_by_tag("latest");
            assert_eq!(got.is_ok(), good, "{name}: {got:?}");
            assert!(got.is_err() || got.unwrap().bytes == manifest);
        }
    }
}

#[test]
fn a_digest_gets_its_content_or_an_error() {
    let registry = FaultRegistry::start();
    let manifest = put_manifest(&registry);
    let wanted = Digest::of(&manifest);
    let got = client(&registry).manifest_by_digest(&wanted).unwrap();
    assert_eq!((got.bytes, got.digest), (manifest, wanted.clone()));
    // Neither the content nor the header may be another's.
    registry.fault("/manifests/", 0.., Act::Body(b"{}".to_vec()));
    let error = client(&registry).manifest_by_digest(&wanted).unwrap_err();
    assert!(
        error.message().contains("manifest verification failed"),
        "{error}"
    );
    let other = Digest::of(b"{}");
    registry.clear_faults();
    registry.put_manifest(REPOSITORY, "x", b"{}", "x");
    let path = format!("/v2/{REPOSITORY}/manifests/{wanted}");
    registry.put(&path, b"{}", "x");
    assert!(client(&registry).manifest_by_digest(&wanted).is_err());
    assert!(client(&registry).manifest_by_digest(&other).is_ok());
}

#[test]
fn a_tag_is_asked_for_its_digest() {
    let registry = FaultRegistry::start();
    let manifest = put_manifest(&registry);
    let digest = client(&registry).digest_of_tag("latest").unwrap();
    assert_eq!(digest, Some(Digest::of(&manifest)));
    assert_eq!(registry.log().last().unwrap().method, "HEAD");
    assert_eq!(
        client(&registry).digest_of_tag("none").unwrap_err().kind(),
        Kind::NotFound
    );
}

#[test]
fn tags_over_several_pages() {
    let registry = FaultRegistry::start();
    let link = |to: &str| vec![("Link", format!("<{to}>; rel=\"next\""))];
    let page = |tags: &str| format!(r#"{{"name":"x","tags":{tags}}}"#);
    registry.fault(
        "/tags/list",
        0..1,
        Act::Status(
            200,
            link("/v2/team/app/tags/list?n=2&last=b"),
            page(r#"["a","b"]"#),
        ),
    );
    // A link to another host is followed at home.
    registry.fault(
        "/tags/list",
        1..2,
        Act::Status(200, link("http://evil.test/x?last=c"), page(r#"["c"]"#)),
    );
    registry.fault("/tags/list", 2..3, Act::Status(200, vec![], page("null")));
    assert_eq!(client(&registry).tags().unwrap(), ["a", "b", "c"]);
    registry.clear_faults();
    registry.fault(
        "/tags/list",
        0..,
        Act::Status(200, link("?last=a"), page(r#"["a"]"#)),
    );
    assert_eq!(client(&registry).tags().unwrap(), ["a", "a"]);
    registry.clear_faults();
    registry.fault("/tags/list", 0.., Act::Endless);
    assert!(client(&registry).tags().is_err());
}

#[test]
fn mirrors_come_first_and_their_failures_are_bridged() {
    for act in [
        Act::Reset,
        Act::Silent,
        Act::Status(500, vec![], String::new()),
        Act::Status(404, vec![], String::new()),
        Act::Flip(1),
    ] {
        let (mirror, registry) = (FaultRegistry::start(), FaultRegistry::start());
        let manifest = put_manifest(&registry);
        put_manifest(&mirror);
        let bytes = noise(50_000);
        for r in [&mirror, &registry] {
            r.put_blob(REPOSITORY, &bytes);
        }
        mirror.fault("/manifests/", 0.., act);
        let mut first = source(&mirror.host());
        first.endpoint.mirror = true;
        let client = client_of(vec![first.clone(), source(&registry.host())]);
        assert_eq!(client.manifest_by_tag("latest").unwrap().bytes, manifest);
        assert_eq!(read(&client, &descriptor(&bytes), 0).unwrap(), bytes);
        assert_eq!(
            mirror.asked("/blobs/"),
            0,
            "the source that had the manifest has the blobs"
        );

        mirror.clear_faults();
        registry.clear_log();
        mirror.fault("/blobs/", 0.., Act::CloseAt(20_000));
        let client = client_of(vec![first, source(&registry.host())]);
        client.manifest_by_tag("latest").unwrap();
        assert_eq!(read(&client, &descriptor(&bytes), 0).unwrap(), bytes);
        assert_eq!(registry.asked("/manifests/"), 0);
        assert_eq!(
            registry.log().last().unwrap().header("range"),
            Some("bytes=40000-")
        );
    }
}
