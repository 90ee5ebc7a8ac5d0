//! Every hostile archive: refused or inside, as its name says, and nothing
//! else on the machine changes (security rows S34, S39-S45).

use super::{layers, store_at, unpack};
use crate::support::env::Env;
use crate::support::evil_tar::{self, Canary, Expect, Fact, Spelling};
use crate::support::race;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use wherry::image::digest::Digest;
use wherry::image::manifest::Compression;
use wherry::sys::xattr;

#[test]
fn every_archive_is_refused_or_stays_inside() {
    let env = Env::new();
    let canary = Canary::plant(&env.path("tmp/canary"));
    let mut wrong = Vec::new();
    for (n, archive) in evil_tar::archives(&canary).iter().enumerate() {
        let dir = env.path("tmp").join(format!("store-{n}"));
        let result = unpack(&dir, &archive.tar);
        canary.assert_unharmed(&archive.name);
        let complaint = match (&archive.expect, &result) {
            (Expect::Refused, Ok(_)) => Some("was taken".into()),
            (Expect::Holds(_), Err(e)) => Some(format!("was refused: {e}")),
            (Expect::Holds(facts), Ok((root, _))) => facts.iter().find_map(|f| lie(root, f)),
            _ => None,
        };
        wrong.extend(complaint.map(|c| format!("{}: {c}", archive.name)));
        let left = layers(&dir).len();
        if left != usize::from(result.is_ok()) {
            wrong.push(format!("{}: {left} layers are left", archive.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Why a fact is not true of the tree.
fn lie(root: &Path, fact: &Fact) -> Option<String> {
    let meta = |path: &str| std::fs::symlink_metadata(root.join(path));
    let is = |path: &str, what: fn(&std::fs::Metadata) -> bool| meta(path).is_ok_and(|m| what(&m));
    let attribute = |path: &str, name: &str| {
        let file = std::fs::File::open(root.join(path)).ok()?;
        xattr::get(file.as_fd(), &std::ffi::CString::new(name).unwrap())
            .ok()
            .flatten()
    };
    let holds = match fact {
        Fact::File(path, content) => {
            is(path, |m| m.is_file())
                && std::fs::read(root.join(path)).is_ok_and(|c| c == content.as_bytes())
        }
        Fact::Link(path) => is(path, |m| m.is_symlink()),
        Fact::Dir(path) => is(path, |m| m.is_dir()),
        Fact::Absent(path) => meta(path).is_err(),
        Fact::Whiteout(path) => is(path, |m| m.file_type().is_char_device() && m.rdev() == 0),
        Fact::Opaque(path) => {
            let key = match nix::unistd::geteuid().is_root() {
                true => "trusted.overlay.opaque",
                false => "user.overlay.opaque",
            };
            attribute(path, key).as_deref() == Some(b"y")
        }
        Fact::Meta(path, mode, mtime) => {
            meta(path).is_ok_and(|m| m.mode() & 0o7777 == *mode && m.mtime() == *mtime)
        }
        Fact::NoXattr(path, name) => meta(path).is_ok() && attribute(path, name).is_none(),
    };
    (!holds).then(|| format!("{fact:?} is not so"))
}

#[test]
fn compressed_bombs_and_broken_streams() {
    let env = Env::new();
    let store = store_at(&env.path("tmp/store"));
    let tar = evil_tar::tar(Spelling::Plain, &[evil_tar::file("f", vec![b'x'; 300_000])]);
    let id = Digest::of(&tar);
    let gzip = crate::support::image::pack(crate::support::image::Packing::Gzip, &tar);
    let zstd = crate::support::image::pack(crate::support::image::Packing::Zstd, &tar);
    let unpack = |bytes: &[u8], how| store.unpack_layer(&id, bytes, how);
    for cut in (0..gzip.len()).step_by(97) {
        assert!(
            unpack(&gzip[..cut], Compression::Gzip).is_err(),
            "gzip cut at {cut}"
        );
    }
    for cut in 1..zstd.len() {
        assert!(
            unpack(&zstd[..cut], Compression::Zstd).is_err(),
            "zstd cut at {cut}"
        );
    }
    let garbage = [&gzip[..], b"garbage behind the end"].concat();
    assert!(unpack(&garbage, Compression::Gzip).is_err());
    let mut flipped = gzip.clone();
    // In the checksum: a bit elsewhere may be one that says nothing.
    flipped[gzip.len() - 6] ^= 0x10;
    assert!(unpack(&flipped, Compression::Gzip).is_err());
    assert!(unpack(&tar, Compression::Gzip).is_err());
    assert!(unpack(&gzip, Compression::None).is_err());
    // A window of 2 GiB (RFC 8878, 3.1.1.1.2: exponent 21 is 2 KiB << 20).
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00];
    assert!(unpack(&window, Compression::Zstd).is_err());
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4].repeat(100);
    assert!(unpack(&skippable, Compression::Zstd).is_err());
    let empty = Digest::of(b"");
    store
        .unpack_layer(&empty, &skippable[..], Compression::Zstd)
        .unwrap();
    assert!(!store.has_layer(&id));
    let members = evil_tar::many_members(&tar);
    assert_eq!(unpack(&members, Compression::Gzip).unwrap().bytes, 300_000);
}

#[test]
fn a_stream_that_grows_without_end_is_stopped() {
    let env = Env::new();
    let store = store_at(&env.path("tmp/store"));
    // Zeros after the end mark: 10 GiB of them from 1 MB of zstd.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..2048 {
        std::io::Write::write_all(&mut encoder, &zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap().repeat(5);
    let began = std::time::Instant::now();
    let error = store
        .unpack_layer(&Digest::of(b"bomb"), &bomb[..], Compression::Zstd)
        .unwrap_err();
    assert!(
        error.message().contains("not a sensible archive"),
        "{error}"
    );
    assert!(began.elapsed() < crate::support::limit(30));
    assert!(layers(&env.path("tmp/store")).is_empty());
}

#[test]
fn a_wrong_diff_id_leaves_nothing() {
    let env = Env::new();
    let dir = env.path("tmp/store");
    let tar = evil_tar::tar(Spelling::Plain, &[evil_tar::file("f", "x")]);
    let other = Digest::of(b"other");
    let error = store_at(&dir)
        .unpack_layer(&other, &tar[..], Compression::None)
        .unwrap_err();
    assert!(error.message().contains("wrong content"), "{error}");
    assert!(layers(&dir).is_empty());
    unpack(&dir, &tar).unwrap();
}

#[test]
fn many_links_and_deep_trees() {
    let env = Env::new();
    let dir = env.path("tmp/store");
    let mut parts = vec![evil_tar::file("f", "x")];
    parts.extend((0..50_000).map(|n| evil_tar::hard(format!("l{n}"), "f")));
    // ext4 allows 65,000 links to one file.
    let (root, unpacked) = unpack(&dir, &evil_tar::tar(Spelling::Plain, &parts)).unwrap();
    assert_eq!((unpacked.entries, unpacked.bytes), (50_001, 1));
    assert_eq!(
        std::fs::metadata(root.join("l49999")).unwrap().nlink(),
        50_001
    );
    let deep = format!("{}f", "d/".repeat(2000));
    unpack(
        &dir,
        &evil_tar::tar(Spelling::Plain, &[evil_tar::file(deep, "x")]),
    )
    .unwrap();
    // Deeper than any path can say, by links to the bottom.
    let mut parts = Vec::new();
    for n in 0..20 {
        let base = if n == 0 {
            String::new()
        } else {
            format!("l{n}/")
        };
        let path = format!("{base}{}", vec!["d"; 100].join("/"));
        let below = if n == 0 {
            path.clone()
        } else {
            format!("l{n}/{}", vec!["d"; 100].join("/"))
        };
        parts.push(evil_tar::file(format!("{path}/f"), "x"));
        parts.push(evil_tar::sym(format!("l{}", n + 1), below));
    }
    let _ = unpack(&dir, &evil_tar::tar(Spelling::Plain, &parts));
    let store = store_at(&dir);
    store.collect(|| Ok(Vec::new())).unwrap();
    store.sweep().unwrap();
    assert!(layers(&dir).is_empty());
}

#[test]
fn a_race_for_the_parent_stays_inside() {
    let env = Env::new();
    let canary = Canary::plant(&env.path("tmp/canary"));
    let parts: Vec<_> = (0..400)
        .map(|n| evil_tar::file(format!("d/e/f{n}"), "x"))
        .collect();
    let tar = evil_tar::tar(Spelling::Plain, &parts);
    let target = env.path("tmp/target");
    for dir in ["d/e", "other"] {
        std::fs::create_dir_all(target.join(dir)).unwrap();
    }
    std::os::unix::fs::symlink(&canary.dir, target.join("link")).unwrap();
    let options = wherry::store::unpack::Options {
        owners: wherry::store::unpack::Owners::Archive,
        prefix: Vec::new(),
        in_use: false,
        privilege: wherry::store::unpack::Privilege::of_this_process(),
        whiteouts: true,
    };
    let attack = race::Swapper::start(&target.join("d"), &target.join("link"));
    for _ in 0..100 {
        let root = std::fs::File::open(&target).unwrap();
        let _ = wherry::store::unpack::unpack(
            root.as_fd(),
            &tar[..],
            Compression::None,
            wherry::image::digest::Algorithm::Sha256,
            options.clone(),
        );
    }
    assert!(attack.stop() > 100, "the attacker did not get to run");
    canary.assert_unharmed("a race");
}
