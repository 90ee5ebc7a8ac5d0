//! A registry with a certificate of its own and a password, and where the
//! password may come from.

use crate::support::Env;
use crate::support::image::Image;
use crate::support::registry::{Registry, Setup};
use base64::Engine;
use std::os::unix::fs::PermissionsExt;

fn guarded() -> (Env, Registry) {
    let registry = Registry::start(Setup {
        tls: true,
        password: true,
    });
    let env = Env::new();
    env.short_names_from(&registry);
    registry.push(&env, &Image::busybox(), "library/busybox:latest");
    (env, registry)
}

fn config(env: &Env, text: &str) {
    let dir = env.path("home/.docker");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("config.json"), text).unwrap();
}

fn auths(registry: &Registry, login: &str) -> String {
    let auth = base64::engine::general_purpose::STANDARD.encode(login);
    format!(
        r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#,
        registry.host()
    )
}

#[test]
fn without_a_login_it_says_so() {
    let (env, _registry) = guarded();
    let out = env.wherry(["pull", "busybox"]).status(1);
    assert!(out.errors().contains("auth"), "{}", out.errors());
    env.wherry(["run", "--rm", "busybox", "true"]).status(125);
    assert_eq!(env.ok(["images", "-q"]), "");
}

#[test]
fn a_stored_login_opens_it_and_a_wrong_one_does_not() {
    let (env, registry) = guarded();
    config(&env, &auths(&registry, "tester:wrong"));
    let out = env.wherry(["pull", "busybox"]).status(1);
    assert!(!out.errors().contains("wrong"), "{}", out.errors());
    config(&env, &auths(&registry, "tester:secret"));
    let args = ["run", "--rm", "--network", "none", "busybox", "echo", "in"];
    assert_eq!(env.ok(args), "in");
}

#[test]
fn a_credential_helper_is_asked() {
    let (mut env, registry) = guarded();
    let helpers = env.path("helpers");
    std::fs::create_dir_all(&helpers).unwrap();
    let helper = helpers.join("docker-credential-vault");
    let script = "#!/bin/sh\nread host\nprintf '{\"ServerURL\":\"%s\",\"Username\":\"tester\",\"Secret\":\"secret\"}' \"$host\"\n";
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", helpers.display());
    env.set("PATH", &path);
    config(
        &env,
        &format!(r#"{{"credHelpers":{{"{}":"vault"}}}}"#, registry.host()),
    );
    let name = env.ok(["pull", "-q", "busybox"]);
    assert_eq!(name, "docker.io/library/busybox:latest");
}
