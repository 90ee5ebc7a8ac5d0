//! `search`: Docker Hub's way, and a registry's catalog.

use crate::support::Env;
use crate::support::fault_registry::{Act, FaultRegistry};
use crate::support::image::Image;
use crate::support::registry::{Registry, Setup};
use serde_json::{Value, json};

/// A registry in Docker Hub's place that has its search.
fn hub() -> (Env, FaultRegistry) {
    let registry = FaultRegistry::start();
    let results = json!({"num_results": 3, "query": "x", "results": [
        {"name": "busybox", "description": "Busybox base image.\nSmall and red and much longer than the column is", "star_count": 3300, "is_official": true, "is_automated": false},
        {"name": "ann/busybox", "description": "", "star_count": 7, "is_official": false},
        {"name": "bob/busybox", "star_count": 0}]});
    let found = Act::Status(200, Vec::new(), results.to_string());
    registry.fault("/v1/search", 0.., found);
    let env = Env::new();
    let conf = format!(
        "[[registry]]\nprefix = \"docker.io\"\nlocation = \"{}\"\ninsecure = true\n",
        registry.host()
    );
    std::fs::write(env.path("registries.conf"), conf).unwrap();
    (env, registry)
}

#[test]
fn the_default_registry_is_searched() {
    let (env, registry) = hub();
    assert_eq!(
        env.ok(["search", "busybox"]),
        "NAME          DESCRIPTION                                     STARS     OFFICIAL\n\
         busybox       Busybox base image. Small and red and much l…   3300      [OK]\n\
         ann/busybox                                                   7         \n\
         bob/busybox                                                   0         "
    );
    let log = registry.log();
    let asked = log.iter().find(|r| r.path.starts_with("/v1/")).unwrap();
    assert_eq!(asked.path, "/v1/search?q=busybox&n=25");
    let lines = env.ok([
        "search",
        "--format",
        "json",
        "--no-trunc",
        "--limit",
        "2",
        "busybox",
    ]);
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    let want =
        json!({"Description": "", "IsOfficial": "false", "Name": "ann/busybox", "StarCount": "7"});
    assert_eq!(lines[1], want);
    let names = |filter: &[&str]| {
        let args = [&["search", "--format", "{{.Name}}"], filter, &["busybox"]].concat();
        env.ok(args)
    };
    assert_eq!(names(&["--filter", "stars=5"]), "busybox\nann/busybox");
    assert_eq!(
        names(&["-f", "stars=5", "-f", "is-official=false"]),
        "ann/busybox"
    );
    for (args, says) in [
        (
            ["--limit", "200"],
            "limit 200 is outside the range of [1, 100]",
        ),
        (
            ["--limit", "-1"],
            "limit -1 is outside the range of [1, 100]",
        ),
        (["--filter", "nope=1"], "invalid filter 'nope'"),
        (["--filter", "stars=x"], "invalid filter 'stars=x'"),
        (
            ["--filter", "is-official=x"],
            "invalid filter 'is-official=[x]'",
        ),
    ] {
        env.wherry([&["search"], &args[..], &["x"]].concat())
            .status(1)
            .says(says);
    }
    env.wherry(["search"])
        .status(1)
        .says("'wherry search' requires 1 argument");
}

#[test]
fn another_registry_shows_its_catalog() {
    let registry = Registry::start(Setup {
        tls: true,
        password: true,
    });
    let env = Env::new();
    env.short_names_from(&registry);
    for name in ["team/busybox:1", "team/other:1", "busybox:2"] {
        registry.push(&env, &Image::busybox(), name);
    }
    let host = registry.host();
    let term = format!("{host}/busybox");
    env.wherry(["search", &term]).status(1).says(&format!(
        "registry {host} shows neither a search nor a catalog: "
    ));
    let login = ["login", "-u", "tester", "--password-stdin", &host];
    env.wherry_with(login, b"secret").ok();
    assert_eq!(
        env.ok(["search", "--format", "{{.Name}}", &term]),
        "busybox\nteam/busybox"
    );
    assert_eq!(
        env.ok(["search", "--limit", "1", &term]),
        "NAME      DESCRIPTION   STARS     OFFICIAL\nbusybox                 0         "
    );
    let gone = env.wherry(["search", "127.0.0.1:1/x"]).status(1);
    assert!(gone.errors().contains("connection refused"), "{gone}");
}
