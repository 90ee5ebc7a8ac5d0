//! What a registry has about an image: signatures, SBOMs, provenance. By the
//! registry's own list, else by the tag that stands in for one, and by the tags
//! that cosign gives.

use crate::error::{Context, Error, Kind, Result};
use crate::fs::replace::temporary_beside;
use crate::image::digest::HashingReader;
use crate::image::{Descriptor, Digest, Document, Referrer};
use crate::registry::{Client, Watch};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What cosign appends to the tag of a manifest's digest.
const COSIGN: [&str; 3] = ["sig", "att", "sbom"];
const TITLE: &str = "org.opencontainers.image.title";
const MANIFEST: &str = "manifest.json";
/// The longest name of a file (NAME_MAX).
const LONGEST: usize = 255;

/// Something about an image.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it is about.
    pub subject: Digest,
    pub referrer: Referrer,
    /// The tag that it was found by, when it is not in a list.
    pub tag: Option<String>,
}

/// What is about one of `digests`; `artifact_type`: of that alone.
pub fn list(
    client: &Client,
    digests: &[Digest],
    artifact_type: Option<&str>,
) -> Result<Vec<Found>> {
    let mut all: Vec<Found> = Vec::new();
    for subject in digests {
        for found in about(client, subject, artifact_type)? {
            let wanted = artifact_type.is_none_or(|kind| found.referrer.artifact_type == kind);
            let same = |known: &Found| {
                known.referrer.descriptor.digest == found.referrer.descriptor.digest
            };
            if wanted && !all.iter().any(same) {
                all.push(found);
            }
        }
    }
    Ok(all)
}

fn about(client: &Client, subject: &Digest, artifact_type: Option<&str>) -> Result<Vec<Found>> {
    let tag = format!("{}-{}", subject.algorithm().name(), subject.hex());
    let found = |referrer, tag| Found {
        subject: subject.clone(),
        referrer,
        tag,
    };
    let listed = match client.referrers(subject, artifact_type)? {
        Some(listed) => listed,
        None => match named(client, &tag)? {
            Some((bytes, ..)) => Referrer::list(&bytes)?,
            None => Vec::new(),
        },
    };
    let mut all = Vec::new();
    for entry in listed {
        all.push(found(with_kind(client, entry)?, None));
    }
    for suffix in COSIGN {
        let tag = format!("{tag}.{suffix}");
        if let Some((bytes, digest, media_type)) = named(client, &tag)? {
            let referrer = Referrer::of(digest, &bytes, media_type.as_deref())?;
            all.push(found(referrer, Some(tag)));
        }
    }
    Ok(all)
}

/// Lists that others have copied lose what their entries are; then its own
/// manifest tells.
fn with_kind(client: &Client, entry: Referrer) -> Result<Referrer> {
    if !entry.artifact_type.is_empty() {
        return Ok(entry);
    }
    match client.manifest_by_digest(&entry.descriptor.digest) {
        Err(e) if e.kind() == Kind::NotFound => Ok(entry),
        fetched => fetched.and_then(|f| Referrer::of(f.digest, &f.bytes, f.media_type.as_deref())),
    }
}

type Named = (Vec<u8>, Digest, Option<String>);

fn named(client: &Client, tag: &str) -> Result<Option<Named>> {
    match client.manifest_by_tag(tag) {
        Err(e) if e.kind() == Kind::NotFound => Ok(None),
        other => other.map(|f| Some((f.bytes, f.digest, f.media_type))),
    }
}

/// Writes its manifest and its blobs into a new directory below `dir`, named by
/// its digest; gives that. It appears when all of it is there.
pub fn fetch(client: &Client, found: &Found, dir: &Path) -> Result<PathBuf> {
    let digest = &found.referrer.descriptor.digest;
    let place = dir.join(digest.hex());
    if place.exists() {
        return Err(Error::conflict(format!(
            "\"{}\" is there already",
            place.display()
        )));
    }
    let making = temporary_beside(&place);
    let cannot = || format!("cannot make \"{}\"", place.display());
    std::fs::create_dir(&making).context(cannot)?;
    let made = fill(client, digest, &making)
        .and_then(|()| std::fs::rename(&making, &place).context(cannot));
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&making);
    }
    made.map(|()| place)
}

fn fill(client: &Client, digest: &Digest, dir: &Path) -> Result<()> {
    let fetched = client.manifest_by_digest(digest)?;
    let path = dir.join(MANIFEST);
    std::fs::write(&path, &fetched.bytes)
        .context(|| format!("cannot write \"{}\"", path.display()))?;
    let document = Document::parse(&fetched.bytes, fetched.media_type.as_deref())?;
    let Document::Manifest(manifest) = document else {
        return Ok(());
    };
    manifest
        .layers
        .iter()
        .try_for_each(|layer| fetch_blob(client, layer, dir))
}

fn fetch_blob(client: &Client, blob: &Descriptor, dir: &Path) -> Result<()> {
    let (path, mut file) = new_file(dir, blob)?;
    let mut reader = client.blob(blob, 0, Watch::nobody());
    let mut hashed = HashingReader::new(reader.by_ref().take(blob.size), blob.digest.algorithm());
    let copied = std::io::copy(&mut hashed, &mut file);
    let (digest, read, _) = hashed.finish();
    if let Some(failure) = reader.failure() {
        return Err(failure);
    }
    copied.context(|| format!("cannot write \"{}\"", path.display()))?;
    match digest == blob.digest && read == blob.size {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "blob {} has wrong content",
            blob.digest
        ))),
    }
}

/// Called as its title says, if that is a plain name that nothing has yet.
fn new_file(dir: &Path, blob: &Descriptor) -> Result<(PathBuf, File)> {
    let title = blob.annotations.get(TITLE).filter(|title| is_plain(title));
    let names = title.map(String::as_str).into_iter();
    for name in names.chain([blob.digest.hex()]) {
        let path = dir.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => {
                let file = other.context(|| format!("cannot make \"{}\"", path.display()))?;
                return Ok((path, file));
            }
        }
    }
    Err(Error::invalid(format!(
        "blob {} is there twice",
        blob.digest
    )))
}

fn is_plain(title: &str) -> bool {
    !title.is_empty()
        && title.len() <= LONGEST
        && !title.starts_with(['.', '-'])
        && !title.chars().any(|c| c == '/' || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn names_that_lead_nowhere_else() {
        for good in ["sbom.spdx.json", "a b", "ü"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            ".bashrc",
            "-rf",
            "a/b",
            "/etc/passwd",
            "a\nb",
            "a\0b",
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
        assert!(!is_plain(&"a".repeat(256)));
    }
}
