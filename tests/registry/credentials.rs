//! Where credentials go, and where they never do (rows S52, S53 and G6 of the
//! requirements).

use super::*;
use crate::support::fault_registry::{Act, Door, FaultRegistry};
use base64::Engine as _;

fn with_password(host: &str) -> Source {
    let (username, password) = ("tester".into(), "secret".into());
    Source {
        credential: Credential::Password { username, password },
        ..source(host)
    }
}

fn encoded() -> String {
    base64::engine::general_purpose::STANDARD.encode("tester:secret")
}

fn assert_no_secrets(registry: &FaultRegistry) {
    for request in registry.log() {
        for name in ["authorization", "cookie", "proxy-authorization"] {
            assert_eq!(
                request.header(name),
                None,
                "{} {}",
                request.method,
                request.path
            );
        }
        assert!(!format!("{request:?}").contains("secret"));
    }
}

#[test]
fn a_redirect_to_another_host_or_port_gets_no_credentials() {
    for status in [301, 302, 303, 307, 308] {
        for host in ["127.0.0.1", "localhost"] {
            let (registry, other) = (FaultRegistry::start(), FaultRegistry::start());
            registry.set_door(Door::Basic(encoded()));
            let bytes = noise(1000);
            let blob = descriptor(&bytes);
            other.put("/elsewhere", &bytes, "x");
            let port = other.host().split(':').nth(1).unwrap().to_owned();
            registry.put_blob(REPOSITORY, &bytes);
            registry.fault(
                "/blobs/",
                1..,
                Act::Redirect(status, format!("http://{host}:{port}/elsewhere")),
            );
            let client = client_of(vec![with_password(&registry.host())]);
            assert_eq!(read(&client, &blob, 0).unwrap(), bytes, "{status} {host}");
            assert_eq!(other.asked("/elsewhere"), 1);
            assert_no_secrets(&other);
            let own: Vec<_> = registry
                .log()
                .iter()
                .map(|r| r.header("authorization").map(String::from))
                .collect();
            assert_eq!(
                own.last().unwrap().as_deref(),
                Some(format!("Basic {}", encoded()).as_str())
            );
        }
    }
}

#[test]
fn a_challenge_of_another_host_is_not_answered() {
    let (registry, other) = (FaultRegistry::start(), FaultRegistry::start());
    other.set_door(Door::Basic(encoded()));
    registry.fault("/blobs/", 0.., Act::Redirect(307, other.url("/elsewhere")));
    let client = client_of(vec![with_password(&registry.host())]);
    assert!(
        read(&client, &descriptor(b"x"), 0)
            .unwrap_err()
            .contains("unauthorized")
    );
    assert_no_secrets(&other);
}

#[test]
fn a_wrong_password_is_sent_once() {
    let registry = FaultRegistry::start();
    registry.set_door(Door::Basic("somebody-else".into()));
    put_manifest(&registry);
    let client = client_of(vec![with_password(&registry.host())]);
    let error = client.manifest_by_tag("latest").unwrap_err();
    assert!(
        error
            .message()
            .contains("unauthorized: authentication required"),
        "{error}"
    );
    let sent = registry
        .log()
        .iter()
        .filter(|r| r.header("authorization").is_some())
        .count();
    assert_eq!(sent, 1);
}

#[test]
fn the_password_goes_to_the_own_token_service_only() {
    let registry = FaultRegistry::start();
    registry.set_door(Door::Token {
        realm: None,
        uses: 100,
        password: Some(encoded()),
    });
    let manifest = put_manifest(&registry);
    let client = client_of(vec![with_password(&registry.host())]);
    assert_eq!(client.manifest_by_tag("latest").unwrap().bytes, manifest);
    let log = registry.log();
    let asked = log.iter().find(|r| r.path.starts_with("/token")).unwrap();
    assert_eq!(
        asked.path,
        "/token?account=tester&scope=repository%3Ateam%2Fapp%3Apull&service=test"
    );

    for (realm, says) in [
        ("http://127.0.0.2:9/token", "refused"),
        ("http://localhost.evil.test/token", "refused"),
        ("file:///etc/passwd", "refused"),
        ("gopher://127.0.0.1/", "refused"),
        ("http://u:p@127.0.0.1/token", "refused"),
        ("not a url", "no valid token service"),
        ("", "no valid token service"),
    ] {
        registry.set_door(Door::Token {
            realm: Some(realm.into()),
            uses: 1,
            password: None,
        });
        registry.clear_log();
        let client = client_of(vec![with_password(&registry.host())]);
        let error = client.manifest_by_tag("latest").unwrap_err();
        assert!(error.message().contains(says), "{realm}: {error}");
        assert_no_secrets(&registry);
    }
    let long = format!("http://{}.test/", "a".repeat(100 << 10));
    registry.set_door(Door::Token {
        realm: Some(long),
        uses: 1,
        password: None,
    });
    assert!(
        client_of(vec![with_password(&registry.host())])
            .manifest_by_tag("latest")
            .is_err()
    );
}

#[test]
fn an_identity_token_is_traded_for_access() {
    let registry = FaultRegistry::start();
    registry.set_door(Door::Token {
        realm: None,
        uses: 100,
        password: None,
    });
    let manifest = put_manifest(&registry);
    let credential = Credential::IdentityToken("refresh&me".into());
    let client = client_of(vec![Source {
        credential,
        ..source(&registry.host())
    }]);
    assert_eq!(client.manifest_by_tag("latest").unwrap().bytes, manifest);
    let log = registry.log();
    let asked = log.iter().find(|r| r.path.starts_with("/token")).unwrap();
    assert_eq!(asked.method, "POST");
    let body = String::from_utf8(asked.body.clone()).unwrap();
    assert_eq!(
        body,
        "grant_type=refresh_token&client_id=wherry&service=test&scope=repository%3Ateam%2Fapp%3Apull&refresh_token=refresh%26me"
    );
}

#[test]
fn a_token_that_expires_is_renewed_in_the_middle_of_a_blob() {
    let registry = FaultRegistry::start();
    registry.set_door(Door::Token {
        realm: None,
        uses: 1,
        password: None,
    });
    let manifest = put_manifest(&registry);
    let bytes = noise(100_000);
    registry.put_blob(REPOSITORY, &bytes);
    // Every request needs a new token; the blob takes three.
    registry.fault("/blobs/", 1..2, Act::CloseAt(40_000));
    registry.fault("/blobs/", 3..4, Act::CloseAt(40_000));
    let client = client(&registry);
    assert_eq!(client.manifest_by_tag("latest").unwrap().bytes, manifest);
    assert_eq!(read(&client, &descriptor(&bytes), 0).unwrap(), bytes);
    assert_eq!(registry.asked("/token"), 4);
}

#[test]
fn a_registry_that_never_lets_in_is_left_alone() {
    let registry = FaultRegistry::start();
    registry.set_door(Door::Token {
        realm: None,
        uses: 0,
        password: None,
    });
    let error = client(&registry).manifest_by_tag("latest").unwrap_err();
    assert!(error.message().starts_with(
        "pull access denied for registry.test/team/app, repository does not exist or may require 'docker login': "
    ), "{error}");
    assert_eq!(
        (registry.asked("/token"), registry.asked("/manifests/")),
        (2, 3)
    );
}

#[test]
fn token_services_fail_too() {
    for (act, tokens, says) in [
        (Act::Status(503, vec![], String::new()), 4, "503"),
        (Act::Status(401, vec![], String::new()), 1, "unauthorized"),
        (Act::Status(200, vec![], "{}".into()), 1, "gave no token"),
        (
            Act::Status(200, vec![], "{\"token\":\"a\\nb\"}".into()),
            1,
            "no header can carry",
        ),
        (Act::Endless, 1, "larger than the limit of 1048576"),
        (Act::Silent, 2, "no answer within the time limit"),
    ] {
        let registry = FaultRegistry::start();
        registry.set_door(Door::Token {
            realm: None,
            uses: 9,
            password: None,
        });
        registry.fault("/token", 0.., act.clone());
        let error = client(&registry).manifest_by_tag("latest").unwrap_err();
        assert!(error.message().contains(says), "{act:?}: {error}");
        assert_eq!(registry.asked("/token"), tokens, "{act:?}");
    }
}

#[test]
fn each_source_gets_its_own_credentials() {
    let (mirror, registry) = (FaultRegistry::start(), FaultRegistry::start());
    registry.set_door(Door::Basic(encoded()));
    let manifest = put_manifest(&registry);
    let mut first = source(&mirror.host());
    first.endpoint.mirror = true;
    let client = client_of(vec![first, with_password(&registry.host())]);
    assert_eq!(client.manifest_by_tag("latest").unwrap().bytes, manifest);
    assert_eq!(mirror.asked("/manifests/"), 1);
    assert_no_secrets(&mirror);
}

/// Helpers are found in absolute directories only, run in `/` with the
/// variables they need, and get the host on stdin.
#[test]
fn credential_helpers() {
    use crate::support::env::run;
    use wherry::config::Logins;
    let env = crate::support::Env::new();
    let script = "#!/bin/sh\n[ \"$1\" = get ] || exit 9\nread -r host\n\
        case $host in\n\
        found.io) env=$(env | cut -d= -f1 | sort | tr '\\n' ' ')\n\
        printf '{\"ServerURL\":\"%s\",\"Username\":\"%s\",\"Secret\":\"%s\"}' \"$host\" \"$(pwd)\" \"$env\";;\n\
        https://index.docker.io/v1/) printf '{\"Username\":\"<token>\",\"Secret\":\"hub\"}';;\n\
        junk.io) echo secret; exit 0;;\n\
        broken.io) echo secret; exit 3;;\n\
        *) echo 'credentials not found in native keychain'; exit 1;;\nesac\n";
    let bin = env.path("tmp/bin");
    std::fs::create_dir(&bin).unwrap();
    // Written by another process: a descriptor open for writing in a child
    // that another test forks meanwhile would make the script busy.
    let mut install = env.command("sh");
    install.args(["-c", "cat >docker-credential-test && chmod 755 docker-credential-test && mkdir open && cp docker-credential-test open/docker-credential-planted && chmod 777 open"]);
    install.current_dir(&bin);
    run(install, script.as_bytes(), 10).ok();
    let file = env.path("tmp/config.json");
    let configure = |text: &str| std::fs::write(&file, text).unwrap();
    let variables = [
        ("HOME", "/h"),
        ("LD_PRELOAD", "/x"),
        ("SSL_CERT_FILE", "/x"),
        ("AWS_PROFILE", "p"),
        ("PATH", "/evil"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let dirs = [
        ".".into(),
        "bin".into(),
        bin.join("open"),
        bin.clone(),
        "/usr/bin".into(),
        "/bin".into(),
    ];
    let logins = Logins::at([file.clone()]).with_helpers(dirs, variables);

    configure(
        r#"{"credsStore": "test", "auths": {"file.io": {"username": "f", "password": "p"}}}"#,
    );
    let Credential::Password { username, password } = logins.credential("found.io", "x").unwrap()
    else {
        panic!("no password");
    };
    assert_eq!(username, "/");
    let mut names: Vec<&str> = password.split_whitespace().collect();
    // What the shell adds by itself.
    names.retain(|n| !["PWD", "OLDPWD", "SHLVL", "_"].contains(n));
    assert_eq!(names, ["AWS_PROFILE", "HOME", "PATH"]);
    let hub = logins.credential("docker.io", "library/x").unwrap();
    assert_eq!(hub, Credential::IdentityToken("hub".into()));
    assert_eq!(
        logins.credential("none.io", "x").unwrap(),
        Credential::Anonymous
    );
    assert!(matches!(
        logins.credential("file.io", "x").unwrap(),
        Credential::Password { .. }
    ));
    for host in ["junk.io", "broken.io"] {
        let error = logins.credential(host, "x").unwrap_err();
        assert!(error.message().contains("docker-credential-test"));
        assert!(!format!("{error:?}").contains("secret"));
    }
    // A directory that everybody may write is no place for a helper.
    configure(r#"{"credHelpers": {"found.io": "planted"}}"#);
    let error = logins.credential("found.io", "x").unwrap_err();
    assert!(error.message().contains("not found in PATH"), "{error}");
}
