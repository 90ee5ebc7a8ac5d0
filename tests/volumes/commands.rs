//! `wherry volume …`, and what other commands say of volumes.

use super::{data, on_disk, place, sh, volumes};
use crate::support::{Env, eventually};
use serde_json::Value;

#[test]
fn made_listed_shown_and_removed() {
    let env = Env::new();
    assert_eq!(env.ok(["volume", "create", "one"]), "one");
    // Once more is no error, and changes nothing.
    assert_eq!(env.ok(["volume", "create", "one", "--label", "a=b"]), "one");
    let labelled = ["volume", "create", "-d", "local", "--label", "k=v", "two"];
    assert_eq!(env.ok(labelled), "two");
    let anonymous = env.ok(["volume", "create"]);
    assert!(anonymous.len() == 64, "{anonymous}");
    let table = env.ok(["volume", "ls", "-f", "name=one", "-f", "name=two"]);
    assert_eq!(table, "DRIVER    VOLUME NAME\nlocal     one\nlocal     two");
    let format = "{{.Name}} {{.Driver}} {{.Scope}} {{.Links}} {{.Size}} {{.Label \"k\"}}";
    let line = env.ok(["volume", "ls", "-f", "label=k", "--format", format]);
    assert_eq!(line, "two local local N/A N/A v");
    let json = env.ok(["volume", "ls", "-f", "name=^one$", "--format", "json"]);
    let shown: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(shown["Mountpoint"], data(&env, "one").to_str().unwrap());
    assert_eq!(shown["Availability"], "N/A");
    let shown: Value = serde_json::from_str(&env.ok(["volume", "inspect", "one", "two"])).unwrap();
    assert_eq!(shown[0]["Labels"], Value::Null);
    assert_eq!(shown[0]["Options"], Value::Null);
    assert_eq!(shown[1]["Labels"]["k"], "v");
    let keys: Vec<&String> = shown[0].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "CreatedAt",
            "Driver",
            "Labels",
            "Mountpoint",
            "Name",
            "Options",
            "Scope"
        ]
    );
    // By `inspect` without a type, too.
    assert_eq!(env.ok(["inspect", "-f", "{{.Name}}", "two"]), "two");
    let by_type = ["inspect", "--type", "volume", "-f", "{{.Driver}}", "two"];
    assert_eq!(env.ok(by_type), "local");
    let removed = env.wherry(["volume", "rm", "one", "gone", "two"]).status(1);
    assert_eq!(removed.text(), "one\ntwo\n");
    removed.says("get gone: no such volume");
    assert_eq!(env.ok(["volume", "rm", "-f", "gone"]), "gone");
    env.wherry(["volume", "inspect", "one"])
        .status(1)
        .says("get one: no such volume");
    assert_eq!(on_disk(&env), [anonymous]);
    env.wherry(["volume", "update", "one"]).status(1);
}

#[test]
fn what_is_refused() {
    let env = Env::new();
    let long = "x".repeat(256);
    let option = |list: &[&'static str]| {
        let mut words = vec!["volume", "create"];
        for option in list {
            words.extend(["--opt", option]);
        }
        words.push("vv");
        words
    };
    for (words, status, says) in [
        (vec!["volume", "create", "a"], 1, "volume name is too short"),
        (
            vec!["volume", "create", &long],
            1,
            "volume name is too long",
        ),
        (
            vec!["volume", "create", "a/b"],
            1,
            "includes invalid characters for a local volume name",
        ),
        (
            vec!["volume", "create", "../evil"],
            1,
            "includes invalid characters for a local volume name",
        ),
        (
            vec!["volume", "create", "-d", "nfs", "vv"],
            1,
            "error looking up volume plugin nfs: plugin \"nfs\" not found",
        ),
        (option(&["foo=1"]), 1, "create vv: invalid option: \"foo\""),
        (
            option(&["type=tmpfs"]),
            1,
            "create vv: missing required option: \"device\"",
        ),
        (
            option(&["size=1g"]),
            1,
            "quota size requested but no quota support",
        ),
        (
            vec!["volume", "inspect", "../containers"],
            1,
            "no such volume",
        ),
        (vec!["volume", "inspect", ".."], 1, "no such volume"),
        (vec!["volume", "rm", "../images"], 1, "no such volume"),
        (vec!["volume", "rm", "-f", "../.."], 0, ""),
        (
            vec!["volume", "ls", "-f", "foo=1"],
            1,
            "invalid filter 'foo'",
        ),
        (
            vec!["volume", "ls", "-f", "dangling=maybe"],
            1,
            "invalid filter 'dangling=maybe'",
        ),
        (
            vec!["volume", "prune", "-f", "--filter", "until=1h"],
            1,
            "invalid filter 'until'",
        ),
        (vec!["volume", "update", "vv"], 1, "no such volume"),
    ] {
        let out = env.wherry(&words);
        assert_eq!(out.status, status, "{out}");
        assert!(out.errors().contains(says), "{out}");
    }
    assert!(on_disk(&env).is_empty());
    assert!(env.path("data/wherry").is_dir());
}

#[test]
fn one_that_is_used_stays() {
    let env = place();
    let running = env.ok(["run", "-d", "-v", "data:/d", "busybox", "sleep", "1000"]);
    let created = env.ok(["create", "-v", "data:/d", "busybox"]);
    for words in [
        &["volume", "rm", "data"][..],
        &["volume", "rm", "-f", "data"],
    ] {
        let out = env.wherry(words).status(1);
        let text = out.errors();
        assert!(text.contains("remove data: volume is in use - ["), "{out}");
        assert!(text.contains(&running) && text.contains(&created), "{out}");
    }
    env.ok(["volume", "prune", "-af"]);
    assert_eq!(volumes(&env), ["data"]);
    assert_eq!(env.ok(["volume", "ls", "-qf", "dangling=true"]), "");
    assert_eq!(env.ok(["volume", "ls", "-qf", "dangling=false"]), "data");
    env.ok(["rm", "-f", &running, &created]);
    assert_eq!(env.ok(["volume", "ls", "-qf", "dangling=1"]), "data");
    env.ok(["volume", "rm", "data"]);
    assert!(on_disk(&env).is_empty());
}

/// Anonymous volumes go with `rm -v` and `--rm` only.
#[test]
fn those_without_a_name() {
    let env = place();
    let options = [
        "-v",
        "/one",
        "--mount",
        "type=volume,dst=/two",
        "-v",
        "named:/n",
    ];
    let create =
        |extra: &[&str]| env.ok([&["create"], extra, &options[..], &["filled", "true"]].concat());
    let id = create(&[]);
    // Besides the two, one for the image's VOLUME.
    assert_eq!(volumes(&env).len(), 4);
    let count = env.ok(["ps", "-a", "--format", "{{.LocalVolumes}}"]);
    assert_eq!(count, "4");
    let anonymous = volumes(&env).remove(0);
    let label = "{{index .Labels \"com.docker.volume.anonymous\"}}.";
    assert_eq!(env.ok(["volume", "inspect", "-f", label, &anonymous]), ".");
    env.ok(["start", "-a", &id]);
    env.ok(["rm", &id]);
    assert_eq!(volumes(&env).len(), 4);
    let pruned = env.ok(["volume", "prune", "-f"]);
    assert!(pruned.starts_with("Deleted Volumes:\n"), "{pruned}");
    assert!(pruned.contains("Total reclaimed space: "), "{pruned}");
    assert_eq!(volumes(&env), ["named"]);
    let id = create(&[]);
    env.ok(["rm", "-v", &id]);
    assert_eq!(volumes(&env), ["named"]);
    env.ok([&["run", "--rm"], &options[..], &["filled", "true"]].concat());
    assert!(eventually(5, || volumes(&env) == ["named"]));
    // `rm -f` of one that was to be removed takes them as well.
    let id = env.ok([
        &["run", "-d", "--rm"],
        &options[..],
        &["filled", "sleep", "99"],
    ]
    .concat());
    env.ok(["rm", "-f", &id]);
    assert!(eventually(5, || volumes(&env) == ["named"]));
    // One that another container has, too, stays for it.
    let id = env.ok(["create", "-v", "/one", "busybox"]);
    let other = env.ok(["create", "--volumes-from", &id, "busybox"]);
    env.ok(["rm", "-v", &id]);
    assert_eq!(volumes(&env).len(), 2);
    env.ok(["rm", "-v", &other]);
    assert_eq!(volumes(&env), ["named"]);
}

#[test]
fn disk_use_and_the_system_prune() {
    let env = place();
    sh(
        &env,
        &["-v", "used:/d"],
        "busybox",
        "head -c 5000 /dev/zero >/d/f",
    );
    env.ok(["create", "--name", "cc", "-v", "used:/d", "busybox"]);
    env.ok(["volume", "create", "idle"]);
    let row = env.ok([
        "system",
        "df",
        "--format",
        "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}",
    ]);
    assert!(row.contains("Local Volumes|2|1|5kB|0B (0%)"), "{row}");
    let all = env.ok(["system", "df", "-v"]);
    assert!(all.contains("VOLUME NAME   LINKS     SIZE\nidle          0         0B\nused          1         5kB\n"), "{all}");
    let json: Value =
        serde_json::from_str(&env.ok(["system", "df", "-v", "--format", "json"])).unwrap();
    assert_eq!(json["Volumes"][1]["Links"], "1");
    let anonymous = env.ok(["volume", "create"]);
    let out = env.ok(["system", "prune", "-f", "--volumes"]);
    assert!(
        out.contains(&format!("Deleted Volumes:\n{anonymous}\n")),
        "{out}"
    );
    assert_eq!(volumes(&env), ["idle", "used"]);
    env.ok(["volume", "prune", "-f", "--filter", "all=true"]);
    assert!(on_disk(&env).is_empty());
}

#[test]
fn what_ps_and_inspect_show() {
    let env = place();
    let dir = env.path("home/dir");
    std::fs::create_dir(&dir).unwrap();
    let bind = format!("{}:/b:ro", dir.display());
    let id = env.ok([
        "create",
        "-v",
        "data:/d",
        "-v",
        &bind,
        "--mount",
        "type=tmpfs,dst=/t",
        "busybox",
    ]);
    let shown: Value =
        serde_json::from_str(&env.ok(["inspect", "-f", "{{json .Mounts}}", &id])).unwrap();
    let of = |place: &str| {
        let all = shown.as_array().unwrap();
        all.iter()
            .find(|m| m["Destination"] == place)
            .unwrap()
            .clone()
    };
    let volume = of("/d");
    for (key, value) in [
        ("Type", "volume"),
        ("Name", "data"),
        ("Driver", "local"),
        ("Mode", "z"),
        ("Propagation", ""),
    ] {
        assert_eq!(volume[key], value, "{key}");
    }
    assert_eq!(volume["Source"], data(&env, "data").to_str().unwrap());
    let bind = of("/b");
    assert_eq!(
        (&bind["Type"], &bind["RW"], &bind["Mode"]),
        (&"bind".into(), &false.into(), &"ro".into())
    );
    assert_eq!(bind["Propagation"], "rprivate");
    assert!(bind.get("Name").is_none());
    assert_eq!(of("/t")["Type"], "tmpfs");
    for filter in ["volume=data", "volume=/d", "volume=/b"] {
        let found = env.ok(["ps", "-aq", "--no-trunc", "-f", filter]);
        assert_eq!(found, id, "{filter}");
    }
    assert_eq!(env.ok(["ps", "-aq", "-f", "volume=other"]), "");
    let mounts = env.ok(["ps", "-a", "--no-trunc", "--format", "{{.Mounts}}"]);
    assert!(
        mounts.contains("data") && mounts.contains(dir.to_str().unwrap()),
        "{mounts}"
    );
}

/// A removal or a making that was killed is ended by the next command.
#[test]
fn what_killed_commands_leave() {
    use crate::support::kill::at_syscall;
    let env = place();
    for n in 1..12 {
        sh(&env, &["-v", "data:/data"], "filled", "true");
        let command = env.wherry_command(["volume", "rm", "data"]);
        let _ = at_syscall(&command, "unlinkat,renameat2,rename", n).output();
        let command = env.wherry_command(["volume", "create", "more"]);
        let _ = at_syscall(&command, "mkdir,rename,renameat,fsync", n).output();
        // Whatever has come of it: both are there or not, and can be removed.
        for name in volumes(&env) {
            env.ok(["volume", "inspect", &name]);
        }
        env.ok(["volume", "rm", "-f", "data", "more"]);
        env.ok(["volume", "create", "last"]);
        env.ok(["volume", "rm", "last"]);
        assert!(volumes(&env).is_empty(), "{:?}", volumes(&env));
    }
    let left = on_disk(&env);
    assert!(left.is_empty(), "{left:?}");
}
