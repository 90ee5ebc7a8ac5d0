//! A pull that fails leaves no image, and the next one succeeds with what it
//! can use of the first.

use super::*;
use crate::support::fault_registry::Act;

fn assert_nothing_visible(store: &Store, env: &Env) {
    assert_eq!(store.images().unwrap().len(), 0);
    let layers = std::fs::read_dir(env.path("data/wherry/layers")).unwrap();
    let named: Vec<_> = layers
        .flatten()
        .filter(|e| !e.file_name().to_string_lossy().starts_with('.'))
        .collect();
    // Whole layers may stay for the next pull; none may be of wrong content.
    for layer in named {
        assert!(layer.path().join("meta.json").exists(), "{layer:?}");
    }
}

#[test]
fn an_interrupted_pull_goes_on_where_it_was() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    let layout = write(&three_layers(), &env);
    registry.put_layout("team/app", "latest", &layout);
    let blobs = std::fs::read_dir(layout.dir.join("blobs/sha256"))
        .unwrap()
        .flatten();
    let big = blobs.max_by_key(|e| e.metadata().unwrap().len()).unwrap();
    let size = big.metadata().unwrap().len();
    let big = big.file_name().into_string().unwrap();
    // 95 % comes, then nothing but resets.
    let most = (size * 95 / 100) as usize;
    registry.fault(&big, 0..1, Act::CloseAt(most));
    registry.fault(&big, 1..3, Act::Reset);
    let store = store(&env);
    let error = pull_from(&registry.host(), "team/app", &store, &Told::default()).unwrap_err();
    assert!(error.message().contains("Get \"http://"), "{error}");
    assert_nothing_visible(&store, &env);
    registry.clear_log();
    pull_from(&registry.host(), "team/app", &store, &Told::default()).unwrap();
    let log = registry.log();
    let again: Vec<_> = log.iter().filter(|r| r.path.contains(&big)).collect();
    assert_eq!(again.len(), 1);
    assert_eq!(
        again[0].header("range"),
        Some(format!("bytes={most}-").as_str())
    );
}

#[test]
fn wrong_content_is_refused_and_the_next_pull_is_right() {
    for at in [0, 5, 100_000] {
        let (env, registry) = (Env::new(), FaultRegistry::start());
        let layout = write(&three_layers(), &env);
        registry.put_layout("team/app", "latest", &layout);
        let blobs = std::fs::read_dir(layout.dir.join("blobs/sha256"))
            .unwrap()
            .flatten();
        let big = blobs
            .max_by_key(|e| e.metadata().unwrap().len())
            .unwrap()
            .file_name()
            .into_string()
            .unwrap();
        registry.fault(&big, 0..1, Act::Flip(at));
        let store = store(&env);
        let error = pull_from(&registry.host(), "team/app", &store, &Told::default()).unwrap_err();
        assert_nothing_visible(&store, &env);
        pull_from(&registry.host(), "team/app", &store, &Told::default())
            .unwrap_or_else(|e| panic!("after {error}: {e}"));
    }
}

#[test]
fn a_bad_start_from_an_earlier_pull_is_thrown_away() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    let layout = write(&three_layers(), &env);
    registry.put_layout("team/app", "latest", &layout);
    let blobs = std::fs::read_dir(layout.dir.join("blobs/sha256"))
        .unwrap()
        .flatten();
    let big = blobs
        .max_by_key(|e| e.metadata().unwrap().len())
        .unwrap()
        .file_name()
        .into_string()
        .unwrap();
    let store = store(&env);
    store.lease().unwrap();
    let partial = env
        .path("data/wherry/images/partial")
        .join(format!("sha256-{big}"));
    std::fs::write(&partial, vec![0x1f; 5000]).unwrap();
    pull_from(&registry.host(), "team/app", &store, &Told::default()).unwrap();
    let ranges: Vec<_> = registry
        .log()
        .iter()
        .filter(|r| r.path.contains(&big))
        .map(|r| r.header("range").is_some())
        .collect();
    assert_eq!(ranges, [true, false]);
}

#[test]
fn documents_that_lie() {
    let (env, registry) = (Env::new(), FaultRegistry::start());
    let (layer, diff_id) = small_layer("x");
    let architecture = host_architecture();
    let good = |config_document: &Value| {
        manifest(
            &registry,
            "team/app",
            config_document,
            std::slice::from_ref(&layer),
        )
    };
    let lie = digest(b"something else");
    let put = |tag: &str, document: &Value| put_document(&registry, tag, document);
    put("diffid", &good(&config(architecture, &[lie])));
    put(
        "count",
        &good(&config(architecture, &[diff_id.clone(), diff_id.clone()])),
    );
    put(
        "badid",
        &good(&config(architecture, &["sha256:../../x".into()])),
    );
    let mut size = good(&config(architecture, std::slice::from_ref(&diff_id)));
    size["layers"][0]["size"] = json!(layer.len() + 1);
    put("long", &size);
    size["layers"][0]["size"] = json!(layer.len() - 1);
    put("short", &size);
    size["layers"][0]["size"] = json!(1_u64 << 60);
    put("huge", &size);
    let mut both = good(&config(architecture, std::slice::from_ref(&diff_id)));
    both["manifests"] = json!([]);
    put("both", &both);
    let mut chart = good(&config(architecture, std::slice::from_ref(&diff_id)));
    chart["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json");
    put("chart", &chart);
    let other = good(&config(architecture, &[diff_id]));
    let entry = json!({"mediaType": OCI_MANIFEST, "digest": put("fine", &other), "size": 7});
    put(
        "indexsize",
        &json!({"schemaVersion": 2, "manifests": [entry]}),
    );
    registry.put(
        "/v2/team/app/manifests/schema1",
        br#"{"schemaVersion":1}"#,
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    );
    let store = store(&env);
    for (tag, says) in [
        ("diffid", "wrong content"),
        ("count", "the manifest has 1 layers, the image config 2"),
        ("badid", "broken image config"),
        ("long", "another size"),
        ("short", "another size"),
        ("huge", "no space left"),
        ("both", "ambiguous manifest"),
        ("chart", "not a container image"),
        ("indexsize", "its index says 7"),
        ("schema1", "obsolete schema 1"),
        ("missing", "manifest unknown"),
    ] {
        let name = format!("team/app:{tag}");
        let error = pull_from(&registry.host(), &name, &store, &Told::default()).unwrap_err();
        assert!(error.message().contains(says), "{tag}: {error}");
        assert_nothing_visible(&store, &env);
    }
    pull_from(&registry.host(), "team/app:fine", &store, &Told::default()).unwrap();
}

/// Every fault in every place: the pull ends in time, nothing wrong becomes
/// visible, and the next pull succeeds.
#[test]
fn the_matrix() {
    let acts: Vec<(&str, Act)> = vec![
        ("500", Act::Status(500, vec![], String::new())),
        ("404", Act::Status(404, vec![], String::new())),
        ("401", Act::Status(401, vec![], String::new())),
        (
            "429 late",
            Act::Status(429, vec![("Retry-After", "3600".into())], String::new()),
        ),
        ("reset", Act::Reset),
        ("cut", Act::CloseAt(40)),
        ("stall", Act::StallAt(40)),
        ("silence", Act::Silent),
        ("endless", Act::Endless),
        ("empty", Act::Body(Vec::new())),
        ("json", Act::Body(b"{}".to_vec())),
        ("flip", Act::Flip(20)),
        ("length", Act::Length(10)),
        ("chunks", Act::ChunkGarbage),
        ("gzip", Act::Header("Content-Encoding", "gzip".into())),
        ("type", Act::Header("Content-Type", "text/html".into())),
        (
            "loop",
            Act::Redirect(307, "/v2/team/app/manifests/latest".into()),
        ),
        ("dead", Act::Redirect(307, "http://127.0.0.1:1/".into())),
    ];
    let (env, registry) = (Env::new(), FaultRegistry::start());
    let (layer, diff_id) = small_layer("matrix");
    let config = config(host_architecture(), &[diff_id]);
    let document = manifest(&registry, "team/app", &config, std::slice::from_ref(&layer));
    let manifest_digest = put_document(&registry, "inner", &document);
    let entry = json!({"mediaType": OCI_MANIFEST, "digest": manifest_digest, "size": document.to_string().len(),
        "platform": {"os": "linux", "architecture": host_architecture()}});
    put_document(
        &registry,
        "latest",
        &json!({"schemaVersion": 2, "manifests": [entry]}),
    );
    let objects = [
        "manifests/latest".to_owned(),
        manifest_digest,
        digest(config.to_string().as_bytes()),
        digest(&layer),
    ];
    let mut failed = 0;
    for (number, object) in objects.iter().enumerate() {
        for (name, act) in &acts {
            for always in [false, true] {
                let place = Store::open(&Paths::at(
                    env.path(&format!("data/{number}-{}-{always}", name.replace(' ', ""))),
                    env.run_dir().join("x"),
                ))
                .unwrap();
                let nth = if always { 0..usize::MAX } else { 0..1 };
                registry.clear_faults();
                registry.fault(object, nth, act.clone());
                let start = std::time::Instant::now();
                let result = pull_from(&registry.host(), "team/app", &place, &Told::default());
                let tag = format!("{object} {name} {always}: {result:?}");
                assert!(start.elapsed() < crate::support::limit(10), "{tag}");
                registry.clear_faults();
                if result.is_err() {
                    failed += 1;
                    assert_eq!(place.images().unwrap().len(), 0, "{tag}");
                }
                let repeat = pull_from(&registry.host(), "team/app", &place, &Told::default());
                assert!(repeat.is_ok(), "{tag}, then {repeat:?}");
            }
        }
    }
    assert!(
        failed > acts.len() * objects.len() / 2,
        "only {failed} of them failed"
    );
}
