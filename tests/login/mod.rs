//! `login` and `logout` against a registry with a certificate and a password.

mod search;

use crate::support::Env;
use crate::support::env::private_dir;
use crate::support::fault_registry::{Act, Door, FaultRegistry};
use crate::support::image::Image;
use crate::support::pty::Pty;
use crate::support::registry::{Registry, Setup};
use base64::Engine as _;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A registry that takes `tester` with `secret`, and knows busybox.
fn guarded() -> (Env, Registry) {
    let registry = Registry::start(Setup {
        tls: true,
        password: true,
    });
    let env = Env::new();
    env.short_names_from(&registry);
    (env, registry)
}

fn config(env: &Env) -> Value {
    let bytes = std::fs::read(env.path("home/.docker/config.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn encoded(login: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(login)
}

#[test]
fn a_password_from_stdin_is_checked_and_stored() {
    let (env, registry) = guarded();
    registry.push(&env, &Image::busybox(), "library/busybox:latest");
    let host = registry.host();
    private_dir(&env.path("home/.docker"));
    let path = env.path("home/.docker/config.json");
    std::fs::write(&path, r#"{"psFormat":"{{.ID}}","HttpHeaders":{"X":"y"}}"#).unwrap();
    let login = ["login", "-u", "tester", "--password-stdin", &host];

    let out = env.wherry_with(login, b"wrong\n").status(1).says(&format!(
        "Error: login attempt to https://{host}/v2/ failed with status: 401 Unauthorized\n\
         hint: the user name or the password is wrong"
    ));
    assert_eq!(out.text(), "");
    assert!(!out.errors().contains("wrong\n"), "{out}");
    assert!(config(&env).get("auths").is_none());
    env.wherry(["pull", "-q", "busybox"]).status(1);

    let out = env.wherry_with(login, b"secret\r\n").ok();
    assert_eq!(out.text(), "Login Succeeded\n");
    assert_eq!(
        out.errors(),
        format!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\n\
             Configure a credential helper to remove this warning. See\n\
             https://docs.docker.com/go/credential-store/\n\n",
            path.display()
        )
    );
    let want = json!({"psFormat": "{{.ID}}", "HttpHeaders": {"X": "y"},
        "auths": {&host: {"auth": encoded("tester:secret")}}});
    assert_eq!(config(&env), want);
    assert_eq!(mode(&path), 0o600);
    env.ok(["pull", "-q", "busybox"]);

    // Once more without a word: with what is stored.
    let out = env.wherry(["login", &format!("https://{host}/v2/")]).ok();
    assert_eq!(out.text(), "Login Succeeded\n");
    assert!(
        out.errors()
            .starts_with("Authenticating with existing credentials... [Username: tester]\n"),
        "{out}"
    );

    assert_eq!(
        env.ok(["logout", &host]),
        format!("Removing login credentials for {host}")
    );
    assert_eq!(config(&env)["auths"], json!({}));
    assert_eq!(config(&env)["psFormat"], "{{.ID}}");
    env.wherry(["login", &host])
        .status(1)
        .says("Error: Cannot perform an interactive login from a non TTY device\n");
    // Never logged in, and no such file.
    let out = env.wherry(["--config", "/nonexistent", "logout"]).ok();
    assert_eq!(
        out.text(),
        "Removing login credentials for https://index.docker.io/v1/\n"
    );
}

#[test]
fn options_that_do_not_fit_together() {
    let env = Env::new();
    for (args, says) in [
        (
            &["--password-stdin"][..],
            "Error: the --password-stdin option requires --username to be set\n",
        ),
        (
            &["-u", "a", "-p", "b", "--password-stdin"],
            "Error: conflicting options: cannot specify both --password and --password-stdin\n",
        ),
        (
            &["-u", "a", "host.invalid"],
            "Error: Cannot perform an interactive login from a non TTY device\n",
        ),
        (
            &["-p", "a", "host.invalid"],
            "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n\
             Error: Cannot perform an interactive login from a non TTY device\n",
        ),
        (
            &["-u", "a", "-p", "b", "u@host"],
            "Error: invalid registry host \"u@host\"\n",
        ),
        (
            &["-u", "a", "-p", "b", "127.0.0.1:1"],
            "Error: Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused\n",
        ),
    ] {
        env.wherry([&["login"], args].concat()).status(1).says(says);
    }
    assert!(!env.path("home/.docker").exists());
    env.wherry(["login", "a", "b"])
        .status(1)
        .says("'wherry login' requires at most 1 argument");
}

#[test]
fn a_person_types_and_sees_no_password() {
    let (env, registry) = guarded();
    let host = registry.host();
    let mut pty = Pty::spawn(&env.wherry_command(["login", &host]), 24, 120);
    let before = pty.modes();
    pty.expect("Username: ");
    pty.send("tester\r");
    pty.expect("Password: ");
    // A slip of the keys, taken back.
    pty.send("x\u{7f}secrett\x08\r");
    pty.expect("Login Succeeded");
    assert_eq!(pty.wait(), 0);
    assert!(!pty.text().contains("secre"), "{}", pty.text());
    assert_eq!(pty.modes(), before);
    assert_eq!(
        config(&env)["auths"][&host]["auth"],
        encoded("tester:secret")
    );

    // Ctrl-C ends it and leaves the terminal as it was.
    let args = ["login", "-u", "tester", &host];
    let mut pty = Pty::spawn(&env.wherry_command(args), 24, 120);
    pty.expect("Password: ");
    pty.send("secret\x03");
    assert_eq!(pty.wait(), 130);
    assert_eq!(pty.modes(), before);
    assert!(!pty.text().contains("secret"));

    let args = ["login", "-u", "tester", &host];
    let mut pty = Pty::spawn(&env.wherry_command(args), 24, 120);
    pty.expect("Password: ");
    pty.send("\r");
    pty.expect("Error: Password Required");
    assert_eq!(pty.wait(), 1);
}

/// A helper that keeps logins in files beside it; `bad` refuses.
fn helper(env: &mut Env, name: &str) -> std::path::PathBuf {
    let dir = env.path("helpers");
    std::fs::create_dir_all(&dir).unwrap();
    let script = r#"#!/bin/sh
store="$(dirname "$0")/kept"
input=$(cat)
case $1 in
store) case $input in *refuse*) echo "the vault is closed"; exit 1;; esac; printf %s "$input" >"$store" ;;
get) [ -e "$store" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "$store" ;;
erase) echo "$input" >"$store.erased"; [ -e "$store" ] || { echo "credentials not found in native keychain"; exit 1; }; rm "$store" ;;
esac
"#;
    let path = dir.join(format!("docker-credential-{name}"));
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let search = format!("{}:/usr/bin:/bin", dir.display());
    env.set("PATH", &search);
    dir.join("kept")
}

#[test]
fn credential_helpers_keep_it() {
    let (mut env, registry) = guarded();
    registry.push(&env, &Image::busybox(), "library/busybox:latest");
    let host = registry.host();
    let kept = helper(&mut env, "vault");
    private_dir(&env.path("home/.docker"));
    let path = env.path("home/.docker/config.json");
    for setting in [
        json!({"credsStore": "vault"}),
        json!({"credsStore": "nothing", "credHelpers": {&host: "vault"}}),
    ] {
        std::fs::write(&path, setting.to_string()).unwrap();
        let login = ["login", "-u", "tester", "--password-stdin", &host];
        let out = env.wherry_with(login, b"secret").ok();
        assert_eq!((&*out.text(), &*out.errors()), ("Login Succeeded\n", ""));
        let stored: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
        assert_eq!(
            stored,
            json!({"ServerURL": &host, "Username": "tester", "Secret": "secret"})
        );
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&encoded("tester:secret")), "{text}");
        assert_eq!(config(&env)["auths"], json!({ &host: {} }));
        env.ok(["pull", "-q", "busybox"]);
        env.ok(["login", &host]);
        env.ok(["logout", &host]);
        assert!(!kept.exists());
        let asked = std::fs::read_to_string(kept.with_extension("erased")).unwrap();
        assert_eq!(asked.trim(), host);
        // It has nothing any more, which is no failure.
        env.ok(["logout", &host]);
    }
    let bad = ["login", "-u", "refuse", "--password-stdin", &host];
    let out = env.wherry_with(bad, b"secret").status(1);
    assert!(out.errors().contains("401"), "{out}");
}

#[test]
fn a_helper_that_fails_is_told_and_nothing_is_stored() {
    let mut env = Env::new();
    let kept = helper(&mut env, "vault");
    let registry = FaultRegistry::start();
    registry.set_door(Door::Basic(encoded("refuse:secret")));
    private_dir(&env.path("home/.docker"));
    let path = env.path("home/.docker/config.json");
    std::fs::write(&path, r#"{"credsStore":"vault"}"#).unwrap();
    let host = registry.host();
    let login = ["login", "-u", "refuse", "--password-stdin", &host];
    let out = env.wherry_with(login, b"secret").status(1).says(&format!(
        "docker-credential-vault\" cannot store the login for {host}: the vault is closed\n"
    ));
    assert!(!out.errors().contains("secret"), "{out}");
    assert!(!kept.exists());
    std::fs::write(&path, r#"{"credsStore":"missing"}"#).unwrap();
    env.wherry_with(login, b"secret")
        .status(1)
        .says("credential helper \"docker-credential-missing\" not found in PATH");
    env.wherry(["logout", &host]).status(1);
    assert_eq!(config(&env), json!({"credsStore": "missing"}));
}

#[test]
fn token_services_are_asked() {
    let env = Env::new();
    let registry = FaultRegistry::start();
    registry.set_door(Door::Token {
        realm: None,
        uses: 100,
        password: Some(encoded("tester:secret")),
    });
    let host = registry.host();
    let login = ["login", "-u", "tester", "--password-stdin", &host];
    let out = env.wherry_with(login, b"wrong").status(1);
    let says = format!(
        "Error: Get \"http://{host}/v2/\": token service \"http://{host}/token\": unauthorized"
    );
    assert!(out.errors().starts_with(&says), "{out}");
    assert!(
        out.errors().contains("hint: the user name or the password"),
        "{out}"
    );
    registry.clear_log();
    env.wherry_with(login, b"secret").ok();
    let asked: Vec<String> = registry.log().iter().map(|r| r.path.clone()).collect();
    assert!(
        asked.contains(
            &"/token?account=tester&offline_token=true&client_id=wherry&service=test".to_string()
        ),
        "{asked:?}"
    );
    assert_eq!(
        config(&env)["auths"][&host],
        json!({"auth": encoded("tester:secret")})
    );

    // An identity token is kept in place of the password, and is used.
    let answer = br#"{"token":"token-0","refresh_token":"kept-secret"}"#;
    registry.fault("/token", 0.., Act::Body(answer.to_vec()));
    let out = env.wherry_with(login, b"secret").ok();
    assert!(!out.errors().contains("kept-secret"), "{out}");
    assert_eq!(
        config(&env)["auths"][&host],
        json!({"auth": encoded("tester:"), "identitytoken": "kept-secret"})
    );
    registry.clear_faults();
    registry.clear_log();
    env.ok(["login", &host]);
    let log = registry.log();
    let posted = log.iter().find(|r| r.method == "POST").unwrap();
    assert_eq!(
        String::from_utf8_lossy(&posted.body),
        "grant_type=refresh_token&client_id=wherry&service=test&refresh_token=kept-secret"
    );
}
