//! Archives: a layer into a directory, and a file of images into a store.

use super::place::Place;
use std::os::fd::AsFd;
use std::path::Path;
use wherry::image::digest::Algorithm;
use wherry::image::{Compression, Digest};
use wherry::output::progress::Silent;
use wherry::paths::Paths;
use wherry::store::unpack::{self, Options, Privilege};
use wherry::store::{Merged, Store, pack};
use wherry::transfer::load;

pub const WORDS: &[&str] = &[
    "../",
    "/",
    "./",
    ".wh.",
    ".wh..wh..opq",
    "ustar\0",
    "ustar  \0",
    "0000000",
    "7777777",
    "path=",
    "linkpath=",
    "size=",
    "GNU.sparse.map=",
    "SCHILY.xattr.",
    "user.overlay.opaque",
    "manifest.json",
    "index.json",
    "blobs/sha256/",
    "oci-layout",
    "x",
    "L",
    "K",
    "\"Layers\":[",
    "\"RepoTags\":[",
    "\"Config\":",
    "../canary/secret",
];

/// Nothing outside of the root; what was taken is what was hashed, and it comes
/// out again the same.
pub fn layer(data: &[u8]) {
    Place::ours().jailed(|jail| {
        let compression = Compression::detect(data);
        let Some(digest) = unpacked(&jail.join("one"), data, compression) else {
            return;
        };
        if compression == Compression::None {
            assert_eq!(digest, Digest::of(data));
        }
        let first = packed(&jail.join("one"));
        let again = unpacked(&jail.join("two"), &first, Compression::None);
        assert_eq!(
            again.expect("what was packed is unpacked"),
            Digest::of(&first)
        );
        assert!(packed(&jail.join("two")) == first, "the tree has changed");
    });
}

fn unpacked(root: &Path, data: &[u8], compression: Compression) -> Option<Digest> {
    std::fs::create_dir(root).unwrap();
    let dir = std::fs::File::open(root).unwrap();
    let options = Options::layer(Privilege::of_this_process());
    let done = unpack::unpack(dir.as_fd(), data, compression, Algorithm::Sha256, options);
    let (counts, digest) = done.ok()?;
    // A header has 512 bytes: what is there was in the archive.
    if compression == Compression::None {
        assert!(counts.entries <= data.len() as u64 / 512);
    }
    Some(digest)
}

fn packed(root: &Path) -> Vec<u8> {
    let mut tree = Merged::empty();
    tree.add(root, false).unwrap();
    let options = pack::Options {
        deletions: true,
        root_entry: true,
        ..pack::Options::default()
    };
    let mut out = Vec::new();
    pack::pack(&tree, &mut out, options).unwrap();
    out
}

/// All or nothing: the store has the images that `load` speaks of, all of each,
/// and nothing else is left when they are gone.
pub fn archive(data: &[u8]) {
    Place::ours().jailed(|jail| {
        let paths = Paths::at(jail.join("data"), jail.join("run"));
        paths.ensure().unwrap();
        let store = Store::open(&paths).unwrap();
        let loaded = load::load(&store, data, &[], |_| Ok(()), &Silent);
        let images = store.images().unwrap();
        for image in &images {
            let config = store.config(image).unwrap();
            let manifest = store.manifest(image).unwrap();
            assert_eq!(config.diff_ids.len(), manifest.layers.len());
            store.lower_dirs(&config.diff_ids).unwrap();
            for layer in &manifest.layers {
                let bytes = store.read_blob(&layer.digest, u64::MAX - 1).unwrap();
                assert!(layer.digest.matches(&bytes) && layer.size == bytes.len() as u64);
            }
        }
        if let Ok(loaded) = &loaded {
            assert!(
                loaded
                    .iter()
                    .all(|one| images.iter().any(|image| image.id == one.id))
            );
        }
        for image in &images {
            let _ = store.remove(image.id.as_str(), true, || Ok(Vec::new()));
        }
        store.collect(|| Ok(Vec::new())).unwrap();
        store.sweep().unwrap();
        for left in ["images/blobs/sha256", "images/blobs/sha512", "layers"] {
            let left = std::fs::read_dir(jail.join("data").join(left));
            assert_eq!(left.into_iter().flatten().count(), 0);
        }
    });
}
