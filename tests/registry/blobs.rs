//! Blobs arrive whole or not at all, whatever happens on the way.

use super::*;
use crate::support::fault_registry::{Act, FaultRegistry};
use std::time::Instant;

const SIZE: usize = 100_000;

enum Want {
    /// The right bytes, after so many requests.
    Good(usize),
    /// An error that says this.
    Bad(&'static str),
    /// Whatever it is: not these bytes without an error unless they are right.
    Caught,
}

fn status(code: u16, headers: &[(&'static str, &str)]) -> Act {
    let headers = headers.iter().map(|(n, v)| (*n, v.to_string())).collect();
    Act::Status(code, headers, String::new())
}

/// Each fault once (on the first request) and always.
#[test]
fn every_fault_is_mended_or_told() {
    use Want::{Bad, Caught, Good};
    let other = noise(SIZE + 1)[1..].to_vec();
    let table: Vec<(&str, Act, Want, Want)> = vec![
        ("400", status(400, &[]), Bad("400"), Bad("400")),
        ("403", status(403, &[]), Bad("403"), Bad("403")),
        (
            "404",
            status(404, &[]),
            Bad("blob unknown"),
            Bad("blob unknown"),
        ),
        ("405", status(405, &[]), Bad("405"), Bad("405")),
        ("406", status(406, &[]), Bad("406"), Bad("406")),
        ("408", status(408, &[]), Good(2), Bad("408")),
        ("409", status(409, &[]), Bad("409"), Bad("409")),
        ("416", status(416, &[]), Bad("416"), Bad("416")),
        ("418", status(418, &[]), Bad("418"), Bad("418")),
        (
            "401",
            status(401, &[]),
            Bad("unauthorized"),
            Bad("unauthorized"),
        ),
        (
            "401 basic",
            status(401, &[("WWW-Authenticate", "Basic realm=x")]),
            Bad("no basic auth credentials"),
            Bad("no basic auth credentials"),
        ),
        ("429", status(429, &[]), Good(2), Bad("toomanyrequests")),
        (
            "429 after 1",
            status(429, &[("Retry-After", "1")]),
            Good(2),
            Bad("toomanyrequests"),
        ),
        (
            "429 after 3600",
            status(429, &[("Retry-After", "3600")]),
            Bad("3600 seconds"),
            Bad("3600 seconds"),
        ),
        (
            "429 past date",
            status(429, &[("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")]),
            Good(2),
            Bad("toomanyrequests"),
        ),
        (
            "429 junk",
            status(429, &[("Retry-After", "soon")]),
            Good(2),
            Bad("toomanyrequests"),
        ),
        (
            "429 negative",
            status(429, &[("Retry-After", "-1")]),
            Good(2),
            Bad("toomanyrequests"),
        ),
        (
            "500",
            status(500, &[]),
            Good(2),
            Bad("received unexpected HTTP status: 500 Internal Server Error"),
        ),
        ("501", status(501, &[]), Bad("501"), Bad("501")),
        ("502", status(502, &[]), Good(2), Bad("502 Bad Gateway")),
        (
            "503 after 1",
            status(503, &[("Retry-After", "1")]),
            Good(2),
            Bad("503"),
        ),
        ("504", status(504, &[]), Good(2), Bad("504")),
        ("reset", Act::Reset, Good(2), Bad("Get \"http://127.0.0.1:")),
        ("reset in the body", Act::ResetAt(30_000), Good(2), Good(4)),
        ("close in the body", Act::CloseAt(30_000), Good(2), Good(4)),
        ("close at once", Act::CloseAt(0), Good(2), Bad("Get")),
        (
            "stall",
            Act::StallAt(30_000),
            Good(2),
            Bad("no answer within the time limit"),
        ),
        (
            "silence",
            Act::Silent,
            Good(2),
            Bad("no answer within the time limit"),
        ),
        (
            "slow head",
            Act::DripHead(Duration::from_millis(20)),
            Good(2),
            Bad("no answer within the time limit"),
        ),
        (
            "slow body",
            Act::Drip(Duration::from_millis(20)),
            Good(2),
            Bad("no answer within the time limit"),
        ),
        (
            "long header",
            Act::LongHeader(10 << 20),
            Good(2),
            Bad("Get"),
        ),
        ("no length", Act::NoLength, Good(1), Good(1)),
        ("chunked", Act::Chunked, Good(1), Good(1)),
        ("chunk garbage", Act::ChunkGarbage, Good(2), Bad("Get")),
        (
            "open chunk",
            Act::ChunkOpen(30_000),
            Good(2),
            Bad("no answer within the time limit"),
        ),
        (
            "endless",
            Act::Endless,
            Bad("is longer than"),
            Bad("is longer than"),
        ),
        ("extra", Act::Extra(b"extra".to_vec()), Good(1), Good(1)),
        (
            "length too small",
            Act::Length(30_000),
            Bad("another size"),
            Bad("another size"),
        ),
        (
            "length too large",
            Act::Length(300_000),
            Bad("another size"),
            Bad("another size"),
        ),
        (
            "short body",
            Act::Body(noise(30_000)),
            Bad("another size"),
            Bad("another size"),
        ),
        (
            "long body",
            Act::Body(noise(SIZE + 1)),
            Bad("another size"),
            Bad("another size"),
        ),
        (
            "empty 200",
            Act::Body(Vec::new()),
            Bad("another size"),
            Bad("another size"),
        ),
        (
            "gzip",
            Act::Header("Content-Encoding", "gzip".into()),
            Bad("encoded once more"),
            Bad("encoded once more"),
        ),
        ("flipped byte", Act::Flip(5), Caught, Caught),
        ("other blob", Act::Body(other), Caught, Caught),
        (
            "redirect loop",
            Act::Redirect(307, "/v2/team/app/blobs/again".into()),
            Bad("blob unknown"),
            Bad("blob unknown"),
        ),
        (
            "no location",
            status(302, &[]),
            Bad("without a valid Location"),
            Bad("without a valid Location"),
        ),
        (
            "to nowhere",
            Act::Redirect(302, "http://127.0.0.1:1/x".into()),
            Bad("connection refused"),
            Bad("connection refused"),
        ),
        (
            "to a file",
            Act::Redirect(302, "file:///etc/passwd".into()),
            Bad("neither http nor https"),
            Bad("neither http nor https"),
        ),
        (
            "to gopher",
            Act::Redirect(302, "gopher://127.0.0.1/".into()),
            Bad("neither http nor https"),
            Bad("neither http nor https"),
        ),
        (
            "to a socket",
            Act::Redirect(302, "unix:///run/x".into()),
            Bad("neither http nor https"),
            Bad("neither http nor https"),
        ),
        (
            "with a user",
            Act::Redirect(302, "http://u:p@127.0.0.1/".into()),
            Bad("carries a user name"),
            Bad("carries a user name"),
        ),
    ];
    let bytes = noise(SIZE);
    let blob = descriptor(&bytes);
    for (name, act, once, always) in &table {
        for (range, want) in [(0..1, once), (0..usize::MAX, always)] {
            let registry = FaultRegistry::start();
            registry.put_blob(REPOSITORY, &bytes);
            registry.fault(
                &format!("/blobs/{}", blob.digest),
                range.clone(),
                act.clone(),
            );
            let client = client(&registry);
            let start = Instant::now();
            let got = read(&client, &blob, 0);
            let tag = format!("{name} {range:?}: {:?}", got.as_ref().map(Vec::len));
            assert!(
                start.elapsed() < crate::support::limit(12),
                "{tag} took {:?}",
                start.elapsed()
            );
            match want {
                Good(requests) => {
                    assert!(got.as_ref() == Ok(&bytes), "{tag}");
                    assert_eq!(registry.asked("/blobs/"), *requests, "{tag}");
                }
                Bad(says) => {
                    let error = got.map(|b| b.len()).expect_err(&tag);
                    assert!(error.contains(says), "{tag}: {error}");
                }
                Caught => {
                    let wrong = got.expect("bytes");
                    assert!(!blob.digest.matches(&wrong), "{tag}");
                }
            }
            registry.clear_faults();
            assert!(
                read(&client, &blob, 0).as_ref() == Ok(&bytes),
                "{tag}: afterwards"
            );
        }
    }
}

#[test]
fn a_broken_download_goes_on_where_it_was() {
    let registry = FaultRegistry::start();
    let bytes = noise(SIZE);
    let blob = descriptor(&bytes);
    registry.put_blob(REPOSITORY, &bytes);
    registry.fault("/blobs/", 0..1, Act::ResetAt(60_000));
    registry.fault("/blobs/", 1..2, Act::CloseAt(10_000));
    assert_eq!(read(&client(&registry), &blob, 0).unwrap(), bytes);
    let ranges: Vec<String> = registry
        .log()
        .iter()
        .filter_map(|r| r.header("range").map(Into::into))
        .collect();
    assert_eq!(ranges, ["bytes=60000-", "bytes=70000-"]);
}

#[test]
fn a_started_blob_is_continued_with_and_without_ranges() {
    let bytes = noise(SIZE);
    let blob = descriptor(&bytes);
    for (act, requests) in [
        (None, 1),
        (Some(Act::NoRange), 1),
        (Some(Act::WrongRange), 2),
        (Some(status(416, &[])), 2),
    ] {
        let registry = FaultRegistry::start();
        registry.put_blob(REPOSITORY, &bytes);
        if let Some(act) = act {
            registry.fault("/blobs/", 0..1, act);
        }
        assert_eq!(
            read(&client(&registry), &blob, 99_000).unwrap(),
            bytes[99_000..]
        );
        assert_eq!(registry.asked("/blobs/"), requests);
        assert_eq!(
            registry
                .log()
                .iter()
                .find(|r| r.path.contains("blobs"))
                .unwrap()
                .header("range"),
            Some("bytes=99000-")
        );
    }
}

#[test]
fn many_cuts_are_no_reason_to_give_up_while_there_is_progress() {
    let registry = FaultRegistry::start();
    let bytes = noise(20 << 20);
    let blob = descriptor(&bytes);
    registry.put_blob(REPOSITORY, &bytes);
    registry.fault("/blobs/", 0..9, Act::CloseAt(2 << 20));
    assert_eq!(read(&client(&registry), &blob, 0).unwrap(), bytes);
    assert_eq!(registry.asked("/blobs/"), 10);
}

#[test]
fn redirects_end_after_ten_hops() {
    for (hops, good) in [(10, true), (11, false)] {
        let registry = FaultRegistry::start();
        let bytes = noise(1000);
        let blob = descriptor(&bytes);
        let path = format!("/v2/{REPOSITORY}/blobs/{}", blob.digest);
        for hop in 0..hops {
            let (from, to) = (format!("/hop{hop}-"), format!("/hop{}-", hop + 1));
            registry.fault(&from, 0.., Act::Redirect(307, to));
        }
        registry.put(&format!("/hop{hops}-"), &bytes, "x");
        registry.fault(&path, 0.., Act::Redirect(302, "/hop1-".into()));
        let got = read(&client(&registry), &blob, 0);
        assert_eq!(got.is_ok(), good, "{got:?}");
        if !good {
            assert!(got.unwrap_err().contains("stopped after 10 redirects"));
        }
    }
}

#[test]
fn an_expired_address_is_asked_for_anew_once() {
    let (registry, store) = (FaultRegistry::start(), FaultRegistry::start());
    let bytes = noise(1000);
    let blob = descriptor(&bytes);
    store.put("/fresh", &bytes, "x");
    store.fault("/stale", 0.., status(403, &[]));
    registry.fault("/blobs/", 0..1, Act::Redirect(307, store.url("/stale")));
    registry.fault("/blobs/", 1..2, Act::Redirect(307, store.url("/fresh")));
    assert_eq!(read(&client(&registry), &blob, 0).unwrap(), bytes);
    registry.clear_faults();
    registry.fault("/blobs/", 0.., Act::Redirect(307, store.url("/stale")));
    assert!(
        read(&client(&registry), &blob, 0)
            .unwrap_err()
            .contains("403")
    );
    assert_eq!(store.asked("/stale"), 3);
}

#[test]
fn a_cancelled_download_ends_at_once() {
    use std::io::Read;
    use std::sync::atomic::{AtomicBool, Ordering};
    let registry = FaultRegistry::start();
    let bytes = noise(1000);
    registry.put_blob(REPOSITORY, &bytes);
    registry.fault("/blobs/", 0.., status(503, &[("Retry-After", "2")]));
    let cancelled = AtomicBool::new(false);
    let waits = std::sync::Mutex::new(Vec::new());
    let retrying = |wait: Duration| {
        waits.lock().unwrap().push(wait);
        cancelled.store(true, Ordering::Relaxed);
    };
    let client = client(&registry);
    let start = Instant::now();
    let watch = Watch {
        retrying: &retrying,
        cancelled: &cancelled,
    };
    let mut reader = client.blob(&descriptor(&bytes), 0, watch);
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
    assert!(start.elapsed() < Duration::from_millis(1500));
    assert!(waits.lock().unwrap()[0] >= Duration::from_secs(2));
}
