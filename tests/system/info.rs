//! `info` and `system prune`.

use crate::support::Env;
use crate::support::env::private_dir;
use crate::support::user;
use serde_json::Value;

#[test]
fn info_tells_what_there_is() {
    let env = Env::busybox();
    env.ok([
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "runs",
        "busybox",
        "sleep",
        "1000",
    ]);
    env.ok(["create", "--name", "waits", "busybox"]);
    private_dir(&env.path("home/.docker"));
    let login = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YW5uOnNlY3JldA=="}}}"#;
    std::fs::write(env.path("home/.docker/config.json"), login).unwrap();
    let out = env.wherry(["info"]).ok();
    let text = out.text();
    assert!(text.starts_with("Client:\n Version:    "), "{text}");
    let server = "\nServer:\n Containers: 2\n  Running: 1\n  Paused: 0\n  Stopped: 1\n Images: 1\n Server Version: ";
    assert!(text.contains(server), "{text}");
    for line in [
        " Storage Driver: overlay2\n  Backing Filesystem: ",
        "\n Logging Driver: json-file\n Cgroup Driver: ",
        "\n Swarm: inactive\n",
        "\n Security Options:\n  seccomp\n   Profile: builtin\n",
        &format!(
            "\n Docker Root Dir: {}\n",
            env.path("data/wherry").display()
        ),
        "\n Username: ann\n Registry: https://index.docker.io/v1/\n",
        "\n Insecure Registries:\n  127.0.0.1:",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(
        text.ends_with("\n Live Restore Enabled: true\n\n"),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(text.contains("\n  rootless\n"), !user::is_root());

    let json: Value = serde_json::from_str(&env.ok(["info", "--format", "json"])).unwrap();
    assert_eq!(json["Containers"], 2);
    assert_eq!(json["ClientInfo"]["Context"], "default");
    assert_eq!(json["IndexServerAddress"], "https://index.docker.io/v1/");
    // Warnings of the text form go to standard error.
    let warnings = json["Warnings"].as_array().unwrap();
    for warning in warnings {
        let warning = warning.as_str().unwrap();
        assert!(warning.starts_with("WARNING: "), "{warning}");
        assert!(out.errors().contains(warning), "{out}");
    }
    let format = "{{.Driver}} {{.Swarm.LocalNodeState}} {{.ContainersRunning}} {{len .ID}}";
    assert_eq!(
        env.ok(["system", "info", "-f", format]),
        "overlay2 inactive 1 36"
    );
    env.wherry(["info", "-f", "{{.Nope}}"])
        .status(1)
        .says("can't evaluate field Nope in type system.dockerInfo");
    env.wherry(["info", "-f", "{{.X"]).status(64);
}

#[test]
fn prune_takes_containers_and_then_images() {
    let env = Env::busybox();
    let id = env.ok(["create", "--label", "a=b", "busybox"]);
    let image = env.ok(["image", "inspect", "-f", "{{.Id}}", "busybox"]);
    let digest = env.ok([
        "image",
        "inspect",
        "-f",
        "{{index .RepoDigests 0}}",
        "busybox",
    ]);
    let asked = env
        .wherry_with(
            [
                "system",
                "prune",
                "-a",
                "--volumes",
                "--filter",
                "label=a=b",
            ],
            b"n\n",
        )
        .ok();
    assert_eq!(
        asked.text(),
        "WARNING! This will remove:\n  - all stopped containers\n  \
         - all networks not used by at least one container\n  \
         - all anonymous volumes not used by at least one container\n  \
         - all images without at least one container associated to them\n  \
         - all build cache\n\n  \
         Items to be pruned will be filtered with:\n  - label=a=b\n\n\
         Are you sure you want to continue? [y/N] "
    );
    let asked = env.wherry_with(["system", "prune"], b"").ok();
    assert_eq!(
        asked.text(),
        "WARNING! This will remove:\n  - all stopped containers\n  \
         - all networks not used by at least one container\n  \
         - all dangling images\n  - unused build cache\n\n\
         Are you sure you want to continue? [y/N] "
    );
    let nothing = ["system", "prune", "-f", "--filter", "label=other"];
    assert_eq!(env.ok(nothing), "Total reclaimed space: 0B");
    let pruned = env.ok(["system", "prune", "-af"]);
    let head = format!(
        "Deleted Containers:\n{id}\n\nDeleted Images:\nuntagged: busybox:latest\nuntagged: {digest}\n\
         deleted: {image}\n\nTotal reclaimed space: "
    );
    assert!(pruned.starts_with(&head), "{pruned}");
    assert!(pruned.ends_with("MB"), "{pruned}");
    assert_eq!(
        env.ok(["system", "prune", "-f"]),
        "Total reclaimed space: 0B"
    );
    env.wherry(["system", "prune", "-f", "--volumes", "--filter", "until=1h"])
        .status(1)
        .says("The \"until\" filter is not supported with \"--volumes\"");
    env.wherry(["system", "prune", "-f", "--filter", "name=x"])
        .status(1)
        .says("invalid filter 'name'");
}
