//! `--userns keep-id` and `nomap`: whose the files are.

use super::{data, place, sh};
use crate::support::user;
use std::os::unix::fs::MetadataExt;

mod as_user {
    use super::*;
    use crate::support::Env;
    use crate::support::env::run;

    fn me() -> (u32, u32) {
        let me = nix::unistd::geteuid().as_raw();
        (me, nix::unistd::getegid().as_raw())
    }

    /// All owners of the image are what they are, and the user's files are the
    /// caller's.
    #[test]
    fn the_caller_is_the_user_of_the_image() {
        user::require_user();
        let env = place();
        let dir = env.path("home/w");
        std::fs::create_dir(&dir).unwrap();
        let bind = format!("{}:/w", dir.display());
        let keep = ["--userns", "keep-id", "-v", &bind, "-w", "/w"];
        let look = "id -u; id -g; touch made; stat -c %u:%g made . /data/file /data /secret /etc/passwd /etc /";
        let seen = sh(&env, &keep, "of-www", look);
        assert_eq!(
            seen,
            "33\n33\n33:33\n33:33\n33:33\n33:10\n0:0\n0:0\n0:0\n0:0"
        );
        let made = std::fs::metadata(dir.join("made")).unwrap();
        assert_eq!((made.uid(), made.gid()), me());
        // The image is as it was, and nothing of it was copied.
        assert_eq!(
            sh(&env, &[], "of-www", "stat -c %u:%g /data/file /secret"),
            "33:33\n0:0"
        );
        let mut du = env.command("du");
        du.args(["-s", "-k"]).arg(env.path("data/wherry/shifted"));
        let kilobytes: u64 = run(du, b"", 10)
            .text()
            .split_whitespace()
            .next()
            .unwrap_or("0")
            .parse()
            .unwrap();
        let mut layers = env.command("du");
        layers
            .args(["-s", "-k"])
            .arg(env.path("data/wherry/layers"));
        let whole: u64 = run(layers, b"", 10)
            .text()
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(kilobytes < whole / 2, "{kilobytes} of {whole} kB");
        // What root may do in there, root does; and a user may not.
        assert_eq!(
            sh(
                &env,
                &["--userns", "keep-id", "-u", "root"],
                "of-www",
                "cat /secret; echo; chown 5:6 /secret /etc/passwd; stat -c %u:%g /secret; echo more >>/secret; cat /secret"
            ),
            "s\n5:6\nsmore"
        );
        let out = env.wherry([
            "run", "--rm", "--userns", "keep-id", "of-www", "cat", "/secret",
        ]);
        assert!(
            out.status == 1 && out.errors().contains("Permission denied"),
            "{out}"
        );
    }

    #[test]
    fn given_ids_and_the_callers_own() {
        user::require_user();
        let env = place();
        let (uid, gid) = me();
        let bind = format!("{}:/w", env.path("home").display());
        for (userns, options, want) in [
            ("keep-id", &[][..], format!("{uid} {gid} {uid}")),
            ("keep-id:uid=200,gid=210", &[], "200 210 200".into()),
            ("keep-id:uid=200", &[], format!("200 {gid} 200")),
            ("keep-id", &["-u", "alice"], "1000 1000 1000".into()),
            ("keep-id", &["-u", "root"], format!("0 0 {uid}")),
            ("keep-id:uid=0,gid=0", &[], "0 0 0".into()),
            ("", &[], "0 0 0".into()),
        ] {
            let all = [&["--userns", userns, "-v", &bind], options].concat();
            let seen = sh(
                &env,
                &all,
                "busybox",
                "echo $(id -u) $(id -g) $(stat -c %u /w)",
            );
            assert_eq!(seen, want, "{userns} {options:?}");
        }
        for (bad, says) in [
            ("keep-id:uid", "is no option of keep-id"),
            ("keep-id:uid=99999999", "beyond the"),
            ("auto", "--userns auto is not supported"),
            ("nope", "invalid USER mode"),
        ] {
            env.wherry(["run", "--rm", "--userns", bad, "busybox", "true"])
                .status(125)
                .says(says);
        }
    }

    /// Stopped and started, entered, joined: it has the same ids.
    #[test]
    fn they_stay() {
        user::require_user();
        let env = place();
        let id = env.ok([
            "run",
            "-d",
            "--userns",
            "keep-id",
            "--health-cmd",
            "test $(id -u) = 33",
            "--health-interval",
            "1s",
            "of-www",
            "sh",
            "-c",
            "echo run >>/tmp/log; sleep 1000",
        ]);
        assert_eq!(env.ok(["exec", &id, "id", "-u"]), "33");
        assert_eq!(
            env.ok([
                "exec", "-u", "root", &id, "stat", "-c", "%u", "/secret", "/tmp/log"
            ]),
            "0\n33"
        );
        let health = ["inspect", "-f", "{{.State.Health.Status}}", &id];
        assert!(crate::support::eventually(10, || env.ok(health) == "healthy"));
        let joined = ["--network", &format!("container:{id}")].map(str::to_owned);
        let joined: Vec<&str> = joined.iter().map(String::as_str).collect();
        let map = env.ok([
            &["run", "--rm"],
            &joined[..],
            &["busybox", "sh", "-c", "stat -c %u /etc/passwd /bin; id -u"],
        ]
        .concat());
        assert_eq!(map, "0\n0\n0");
        env.wherry(
            [
                &["run", "--rm", "--userns", "nomap"],
                &joined[..],
                &["busybox", "true"],
            ]
            .concat(),
        )
        .status(125)
        .says("is not supported with the namespaces of container");
        env.ok(["restart", "-t", "0", &id]);
        assert!(crate::support::eventually(5, || env
            .ok(["exec", &id, "cat", "/tmp/log"])
            == "run\nrun"));
        assert_eq!(
            env.ok([
                "exec", "-u", "root", &id, "stat", "-c", "%u", "/secret", "/tmp/log"
            ]),
            "0\n33"
        );
        env.ok(["rm", "-f", &id]);
    }

    /// A volume belongs to those who are mapped: on the host to the caller.
    #[test]
    fn volumes_too() {
        user::require_user();
        let env = place();
        let look = "stat -c %u:%g /data /data/file /data/closed; touch /data/new";
        let seen = sh(
            &env,
            &["--userns", "keep-id", "-v", "data:/data"],
            "of-www",
            look,
        );
        assert_eq!(seen, "33:10\n33:33\n1000:1000");
        let new = std::fs::metadata(data(&env, "data").join("new")).unwrap();
        assert_eq!(new.uid(), me().0);
        let seen = sh(
            &env,
            &["--userns", "nomap", "-v", "none:/data"],
            "filled",
            "stat -c %u:%g /data /data/file; touch /data/new",
        );
        assert_eq!(seen, "33:10\n33:33");
        let seen = sh(
            &env,
            &["--userns", "nomap", "-v", "bare:/new"],
            "busybox",
            "touch /new/x; stat -c %u /new /new/x",
        );
        assert_eq!(seen, "0\n0");
        // `:U` means the user as the host has him.
        let seen = sh(
            &env,
            &["--userns", "keep-id", "-v", "given:/g:U"],
            "of-www",
            "touch /g/x; stat -c %u /g /g/x",
        );
        assert_eq!(seen, "33\n33");
        assert_eq!(
            std::fs::metadata(data(&env, "given")).unwrap().uid(),
            me().0
        );
    }

    /// The caller is nobody: what is his cannot even be written by root.
    #[test]
    fn without_the_caller() {
        user::require_user();
        let env = place();
        std::fs::write(env.path("home/private"), "mine").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(env.path("home/private"), mode).unwrap();
        let bind = format!("{}:/w", env.path("home").display());
        let script = "stat -c %u /w /secret /data/file; cat /w/private 2>/dev/null || echo closed; touch /w/x 2>/dev/null || echo refused; echo more >>/secret && cat /secret";
        let seen = sh(&env, &["--userns", "nomap", "-v", &bind], "filled", script);
        assert_eq!(seen, "65534\n0\n33\nclosed\nrefused\nsmore");
    }

    /// What is made of such a container has the owners that it sees.
    #[test]
    fn images_and_archives_of_it() {
        user::require_user();
        for by_fuse in [false, true] {
            let env = place();
            for layer in std::fs::read_dir(env.path("data/wherry/layers")).unwrap() {
                if by_fuse {
                    std::fs::write(layer.unwrap().path().join("deletions-as-files"), "").unwrap();
                }
            }
            let script =
                "touch /tmp/mine; mkdir /new; chown www /new; touch /new/roots; rm /etc/group";
            let userns = [
                "--name",
                "box",
                "--userns",
                "keep-id:uid=33,gid=33",
                "-u",
                "root",
            ];
            env.ok([
                &["run", "--network", "none"],
                &userns[..],
                &["of-www", "sh", "-c", script],
            ]
            .concat());
            if !by_fuse {
                // With it there are its own marks besides.
                let want = "C /etc\nD /etc/group\nA /new\nA /new/roots\nC /tmp\nA /tmp/mine";
                assert_eq!(env.ok(["diff", "box"]), want);
            }
            env.ok(["commit", "box", "made"]);
            let look = "stat -c '%u %n' / /tmp/mine /new /new/roots /data/file /etc";
            let seen = sh(&env, &["-u", "root"], "made", look);
            assert_eq!(
                seen,
                "0 /\n0 /tmp/mine\n33 /new\n0 /new/roots\n33 /data/file\n0 /etc"
            );
            let tar = env.wherry(["export", "box"]).ok().stdout;
            let list = run_with(&env, &tar);
            for line in [
                "33/0 new/",
                "0/0 new/roots",
                "33/33 data/file",
                "0/0 tmp/mine",
            ] {
                assert!(list.contains(line), "{line} of {list}");
            }
        }
    }

    /// Owners and names of an archive.
    fn run_with(env: &Env, tar: &[u8]) -> String {
        let mut command = env.command("sh");
        command.args(["-c", "tar --numeric-owner -tv | awk '{print $2, $6}'"]);
        run(command, tar, 20).ok().text()
    }

    /// Layers of names go with their image.
    #[test]
    fn nothing_stays_of_a_removed_image() {
        user::require_user();
        let env = place();
        sh(&env, &["--userns", "keep-id"], "of-www", "true");
        let count = |env: &Env| {
            std::fs::read_dir(env.path("data/wherry/shifted"))
                .unwrap()
                .count()
        };
        assert_eq!(count(&env), 1);
        sh(&env, &["--userns", "keep-id"], "of-www", "true");
        assert_eq!(count(&env), 1);
        env.ok(["rmi", "filled", "of-www"]);
        assert_eq!(count(&env), 0);
    }

    /// The same by fuse-overlayfs, where the kernel has no such overlay.
    /// What goes in and comes out has the owners that the container sees, whether
    /// it runs or not.
    #[test]
    fn copies_have_the_owners_of_the_container() {
        user::require_user();
        let env = place();
        std::fs::write(env.path("home/f"), "in\n").unwrap();
        let from = env.path("home/f").display().to_string();
        for userns in ["keep-id", "keep-id:uid=200,gid=210", "nomap"] {
            let make = [
                "create", "--name", "copied", "--userns", userns, "-v", "vol:/v", "of-www",
            ];
            env.ok(make
                .into_iter()
                .chain(["sh", "-c", "stat -c %u:%g /tmp/f /v/f /data/file"]));
            env.ok(["cp", &from, "copied:/tmp/f"]);
            env.ok(["cp", &from, "copied:/v/f"]);
            for (path, owner) in [("/tmp/f", "0/0"), ("/v/f", "0/0"), ("/data/file", "33/33")] {
                let archive = env.path("home/out.tar");
                let out = env.wherry(["cp", &format!("copied:{path}"), "-"]).status(0);
                std::fs::write(&archive, &out.stdout).unwrap();
                let listed = std::process::Command::new("tar")
                    .args(["--numeric-owner", "-tvf"])
                    .arg(&archive)
                    .output()
                    .unwrap();
                let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
                assert!(
                    listed.contains(&format!(" {owner} ")),
                    "{userns} {path}: {listed}"
                );
            }
            assert_eq!(
                env.ok(["start", "-a", "copied"]).trim(),
                "0:0\n0:0\n33:33",
                "{userns}"
            );
            env.ok(["rm", "-v", "copied"]);
            let run = ["run", "-d", "--name", "runs", "--userns", userns];
            env.ok([&run[..], &["of-www", "sleep", "1000"]].concat());
            env.ok(["cp", &from, "runs:/tmp/f"]);
            assert_eq!(
                env.ok(["exec", "runs", "stat", "-c", "%u:%g", "/tmp/f"]),
                "0:0",
                "{userns}"
            );
            env.ok(["rm", "-f", "runs"]);
            env.ok(["volume", "rm", "vol"]);
        }
        // What fuse-overlayfs puts together is not there without its server.
        env.ok(["create", "--name", "fused", "--userns", "keep-id", "of-www"]);
        for layer in std::fs::read_dir(env.path("data/wherry/layers")).unwrap() {
            std::fs::write(layer.unwrap().path().join("deletions-as-files"), "").unwrap();
        }
        env.wherry(["cp", &from, "fused:/tmp/f"])
            .status(1)
            .says("fuse-overlayfs");
    }

    #[test]
    fn by_fuse() {
        user::require_user();
        let env = place();
        for layer in std::fs::read_dir(env.path("data/wherry/layers")).unwrap() {
            std::fs::write(layer.unwrap().path().join("deletions-as-files"), "").unwrap();
        }
        let bind = format!("{}:/w", env.path("home").display());
        let script = "stat -c %u:%g /data/file /data/closed /secret /; id -u; touch /tmp/x /w/made; \
                      stat -c %u /tmp/x /w/made; grep -c 'fuse-overlayfs / ' /proc/mounts";
        let keep = ["--userns", "keep-id", "-v", &bind];
        let seen = sh(&env, &keep, "of-www", script);
        assert_eq!(seen, "33:33\n1000:1000\n0:0\n0:0\n33\n33\n33\n1");
        let made = std::fs::metadata(env.path("home/made")).unwrap();
        assert_eq!((made.uid(), made.gid()), me());
        // First uses of volumes and images besides go the same way.
        let seen = sh(
            &env,
            &["-v", "data:/data"],
            "of-www",
            "stat -c %u:%g /data/file",
        );
        assert_eq!(seen, "33:33");
        let image = "type=image,src=filled,dst=/i,image-subpath=data/closed";
        let seen = sh(
            &env,
            &["--mount", image, "-u", "root"],
            "of-www",
            "stat -c %u /i /i/inside",
        );
        assert_eq!(seen, "1000\n1000");
    }
}

mod as_root {
    use super::*;

    #[test]
    fn root_has_no_such_ids() {
        user::require_root();
        let env = place();
        for userns in ["keep-id", "nomap"] {
            env.wherry(["run", "--rm", "--userns", userns, "busybox", "true"])
                .status(125)
                .says("is not supported for root");
        }
        // The same names of volumes and files all the same.
        assert_eq!(
            sh(
                &env,
                &["-v", "data:/data"],
                "filled",
                "stat -c %u /data/file"
            ),
            "33"
        );
        assert_eq!(
            std::fs::metadata(data(&env, "data").join("file"))
                .unwrap()
                .uid(),
            33
        );
    }
}
