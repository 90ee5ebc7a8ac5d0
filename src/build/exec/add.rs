//! What ADD does beyond COPY: it unpacks archives, and fetches files.

use crate::build::files::copy::{self, Target};
use crate::build::files::hashes::Hashes;
use crate::build::files::select::{Selected, Selection};
use crate::build::files::tree::Tree;
use crate::build::plan::Copy;
use crate::error::{Context, Error, Result};
use crate::image::digest::Algorithm;
use crate::image::manifest::Compression;
use crate::image::{Digest, digest::Hasher};
use crate::registry::{self, Options};
use crate::store::unpack::{self, Privilege};
use nix::sys::time::TimeSpec;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::path::Path;

/// A file from a URL, in the step's own directory.
#[derive(Debug)]
pub struct Fetched {
    pub name: String,
    pub file: File,
    pub digest: Digest,
    /// Seconds since 1970: Last-Modified.
    pub modified: i64,
}

pub use crate::registry::is_url;

/// Repositories, as BuildKit tells them from files.
pub fn is_git(source: &str) -> bool {
    let plain = source.split(['#', '?']).next().unwrap_or_default();
    source.starts_with("git@")
        || source.starts_with("git://")
        || source.starts_with("ssh://")
        || (is_url(source) && plain.ends_with(".git"))
}

/// Fetches what `copy` names by URL.
pub fn fetch(
    copy: &Copy,
    dir: &Path,
    options: &Options,
    log: &mut dyn FnMut(&[u8]),
) -> Result<Vec<Fetched>> {
    let mut all = Vec::new();
    for url in copy.sources.iter().filter(|source| is_url(source)) {
        let wanted = copy.checksum.as_deref().map(Digest::parse).transpose()?;
        let path = dir.join(format!("fetched-{}", all.len()));
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .context(|| format!("cannot make \"{}\"", path.display()))?;
        // Held open: it needs no name.
        let _ = std::fs::remove_file(&path);
        if url.split('/').nth(2).is_some_and(|host| host.contains('@')) {
            return Err(
                Error::invalid("ADD: a URL with a user or password is refused")
                    .hint("it would stand in the image's history"),
            );
        }
        let mut found = registry::fetch(url, options)?;
        let size =
            std::io::copy(&mut found, &mut file).context(|| format!("cannot download {url}"))?;
        log(format!("downloaded {size} bytes\n").as_bytes());
        file.rewind()
            .context(|| "cannot read what was downloaded")?;
        let mut hasher = Hasher::new(wanted.as_ref().map_or(Algorithm::Sha256, Digest::algorithm));
        let mut buffer = vec![0; 128 << 10];
        loop {
            let n = file
                .read(&mut buffer)
                .context(|| "cannot read what was downloaded")?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
        }
        let digest = hasher.finish();
        if let Some(wanted) = wanted.filter(|wanted| *wanted != digest) {
            return Err(
                Error::invalid(format!("digest mismatch {digest}: {wanted}"))
                    .hint("what the URL gives is not what --checksum says"),
            );
        }
        if found.name.is_empty() && copy.target.ends_with('/') {
            return Err(Error::invalid(format!(
                "cannot determine filename for source {url}"
            )));
        }
        all.push(Fetched {
            name: found.name,
            file,
            digest,
            modified: found.modified.unwrap_or(0),
        });
    }
    Ok(all)
}

/// Copies a selection; archives of ADD are unpacked.
pub fn put_files(
    copy: &Copy,
    tree: &Tree,
    selection: &Selection,
    hashes: &Hashes,
    target: &Target<'_>,
) -> Result<()> {
    if !copy.add || copy.unpack == Some(false) {
        return copy::copy(tree, selection, &copy.target, target, hashes);
    }
    let mut rest: Vec<Selected> = Vec::new();
    for one in &selection.selected {
        let archive = match one.is_dir {
            true => None,
            false => archive(&mut tree.file(&one.path)?)?,
        };
        match archive {
            Some(compression) => unpack_into(copy, tree.file(&one.path)?, compression, target)?,
            None => rest.push(one.clone()),
        }
    }
    let rest = Selection {
        selected: rest,
        excludes: selection.excludes.clone(),
    };
    copy::copy(tree, &rest, &copy.target, target, hashes)
}

pub fn put_fetched(copy: &Copy, fetched: &[Fetched], target: &Target<'_>) -> Result<()> {
    for one in fetched {
        let mut file = one
            .file
            .try_clone()
            .context(|| "cannot use what was downloaded")?;
        file.rewind()
            .context(|| "cannot read what was downloaded")?;
        if copy.unpack == Some(true)
            && let Some(compression) = archive(&mut file)?
        {
            unpack_into(copy, file, compression, target)?;
            continue;
        }
        let time = TimeSpec::new(one.modified, 0);
        target.write(&copy.target, &one.name, &mut file, 0o600, time)?;
    }
    Ok(())
}

fn unpack_into(
    copy: &Copy,
    mut file: File,
    compression: Compression,
    target: &Target<'_>,
) -> Result<()> {
    if copy.chown.is_some() || copy.chmod.is_some() {
        return Err(Error::unsupported(
            "ADD --chown and --chmod are not supported for an archive that is unpacked",
        )
        .hint("--unpack=false adds the archive as it is"));
    }
    file.rewind().context(|| "cannot read the archive")?;
    let dir = target.make_directories(&copy.target)?;
    let root =
        crate::fs::rooted::open_dir(target.root, &dir).context(|| "cannot open the target")?;
    let options = unpack::Options {
        whiteouts: false,
        ..unpack::Options::layer(Privilege::of_this_process())
    };
    unpack::unpack(root.as_fd(), file, compression, Algorithm::Sha256, options).map(drop)
}

/// How the file is packed, if it is a tar archive; it is left at its beginning.
fn archive(file: &mut File) -> Result<Option<Compression>> {
    let read = || "cannot read the file";
    let mut start = Vec::new();
    file.take(64 << 10).read_to_end(&mut start).context(read)?;
    file.rewind().context(read)?;
    let compression = Compression::detect(&start);
    let mut block = Vec::new();
    let Ok(plain) = unpack::decoder(&start[..], compression) else {
        return Ok(None);
    };
    // The beginning of a compressed file ends early: what came counts.
    let _ = plain.take(512).read_to_end(&mut block);
    Ok(is_tar(&block).then_some(compression))
}

/// By the checksum of the first header, which old archives have, too.
pub fn is_tar(block: &[u8]) -> bool {
    if block.len() < 512 || block[0] == 0 {
        return false;
    }
    let written = std::str::from_utf8(&block[148..156])
        .ok()
        .and_then(|text| u32::from_str_radix(text.trim_matches([' ', '\0']), 8).ok());
    let sum: u32 = (0..512)
        .map(|i| {
            if (148..156).contains(&i) {
                32
            } else {
                u32::from(block[i])
            }
        })
        .sum();
    written == Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched() {
        for (source, url, git) in [
            ("https://a/b", true, false),
            ("http://a/b.tar.gz", true, false),
            ("https://a/b.git", true, true),
            ("https://a/b.git#main:dir", true, true),
            ("git@a:b/c", false, true),
            ("a/b", false, false),
            ("httpx://a", false, false),
        ] {
            assert_eq!((is_url(source), is_git(source)), (url, git), "{source}");
        }
    }

    #[test]
    fn archives_are_told_by_their_first_header() {
        let tar = crate::store::tests::tar_of("f", "x");
        assert!(is_tar(&tar));
        for no in [&b""[..], b"hello", &[0; 512], &[1; 512], &tar[..511]] {
            assert!(!is_tar(no));
        }
    }
}
