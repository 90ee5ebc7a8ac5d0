//! Whom a process runs as: `--user` text and the image's passwd and group.

use super::cage::{Cage, Canary};
use crate::support::hostile_rootfs::Hostile;
use crate::support::tree::{Kind, Tree};
use std::time::{Duration, Instant};

/// S18: numbers are ids and never names; what is no id is refused.
#[test]
fn user_texts() {
    let mut tree = Tree::busybox();
    let passwd = "root:x:0:0::/root:/bin/sh\n1000:x:0:0::/:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n\
                  -1:x:0:0::/:/bin/sh\nalice:x:1001:1002::/home:/bin/sh\n";
    tree.remove("etc/passwd").file("etc/passwd", passwd, 0o644);
    let group = "root:x:0:\n7:x:0:\nalice:x:1002:\nwheel:x:10:alice,1000\n";
    tree.remove("etc/group").file("etc/group", group, 0o644);
    let cage = Cage::of(&tree);
    cage.start("box", &[]);
    let id = ["sh", "-c", "id -u; id -g; id -G"];
    for (text, expected) in [
        ("", "0\n0\n0"),
        ("0", "0\n0\n0"),
        ("00", "0\n0\n0"),
        ("1", "1\n0\n0"),
        ("1:", "1\n0\n0"),
        (":1", "0\n1\n1"),
        ("1:1", "1\n1\n1"),
        ("1000", "1000\n0\n0"),
        ("1000:7", "1000\n7\n7"),
        ("alice", "1001\n1002\n1002 10"),
        ("alice:wheel", "1001\n10\n10"),
        ("1001", "1001\n1002\n1002 10"),
        ("0:", "0\n0\n0"),
        (":", "0\n0\n0"),
        ("65534", "65534\n0\n0"),
        ("root:7", "0\n7\n7"),
    ] {
        let mut options = vec![];
        if !text.is_empty() {
            options = vec!["-u", text];
        }
        let by_exec = cage.exec(&options, "box", &id);
        assert_eq!(by_exec, expected, "exec -u {text:?}");
        assert_eq!(cage.ok(&options, &id), expected, "run -u {text:?}");
    }
    // An id as good as any, which a user's containers do not have.
    let large = cage.run(&["-u", "2147483648"], &["id", "-u"]);
    match nix::unistd::geteuid().is_root() {
        true => assert_eq!((large.status, large.text().trim_end()), (0, "2147483648")),
        false => assert_eq!((large.status, large.text().trim_end()), (125, "")),
    }
    for text in [
        "-1",
        "+1",
        "2147483648000",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "1 ",
        " 1",
        "0x0",
        "root ",
        "Root",
        "nobody",
        "1:-1",
        "1:4294967295",
        "1:nogroup",
        "1.0",
        "root:root:root",
        "../root",
        "r\u{f6}\u{f6}t",
        "\n0",
        "0\n",
        ":0x0",
        "root:+0",
        "1e3",
        "\u{661}",
        "1,2",
        "alice:alice:",
    ] {
        let option = format!("--user={text}");
        let run = cage.run(&[&option], &id);
        assert_eq!(run.status, 125, "{text:?}: {run}");
        assert_eq!(run.text(), "");
        let exec = cage
            .env
            .wherry([&["exec", &option, "box"][..], &id].concat());
        assert_ne!(exec.status, 0, "{text:?}: {exec}");
    }
}

/// S19, CVE-2022-2995: a group that is denied stays denied, and the caller's
/// groups are not there.
#[test]
fn the_primary_group_is_among_the_groups() {
    let cage = Cage::new();
    std::fs::write(cage.root.join("etc/denied"), "secret").unwrap();
    let prepare = "chown 0:1000 /etc/denied && chmod 604 /etc/denied";
    cage.sh(&[], prepare);
    cage.start("box", &["-u", "1001:1000"]);
    let read = ["sh", "-c", "cat /etc/denied 2>/dev/null; id -G"];
    assert_eq!(cage.ok(&["-u", "1001:1000"], &read), "1000");
    assert_eq!(cage.exec(&[], "box", &read), "1000");
    // The mode is one that others may read: the test means something.
    assert_eq!(cage.ok(&["-u", "1001:5"], &read), "secret5");
    assert_eq!(
        cage.ok(&["--group-add", "10", "-u", "1001:5"], &["id", "-G"]),
        "5 10"
    );
    let groups = cage.ok(&[], &["grep", "Groups", "/proc/self/status"]);
    assert_eq!(
        groups.split_whitespace().collect::<Vec<_>>(),
        ["Groups:", "0"]
    );
}

/// S20: what is no small regular file of the container is not read, or not to
/// its end.
#[test]
fn hostile_passwd_files() {
    let canary = Canary::plant();
    let limit = Duration::from_secs(5);
    type Twist = fn(&mut Tree);
    let twists: [(&str, Twist); 5] = [
        ("/etc/shadow", |t| {
            t.remove("etc/passwd").symlink("etc/passwd", "/etc/shadow");
        }),
        ("of the host", |t| {
            t.remove("etc/passwd")
                .symlink("etc/passwd", "../../../../tmp/wherry-canary/passwd");
        }),
        ("by a descriptor", |t| {
            t.remove("etc/passwd")
                .symlink("etc/passwd", "/proc/self/fd/3");
        }),
        ("kernel's log", |t| {
            t.remove("etc/passwd").symlink("etc/passwd", "/proc/kmsg");
        }),
        ("group fifo", |t| {
            t.remove("etc/group").add("etc/group", Kind::Fifo, 0o644);
        }),
    ];
    let named = [
        "passwd-fifo",
        "passwd-zero",
        "passwd-big",
        "passwd-numeric",
        "group-10M",
    ];
    let trees = named
        .iter()
        .map(|name| (*name, Hostile::named(name).tree()))
        .chain(twists.into_iter().map(|(name, twist)| {
            let mut tree = Tree::busybox();
            twist(&mut tree);
            (name, tree)
        }));
    for (name, tree) in trees {
        let cage = Cage::of(&tree);
        for user in ["0", "alice", "1000", "root:wheel"] {
            let began = Instant::now();
            let out = cage.run(&["-u", user], &["true"]);
            assert!(began.elapsed() < limit, "{name}: {:?}", began.elapsed());
            canary.assert_safe(&out);
            let numeric = user.starts_with(|c: char| c.is_ascii_digit());
            assert!(out.status == 0 || !numeric, "{name} -u {user}: {out}");
            assert!([0, 125].contains(&out.status), "{name} -u {user}: {out}");
        }
    }
    // 10 GiB of nothing.
    let cage = Cage::new();
    let passwd = std::fs::File::create(cage.root.join("etc/passwd")).unwrap();
    passwd.set_len(10 << 30).unwrap();
    let began = Instant::now();
    let out = cage.run(&["-u", "alice"], &["true"]);
    assert!(out.status == 125 && began.elapsed() < limit, "{out}");
}

/// S21, CVE-2022-4318: a line break does not become a line of a file.
#[test]
fn line_breaks_stay_values() {
    let cage = Cage::new();
    let home = "HOME=/x\nroot2::0:0::/:/bin/sh";
    let files = [
        "sh",
        "-c",
        "cat /etc/passwd /etc/hosts /etc/hostname /etc/resolv.conf; pwd",
    ];
    let text = cage.ok(&["-e", home], &files);
    assert!(!text.contains("root2"), "{text}");
    for options in [
        &["--hostname", "a\n127.0.0.1 evil"][..],
        &["--hostname", "a\rb"],
        &["--add-host", "a\nevil:127.0.0.1"],
        &["--add-host", "evil:127.0.0.1\n1.2.3.4 evil2"],
        &["--dns", "1.1.1.1\nnameserver 6.6.6.6"],
        &["--dns-search", "a\nnameserver 6.6.6.6"],
        &["--dns-option", "a\nnameserver 6.6.6.6"],
        &["--domainname", "a\n6.6.6.6 evil"],
    ] {
        let out = cage.run(options, &files);
        let lines = out.text();
        let injected = lines.lines().any(|l| {
            l.starts_with("127.0.0.1 evil") || l.contains("6.6.6.6") || l.starts_with("1.2.3.4")
        });
        assert!(!injected, "{options:?}: {out}");
        assert_ne!(out.status, 0, "{options:?}: {out}");
    }
}
