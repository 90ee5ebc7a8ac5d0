//! `cp`, both ways, in containers that run and that do not.

use crate::support::env::Env;
use crate::support::eventually;
use crate::support::user;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// A container `cc` with some files; `running` or made and stopped.
fn container(running: bool) -> Env {
    let env = Env::busybox();
    let make = "mkdir -p /src/sub; echo one >/src/one; echo two >/src/sub/two; ln -s one /src/link
        ln -s /src /abs; ln -s ../../../../src /up; chmod 640 /src/one; chown 33:34 /src/sub/two; touch /ready; ";
    match running {
        true => {
            env.ok([
                "run",
                "-d",
                "--name",
                "cc",
                "busybox",
                "sh",
                "-c",
                &format!("{make} sleep 1000"),
            ]);
            assert!(eventually(10, || env.ok(["diff", "cc"]).contains("/ready")));
        }
        false => {
            env.ok(["run", "--name", "cc", "busybox", "sh", "-c", make]);
        }
    }
    env
}

fn both(test: impl Fn(&Env)) {
    for running in [true, false] {
        test(&container(running));
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A file of the container by what `cp` to a pipe gives.
fn inside(env: &Env, path: &str) -> String {
    let tar = env.wherry(["cp", &format!("cc:{path}"), "-"]).ok().stdout;
    let mut archive = tar::Archive::new(&tar[..]);
    let mut text = String::new();
    for entry in archive.entries().unwrap() {
        std::io::Read::read_to_string(&mut entry.unwrap(), &mut text).unwrap();
    }
    text
}

#[test]
fn out_by_dockers_rules() {
    both(|env| {
        let at = |name: &str| env.path("home").join(name);
        let cp = |from: &str, to: &str| env.wherry(["cp", from, to]);
        cp("cc:/src/one", "one").ok();
        assert_eq!(read(&at("one")), "one\n");
        let meta = at("one").metadata().unwrap();
        assert_eq!(
            (meta.mode() & 0o777, meta.uid()),
            (0o640, nix::unistd::geteuid().as_raw())
        );
        cp("cc:src/sub/two", "one").ok();
        assert_eq!(read(&at("one")), "two\n");
        std::fs::create_dir(at("dir")).unwrap();
        cp("cc:/src", "dir").ok();
        assert_eq!(read(&at("dir/src/sub/two")), "two\n");
        assert_eq!(
            std::fs::read_link(at("dir/src/link")).unwrap().to_str(),
            Some("one")
        );
        cp("cc:/src/.", "dir").ok();
        assert_eq!(read(&at("dir/one")), "one\n");
        cp("cc:/src", "new").ok();
        assert_eq!(read(&at("new/one")), "one\n");
        cp("cc:/src/.", "newer").ok();
        assert_eq!(read(&at("newer/sub/two")), "two\n");
        // Links: as themselves, or followed inside the container.
        cp("cc:/src/link", "a").ok();
        assert!(at("a").symlink_metadata().unwrap().is_symlink());
        env.wherry(["cp", "-L", "cc:/src/link", "b"]).ok();
        assert_eq!(read(&at("b")), "one\n");
        for link in ["abs", "up"] {
            env.wherry(["cp", "-L", &format!("cc:/{link}"), link]).ok();
            assert_eq!(read(&at(link).join("one")), "one\n");
            cp(&format!("cc:/{link}/one"), "through").ok();
        }
        for (from, to, text) in [
            (
                "cc:/nope",
                "x",
                "Could not find the file /nope in container cc",
            ),
            ("cc:/src/one", "nope/", "no such directory"),
            ("cc:/src/one", "nope/x", "invalid output path: directory \""),
            ("cc:/src", "one", "cannot copy directory"),
            ("cc:/src/one/", "x", "not a directory"),
            ("cc:/src/one", "one/", "not a directory"),
            ("nope:/x", "y", "No such container: nope"),
            (
                "cc:/x",
                "cc:/y",
                "copying between containers is not supported",
            ),
            ("x", "y", "must specify at least one container source"),
        ] {
            let out = cp(from, to);
            out.status(1).says(text);
        }
    });
}

#[test]
fn into_by_dockers_rules() {
    both(|env| {
        let at = |name: &str| env.path("home").join(name);
        std::fs::create_dir_all(at("local/deep")).unwrap();
        std::fs::write(at("local/deep/f"), "deep").unwrap();
        std::fs::write(at("file"), "new").unwrap();
        std::fs::set_permissions(at("file"), std::fs::Permissions::from_mode(0o4711)).unwrap();
        symlink("file", at("link")).unwrap();
        let cp = |from: &str, to: &str| env.wherry(["cp", from, to]);
        cp("file", "cc:/put").ok();
        assert_eq!(inside(env, "/put"), "new");
        cp("file", "cc:/src").ok();
        assert_eq!(inside(env, "/src/file"), "new");
        cp("file", "cc:/src/one").ok();
        assert_eq!(inside(env, "/src/one"), "new");
        cp("local", "cc:/src").ok();
        assert_eq!(inside(env, "/src/local/deep/f"), "deep");
        cp("local/.", "cc:src").ok();
        assert_eq!(inside(env, "/src/deep/f"), "deep");
        cp("local", "cc:/made").ok();
        assert_eq!(inside(env, "/made/deep/f"), "deep");
        // Through links of the container, which stay inside it.
        cp("file", "cc:/abs/through").ok();
        assert_eq!(inside(env, "/src/through"), "new");
        cp("file", "cc:/up").ok();
        cp("file", "cc:/src/link").ok();
        assert_eq!(inside(env, "/src/one"), "new");
        cp("link", "cc:/").ok();
        let tar = env.wherry(["cp", "cc:/link", "-"]).ok().stdout;
        let mut archive = tar::Archive::new(&tar[..]);
        let kind = archive
            .entries()
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .header()
            .entry_type();
        assert_eq!(kind, tar::EntryType::Symlink);
        env.wherry(["cp", "-qL", "link", "cc:/followed"]).ok();
        assert_eq!(inside(env, "/followed"), "new");
        let tar = env.wherry(["cp", "cc:/src", "-"]).ok().stdout;
        env.wherry_with(["cp", "-", "cc:/tmp"], &tar).ok();
        assert_eq!(inside(env, "/tmp/src/sub/two"), "two\n");
        for (from, to, text) in [
            ("nope", "cc:/x", "nope: no such file or directory"),
            (
                "file",
                "cc:/no/where",
                "Could not find the file /no in container cc",
            ),
            ("local", "cc:/src/one", "cannot copy directory"),
            ("file", "cc:/nope/", "no such directory"),
            (
                "-",
                "cc:/src/one",
                "destination \"cc:/src/one\" must be a directory",
            ),
            ("file/", "cc:/x", "not a directory"),
        ] {
            cp(from, to).status(1).says(text);
        }
        // Neither replaces the other.
        std::fs::create_dir_all(at("clash/one")).unwrap();
        cp("clash/.", "cc:/src")
            .status(1)
            .says("cannot overwrite non-directory");
        std::fs::create_dir_all(at("clash2")).unwrap();
        std::fs::write(at("clash2/sub"), "x").unwrap();
        cp("clash2/.", "cc:/src")
            .status(1)
            .says("cannot overwrite directory");
    });
}

#[test]
fn owners_and_modes_arrive() {
    let env = container(true);
    std::fs::write(env.path("home/file"), "x").unwrap();
    std::fs::set_permissions(
        env.path("home/file"),
        std::fs::Permissions::from_mode(0o2750),
    )
    .unwrap();
    env.ok(["cp", "file", "cc:/put"]);
    assert_eq!(
        env.ok(["exec", "cc", "stat", "-c", "%u:%g %a", "/put"]),
        "0:0 2750"
    );
    env.ok([
        "run", "-d", "--name", "dd", "-u", "1000:33", "busybox", "sleep", "1000",
    ]);
    env.ok(["cp", "-a", "file", "dd:/tmp/put"]);
    assert_eq!(
        env.ok(["exec", "dd", "stat", "-c", "%u:%g", "/tmp/put"]),
        "1000:33"
    );
    // Of an archive, whom it says.
    let tar = env.wherry(["cp", "cc:/src", "-"]).ok().stdout;
    env.wherry_with(["cp", "-", "cc:/tmp"], &tar).ok();
    assert_eq!(
        env.ok(["exec", "cc", "stat", "-c", "%u:%g", "/tmp/src/sub/two"]),
        "33:34"
    );
    if user::is_root() {
        std::fs::write(env.path("home/owned"), "x").unwrap();
        std::os::unix::fs::chown(env.path("home/owned"), Some(1234), Some(5678)).unwrap();
        env.ok(["cp", "owned", "cc:/owned"]);
        assert_eq!(
            env.ok(["exec", "cc", "stat", "-c", "%u:%g", "/owned"]),
            "1234:5678"
        );
    }
}

#[test]
fn mounts_belong_to_the_container() {
    let env = Env::busybox();
    let data = env.path("home/data");
    std::fs::create_dir_all(data.join("in")).unwrap();
    std::fs::write(data.join("in/f"), "of the host").unwrap();
    let bind = format!("{}:/data", data.display());
    for (name, run) in [("cc", true), ("dd", false)] {
        match run {
            true => env.ok([
                "run", "-d", "--name", name, "-v", &bind, "busybox", "sleep", "1000",
            ]),
            false => env.ok(["create", "--name", name, "-v", &bind, "busybox", "true"]),
        };
        env.ok(["cp", &format!("{name}:/data"), &format!("out-{name}")]);
        assert_eq!(
            read(&env.path("home").join(format!("out-{name}/in/f"))),
            "of the host"
        );
        std::fs::write(env.path("home/new"), name).unwrap();
        env.ok(["cp", "new", &format!("{name}:/data/in")]);
        assert_eq!(read(&data.join("in/new")), name);
    }
    let read_only = format!("{bind}:ro");
    env.ok([
        "create", "--name", "ee", "-v", &read_only, "busybox", "true",
    ]);
    env.wherry(["cp", "new", "ee:/data/x"])
        .status(1)
        .says("read-only");
    env.ok(["create", "--name", "ff", "--read-only", "busybox", "true"]);
    env.wherry(["cp", "new", "ff:/x"])
        .status(1)
        .says("read-only");
    // A start afterwards finds all in order.
    env.ok(["start", "-a", "dd"]);
}

#[test]
fn a_container_that_swaps_under_our_hands_gains_nothing() {
    let env = Env::busybox();
    let canary = env.path("home/canary");
    std::fs::create_dir(&canary).unwrap();
    std::fs::write(canary.join("secret"), "secret").unwrap();
    let script = format!(
        "while :; do rm -rf /t; mkdir -p /t; echo mine >/t/secret; rm -rf /t; ln -s {} /t; done",
        canary.display()
    );
    env.ok(["run", "-d", "--name", "cc", "busybox", "sh", "-c", &script]);
    std::fs::write(env.path("home/file"), "x").unwrap();
    let mut worked = 0;
    for n in 0..60 {
        let into = env.wherry(["cp", "file", "cc:/t/new"]);
        let out = env.wherry(["cp", "-L", "cc:/t/secret", &format!("got{n}")]);
        worked += u32::from(into.status == 0) + u32::from(out.status == 0);
        if let Ok(got) = std::fs::read_to_string(env.path("home").join(format!("got{n}"))) {
            assert!(got == "mine\n" || got.is_empty(), "{got}");
        }
    }
    assert!(worked > 0);
    assert!(!canary.join("new").exists());
}

#[test]
fn a_hostile_container_is_not_followed() {
    let env = Env::busybox();
    let canary = env.path("home/canary");
    std::fs::write(&canary, "untouched").unwrap();
    let script = format!(
        "ln -s {0} /evil; ln -s {1} /dir; ln -s /proc/1/root /magic; mkfifo /fifo; ln -s loop /loop; echo mine >/etc/canary; sleep 1000",
        canary.display(),
        env.path("home").display()
    );
    env.ok(["run", "-d", "--name", "cc", "busybox", "sh", "-c", &script]);
    assert!(eventually(10, || env.ok(["diff", "cc"]).contains("canary")));
    std::fs::write(env.path("home/file"), "overwritten").unwrap();
    env.wherry(["cp", "file", "cc:/evil"]).status(1);
    env.wherry(["cp", "file", "cc:/dir/canary"]).status(1);
    env.wherry(["cp", "-L", "cc:/evil", "got"])
        .status(1)
        .says("Could not find the file");
    env.wherry(["cp", "file", "cc:/magic/x"]).status(1);
    env.wherry(["cp", "-L", "cc:/magic/etc/passwd", "got"])
        .status(1);
    env.wherry(["cp", "file", "cc:/loop"]).status(1);
    env.ok(["cp", "cc:/fifo", "fifo"]);
    assert_eq!(read(&canary), "untouched");
    assert!(!env.path("home/got").exists());
    // A link that is out of the archive is put down, not followed.
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, link) in [
        (
            tar::EntryType::Symlink,
            "out",
            env.path("home").to_str().unwrap(),
        ),
        (tar::EntryType::Regular, "out/canary", ""),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(if link.is_empty() { 4 } else { 0 });
        header.set_mode(0o644);
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        header.set_path(name).unwrap();
        header.set_cksum();
        builder
            .append(&header, if link.is_empty() { &b"evil"[..] } else { b"" })
            .unwrap();
    }
    env.wherry_with(["cp", "-", "cc:/tmp"], &builder.into_inner().unwrap())
        .status(1);
    assert_eq!(read(&canary), "untouched");
}
