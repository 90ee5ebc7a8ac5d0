//! The image store without a command line, for tests that kill it, fill its
//! disk or measure it: `store_probe ROOT LAYOUT TAG` takes an image of a layout
//! into the store at ROOT, in the caller's user namespace unless he is root.
//! Ends with the image's ID on stdout, or 1 and the reason on stderr.

use std::io::Write;
use std::path::{Path, PathBuf};
use wherry::error::{Error, Result};
use wherry::image::digest::Digest;
use wherry::image::manifest::{Compression, Descriptor, Document};
use wherry::image::reference::Reference;
use wherry::paths::Paths;
use wherry::store::Store;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [root, layout, tag] = &args[..] else {
        eprintln!("usage: store_probe ROOT LAYOUT TAG");
        std::process::exit(2);
    };
    let root = PathBuf::from(root);
    let paths = Paths::at(root.join("data"), root.join("run"));
    let take = || take(&paths, Path::new(layout), tag);
    let taken = paths
        .ensure()
        .and_then(|()| match nix::unistd::geteuid().is_root() {
            true => take(),
            false => wherry::userns::task::run(&paths, take),
        });
    match taken {
        Ok(id) => {
            let _ = writeln!(std::io::stdout(), "{id}");
        }
        Err(e) => {
            // A test may have made writing fail.
            let _ = writeln!(std::io::stderr(), "{e}");
            std::process::exit(1);
        }
    }
}

fn take(paths: &Paths, layout: &Path, tag: &str) -> Result<String> {
    let store = Store::open(paths)?;
    store.collect(|| Ok(Vec::new()))?;
    store.sweep()?;
    let lease = store.lease()?;
    let blob = |digest: &Digest| {
        std::fs::read(layout.join("blobs/sha256").join(digest.hex()))
            .map_err(|e| Error::not_found(format!("blob {digest}: {e}")))
    };
    let index = std::fs::read(layout.join("index.json"))
        .map_err(|e| Error::not_found(format!("index.json: {e}")))?;
    let Document::Index(index) = Document::parse(&index, None)? else {
        return Err(Error::invalid("index.json is no index"));
    };
    let chosen = index.manifests.iter().find(|m| {
        m.annotations
            .get("org.opencontainers.image.ref.name")
            .map(String::as_str)
            == Some(tag)
    });
    let chosen = chosen.ok_or_else(|| Error::not_found(format!("no {tag} in the layout")))?;
    let bytes = blob(&chosen.digest)?;
    store.write_blob_as(&chosen.digest, &bytes)?;
    let Document::Manifest(manifest) = Document::parse(&bytes, Some(&chosen.media_type))? else {
        return Err(Error::invalid("not a manifest"));
    };
    let config = blob(&manifest.config.digest)?;
    store.write_blob_as(&manifest.config.digest, &config)?;
    let config = wherry::image::config::ImageConfig::parse(&config)?;
    for (layer, diff_id) in manifest.layers.iter().zip(&config.diff_ids) {
        take_layer(&store, layout, layer, diff_id)?;
    }
    let name = Reference::parse(tag)?;
    let descriptor = Descriptor::new(
        &chosen.media_type,
        chosen.digest.clone(),
        bytes.len() as u64,
    );
    let image = store.add_image(&name, &descriptor, None)?;
    drop(lease);
    Ok(image.id.to_string())
}

fn take_layer(store: &Store, layout: &Path, layer: &Descriptor, diff_id: &Digest) -> Result<()> {
    use std::io::{Read, Seek};
    let lost = |e: std::io::Error| Error::internal(format!("layer {}: {e}", layer.digest));
    let path = layout.join("blobs/sha256").join(layer.digest.hex());
    let mut file = std::fs::File::open(path).map_err(lost)?;
    let mut start = [0; 4];
    let n = file.read(&mut start).map_err(lost)?;
    let compression = Compression::detect(&start[..n]);
    file.rewind().map_err(lost)?;
    if let Some(mut blob) = store.begin_blob(&layer.digest, layer.size)? {
        blob.restart()?;
        if store.has_layer(diff_id) {
            std::io::copy(&mut file, &mut blob).map_err(lost)?;
        } else {
            let tee = Tee {
                from: file,
                to: &mut blob,
            };
            store.unpack_layer(diff_id, tee, compression)?;
        }
        return blob.commit();
    }
    if !store.has_layer(diff_id) {
        store.unpack_layer(diff_id, store.open_blob(&layer.digest)?, compression)?;
    }
    Ok(())
}

struct Tee<'a> {
    from: std::fs::File,
    to: &'a mut wherry::store::BlobWriter,
}

impl std::io::Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(buffer)?;
        std::io::Write::write_all(self.to, &buffer[..n])?;
        Ok(n)
    }
}
