//! What steps and Dockerfiles cannot do. Rows of the security table.

use super::Site;
use std::os::unix::fs::symlink;

/// S03, S16, S65, S67: a step has a container's rights, and nothing of ours.
#[test]
fn as_user_a_step_is_a_container() {
    let mut site = Site::new();
    for n in 0..50 {
        site.env.set(&format!("RANDOM_{n}"), "leak");
    }
    site.ok("# syntax=evil/frontend\nFROM busybox\nRUN ls /proc/self/fd | tr '\\n' ' ' > /o; grep -E 'CapInh|CapAmb|CapEff|CapBnd|Seccomp:' /proc/self/status >> /o; umask >> /o; env | grep -c RANDOM >> /o; mount -t tmpfs x /mnt 2>&1 | head -1 >> /o; cat /proc/kcore 2>&1 | wc -c >> /o; dmesg 2>/dev/null | wc -l >> /o; true\nUSER 1000\nRUN grep -E 'CapInh|CapAmb|CapEff' /proc/self/status > /tmp/u\n");
    let shown = site.shows("cat /o /tmp/u");
    let squeezed: String = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "0 1 2 3 CapInh: 0000000000000000",
        "CapEff: 00000000a80425fb CapBnd: 00000000a80425fb CapAmb: 0000000000000000 Seccomp: 2 0022 0",
        "permission denied",
        "CapInh: 0000000000000000 CapEff: 0000000000000000 CapAmb: 0000000000000000",
    ] {
        assert!(
            squeezed.to_lowercase().contains(&part.to_lowercase()),
            "{part} is not in {squeezed}"
        );
    }
}

/// S15: WORKDIR and COPY through links of the image make nothing outside.
#[test]
fn as_user_directories_are_made_inside() {
    let site = Site::new();
    let canary = site.env.path("home/canary");
    std::fs::create_dir(&canary).unwrap();
    let path = canary.to_str().unwrap();
    site.file("f", "x");
    site.ok(&format!("FROM busybox\nRUN ln -s {path} /l && ln -s /proc/1/root /p && ln -s ../../../../../../.. /u\nWORKDIR /l/new\nWORKDIR /u/{path}/up\nCOPY f /l/f\nCOPY f /p/f\nADD f /u/etc/added\nWORKDIR /\n"));
    assert_eq!(std::fs::read_dir(&canary).unwrap().count(), 0);
    assert_eq!(
        site.shows(&format!("ls {path}; cat /etc/added")),
        "f\nnew\nup\nx"
    );
}

/// S18: a number is an id, and nothing else is.
#[test]
fn as_user_users_are_read_as_numbers_or_names() {
    let site = Site::new();
    site.ok("FROM busybox\nRUN echo '1000:x:0:0::/:/bin/sh' >> /etc/passwd; echo '4294967296:x:0:0::/:/bin/sh' >> /etc/passwd\n");
    site.env.ok(["tag", "t", "users"]);
    for (user, want) in [
        ("0", "0:0"),
        ("1000", "1000:"),
        ("1000:5", "1000:5"),
        ("65534", "65534:"),
    ] {
        let output = site.ok(&format!(
            "FROM users\nUSER {user}\nRUN echo $(id -u):$(id -g)\n"
        ));
        assert!(
            output.errors().contains(&format!(" {want}")),
            "{user}: {output}"
        );
    }
    for bad in [
        "-1",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "0x0",
        "+1",
        "1:-1",
    ] {
        site.fails(&format!("FROM users\nUSER {bad}\nRUN id\n"));
        site.fails(&format!("FROM users\nCOPY --chown={bad} Dockerfile /x\n"));
    }
}

/// S59, S61: sources of mounts stay where they are looked for, and options
/// that would change how they spread are unknown.
#[test]
fn as_user_mount_sources_stay_inside() {
    let site = Site::new();
    let canary = site.env.path("home/canary");
    std::fs::write(&canary, "outside").unwrap();
    symlink(&canary, site.dir.join("link")).unwrap();
    let path = canary.to_str().unwrap();
    site.file("f", "x");
    for (mount, want) in [
        ("type=bind,source=link,target=/m", "not found"),
        ("type=bind,source=../canary,target=/m", "not found"),
        ("type=bind,from=evil,source=/cve/etc/hostname,target=/m", ""),
        ("type=cache,target=/m,source=../../..", ""),
        (
            "target=/m,bind-propagation=shared",
            "unexpected key 'bind-propagation'",
        ),
        ("type=bind,target=/proc/x", ""),
    ] {
        site.dockerfile(&format!("FROM busybox AS evil\nRUN ln -s / /cve; ln -s {path} /out\nFROM busybox\nRUN --mount={mount} cat /m /m/* 2>/dev/null; true\n"));
        let output = site.build(&[]);
        assert!(!output.errors().contains("outside"), "{mount}: {output}");
        if !want.is_empty() {
            output.status(1).says(want);
        }
    }
    site.fails("FROM busybox AS evil\nRUN ln -s /nope /out\nFROM busybox\nRUN --mount=from=evil,source=/out,target=/m true\n").says("not found");
}

/// S60, CVE-2024-23652: clearing mount points follows nothing.
#[test]
fn as_user_mount_points_are_cleared_with_care() {
    let site = Site::new();
    let canary = site.env.path("home/canary");
    std::fs::create_dir_all(canary.join("b")).unwrap();
    let path = canary.to_str().unwrap();
    site.ok(&format!("FROM busybox\nRUN --mount=type=cache,target=/a/b mv /a /old; ln -s {path} /a; true\nRUN --mount=type=tmpfs,target=/keep/t touch /keep/file\n"));
    assert!(canary.join("b").exists());
    assert_eq!(site.shows("ls /keep"), "file");
}

/// S64, S65: nothing that a Dockerfile or a reference names is run.
#[test]
fn as_user_words_are_no_options() {
    let site = Site::new();
    for context in [
        "https://x/y.git#--output",
        "https://x/y.git#-u",
        "git://127.0.0.1:1/-x#a..b",
        "https://x/y.git#a\nb",
        "git@-oProxyCommand=x:repo#:-d",
    ] {
        let output = site.env.wherry(["build", context]).status(1);
        assert!(output.errors().contains("invalid"), "{context}: {output}");
    }
    for context in ["ext::sh -c touch% /tmp/x", "file:///etc", "-u"] {
        let output = site.env.wherry(["build", "--", context]).status(1);
        assert!(output.errors().contains("not found"), "{context}: {output}");
    }
    site.env
        .wherry(["build", "--", "--upload-pack=x"])
        .status(1)
        .says("not found");
    for text in [
        "RUN --security=insecure id",
        "RUN --network=host id",
        "RUN --device=/dev/null id",
    ] {
        site.fails(&format!("FROM busybox\n{text}\n"));
    }
}

/// S81: what a step says does not steer the terminal's list.
#[test]
fn as_user_names_are_shown_plainly() {
    let site = Site::new();
    let output =
        site.ok("FROM busybox\nLABEL \u{202e}=x\nRUN echo '\u{1b}]0;title\u{7}' | wc -c\n");
    assert!(output.errors().contains("\\x1b]0;title\\x07"), "{output}");
}
