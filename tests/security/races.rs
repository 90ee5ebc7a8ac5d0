//! Paths that change while the engine uses them.

use super::cage::{Cage, Canary};
use crate::support::hostile_rootfs::CANARY;
use crate::support::race::Swapper;
use crate::support::user;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Tries of one race: with the debug build a start takes some milliseconds.
const TRIES: usize = 80;

fn canary_inodes() -> usize {
    std::fs::read_dir(CANARY).unwrap().count()
}

/// S10, S11, CVE-2021-30465: a mount point's parent becomes a link outside.
#[test]
fn a_mount_points_parent_is_swapped() {
    let canary = Canary::plant();
    let before = canary_inodes();
    let cage = Cage::new();
    let volume = cage.env.path("tmp/volume");
    std::fs::create_dir_all(volume.join("a/b")).unwrap();
    symlink(
        format!("../../../../../../../..{CANARY}"),
        volume.join("other"),
    )
    .unwrap();
    let data = cage.env.path("tmp/data");
    std::fs::create_dir(&data).unwrap();
    let outer = format!("{}:/v", volume.display());
    let inner = format!("{}:/v/a/new/b", data.display());
    let swapper = Swapper::start(&volume.join("a"), &volume.join("other"));
    let mut started = 0;
    for _ in 0..TRIES {
        let out = cage.run(&["-v", &outer, "-v", &inner], &["true"]);
        started += usize::from(out.status == 0);
        canary.assert_safe(&out);
    }
    assert!(swapper.stop() > TRIES as u64);
    assert!(started > 0, "no try came through");
    assert_eq!(before, canary_inodes());
}

/// S36, CVE-2021-25741: a part of a volume becomes a link outside while a
/// container that has it starts.
#[test]
fn a_part_of_a_volume_is_swapped() {
    let canary = Canary::plant();
    let cage = Cage::new();
    cage.env.ok(["volume", "create", "data"]);
    let data = cage.env.path("data/wherry/volumes/data/_data");
    std::fs::create_dir_all(data.join("a/b")).unwrap();
    std::fs::write(data.join("a/b/mark"), "volume").unwrap();
    std::fs::create_dir(data.join("out")).unwrap();
    symlink(
        format!("../../../../../../../../../..{CANARY}"),
        data.join("out/b"),
    )
    .unwrap();
    let mount = "type=volume,src=data,dst=/p,volume-subpath=a/b";
    let swapper = Swapper::start(&data.join("a"), &data.join("out"));
    let mut started = 0;
    for _ in 0..TRIES {
        let out = cage.run(
            &["--mount", mount],
            &["sh", "-c", "cat /p/mark; touch /p/x"],
        );
        match out.status {
            0 => {
                assert_eq!(out.text(), "volume", "{out}");
                started += 1;
            }
            _ => assert!(out.errors().contains("leads out of it"), "{out}"),
        }
        canary.assert_safe(&out);
    }
    assert!(swapper.stop() > TRIES as u64);
    assert!(started > 0, "no try came through");
}

/// S12, CVE-2019-18837: the root file system's directory becomes a link.
#[test]
fn the_root_is_swapped_for_a_link() {
    let canary = Canary::plant();
    let cage = Cage::new();
    let link = cage.env.path("tmp/link");
    symlink("/", &link).unwrap();
    std::fs::write(cage.root.join("inside"), "").unwrap();
    let arguments = cage.arguments(
        &["create", "--name", "box"],
        &[],
        &["test", "-e", "/inside"],
    );
    cage.env.ok(arguments);
    let swapper = Swapper::start(&cage.root, &link);
    let mut started = 0;
    for _ in 0..TRIES {
        let out = cage.env.wherry(["start", "-a", "box"]);
        // 1 would be: another root, without the file.
        assert!(
            out.status == 0 || out.errors().contains("root file system"),
            "{out}"
        );
        started += usize::from(out.status == 0);
    }
    assert!(swapper.stop() > TRIES as u64 && started > 0);
    canary.assert_untouched();
    // Where it rests on the link, too.
    let moved = cage.env.path("tmp/moved");
    let real = match cage.root.is_symlink() {
        true => &link,
        false => &cage.root,
    };
    std::fs::rename(real, &moved).unwrap();
    if real == &cage.root {
        std::fs::rename(&link, &cage.root).unwrap();
    }
    cage.env.wherry(["start", "-a", "box"]).status(1);
}

/// S15: the working directory's parent is swapped while it is made.
#[test]
fn the_working_directory_is_swapped() {
    let canary = Canary::plant();
    let cage = Cage::new();
    std::fs::create_dir(cage.root.join("dir")).unwrap();
    symlink(
        format!("../../../../../../..{CANARY}"),
        cage.root.join("other"),
    )
    .unwrap();
    let swapper = Swapper::start(&cage.root.join("dir"), &cage.root.join("other"));
    for n in 0..TRIES {
        let out = cage.run(&["-w", &format!("/dir/new{n}/x")], &["true"]);
        canary.assert_safe(&out);
    }
    assert!(swapper.stop() > TRIES as u64);
}

/// S07: what lies on /proc of the image is never what settings are written to.
#[test]
fn settings_land_in_the_real_proc() {
    let cage = Cage::new();
    let pattern = || std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let before = pattern();
    let proc = cage.root.join("proc");
    std::fs::create_dir_all(proc.join("sys/kernel")).unwrap();
    std::fs::create_dir_all(proc.join("1")).unwrap();
    symlink(
        "/proc/sys/kernel/core_pattern",
        proc.join("sys/kernel/shmmax"),
    )
    .unwrap();
    symlink(
        "/proc/sys/kernel/core_pattern",
        proc.join("1/oom_score_adj"),
    )
    .unwrap();
    let options = ["--sysctl", "kernel.shmmax=12345", "--oom-score-adj", "321"];
    let seen = cage.sh(
        &options,
        "cat /proc/sys/kernel/shmmax /proc/self/oom_score_adj",
    );
    assert_eq!(seen, "12345\n321");
    assert_eq!(before, pattern());
    assert!(Path::new(&proc.join("1/oom_score_adj")).is_symlink());
}

/// S06, CVE-2025-52565: /dev/console is the container's own terminal.
#[test]
fn the_console_is_a_terminal_of_the_container() {
    let canary = Canary::plant();
    let cage = Cage::new();
    let dev = cage.root.join("dev");
    let _ = std::fs::create_dir(dev.join("pts"));
    std::fs::write(dev.join("pts/0"), "").unwrap();
    symlink(format!("../../../../../../..{CANARY}/x"), dev.join("other")).unwrap();
    let swapper = Swapper::start(&dev.join("pts/0"), &dev.join("other"));
    for _ in 0..TRIES / 3 {
        let text = cage.sh(&["-t"], "stat -c %t /dev/console; tty");
        assert!(text.starts_with("88"), "{text}");
        assert!(text.contains("/dev/"), "{text}");
    }
    assert!(swapper.stop() > 50);
    canary.assert_untouched();
}

mod as_root {
    use super::*;
    use nix::sys::stat::{Mode, SFlag, makedev, mknod};

    /// S05, CVE-2025-31133: masks are made of the null device or not at all.
    #[test]
    fn the_null_device_is_swapped() {
        user::require_root();
        let cage = Cage::new();
        let dev = cage.env.path("tmp/dev");
        std::fs::create_dir(&dev).unwrap();
        let mode = Mode::from_bits_truncate(0o666);
        mknod(&dev.join("null"), SFlag::S_IFCHR, mode, makedev(1, 3)).unwrap();
        symlink("/proc/sys/kernel/core_pattern", dev.join("other")).unwrap();
        let bind = format!("{}:/dev", dev.display());
        let swapper = Swapper::start(&dev.join("null"), &dev.join("other"));
        let mut started = 0;
        for _ in 0..TRIES {
            let script = "stat -c %t,%T /proc/timer_list /proc/interrupts; (echo x >/proc/sys/kernel/core_pattern) 2>/dev/null && echo written";
            let out = cage.run(&["-v", &bind], &["sh", "-c", script]);
            assert!(!out.text().contains("written"), "{out}");
            match out.text().as_str() {
                "1,3\n1,3\n" => started += 1,
                text => assert!(text.is_empty(), "{out}"),
            }
        }
        assert!(swapper.stop() > TRIES as u64 && started > 0);
    }
}
