//! Images on their way out of the store. A layer that was made in haste
//! (`store/new_layer`) is packed by gzip first, which all engines and registries
//! take; the image keeps it so, and nothing is packed twice. Its ID stays: that
//! is the digest of its config, which names layers by their content.

use super::report::{Report, Reported};
use crate::error::{Context, Error, Result};
use crate::image::digest::{Algorithm, HashingReader};
use crate::image::manifest::{MAX_DOCUMENT, OCI_LAYER};
use crate::image::{Compression, Descriptor, Digest};
use crate::output::progress::{Phase, Progress};
use crate::store::pack::{Compressor, Packing};
use crate::store::{Image, Store, unpack};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The image as it may leave, if that is not as it is. What it was goes with the
/// next collection. Hold a lease from before this until the image has left.
pub fn ship(store: &Store, image: &Image, progress: &dyn Progress) -> Result<Option<Image>> {
    let own = Some(&image.manifest.digest);
    if image.digests.iter().any(|name| name.digest() == own) {
        // A registry has it as it is, whoever has packed it.
        return Ok(None);
    }
    let manifest = store.manifest(image)?;
    let layers = manifest.layers.iter().enumerate();
    let hasty: Vec<usize> = layers
        .filter_map(|(at, layer)| layer.is_in_haste().then_some(at))
        .collect();
    if hasty.is_empty() {
        return Ok(None);
    }
    let diff_ids = store.config(image)?.diff_ids;
    let known = packed_well(store)?;
    let bytes = store.read_blob(&image.manifest.digest, MAX_DOCUMENT)?;
    let mut document: Value =
        serde_json::from_slice(&bytes).context(|| "cannot read the image's manifest")?;
    for at in hasty {
        let (layer, diff_id) = (&manifest.layers[at], &diff_ids[at]);
        let packed = match known.get(diff_id) {
            Some(packed) => packed.clone(),
            None => repack(store, layer, diff_id, progress)?,
        };
        let entry = &mut document["layers"][at];
        entry["mediaType"] = json!(packed.media_type);
        entry["digest"] = json!(packed.digest);
        entry["size"] = json!(packed.size);
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("annotations");
        }
    }
    store
        .put_manifest(image, document.to_string().as_bytes())
        .map(Some)
}

/// Layers of other images, by their content.
fn packed_well(store: &Store) -> Result<HashMap<Digest, Descriptor>> {
    let mut known = HashMap::new();
    for image in store.images()? {
        // What cannot be read is no help, and no harm.
        let (Ok(config), Ok(manifest)) = (store.config(&image), store.manifest(&image)) else {
            continue;
        };
        for (diff_id, layer) in config.diff_ids.into_iter().zip(manifest.layers) {
            let is_gzip = layer.media_type == format!("{OCI_LAYER}+gzip");
            if is_gzip && store.has_blob(&layer.digest) {
                known.insert(diff_id, layer);
            }
        }
    }
    Ok(known)
}

/// A layer that was made in haste as others are to have it.
pub fn repack(
    store: &Store,
    layer: &Descriptor,
    diff_id: &Digest,
    progress: &dyn Progress,
) -> Result<Descriptor> {
    let packing = |current, total| Phase::Packing { current, total };
    let packed = Reported {
        inner: store.open_blob(&layer.digest)?,
        report: Report::new(diff_id.short(), layer.size, progress, packing),
    };
    let compression = match layer.media_type.ends_with("+zstd") {
        true => Compression::Zstd,
        false => Compression::None,
    };
    let plain = unpack::decoder(packed, compression)?;
    let mut plain = HashingReader::new(plain, Algorithm::Sha256);
    let mut gzip = Compressor::new(store.new_blob()?, Packing::Gzip);
    std::io::copy(&mut plain, &mut gzip).context(|| format!("cannot pack layer {diff_id}"))?;
    let blob = gzip
        .finish()
        .context(|| format!("cannot pack layer {diff_id}"))?;
    if plain.finish().0 != *diff_id {
        return Err(Error::invalid(format!(
            "blob {} in the image store is damaged",
            layer.digest
        ))
        .hint("remove the image with `wherry rmi -f` and load or commit it again"));
    }
    let (digest, size) = blob.finish()?;
    progress.layer(diff_id.short(), Phase::Packed);
    Ok(Descriptor::new(format!("{OCI_LAYER}+gzip"), digest, size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::draft::{self, Draft};
    use crate::image::{Platform, Reference};
    use crate::output::progress::Silent;
    use crate::store::tests::{Scratch, tar_of};

    fn made(scratch: &Scratch, name: &str, content: &str) -> Image {
        let store = scratch.store();
        let layer = store.import_layer(&tar_of("file", content)[..]).unwrap();
        assert!(layer.in_haste);
        let mut config = Draft::new(&Platform::host());
        config.add_layer(&layer.diff_id);
        config.set_author(name);
        let config = config.to_bytes().unwrap();
        store.write_blob(&config).unwrap();
        let bytes = draft::manifest(&config, &[layer.descriptor()]).unwrap();
        let mut value: Value = serde_json::from_slice(&bytes).unwrap();
        value["annotations"] = json!({"kept": name});
        let bytes = value.to_string();
        let digest = store.write_blob(bytes.as_bytes()).unwrap();
        let manifest = Descriptor::new(
            crate::image::manifest::OCI_MANIFEST,
            digest,
            bytes.len() as u64,
        );
        let name = Reference::parse(name).unwrap();
        store.add_made(Some(&name), &manifest).unwrap()
    }

    #[test]
    fn what_leaves_is_packed_once() {
        let scratch = Scratch::new("ship");
        let store = scratch.store();
        let first = made(&scratch, "first", "content");
        let second = made(&scratch, "second", "content");
        store
            .tag(&first, &Reference::parse("again").unwrap())
            .unwrap();
        let layer = &store.manifest(&first).unwrap().layers[0];
        assert!(layer.is_in_haste());

        let shipped = ship(store, &first, &Silent).unwrap().unwrap();
        assert_eq!(shipped.id, first.id);
        let manifest = store.manifest(&shipped).unwrap();
        assert_eq!(manifest.layers[0].media_type, format!("{OCI_LAYER}+gzip"));
        let bytes = store.read_blob(&shipped.manifest.digest, 1 << 20).unwrap();
        assert!(
            String::from_utf8(bytes)
                .unwrap()
                .contains("\"kept\":\"first\"")
        );
        for name in ["first", "again", first.id.as_str()] {
            let found = store.resolve(name).unwrap();
            assert_eq!(found.manifest.digest, shipped.manifest.digest, "{name}");
            assert!(ship(store, &found, &Silent).unwrap().is_none());
        }
        // The other image has the same layer, which is not packed again.
        let blob = store.has_blob(&manifest.layers[0].digest);
        let other = ship(store, &second, &Silent).unwrap().unwrap();
        let layers = store.manifest(&other).unwrap().layers;
        assert!(blob && layers == manifest.layers);
        store.collect(|| Ok(Vec::new())).unwrap();
        assert!(!store.has_blob(&layer.digest) && !store.has_blob(&first.manifest.digest));
    }

    #[test]
    fn a_damaged_layer_does_not_leave() {
        let scratch = Scratch::new("ship-damaged");
        let store = scratch.store();
        let image = made(&scratch, "image", "content");
        let other = store.import_layer(&tar_of("file", "another")[..]).unwrap();
        let layer = store.manifest(&image).unwrap().layers[0].clone();
        let root = format!("wherry-ship-damaged-{}/data", std::process::id());
        let blobs = std::env::temp_dir().join(root).join("images/blobs/sha256");
        let path = |digest: &Digest| blobs.join(digest.hex());
        std::fs::copy(path(&other.blob), path(&layer.digest)).unwrap();
        let error = ship(store, &image, &Silent).unwrap_err();
        assert!(error.message().contains("is damaged"), "{error}");
        let now = store.resolve("image").unwrap();
        assert_eq!(now.manifest.digest, image.manifest.digest);
    }
}
