//! Networks of the user's own, seen from inside their containers: addresses,
//! names, isolation, connecting while all runs, and what is left behind.

mod commands;
mod lan;
mod names;
mod ports;

use crate::support::env::Env;
use crate::support::{eventually, limit, payload};
use std::time::Instant;

/// What a container's program prints; it must succeed.
pub fn inside(env: &Env, container: &str, script: &str) -> String {
    env.ok(["exec", container, "sh", "-c", script])
}

/// Whether it succeeds.
pub fn succeeds(env: &Env, container: &str, script: &str) -> bool {
    env.wherry(["exec", container, "sh", "-c", script]).status == 0
}

/// A container that serves its name on port 80, in these networks.
pub fn serve(env: &Env, name: &str, options: &[&str]) {
    let script = format!("mkdir /www; echo {name} >/www/index.html; exec httpd -f -p 80 -h /www");
    let mut words = vec!["run", "-d", "--name", name];
    words.extend(options);
    words.extend(["busybox", "sh", "-c", &script]);
    env.ok(words);
    let get = format!("timeout 2 wget -qO- http://127.0.0.1/ | grep -q {name}");
    assert!(
        eventually(20, || succeeds(env, name, &get)),
        "{name} serves"
    );
}

pub fn address(env: &Env, container: &str, network: &str) -> String {
    let template = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
    env.ok(["inspect", "-f", &template, container])
        .trim()
        .to_string()
}

/// Monitors that keep the namespace of the networks.
fn keepers(env: &Env) -> usize {
    std::fs::read_dir(env.run_dir().join("wherry/netns")).map_or(0, Iterator::count)
}

#[test]
fn containers_of_the_default_network_reach_each_other_by_address() {
    let env = Env::busybox();
    serve(&env, "one", &[]);
    env.ok(["run", "-d", "--name", "two", "busybox", "sleep", "600"]);
    let one = address(&env, "one", "bridge");
    assert_eq!(
        inside(&env, "two", &format!("timeout 5 wget -qO- http://{one}/")),
        "one"
    );
    assert_ne!(one, address(&env, "two", "bridge"));
    // As Docker: no names there.
    assert!(!succeeds(&env, "two", "timeout 2 wget -qO- http://one/"));
    assert_eq!(
        inside(&env, "two", "cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6"),
        "1",
        "nobody gives it an address (S75)"
    );
    let gateway = env.ok([
        "network",
        "inspect",
        "bridge",
        "-f",
        "{{(index .IPAM.Config 0).Gateway}}",
    ]);
    inside(&env, "two", &format!("ping -c1 -W2 {gateway}"));
    // All is gone with the last one.
    env.ok(["rm", "-f", "one", "two"]);
    assert!(eventually(10, || keepers(&env) == 0));
}

#[test]
fn networks_are_isolated_from_each_other() {
    let env = Env::busybox();
    for network in ["red", "blue"] {
        env.ok(["network", "create", network]);
    }
    env.ok(["network", "create", "--internal", "inner"]);
    serve(&env, "red1", &["--network", "red"]);
    serve(&env, "blue1", &["--network", "blue"]);
    serve(&env, "inner1", &["--network", "inner"]);
    let red = address(&env, "red1", "red");
    for other in ["blue1", "inner1"] {
        assert!(
            !succeeds(&env, other, &format!("ping -c1 -W1 {red}")),
            "{other}"
        );
        assert!(
            !succeeds(&env, other, &format!("timeout 2 wget -qO- http://{red}/")),
            "{other}"
        );
        assert!(
            !succeeds(&env, other, "timeout 2 wget -qO- http://red1/"),
            "{other}"
        );
    }
    serve(&env, "red2", &["--network", "red"]);
    assert_eq!(
        inside(&env, "red2", "timeout 5 wget -qO- http://red1/"),
        "red1"
    );
    // No way out, and none by asking for names (S76).
    assert_eq!(
        inside(&env, "inner1", "ip route | grep -c default || true"),
        "0"
    );
    let asked = env.wherry(["exec", "inner1", "nslookup", "example.org"]);
    assert!(asked.text().contains("REFUSED"), "{}", asked.text());
    // One that is in both reaches both; they still do not reach each other.
    env.ok([
        "run",
        "-d",
        "--name",
        "both",
        "--network",
        "red",
        "--network",
        "blue",
        "busybox",
        "sleep",
        "600",
    ]);
    assert_eq!(
        inside(
            &env,
            "both",
            "timeout 5 wget -qO- http://red1/; timeout 5 wget -qO- http://blue1/"
        ),
        "red1\nblue1"
    );
    assert!(!succeeds(&env, "blue1", &format!("ping -c1 -W1 {red}")));
    let networks = env.ok(["ps", "-f", "name=both", "--format", "{{.Networks}}"]);
    assert_eq!(networks, "blue,red");
}

#[test]
fn a_container_is_connected_and_disconnected_while_it_runs() {
    let env = Env::busybox();
    env.ok(["network", "create", "net"]);
    serve(&env, "web", &["--network", "net"]);
    env.ok(["run", "-d", "--name", "box", "busybox", "sleep", "600"]);
    assert!(!succeeds(&env, "box", "timeout 2 wget -qO- http://web/"));
    env.ok(["network", "connect", "--alias", "cache", "net", "box"]);
    assert_eq!(
        inside(&env, "box", "timeout 5 wget -qO- http://web/"),
        "web"
    );
    inside(&env, "web", "ping -c1 -W2 cache && ping -c1 -W2 box");
    let hosts = inside(&env, "box", "cat /etc/hosts");
    let first = address(&env, "box", "net");
    assert!(hosts.contains(&first), "{hosts}");
    // Under another name.
    env.ok(["rename", "box", "crate"]);
    inside(&env, "web", "ping -c1 -W2 crate");
    assert!(!succeeds(&env, "web", "ping -c1 -W1 box"));
    env.ok(["network", "disconnect", "net", "crate"]);
    assert!(!succeeds(&env, "crate", "ip addr show eth1"));
    assert!(!succeeds(&env, "web", "ping -c1 -W1 cache"));
    let hosts = inside(&env, "crate", "cat /etc/hosts");
    assert!(!hosts.contains(&first), "{hosts}");
    // What is changed while it is stopped counts at the next start.
    env.ok(["stop", "-t", "0", "crate"]);
    env.ok(["network", "connect", "net", "crate"]);
    env.ok(["network", "disconnect", "bridge", "crate"]);
    env.ok(["start", "crate"]);
    assert_eq!(
        inside(&env, "crate", "timeout 5 wget -qO- http://web/"),
        "web"
    );
    assert_eq!(
        env.ok(["ps", "-f", "name=crate", "--format", "{{.Networks}}"]),
        "net"
    );
}

#[test]
fn addresses_that_are_asked_for_are_given() {
    let env = Env::busybox();
    env.ok([
        "network",
        "create",
        "--subnet",
        "10.213.0.0/24",
        "--ip-range",
        "10.213.0.128/25",
        "--aux-address",
        "router=10.213.0.129",
        "lab",
    ]);
    let net = "name=lab,alias=x,ip=10.213.0.7,mac-address=02:00:00:00:00:07";
    env.ok([
        "run",
        "-d",
        "--name",
        "fixed",
        "--network",
        net,
        "busybox",
        "sleep",
        "600",
    ]);
    assert_eq!(address(&env, "fixed", "lab"), "10.213.0.7");
    assert!(inside(&env, "fixed", "ip link show eth0").contains("02:00:00:00:00:07"));
    env.ok([
        "run",
        "-d",
        "--name",
        "next",
        "--network",
        "lab",
        "busybox",
        "sleep",
        "600",
    ]);
    assert_eq!(address(&env, "next", "lab"), "10.213.0.128");
    env.ok([
        "run",
        "-d",
        "--name",
        "after",
        "--network",
        "lab",
        "busybox",
        "sleep",
        "600",
    ]);
    assert_eq!(address(&env, "after", "lab"), "10.213.0.130");
    inside(&env, "next", "ping -c1 -W2 x");
    for (ip, status, text) in [
        ("10.213.0.7", 125, "Address already in use"),
        ("10.213.0.1", 125, "is not an address for a container"),
        ("10.213.0.129", 125, "is not an address for a container"),
        (
            "10.213.1.7",
            125,
            "no configured subnet or ip-range contain the IP address 10.213.1.7",
        ),
    ] {
        env.wherry([
            "run",
            "--rm",
            "--network",
            "lab",
            "--ip",
            ip,
            "busybox",
            "true",
        ])
        .status(status)
        .says(text);
    }
    env.wherry(["run", "--rm", "--ip", "172.17.0.9", "busybox", "true"])
        .status(125)
        .says("user specified IP address is supported on user defined networks only");
    assert_eq!(
        env.ok(["ps", "-aq"]).lines().count(),
        3,
        "nothing is left of those"
    );
    // It keeps its address over a restart; another's is free again after its end.
    env.ok(["restart", "-t", "0", "fixed"]);
    assert_eq!(address(&env, "fixed", "lab"), "10.213.0.7");
    env.ok(["rm", "-f", "fixed"]);
    env.ok([
        "run",
        "--rm",
        "--network",
        "lab",
        "--ip",
        "10.213.0.7",
        "busybox",
        "true",
    ]);
}

#[test]
fn ipv6_where_it_is_asked_for() {
    let env = Env::busybox();
    env.ok([
        "network",
        "create",
        "--ipv6",
        "--subnet",
        "fd00:213::/64",
        "--subnet",
        "10.214.0.0/24",
        "six",
    ]);
    serve(&env, "web", &["--network", "six"]);
    env.ok([
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "six",
        "--ip6",
        "fd00:213::77",
        "busybox",
        "sleep",
        "600",
    ]);
    inside(&env, "box", "ping -6 -c1 -W2 web && ping -c1 -W2 web");
    assert_eq!(
        inside(
            &env,
            "web",
            "ping -6 -c1 -W2 fd00:213::77 >/dev/null && cat /proc/sys/net/ipv6/conf/eth0/accept_ra"
        ),
        "0"
    );
    assert_eq!(
        inside(
            &env,
            "box",
            "timeout 5 wget -qO- http://[$(nslookup -type=aaaa web | awk '/^Address: fd/ {print $2}')]/"
        ),
        "web"
    );
}

/// S75: a neighbour that says it is a router gives nobody an address or a route.
#[test]
fn no_neighbour_is_believed_to_be_a_router() {
    let env = Env::busybox();
    let subnets = ["--subnet", "fd00:215::/64", "--subnet", "10.215.0.0/24"];
    env.ok([&["network", "create", "--ipv6", "six"][..], &subnets].concat());
    let probe = format!("{}:/probe:ro", payload("router_probe").display());
    let start = |name: &str, command: &[&str]| {
        let words = ["run", "-d", "--network", "six", "-v", &probe];
        env.ok([&words[..], &["--name", name, "busybox"], command].concat())
    };
    start("peer", &["sleep", "600"]);
    start("router", &["/probe", "advertise"]);
    let look = "cat /proc/net/if_inet6 /proc/net/ipv6_route | grep -v ' lo$'; ip -6 route";
    let before = inside(&env, "peer", look);
    assert!(before.contains("fd00021500000000"), "{before}");
    // It does come by, more than once.
    for _ in 0..3 {
        assert_eq!(env.ok(["exec", "peer", "/probe", "hear", "20"]), "heard");
    }
    let after = inside(&env, "peer", look);
    assert!(!after.contains("20010db80bad"), "{after}");
    assert!(!after.contains("2001:db8:bad"), "{after}");
    // Nor a way by the router's own address.
    assert!(!after.contains("default via fe80"), "{after}");
    assert!(
        inside(&env, "peer", "cat /proc/net/if_inet6")
            .lines()
            .count()
            <= 3
    );
}

/// Several that start at once share one namespace; those that are killed take
/// nothing from the others.
#[test]
fn any_monitor_may_be_killed() {
    let env = Env::busybox();
    env.ok(["network", "create", "net"]);
    let names: Vec<String> = (0..6).map(|n| format!("box{n}")).collect();
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            env.spawn([
                "run",
                "-d",
                "--name",
                name,
                "--network",
                "net",
                "busybox",
                "sleep",
                "600",
            ])
        })
        .collect();
    for mut child in children {
        assert_eq!(crate::support::env::wait(&mut child, 60), Some(0));
    }
    for name in &names {
        inside(&env, "box0", &format!("ping -c1 -W2 {name}"));
    }
    let first = env.record(
        env.ok(["inspect", "-f", "{{.Id}}", "box0"]).trim(),
        "state.json",
    );
    let monitor = first["Monitor"]["Pid"].as_i64().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(monitor).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(eventually(10, || succeeds(
        &env,
        "box1",
        "ping -c1 -W2 box2"
    )));
    env.ok([
        "run",
        "--rm",
        "--network",
        "net",
        "busybox",
        "ping",
        "-c1",
        "-W2",
        "box3",
    ]);
    // The next command ends what was left; with the rest all is gone.
    env.ok(["rm", "-f", "box0"]);
    let is_gone = || !succeeds(&env, "box1", "nslookup -type=a box0");
    assert!(eventually(10, is_gone));
    let mut words = vec!["rm", "-f"];
    words.extend(names[1..].iter().map(String::as_str));
    env.ok(words);
    assert!(eventually(10, || keepers(&env) == 0));
    env.ok(["network", "rm", "net"]);
}

/// Address after address, also when everything in the run directory is gone.
#[test]
fn a_wiped_run_directory_gives_no_address_twice() {
    let env = Env::busybox();
    env.ok(["network", "create", "--subnet", "10.215.0.0/29", "net"]);
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
    let first = address(&env, "box", "net");
    std::fs::remove_dir_all(env.run_dir().join("wherry/networks")).unwrap();
    let began = Instant::now();
    for n in 0..6 {
        let name = format!("n{n}");
        let options = [
            "run",
            "-d",
            "--rm",
            "--name",
            &name,
            "--network",
            "net",
            "busybox",
            "sleep",
            "600",
        ];
        let output = env.wherry(options);
        if n < 4 {
            assert_eq!(output.status, 0, "{}", output.errors());
            assert_ne!(address(&env, &name, "net"), first);
        } else {
            output
                .status(125)
                .says("no available IPv4 addresses on this network's address pools: net");
        }
    }
    assert!(began.elapsed() < limit(60));
}
