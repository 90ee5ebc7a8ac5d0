//! `-v`, `--mount`, `--volumes-from`, `--tmpfs`.

use super::{data, place, sh};
use crate::support::Env;
use crate::support::env::run;
use crate::support::{image::Image, registry::Registry, tree::Tree, user};
use serde_json::json;
use std::os::unix::fs::{MetadataExt, symlink};

#[test]
fn volumes_outlive_containers() {
    let env = place();
    sh(
        &env,
        &["-v", "data:/d"],
        "busybox",
        "echo kept >/d/f; chmod 600 /d/f",
    );
    assert_eq!(
        sh(&env, &["-v", "data:/other"], "busybox", "cat /other/f"),
        "kept"
    );
    let refused = "touch /d/x 2>/dev/null || echo refused";
    assert_eq!(
        sh(&env, &["-v", "data:/d:ro"], "busybox", refused),
        "refused"
    );
    let mount = "type=volume,source=data,target=/d,readonly";
    assert_eq!(sh(&env, &["--mount", mount], "busybox", refused), "refused");
    assert_eq!(
        sh(
            &env,
            &["-v", "data:/d:z,rw"],
            "busybox",
            "touch /d/x && echo ok"
        ),
        "ok"
    );
    // Two that share one see each other's files.
    let id = env.ok(["run", "-d", "-v", "data:/d", "busybox", "sleep", "1000"]);
    sh(&env, &["-v", "data:/d"], "busybox", "echo new >/d/new");
    assert_eq!(env.ok(["exec", &id, "cat", "/d/new"]), "new");
    // A restart finds them.
    env.ok(["restart", "-t", "0", &id]);
    assert_eq!(env.ok(["exec", &id, "cat", "/d/f"]), "kept");
}

#[test]
fn a_volume_is_made_with_what_the_mount_says() {
    let env = place();
    let mount = "type=volume,src=made,dst=/d,volume-label=a=b,volume-driver=local,\
                 volume-opt=type=tmpfs,volume-opt=device=tmpfs,\"volume-opt=o=size=1m,uid=33\"";
    let seen = sh(
        &env,
        &["--mount", mount],
        "busybox",
        "stat -c %u /d; df -k /d | tail -n 1 | awk '{print $2}'",
    );
    assert_eq!(seen, "33\n1024");
    let shown = env.ok([
        "volume",
        "inspect",
        "-f",
        "{{.Labels.a}} {{.Options.type}}",
        "made",
    ]);
    assert_eq!(shown, "b tmpfs");
}

/// `type=tmpfs`: one for all containers that have it at a time, gone with the
/// last.
#[test]
fn a_volume_in_memory() {
    let env = place();
    env.ok([
        "volume",
        "create",
        "-o",
        "type=tmpfs",
        "-o",
        "device=tmpfs",
        "-o",
        "o=size=2m,nosuid",
        "mem",
    ]);
    let id = env.ok([
        "run",
        "-d",
        "-v",
        "mem:/m",
        "busybox",
        "sh",
        "-c",
        "echo x >/m/f; sleep 1000",
    ]);
    assert!(crate::support::eventually(5, || env
        .wherry(["exec", &id, "test", "-e", "/m/f"])
        .status
        == 0));
    assert_eq!(
        sh(
            &env,
            &["-v", "mem:/other"],
            "busybox",
            "cat /other/f; echo y >/other/g"
        ),
        "x"
    );
    assert_eq!(env.ok(["exec", &id, "cat", "/m/g"]), "y");
    env.ok(["rm", "-f", &id]);
    assert_eq!(sh(&env, &["-v", "mem:/m"], "busybox", "ls /m"), "");
    assert!(
        std::fs::read_dir(data(&env, "mem"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn a_volume_that_is_a_directory_of_the_host() {
    let env = place();
    let dir = env.path("home/host");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("f"), "host").unwrap();
    let device = format!("device={}", dir.display());
    env.ok([
        "volume",
        "create",
        "-o",
        "type=none",
        "-o",
        "o=bind",
        "-o",
        &device,
        "host",
    ]);
    assert_eq!(
        sh(
            &env,
            &["-v", "host:/h"],
            "busybox",
            "cat /h/f; echo new >/h/g"
        ),
        "host"
    );
    assert_eq!(std::fs::read_to_string(dir.join("g")).unwrap(), "new\n");
    env.ok(["volume", "rm", "host"]);
    assert!(dir.join("f").exists());
    env.ok([
        "volume",
        "create",
        "-o",
        "type=none",
        "-o",
        "o=bind",
        "-o",
        "device=/no/such",
        "lost",
    ]);
    env.wherry(["run", "--rm", "-v", "lost:/h", "busybox", "true"])
        .status(125)
        .says("device /no/such does not exist");
}

/// S36: what is below a volume is beneath it.
#[test]
fn parts_of_volumes_and_images() {
    let env = place();
    sh(
        &env,
        &["-v", "data:/d"],
        "busybox",
        "mkdir -p /d/a/b; echo in >/d/a/b/f; ln -s /etc /d/out; ln -s ../../../../etc /d/up; ln -s a /d/good",
    );
    let part = |path: &str| format!("type=volume,src=data,dst=/p,volume-subpath={path}");
    for good in ["a/b", "good/b", "a/../a/b/"] {
        assert_eq!(
            sh(&env, &["--mount", &part(good)], "busybox", "cat /p/f"),
            "in",
            "{good}"
        );
    }
    assert_eq!(
        sh(&env, &["--mount", &part("a/b/f")], "busybox", "cat /p"),
        "in"
    );
    for (bad, says) in [
        ("out", "leads out of it"),
        ("up", "leads out of it"),
        ("out/passwd", "leads out of it"),
        ("missing", "cannot access path missing"),
        ("../x", "subpath must be a relative path within the volume"),
        ("/etc", "subpath must be a relative path within the volume"),
    ] {
        let out = env.wherry(["run", "--rm", "--mount", &part(bad), "busybox", "true"]);
        assert!(
            out.status >= 125 && out.errors().contains(says),
            "{bad}: {out}"
        );
    }
    let image = "type=image,src=filled,dst=/p";
    let seen = sh(
        &env,
        &["--mount", image],
        "busybox",
        "cat /p/secret; touch /p/x 2>/dev/null || echo refused",
    );
    assert_eq!(seen, "srefused");
    let image = "type=image,src=filled,dst=/p,image-subpath=data/closed";
    assert_eq!(
        sh(&env, &["--mount", image], "busybox", "ls /p; stat -c %u /p"),
        "inside\n1000"
    );
    for (bad, says) in [
        ("type=image,src=nope,dst=/p", "No such image: nope"),
        ("type=image,dst=/p", "field Source must not be empty"),
        (
            "type=image,src=filled,dst=/p,image-subpath=data/link",
            "leads out of it",
        ),
        (
            "type=image,src=filled,dst=/p,image-subpath=../x",
            "subpath must be a relative path",
        ),
    ] {
        let out = env.wherry(["run", "--rm", "--mount", bad, "busybox", "true"]);
        assert!(
            out.status == 125 && out.errors().contains(says),
            "{bad}: {out}"
        );
    }
    // Its image may be removed, but the container has what it needs.
    let id = env.ok([
        "create",
        "--mount",
        "type=image,src=filled,dst=/p",
        "busybox",
        "cat",
        "/p/secret",
    ]);
    env.ok(["rmi", "-f", "filled", "of-www"]);
    assert_eq!(env.ok(["start", "-a", &id]), "s");
}

#[test]
fn mounts_of_others() {
    let env = place();
    let dir = env.path("home/dir");
    std::fs::create_dir(&dir).unwrap();
    let bind = format!("{}:/b", dir.display());
    let from = env.ok([
        "create", "-v", "data:/d", "-v", "/anon", "-v", &bind, "--tmpfs", "/t", "busybox",
    ]);
    let script = "for d in /d /anon /b; do touch $d/x 2>/dev/null && echo $d; done; grep -c ' /t ' /proc/mounts";
    let with = |extra: &[&str]| {
        let mut words = vec!["--volumes-from"];
        words.extend(extra);
        let out = env.wherry(
            [
                &["run", "--rm", "--network", "none"],
                &words[..],
                &["busybox", "sh", "-c", script],
            ]
            .concat(),
        );
        out.text().trim().to_owned()
    };
    assert_eq!(with(&[&from]), "/d\n/anon\n/b\n0");
    assert_eq!(with(&[&format!("{from}:ro")]), "0");
    assert_eq!(with(&[&format!("{from}:z")]), "/d\n/anon\n/b\n0");
    // An own mount wins.
    assert_eq!(with(&[&format!("{from}:ro"), "-v", "mine:/d"]), "/d\n0");
    // Also through another that has them from there.
    let second = env.ok(["create", "--volumes-from", &from, "busybox"]);
    env.ok(["rm", &from]);
    assert_eq!(with(&[&second]), "/d\n/anon\n/b\n0");
    for (bad, says) in [
        ("nope", "No such container: nope"),
        (&*format!("{second}:x"), "invalid mode: x"),
    ] {
        env.wherry(["run", "--volumes-from", bad, "busybox"])
            .status(125)
            .says(says);
    }
}

/// `VOLUME` paths that mean another place (S36, CVE-2022-23648).
#[test]
fn hostile_volumes_of_images() {
    let registry = Registry::plain();
    let env = Env::with(&registry);
    let mut tree = Tree::default();
    tree.symlink("l", "/etc");
    tree.symlink("far", "../../../../../../etc");
    let paths = [
        "/../../etc",
        "//etc//",
        "/l/x",
        "/far/y",
        "relative",
        "/a/../b",
    ];
    let volumes: serde_json::Map<_, _> = paths.iter().map(|p| (p.to_string(), json!({}))).collect();
    let image = Image::busybox().layer(tree).set("Volumes", volumes.into());
    registry.push(&env, &image, "library/evil:latest");
    env.ok(["pull", "-q", "evil"]);
    let host = std::fs::read_to_string("/etc/passwd").unwrap();
    let script = "cat /etc/passwd; ls -d /etc/x /etc/y /relative /b; grep -c ' /etc ' /proc/mounts";
    let seen = sh(&env, &[], "evil", script);
    // The image's own files, not the host's.
    assert!(
        seen.starts_with("root:x:0:0:root:/root:/bin/sh\nwww:"),
        "{seen}"
    );
    assert!(
        seen.ends_with("/b\n/etc/x\n/etc/y\n/relative\n1")
            || seen.ends_with("/etc/x\n/etc/y\n/relative\n/b\n1"),
        "{seen}"
    );
    assert_eq!(host, std::fs::read_to_string("/etc/passwd").unwrap());
    for (tag, path, says) in [
        ("root", "/", "destination can't be '/'"),
        ("proc", "/proc/self", "inside /proc"),
    ] {
        let image = Image::busybox().set("Volumes", json!({ path: {} }));
        registry.push(&env, &image, &format!("library/evil:{tag}"));
        let name = format!("evil:{tag}");
        env.ok(["pull", "-q", &name]);
        env.wherry(["run", "--rm", &name, "true"])
            .status(125)
            .says(says);
    }
}

#[test]
fn sources_that_are_not_there() {
    let env = place();
    let missing = env.path("home/not/yet");
    let shown = missing.display();
    for (words, made) in [
        (
            vec![
                "--mount".to_owned(),
                format!("type=bind,src={shown},dst=/m"),
            ],
            false,
        ),
        (
            vec![
                "--mount".to_owned(),
                format!("type=bind,src={shown},dst=/m,bind-create-src"),
            ],
            true,
        ),
        (vec!["-v".to_owned(), format!("{shown}:/m")], true),
    ] {
        let _ = std::fs::remove_dir_all(env.path("home/not"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let out = env.wherry(
            [
                &["run", "--rm", "--network", "none"],
                &words[..],
                &["busybox", "touch", "/m/x"],
            ]
            .concat(),
        );
        assert_eq!(missing.join("x").exists(), made, "{out}");
        match made {
            true => drop(out.ok()),
            false => drop(out.status(125).says("bind source path does not exist")),
        }
    }
}

/// `:U` gives the files to the container's user, and follows no link.
#[test]
fn given_to_the_user() {
    let env = place();
    let dir = env.path("home/dir");
    std::fs::create_dir_all(dir.join("sub")).unwrap();
    let outside = env.path("home/outside");
    std::fs::write(&outside, "x").unwrap();
    symlink(&outside, dir.join("link")).unwrap();
    let me = std::fs::metadata(&outside).unwrap().uid();
    let bind = format!("{}:/d:U", dir.display());
    let script = "stat -c '%u:%g' /d /d/sub /d/link; touch /d/sub/new";
    assert_eq!(
        sh(&env, &["-v", &bind, "-u", "33:33"], "busybox", script),
        "33:33\n33:33\n33:33"
    );
    assert_eq!(std::fs::metadata(&outside).unwrap().uid(), me);
    assert_eq!(
        sh(
            &env,
            &["-v", "data:/d:U", "-u", "1000:1000"],
            "busybox",
            "touch /d/x; stat -c '%u:%g' /d /d/x"
        ),
        "1000:1000\n1000:1000"
    );
    // Back again, or the test could not remove it.
    assert_eq!(
        sh(
            &env,
            &["-v", &bind],
            "busybox",
            "stat -c '%u:%g' /d/sub/new"
        ),
        "0:0"
    );
    for kept in ["/etc", "/usr", "/home"] {
        env.wherry([
            "run",
            "--rm",
            "-v",
            &format!("{kept}:/d:U"),
            "busybox",
            "true",
        ])
        .status(125)
        .says("cannot be given to the container's user");
    }
}

#[test]
fn tmpfs_and_its_options() {
    let env = place();
    for (options, want) in [
        (&["--tmpfs", "/t"][..], "1777 rw,nosuid,nodev,noexec"),
        (
            &["--tmpfs", "/t:exec,size=1m,mode=700"],
            "700 rw,nosuid,nodev",
        ),
        (&["--tmpfs", "/t:ro,suid,dev,exec"], "1777 ro"),
        (
            &["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=755"],
            "755 rw,nosuid,nodev,noexec",
        ),
        (
            &["--mount", "type=tmpfs,dst=/t,ro"],
            "1777 ro,nosuid,nodev,noexec",
        ),
    ] {
        let seen = sh(
            &env,
            options,
            "busybox",
            "stat -c %a /t | tr '\\n' ' '; grep ' /t ' /proc/mounts | cut -d' ' -f4 | sed s/,relatime.*//",
        );
        assert_eq!(seen, want, "{options:?}");
    }
    env.wherry(["run", "--rm", "--tmpfs", "/t:lowerdir=/", "busybox", "true"])
        .status(125)
        .says("invalid tmpfs option \"lowerdir=/\"");
}

mod as_root {
    use super::*;

    fn mount(env: &Env, args: &[&str]) {
        let mut command = env.command("mount");
        command.args(args);
        run(command, b"", 10).ok();
    }

    struct Unmount(std::path::PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount")
                .args(["-R", "-l"])
                .arg(&self.0)
                .status();
        }
    }

    /// Read-only goes all the way down unless it is said otherwise.
    #[test]
    fn what_is_mounted_below() {
        user::require_root();
        let env = place();
        let dir = env.path("home/top");
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        let top = dir.to_str().unwrap();
        mount(&env, &["-t", "tmpfs", "none", &format!("{top}/sub")]);
        let _unmount = Unmount(dir.join("sub"));
        std::fs::write(dir.join("sub/f"), "below").unwrap();
        let script = "cat /m/sub/f 2>/dev/null; touch /m/x 2>/dev/null && echo top; touch /m/sub/x 2>/dev/null && echo below";
        for (options, want) in [
            ("", "belowtop\nbelow"),
            (",ro", "below"),
            (",ro,bind-recursive=enabled", "below"),
            (
                ",ro,bind-recursive=readonly,bind-propagation=rprivate",
                "below",
            ),
            (",ro,bind-recursive=writable", "belowbelow"),
            (",ro,bind-recursive=disabled", ""),
            (",bind-nonrecursive", "top\nbelow"),
        ] {
            let option = format!("type=bind,src={top},dst=/m{options}");
            let out = env.wherry([
                "run",
                "--rm",
                "--network",
                "none",
                "--mount",
                &option,
                "busybox",
                "sh",
                "-c",
                script,
            ]);
            assert_eq!(out.text().trim(), want, "{options}");
        }
        let ro = format!("{top}:/m:ro");
        let out = env.wherry([
            "run",
            "--rm",
            "--network",
            "none",
            "-v",
            &ro,
            "busybox",
            "sh",
            "-c",
            script,
        ]);
        assert_eq!(out.text().trim(), "below");
    }

    /// Mounts pass between host and container as the propagation says.
    #[test]
    fn propagation() {
        user::require_root();
        let env = place();
        let dir = env.path("home/shared");
        std::fs::create_dir(&dir).unwrap();
        let top = dir.to_str().unwrap();
        mount(&env, &["-t", "tmpfs", "none", top]);
        let _unmount = Unmount(dir.clone());
        for word in ["rshared", "rslave"] {
            mount(&env, &["--make-private", top]);
            env.wherry([
                "run",
                "--rm",
                "-v",
                &format!("{top}:/m:{word}"),
                "busybox",
                "true",
            ])
            .status(125)
            .says("but it is not a shared");
        }
        mount(&env, &["--make-shared", top]);
        for (word, in_container, on_host) in
            [("rprivate", 0, 0), ("rslave", 1, 0), ("rshared", 1, 1)]
        {
            let bind = format!("{top}:/m:{word}");
            let id = env.ok([
                "run",
                "-d",
                "--privileged",
                "-v",
                &bind,
                "busybox",
                "sleep",
                "1000",
            ]);
            std::fs::create_dir_all(dir.join("from-host")).unwrap();
            std::fs::create_dir_all(dir.join("from-inside")).unwrap();
            mount(&env, &["-t", "tmpfs", "none", &format!("{top}/from-host")]);
            let count =
                |text: String, what: &str| text.lines().filter(|l| l.contains(what)).count();
            let inside = env.ok(["exec", &id, "cat", "/proc/mounts"]);
            assert_eq!(count(inside, "/m/from-host "), in_container, "{word}");
            env.ok([
                "exec",
                &id,
                "mount",
                "-t",
                "tmpfs",
                "none",
                "/m/from-inside",
            ]);
            let host = std::fs::read_to_string("/proc/self/mounts").unwrap();
            assert_eq!(count(host, "/shared/from-inside "), on_host, "{word}");
            env.ok(["rm", "-f", &id]);
            for name in ["from-host", "from-inside"] {
                let _ = std::process::Command::new("umount")
                    .arg(dir.join(name))
                    .stderr(std::process::Stdio::null())
                    .status();
            }
        }
    }
}

mod as_user {
    use super::*;

    #[test]
    fn what_only_root_can() {
        user::require_user();
        let env = place();
        env.wherry([
            "volume",
            "create",
            "-o",
            "type=nfs",
            "-o",
            "device=:/x",
            "-o",
            "o=addr=10.0.0.1",
            "far",
        ])
        .status(1)
        .says("only root can mount a file system of type nfs");
        let home = format!("{}:/m:rshared", env.path("home").display());
        env.wherry(["run", "--rm", "-v", &home, "busybox", "true"])
            .status(125)
            .says("bind propagation rshared is not supported without root");
        let slave = format!("{}:/m:rslave", env.path("home").display());
        assert_eq!(sh(&env, &["-v", &slave], "busybox", "echo ok"), "ok");
        // Files made in a bind are the caller's.
        let bind = format!("{}:/m", env.path("home").display());
        sh(&env, &["-v", &bind], "busybox", "touch /m/made");
        let made = std::fs::metadata(env.path("home/made")).unwrap();
        assert_eq!(made.uid(), nix::unistd::geteuid().as_raw());
    }
}
