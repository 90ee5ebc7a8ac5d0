//! Names as containers resolve them.

use super::{address, inside, serve, succeeds};
use crate::support::env::Env;
use crate::support::{eventually, limit};
use std::time::Instant;

#[test]
fn names_aliases_and_short_ids_resolve() {
    let env = Env::busybox();
    env.ok(["network", "create", "net"]);
    let id = env.ok([
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "net",
        "--network-alias",
        "app",
        "--network-alias",
        "Front",
        "busybox",
        "sleep",
        "600",
    ]);
    env.ok([
        "run",
        "-d",
        "--name",
        "db",
        "--network",
        "net",
        "--network-alias",
        "app",
        "busybox",
        "sleep",
        "600",
    ]);
    let (web, db) = (address(&env, "web", "net"), address(&env, "db", "net"));
    let ask = |name: &str| {
        let text = inside(&env, "db", &format!("nslookup -type=a {name} 127.0.0.11"));
        let lines = text.lines().filter_map(|l| l.strip_prefix("Address: "));
        let mut found: Vec<String> = lines.map(|l| l.trim().to_string()).collect();
        found.retain(|a| !a.contains("127.0.0.11"));
        found.sort();
        found
    };
    for name in ["web", "WEB", "front", "web.net", &id[..12]] {
        assert_eq!(ask(name), std::slice::from_ref(&web), "{name}");
    }
    let mut both = [web.clone(), db];
    both.sort();
    assert_eq!(ask("app"), both);
    assert!(inside(&env, "db", &format!("nslookup {web}")).contains("name = web.net"));
    // The container may listen on port 53 itself.
    inside(
        &env,
        "db",
        "(nc -l -p 53 </dev/null >/dev/null &) ; sleep 0.2; nslookup web",
    );
    let names = env.ok([
        "inspect",
        "-f",
        "{{json (index .NetworkSettings.Networks \"net\").DNSNames}}",
        "web",
    ]);
    assert_eq!(
        names,
        format!("[\"web\",\"app\",\"Front\",\"{}\"]", &id[..12])
    );
}

/// None is lost while others come and go.
#[test]
fn names_resolve_while_others_come_and_go() {
    let env = Env::busybox();
    env.ok(["network", "create", "net"]);
    serve(&env, "web", &["--network", "net"]);
    env.ok([
        "run", "-d", "--name", "asker", "--network", "net", "busybox", "sh", "-c",
        "while [ ! -e /stop ]; do nslookup -type=a web >/dev/null || echo lost; echo >>/asked; done; echo done; sleep 600",
    ]);
    for round in 0..8 {
        let names: Vec<String> = (0..3).map(|n| format!("r{round}n{n}")).collect();
        let children: Vec<_> = names
            .iter()
            .map(|name| {
                env.spawn([
                    "run",
                    "--rm",
                    "--name",
                    name,
                    "--network",
                    "net",
                    "busybox",
                    "ping",
                    "-c1",
                    "-W2",
                    "web",
                ])
            })
            .collect();
        for mut child in children {
            // Right after its start, too.
            assert_eq!(crate::support::env::wait(&mut child, 60), Some(0));
        }
    }
    inside(&env, "asker", "touch /stop");
    assert!(eventually(20, || env
        .ok(["logs", "asker"])
        .ends_with("done")));
    assert_eq!(env.ok(["logs", "asker"]), "done");
    let asked: usize = inside(&env, "asker", "wc -l </asked")
        .trim()
        .parse()
        .unwrap();
    assert!(asked > 20, "only {asked} were asked");
}

#[test]
fn links_give_names() {
    let env = Env::busybox();
    env.ok(["network", "create", "net"]);
    // In a network of its own by the name server.
    serve(&env, "web", &["--network", "net"]);
    assert_eq!(
        env.ok([
            "run",
            "--rm",
            "--network",
            "net",
            "--link",
            "web:shop",
            "busybox",
            "wget",
            "-qO-",
            "http://shop/"
        ]),
        "web"
    );
    assert!(
        !succeeds(&env, "web", "ping -c1 -W1 shop"),
        "a link is its owner's alone"
    );
    // In the default one by files and variables.
    env.ok([
        "run", "-d", "--name", "db", "-e", "PASS=x", "--expose", "5432", "busybox", "sleep", "600",
    ]);
    let ip = address(&env, "db", "bridge");
    let text = env.ok([
        "run",
        "--rm",
        "--link",
        "db:store",
        "busybox",
        "sh",
        "-c",
        "ping -c1 -W2 store >/dev/null && ping -c1 -W2 db >/dev/null && env | grep ^STORE | sort",
    ]);
    assert!(
        text.contains(&format!("STORE_PORT_5432_TCP_ADDR={ip}")),
        "{text}"
    );
    assert!(text.contains("STORE_ENV_PASS=x"), "{text}");
    env.wherry(["run", "--rm", "--link", "nobody", "busybox", "true"])
        .status(125)
        .says("could not get container for nobody: No such container: nobody");
    env.ok(["stop", "-t", "0", "db"]);
    env.wherry(["run", "--rm", "--link", "db", "busybox", "true"])
        .status(125)
        .says("Cannot link to a container that is not running: /db AS /");
}

/// A client of the name server that says nothing keeps only itself waiting
/// (S76).
#[test]
fn a_silent_client_delays_nobody() {
    let env = Env::busybox();
    env.ok(["network", "create", "net"]);
    env.ok([
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "net",
        "busybox",
        "sleep",
        "600",
    ]);
    inside(
        &env,
        "box",
        "for i in 1 2 3 4 5; do (sleep 20 | nc 127.0.0.11 53 &) ; done; sleep 0.3",
    );
    let began = Instant::now();
    inside(
        &env,
        "box",
        "for i in 1 2 3 4 5 6 7 8 9 10; do nslookup -type=a box >/dev/null || exit 1; done",
    );
    assert!(began.elapsed() < limit(3));
}
