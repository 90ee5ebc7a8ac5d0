//! The commands about networks: forms, filters, and what is refused.

use super::serve;
use crate::support::env::Env;

#[test]
fn lists_and_documents() {
    let env = Env::busybox();
    let id = env.ok([
        "network",
        "create",
        "--label",
        "a=b",
        "--opt",
        "com.docker.network.driver.mtu=1400",
        "mine",
    ]);
    assert_eq!(id.trim().len(), 64);
    let list = env.ok(["network", "ls"]);
    let lines: Vec<Vec<&str>> = list
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"]);
    let names: Vec<&str> = lines[1..].iter().map(|l| l[1]).collect();
    assert_eq!(names, ["bridge", "host", "mine", "none"]);
    assert_eq!(lines[4][2], "null");
    assert_eq!(
        env.ok(["network", "ls", "-q", "--no-trunc", "-f", "name=mine"]),
        id
    );
    for (filter, want) in [
        ("driver=bridge", "bridge\nmine"),
        ("type=custom", "mine"),
        ("type=builtin", "bridge\nhost\nnone"),
        ("label=a", "mine"),
        ("label=a=c", ""),
        ("dangling=true", "mine"),
        ("scope=global", ""),
    ] {
        assert_eq!(
            env.ok(["network", "ls", "-f", filter, "--format", "{{.Name}}"]),
            want,
            "{filter}"
        );
    }
    let json = env.ok(["network", "ls", "-f", "name=mine", "--format", "json"]);
    let row: serde_json::Value = serde_json::from_str(&json).unwrap();
    let keys: Vec<&String> = row.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "CreatedAt",
            "Driver",
            "ID",
            "IPv4",
            "IPv6",
            "Internal",
            "Labels",
            "Name",
            "Scope"
        ]
    );
    assert_eq!(
        (&row["Labels"], &row["Internal"]),
        (&"a=b".into(), &"false".into())
    );
    env.ok([
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        &id[..12],
        "busybox",
        "sleep",
        "600",
    ]);
    let container = env.ok(["inspect", "-f", "{{.Id}}", "box"]);
    let text = env.ok(["network", "inspect", "mine"]);
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (document, member) = (&all[0], &all[0]["Containers"][container.trim()]);
    assert_eq!(member["Name"], "box");
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "Name",
            "Id",
            "Created",
            "Scope",
            "Driver",
            "EnableIPv4",
            "EnableIPv6",
            "IPAM",
            "Internal",
            "Attachable",
            "Ingress",
            "ConfigFrom",
            "ConfigOnly",
            "Containers",
            "Options",
            "Labels"
        ]
    );
    assert_eq!(
        env.ok(["exec", "box", "cat", "/sys/class/net/eth0/mtu"]),
        "1400"
    );
    assert_eq!(
        env.ok(["inspect", "--type", "network", "-f", "{{.Name}}", "mine"]),
        "mine"
    );
    assert_eq!(env.ok(["inspect", "-f", "{{.Driver}}", "mine"]), "bridge");
    assert_eq!(
        env.ok(["ps", "-q", "-f", "network=mine"]).lines().count(),
        1
    );
    // In use, then pruned.
    env.wherry(["network", "rm", "mine"])
        .status(1)
        .says("error while removing network: network mine id")
        .says("has active endpoints (name:\"box\"");
    assert_eq!(env.ok(["network", "prune", "-f"]), "");
    env.ok(["stop", "-t", "0", "box"]);
    assert_eq!(
        env.ok(["network", "prune", "-f", "--filter", "label!=a"]),
        ""
    );
    assert_eq!(
        env.ok(["network", "prune", "-f"]),
        "Deleted Networks:\nmine"
    );
    env.wherry(["start", "box"])
        .status(1)
        .says("network mine not found");
    env.ok(["network", "create", "mine"]);
    env.ok(["start", "box"]);
}

/// Documented status, a sentence, nothing left behind.
#[test]
fn what_is_refused() {
    let env = Env::busybox();
    env.ok(["network", "create", "--subnet", "10.216.0.0/16", "mine"]);
    env.ok([
        "create",
        "--name",
        "box",
        "--network",
        "mine",
        "busybox",
        "true",
    ]);
    env.ok([
        "create",
        "--name",
        "alone",
        "--network",
        "none",
        "busybox",
        "true",
    ]);
    env.ok([
        "create",
        "--name",
        "host",
        "--network",
        "host",
        "busybox",
        "true",
    ]);
    let before = env.ok(["network", "ls"]);
    for (words, status, text) in [
        (
            "network create mine",
            1,
            "network with name mine already exists",
        ),
        (
            "network create bridge",
            1,
            "operation is not permitted on predefined bridge network",
        ),
        (
            "network create -d host x",
            1,
            "operation is not permitted on predefined host network",
        ),
        ("network create -d nope x", 1, "plugin \"nope\" not found"),
        (
            "network create -d ipvlan x",
            1,
            "the driver ipvlan is not supported",
        ),
        (
            "network create a/b",
            1,
            "includes invalid characters for a network name",
        ),
        (
            "network create ../x",
            1,
            "includes invalid characters for a network name",
        ),
        (
            "network create --subnet x y",
            125,
            "invalid CIDR address: x",
        ),
        (
            "network create --subnet 10.216.5.0/24 x",
            1,
            "Pool overlaps with other one on this address space",
        ),
        (
            "network create --subnet 10.217.0.1/16 x",
            1,
            "it should be 10.217.0.0/16",
        ),
        (
            "network create --subnet 10.217.0.0/16 --gateway 10.9.0.1 x",
            1,
            "no matching subnet for gateway 10.9.0.1",
        ),
        (
            "network create --subnet 10.217.0.0/16 --ip-range 10.9.0.0/24 x",
            1,
            "no matching subnet for range 10.9.0.0/24",
        ),
        (
            "network create --subnet 10.217.0.0/16 --aux-address a=10.9.0.1 x",
            1,
            "no matching subnet for aux-address 10.9.0.1",
        ),
        (
            "network create --gateway 10.9.0.1 x",
            1,
            "no matching subnet for gateway 10.9.0.1",
        ),
        (
            "network create --subnet fd00::/64 x",
            1,
            "IPv6 is not enabled",
        ),
        (
            "network create --ipv4=false x",
            1,
            "IPv4 or IPv6 must be enabled",
        ),
        (
            "network create --ingress x",
            1,
            "--ingress is not supported",
        ),
        (
            "network create -o com.docker.network.bridge.enable_icc=false x",
            1,
            "enable_icc is not supported",
        ),
        (
            "network rm host",
            1,
            "host is a pre-defined network and cannot be removed",
        ),
        ("network rm nope", 1, "network nope not found"),
        ("network inspect nope", 1, "network nope not found"),
        (
            "network connect mine box",
            1,
            "endpoint with name box already exists in network mine",
        ),
        ("network connect mine alone", 1, "in private (none) mode"),
        (
            "network connect mine host",
            1,
            "container cannot be disconnected from host network or connected to host network",
        ),
        (
            "network connect host box",
            1,
            "container cannot be disconnected from host network or connected to host network",
        ),
        ("network connect nope box", 1, "network nope not found"),
        ("network connect mine nope", 1, "No such container: nope"),
        (
            "network connect --ip 10.9.9.9 bridge box",
            1,
            "user specified IP address is supported on user defined networks only",
        ),
        (
            "network disconnect bridge box",
            1,
            "is not connected to network bridge",
        ),
        ("network ls -f nope=1", 1, "invalid filter 'nope'"),
        ("network ls -f type=foo", 1, "invalid filter: 'type'='foo'"),
        (
            "run --rm --network nope busybox true",
            125,
            "network nope not found",
        ),
        (
            "run --rm --network mine --network mine busybox true",
            125,
            "network \"mine\" is specified multiple times",
        ),
        (
            "run --rm --network mine --network host busybox true",
            125,
            "cannot attach both user-defined and non-user-defined network-modes",
        ),
        (
            "run --rm --network host --network mine busybox true",
            125,
            "cannot attach both user-defined and non-user-defined network-modes",
        ),
        (
            "run --rm --network-alias x busybox true",
            125,
            "network-scoped aliases are only supported for user-defined networks",
        ),
        (
            "run --rm --network mine --mac-address 01:02:03:04:05:06 busybox true",
            125,
            "is not a valid mac address",
        ),
        (
            "run --rm --network mine -p 90-92:80-81 busybox true",
            125,
            "invalid ranges specified",
        ),
    ] {
        let output = env.wherry(words.split(' ')).status(status).says(text);
        let inspects = words.contains("inspect");
        let want = if inspects { "[]\n" } else { "" };
        assert_eq!(output.text(), want, "{words}");
    }
    assert_eq!(env.ok(["network", "ls"]), before);
    assert_eq!(env.ok(["ps", "-aq"]).lines().count(), 3);
    assert_eq!(env.wherry(["network", "rm", "-f", "nope"]).status, 0);
}

/// A container keeps what it was made with, and the document says what it has.
#[test]
fn settings_of_a_container() {
    let env = Env::busybox();
    env.ok(["network", "create", "--subnet", "10.218.0.0/24", "mine"]);
    serve(
        &env,
        "box",
        &[
            "--network",
            "name=mine,ip=10.218.0.9,alias=x,gw-priority=3",
            "--network",
            "bridge",
        ],
    );
    let text = env.ok(["inspect", "-f", "{{json .NetworkSettings}}", "box"]);
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mine = &all["Networks"]["mine"];
    for (key, want) in [
        ("IPAddress", "10.218.0.9"),
        ("Gateway", "10.218.0.1"),
        ("MacAddress", "02:42:0a:da:00:09"),
    ] {
        assert_eq!(mine[key], want, "{key}");
    }
    assert_eq!(mine["IPAMConfig"]["IPv4Address"], "10.218.0.9");
    assert_eq!(
        (&mine["IPPrefixLen"], &mine["GwPriority"]),
        (&24.into(), &3.into())
    );
    assert_eq!(mine["Aliases"], serde_json::json!(["x"]));
    assert_eq!(mine["EndpointID"].as_str().unwrap().len(), 64);
    let bridge = &all["Networks"]["bridge"];
    assert_eq!(all["IPAddress"], bridge["IPAddress"]);
    env.ok(["stop", "-t", "0", "box"]);
    let stopped = env.ok([
        "inspect",
        "-f",
        "{{(index .NetworkSettings.Networks \"mine\").IPAddress}}",
        "box",
    ]);
    assert_eq!(stopped, "");
}
