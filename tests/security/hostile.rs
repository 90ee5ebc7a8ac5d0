//! Root file systems that try to lead the engine astray.

use super::cage::{Cage, Canary};
use crate::support::hostile_rootfs::{CANARY, Hostile};
use crate::support::tree::{Kind, Tree};

/// S04, S08, S14, S15 and more: whatever the root file system is, and however
/// it is run, nothing outside is touched.
#[test]
fn every_hostile_rootfs() {
    let canary = Canary::plant();
    for hostile in Hostile::all() {
        if hostile.name == "whiteout-dotdot" || hostile.name == "rootdir-0000" {
            // No directory can have such names; the other is closed to its owner.
            continue;
        }
        let cage = Cage::of(&hostile.tree());
        for options in [&[][..], &["--read-only", "--init", "-w", "/work/below/new"]] {
            let out = cage.run(options, &["true"]);
            canary.assert_safe(&out);
            let links = ["proc-link", "sys-link", "dev-link", "dev-file", "dev-fifo"];
            if links.contains(&hostile.name) {
                assert_eq!(out.status, 125, "{}: {out}", hostile.name);
            }
        }
    }
}

/// S14: the engine's own files do not go through links of the image.
#[test]
fn own_files_do_not_follow_links() {
    let canary = Canary::plant();
    let targets = [
        CANARY.to_owned(),
        format!("../../../../../..{CANARY}"),
        format!("/proc/1/root{CANARY}"),
    ];
    for place in [
        "etc",
        "run",
        "tmp",
        "dev",
        "etc/hosts",
        "etc/resolv.conf",
        "etc/hostname",
        "etc/mtab",
        ".dockerenv",
    ] {
        for target in &targets {
            let mut tree = Tree::busybox();
            tree.remove(place).symlink(place, target);
            let cage = Cage::of(&tree);
            for options in [&[][..], &["--read-only"]] {
                canary.assert_safe(&cage.run(options, &["true"]));
            }
        }
    }
}

/// S04, CVE-2019-16884: no mount of the user's on or in /proc, by name or by a
/// link of the image.
#[test]
fn nothing_is_mounted_on_proc() {
    let mut tree = Tree::busybox();
    for (name, target) in [
        ("sys-door", "/proc/sys"),
        ("attr-door", "/proc/self/attr"),
        ("proc-door", "/proc"),
    ] {
        tree.symlink(name, target);
    }
    let cage = Cage::of(&tree);
    let dir = cage.env.path("tmp/v");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("file"), "x").unwrap();
    let dir = dir.to_str().unwrap();
    for target in [
        "/proc",
        "/proc/",
        "/proc/self/attr",
        "/proc/sys",
        "/proc/../proc/sys",
        "/./proc",
        "/proc/1/attr",
        "/proc/sysrq-trigger",
        "/sys-door",
        "/sys-door/kernel",
        "/attr-door",
        "/proc-door",
        "/proc-door/sys",
    ] {
        let bind = format!("{dir}:{target}");
        let mount = format!("type=bind,src={dir},dst={target}");
        let tmpfs = target.to_owned();
        for option in [["-v", &bind], ["--mount", &mount], ["--tmpfs", &tmpfs]] {
            let out = cage.run(&option, &["true"]);
            assert_eq!(out.status, 125, "{option:?}: {out}");
        }
    }
    // What may be there, and a link that leads elsewhere, work.
    let file = format!("{dir}/file:/proc/uptime");
    assert_eq!(cage.ok(&["-v", &file], &["cat", "/proc/uptime"]), "x");
    std::os::unix::fs::symlink("/home", cage.root.join("data")).unwrap();
    let bind = format!("{dir}:/data");
    assert_eq!(cage.ok(&["-v", &bind], &["cat", "/home/file"]), "x");
}

/// S08, S09, CVE-2026-41579, CVE-2026-88265: a /dev of the user's own.
#[test]
fn a_directory_on_dev_is_taken_as_it_is() {
    let canary = Canary::plant();
    let mut dev = Tree::default();
    for name in [
        "null", "console", "ptmx", "pts", "shm", "fd", "stdin", "tty", "mqueue",
    ] {
        dev.symlink(name, &format!("{CANARY}/{name}"));
    }
    let cage = Cage::new();
    let dir = cage.env.path("tmp/dev");
    std::fs::create_dir(&dir).unwrap();
    dev.write_to(&dir);
    let bind = format!("{}:/dev", dir.display());
    let names = || {
        let entries = std::fs::read_dir(&dir).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    for options in [
        &[][..],
        &["-t"],
        &["-i"],
        &["--read-only"],
        &["-it", "--read-only"],
    ] {
        let out = cage.run(&[&["-v", &bind], options].concat(), &["true"]);
        canary.assert_safe(&out);
        assert_eq!(before, names(), "{options:?}");
    }
    // A terminal has no place there.
    cage.run(&["-t", "-v", &bind], &["true"]).status(125);
}

/// S15, CVE-2026-55686: the working directory is made inside.
#[test]
fn the_working_directory_is_made_inside() {
    let canary = Canary::plant();
    let mut tree = Tree::busybox();
    tree.symlink("abs", CANARY);
    tree.symlink("up", &format!("../../../..{CANARY}"));
    tree.symlink("proc1", "/proc/1/root");
    tree.symlink("cwd", "/proc/self/cwd");
    tree.add("fifo", Kind::Fifo, 0o644);
    let cage = Cage::of(&tree);
    cage.start("box", &[]);
    for dir in [
        "/abs/new",
        "/up/new",
        "/proc1/new",
        "/cwd/new",
        "/../../new",
        "/fifo/new",
        "/proc/1/root/new",
        "/abs/../../../new2",
    ] {
        let run = cage.run(&["-w", dir], &["pwd"]);
        canary.assert_safe(&run);
        let exec = cage.env.wherry(["exec", "-w", dir, "box", "pwd"]);
        canary.assert_safe(&exec);
    }
    assert!(cage.root.join("new").exists(), "it is made at all");
}

/// S23: labels and annotations are text and nothing else.
#[test]
fn labels_have_no_meaning() {
    let cage = Cage::new();
    let labels = [
        "wherry.privileged=true",
        "io.wherry.rootfs=/",
        "run.oci.handler=/bin/sh",
        "io.podman.annotations.privileged=TRUE",
        "io.podman.annotations.seccomp=unconfined",
        "io.kubernetes.cri-o.Devices=/dev/mem",
        "run.oci.keep_original_groups=1",
        "run.oci.seccomp_bpf_data=AAAA",
        "run.oci.mount_context_type=rootcontext",
        "org.systemd.property.ExecStart='/bin/sh'",
        "annotation.userns=host",
        "io.containerd.image=evil",
        "com.docker.security=none",
        "org.criu.config=/etc/shadow",
    ];
    let look = [
        "sh",
        "-c",
        "grep -E 'Cap|Seccomp|NoNew|Groups' /proc/self/status; ls /dev; id; cut -d' ' -f5,6 /proc/self/mountinfo",
    ];
    let plain = cage.ok(&["-h", "box"], &look);
    for flag in ["-l", "--annotation"] {
        let mut options = vec!["-h", "box"];
        for label in labels {
            options.extend([flag, label]);
        }
        assert_eq!(cage.ok(&options, &look), plain, "{flag}");
    }
}

/// S13: long arguments work, or are refused in words.
#[test]
fn long_texts() {
    let cage = Cage::new();
    // The kernel takes no argument of more than 128 KiB.
    for length in [4096usize, (64 << 10) - 1, 64 << 10, 127 << 10] {
        let long = "x".repeat(length);
        let variable = format!("A={long}");
        let target = format!("/tmp/{long}");
        let bind = format!("/tmp:/{long}");
        for (options, command) in [
            (vec!["-e", &variable], vec!["true"]),
            (vec![], vec!["true", &long]),
            (vec!["-w", &target], vec!["true"]),
            (vec!["-v", &bind], vec!["true"]),
            (vec!["-h", &long], vec!["true"]),
            (vec!["-u", &long], vec!["true"]),
            (vec!["--name", &long], vec!["true"]),
            (vec!["-l", &variable], vec!["true"]),
        ] {
            let out = cage.run(&options, &command);
            let refused =
                [125, 126, 127].contains(&out.status) && out.errors().contains("wherry: ");
            assert!(
                out.status == 0 || refused,
                "{} {length}: {}",
                options.len(),
                out.status
            );
            assert!(!out.errors().contains("panicked"));
        }
    }
}
