//! The files of an archive of images, each read once: layers go into the store
//! as they come, small documents are kept, links are remembered.

use crate::error::{Error, Result};
use crate::image::manifest::{MAX_DOCUMENT, OCI_LAYER};
use crate::image::{Compression, Descriptor, Digest};
use crate::output::progress::{Phase, Progress};
use crate::store::unpack::{Kind, Tarball, normal, shown};
use crate::store::{NewLayer, Store};
use crate::transfer::report::{Report, Reported};
use std::collections::HashMap;
use std::io::Read;

/// Files that an archive may have: far above any real one.
const MOST_FILES: usize = 100_000;
/// Bytes of all documents together.
const MOST_DOCUMENTS: usize = 32 << 20;
/// How often links may point to links.
const MOST_HOPS: usize = 10;
const BLOCK: u64 = 512;

/// What a file of the archive is.
#[derive(Clone)]
pub enum Content {
    Document(Vec<u8>),
    /// It was unpacked as it came.
    Layer(NewLayer),
    /// An uncompressed layer that the store has packed.
    Known(Digest, Descriptor),
    /// A blob that was in the store before.
    Blob(Digest),
    /// A link's target.
    Link(Vec<u8>),
}

pub struct Files {
    found: HashMap<Vec<u8>, Content>,
    documents: usize,
}

impl Files {
    pub fn read(
        store: &Store,
        tarball: &mut Tarball<impl Read>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut files = Self {
            found: HashMap::new(),
            documents: 0,
        };
        let packed = store.packed_layers()?;
        while let Some(entry) = tarball.next_entry()? {
            let path = normal(&entry.path)?;
            let at = |e: Error| e.within(format!("\"{}\" of the archive", shown(&path)));
            let content = match entry.kind {
                Kind::Directory => continue,
                Kind::Regular if entry.sparse.is_some() => {
                    return Err(at(Error::unsupported("sparse files are not supported")));
                }
                Kind::Regular => files
                    .regular(store, &packed, &path, entry.size, tarball, progress)
                    .map_err(at)?,
                Kind::Symlink => Content::Link(beside(&path, &entry.link).map_err(at)?),
                Kind::HardLink => Content::Link(normal(&entry.link).map_err(at)?),
                _ => return Err(at(Error::invalid("it is neither a file nor a directory"))),
            };
            if files.found.len() == MOST_FILES {
                return Err(Error::invalid(format!(
                    "the archive has more than {MOST_FILES} files"
                )));
            }
            // Readers differ in which of two they take.
            if files.found.insert(path.clone(), content).is_some() {
                return Err(at(Error::invalid("it is there twice")));
            }
        }
        Ok(files)
    }

    /// The file at a path that a document of the archive names.
    pub fn get(&self, path: &str) -> Result<&Content> {
        let missing =
            || Error::invalid(format!("\"{}\" is not in the archive", path.escape_debug()));
        let mut at = normal(path.as_bytes())?;
        for _ in 0..MOST_HOPS {
            match self.found.get(&at).ok_or_else(missing)? {
                Content::Link(target) => at.clone_from(target),
                content => return Ok(content),
            }
        }
        Err(Error::invalid(format!(
            "\"{}\" is a link that leads nowhere",
            path.escape_debug()
        )))
    }

    pub fn blob(&self, digest: &Digest) -> Result<&Content> {
        let (algorithm, hex) = (digest.algorithm().name(), digest.hex());
        self.get(&format!("blobs/{algorithm}/{hex}"))
    }

    /// A document at the archive's root, if there is one.
    pub fn document(&self, name: &str) -> Result<Option<&[u8]>> {
        match self.get(name) {
            Ok(Content::Document(bytes)) => Ok(Some(bytes)),
            Ok(_) => Err(Error::invalid(format!(
                "{name} of the archive is no document"
            ))),
            Err(_) => Ok(None),
        }
    }

    fn regular(
        &mut self,
        store: &Store,
        packed: &HashMap<Digest, Descriptor>,
        path: &[u8],
        size: u64,
        data: &mut Tarball<impl Read>,
        progress: &dyn Progress,
    ) -> Result<Content> {
        let named = named_digest(path);
        if let Some(digest) = &named {
            if let Some(blob) = packed.get(digest) {
                return Ok(Content::Known(digest.clone(), blob.clone()));
            }
            if size > MAX_DOCUMENT && store.has_blob(digest) {
                return Ok(Content::Blob(digest.clone()));
            }
        }
        let mut start = Vec::new();
        let broken = |e: std::io::Error| Error::invalid(e.to_string());
        data.by_ref()
            .take(BLOCK)
            .read_to_end(&mut start)
            .map_err(broken)?;
        if is_layer(path, size, &start) {
            let name = named
                .as_ref()
                .map_or_else(|| short(path), |d| d.short().to_owned());
            let loading = |current, total| Phase::Loading { current, total };
            let reported = Reported {
                inner: start.as_slice().chain(data),
                report: Report::new(&name, size, progress, loading),
            };
            let layer = store.import_layer(reported)?;
            if named.is_some_and(|d| d != layer.blob && d != layer.diff_id) {
                return Err(Error::invalid("its content has another digest"));
            }
            return Ok(Content::Layer(layer));
        }
        if size > MAX_DOCUMENT {
            return Err(Error::invalid(format!(
                "it is neither a layer nor a document of at most {MAX_DOCUMENT} bytes"
            )));
        }
        data.read_to_end(&mut start).map_err(broken)?;
        self.documents += start.len();
        if self.documents > MOST_DOCUMENTS {
            return Err(Error::invalid(format!(
                "the archive's documents have more than {MOST_DOCUMENTS} bytes"
            )));
        }
        match named {
            Some(digest) if !digest.matches(&start) => {
                Err(Error::invalid("its content has another digest"))
            }
            _ => Ok(Content::Document(start)),
        }
    }
}

impl Content {
    /// The packed layer whose content is `diff_id`; unpacked, too, when this
    /// returns.
    pub fn as_layer(&self, store: &Store, diff_id: &Digest) -> Result<Descriptor> {
        let check = |found: &Digest| match found == diff_id {
            true => Ok(()),
            false => Err(Error::invalid(format!(
                "layer {diff_id} has wrong content: its digest is {found}"
            ))),
        };
        match self {
            Self::Layer(layer) => check(&layer.diff_id).map(|()| layer.descriptor()),
            Self::Known(found, blob) => {
                check(found)?;
                unpacked(store, diff_id, &blob.digest)?;
                Ok(blob.clone())
            }
            Self::Blob(digest) => {
                // Whatever it is: it must be this layer.
                check(&plain_digest(store, digest)?)?;
                unpacked(store, diff_id, digest)?;
                stored(store, digest)
            }
            Self::Document(_) | Self::Link(_) => {
                Err(Error::invalid(format!("layer {diff_id} is no archive")))
            }
        }
    }

    /// The bytes of a small document.
    pub fn as_document(&self, store: &Store) -> Result<Vec<u8>> {
        match self {
            Self::Document(bytes) => Ok(bytes.clone()),
            Self::Blob(digest) => store.read_blob(digest, MAX_DOCUMENT),
            _ => Err(Error::invalid("a layer stands where a document should be")),
        }
    }
}

fn unpacked(store: &Store, diff_id: &Digest, blob: &Digest) -> Result<()> {
    if store.has_layer(diff_id) {
        return Ok(());
    }
    let compression = packing(store, blob)?;
    store
        .unpack_layer(diff_id, store.open_blob(blob)?, compression)
        .map(drop)
}

fn packing(store: &Store, blob: &Digest) -> Result<Compression> {
    let mut start = Vec::new();
    let read = store.open_blob(blob)?.take(6).read_to_end(&mut start);
    read.map_err(|e| Error::internal(format!("cannot read blob {blob}: {e}")))?;
    Ok(Compression::detect(&start))
}

/// The digest of a blob's uncompressed content.
fn plain_digest(store: &Store, blob: &Digest) -> Result<Digest> {
    use crate::image::digest::{Algorithm, HashingReader};
    use crate::store::unpack::decoder;
    let plain = decoder(store.open_blob(blob)?, packing(store, blob)?)?;
    let mut plain = HashingReader::new(plain, Algorithm::Sha256);
    std::io::copy(&mut plain, &mut std::io::sink())
        .map_err(|e| Error::invalid(format!("blob {blob} is damaged: {e}")))?;
    Ok(plain.finish().0)
}

fn stored(store: &Store, blob: &Digest) -> Result<Descriptor> {
    let size = store.open_blob(blob)?.metadata();
    let size = size.map_err(|e| Error::internal(format!("cannot read blob {blob}: {e}")))?;
    let packed = match packing(store, blob)? {
        Compression::Gzip => "+gzip",
        Compression::Zstd => "+zstd",
        _ => "",
    };
    Ok(Descriptor::new(
        format!("{OCI_LAYER}{packed}"),
        blob.clone(),
        size.len(),
    ))
}

/// `blobs/ALGORITHM/HEX` says what is in it.
fn named_digest(path: &[u8]) -> Option<Digest> {
    let path = std::str::from_utf8(path).ok()?;
    let (algorithm, hex) = path.strip_prefix("blobs/")?.split_once('/')?;
    Digest::parse(&format!("{algorithm}:{hex}")).ok()
}

/// Packed, or a tar stream: ustar's mark, or an old one by its name.
fn is_layer(path: &[u8], size: u64, start: &[u8]) -> bool {
    let tar = start.get(257..262) == Some(b"ustar")
        || (path.ends_with(b".tar") && size >= 2 * BLOCK && size.is_multiple_of(BLOCK));
    tar || Compression::detect(start) != Compression::None
        // An archive without entries is zeros.
        || (size == 2 * BLOCK && start.iter().all(|&b| b == 0))
}

/// What users see of a layer without a digest in its name.
fn short(path: &[u8]) -> String {
    shown(&path[..path.len().min(12)])
}

/// The target of a symbolic link, which may not lead out of the archive.
fn beside(path: &[u8], target: &[u8]) -> Result<Vec<u8>> {
    let out = || Error::invalid("it is a link that leads out of the archive");
    if target.starts_with(b"/") {
        return Err(out());
    }
    let mut parts: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
    parts.pop();
    for part in target.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop().ok_or_else(out)?;
            }
            part => parts.push(part),
        }
    }
    normal(&parts.join(&b'/'))
}
