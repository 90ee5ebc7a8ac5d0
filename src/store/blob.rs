//! Blobs: files named by their digest, written once.
//!
//! A blob in the making is `partial/ALGORITHM-HEX`, locked by its writer. A
//! writer that dies leaves it; the next one checks and continues it.

use super::Store;
use crate::error::{Context, Error, Kind, Result};
use crate::fs::replace;
use crate::image::digest::{Algorithm, Digest, Hasher};
use crate::sys::writeback;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bytes after which the disk begins to write, so that less is left to wait for.
const EARLY: u64 = 4 << 20;

impl Store {
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).exists()
    }

    /// Bytes of a blob that is there.
    pub fn blob_size(&self, digest: &Digest) -> Option<u64> {
        let meta = std::fs::metadata(self.blob_path(digest)).ok()?;
        Some(meta.len())
    }

    /// A whole small blob, checked against its digest. `NotFound` when it is
    /// not there, `Invalid` when it is damaged or larger than `limit` bytes.
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let bytes = match super::read_bounded(&self.blob_path(digest), limit) {
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                return Err(Error::invalid(format!("blob {digest} is {e}")));
            }
            read => read.context(|| format!("cannot read blob {digest}"))?,
        };
        if !digest.matches(&bytes) {
            return Err(
                Error::invalid(format!("blob {digest} in the image store is damaged"))
                    .hint("remove the image with `wherry rmi -f` and pull it again"),
            );
        }
        Ok(bytes)
    }

    /// A stored blob as a stream; its content is not checked.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        File::open(self.blob_path(digest)).context(|| format!("cannot open blob {digest}"))
    }

    /// Stores a small document and returns its digest (SHA-256).
    pub fn write_blob(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        self.write_blob_as(&digest, bytes)?;
        Ok(digest)
    }

    /// Stores a small document that must have `digest`. A damaged copy is replaced.
    pub fn write_blob_as(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let size = bytes.len() as u64;
        match self.read_blob(digest, size) {
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == Kind::NotFound => {}
            Err(_) => remove_if_there(&self.blob_path(digest))?,
        }
        if !digest.matches(bytes) {
            return Err(Error::invalid(format!("blob {digest} has wrong content")));
        }
        // Not one to go on with: what a killed writer leaves goes with the next
        // collection, where a partial download is kept for days.
        let mut blob = self.new_blob_hashed_elsewhere()?;
        blob.write_all(bytes)
            .context(|| format!("cannot write blob {digest}"))?;
        blob.finish_as(digest).map(drop)
    }

    /// Starts or continues the blob `digest` of `size` bytes. Waits while
    /// another process writes the same blob; `None` when it is there already.
    pub fn begin_blob(&self, digest: &Digest, size: u64) -> Result<Option<BlobWriter>> {
        self.prepare()?;
        let name = format!("{}-{}", digest.algorithm().name(), digest.hex());
        let partial = self.partials().join(name);
        let target = self.blob_path(digest);
        loop {
            let file = open_locked(&partial)?;
            if target.exists() {
                // Ours is a new empty file if the other writer has renamed its own.
                if is_same_file(&file, &partial) {
                    remove_if_there(&partial)?;
                }
                return Ok(None);
            }
            if is_same_file(&file, &partial) {
                return BlobWriter::resume(file, partial, target, digest, size).map(Some);
            }
        }
    }
}

/// A blob whose digest is known only when all of it has been written. Dropped
/// without [`NewBlob::finish`] it never was.
#[derive(Debug)]
pub struct NewBlob {
    store: Store,
    file: Flock<File>,
    path: PathBuf,
    /// `None`: somebody else takes the digest.
    hasher: Option<HasherBox>,
    len: u64,
    done: bool,
}

impl Store {
    /// Starts a blob of unknown content. Hold a lease meanwhile.
    pub fn new_blob(&self) -> Result<NewBlob> {
        let hasher = HasherBox(Hasher::new(Algorithm::Sha256));
        self.start_blob(Some(hasher))
    }

    /// The same, for [`NewBlob::finish_as`].
    pub fn new_blob_hashed_elsewhere(&self) -> Result<NewBlob> {
        self.start_blob(None)
    }

    fn start_blob(&self, hasher: Option<HasherBox>) -> Result<NewBlob> {
        self.prepare()?;
        let path = replace::temporary_beside(&self.partials().join("blob"));
        Ok(NewBlob {
            store: self.clone(),
            file: open_locked(&path)?,
            path,
            hasher,
            len: 0,
            done: false,
        })
    }
}

impl NewBlob {
    /// Gives the blob its name, durably; digest and size in bytes.
    pub fn finish(mut self) -> Result<(Digest, u64)> {
        let hasher = self.hasher.take();
        let hasher = hasher.ok_or_else(|| Error::internal("a blob was not hashed"))?;
        let digest = hasher.0.finish();
        self.store_as(&digest)?;
        Ok((digest, self.len))
    }

    /// Gives the blob the name that is known to be its digest; size in bytes.
    pub fn finish_as(mut self, digest: &Digest) -> Result<u64> {
        self.store_as(digest)?;
        Ok(self.len)
    }

    fn store_as(&mut self, digest: &Digest) -> Result<()> {
        let target = self.store.blob_path(digest);
        if !target.exists() {
            self.file
                .sync_data()
                .and_then(|()| std::fs::rename(&self.path, &target))
                .context(|| format!("cannot store blob {digest}"))?;
            self.done = true;
        }
        Ok(())
    }

    /// What has been written, from the first byte.
    pub fn read_back(&self) -> Result<File> {
        File::open(&self.path).context(|| format!("cannot read \"{}\"", self.path.display()))
    }
}

impl Write for NewBlob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.0.update(&bytes[..n]);
        }
        let before = self.len / EARLY;
        self.len += n as u64;
        if self.len / EARLY > before {
            writeback::begin(self.file.as_fd(), before * EARLY, EARLY);
        }
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        if !self.done {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Writes one blob; `Write` appends. Dropped without [`BlobWriter::commit`]
/// it leaves what it has for a later writer.
#[derive(Debug)]
pub struct BlobWriter {
    file: Flock<File>,
    partial: PathBuf,
    target: PathBuf,
    digest: Digest,
    hasher: HasherBox,
    len: u64,
    size: u64,
}

struct HasherBox(Hasher);

impl std::fmt::Debug for HasherBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl BlobWriter {
    fn resume(
        mut file: Flock<File>,
        partial: PathBuf,
        target: PathBuf,
        digest: &Digest,
        size: u64,
    ) -> Result<Self> {
        let there = file
            .metadata()
            .context(|| format!("cannot read \"{}\"", partial.display()))?
            .len();
        if there > size {
            file.set_len(0)
                .context(|| format!("cannot truncate \"{}\"", partial.display()))?;
        }
        let mut hasher = Hasher::new(digest.algorithm());
        let len = hash_to_end(&mut file, &mut hasher)
            .context(|| format!("cannot read \"{}\"", partial.display()))?;
        let writer = Self {
            file,
            partial,
            target,
            digest: digest.clone(),
            hasher: HasherBox(hasher),
            len,
            size,
        };
        writer.check_space()?;
        Ok(writer)
    }

    /// Bytes already there: where a resumed download goes on.
    pub fn len(&self) -> u64 {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets what is there and starts from the first byte.
    pub fn restart(&mut self) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| io::Seek::rewind(&mut *self.file))
            .context(|| format!("cannot truncate \"{}\"", self.partial.display()))?;
        self.hasher = HasherBox(Hasher::new(self.digest.algorithm()));
        self.len = 0;
        Ok(())
    }

    /// What is there already, from the first byte.
    pub fn read_back(&self) -> Result<File> {
        File::open(&self.partial).context(|| format!("cannot read \"{}\"", self.partial.display()))
    }

    /// Checks size and digest and gives the blob its name, durably. What has
    /// the wrong content is removed.
    pub fn commit(self) -> Result<()> {
        let Self {
            file,
            partial,
            target,
            digest,
            hasher,
            len,
            size,
        } = self;
        if len != size {
            return Err(Error::invalid(format!(
                "blob {digest} has {len} of {size} bytes"
            )));
        }
        let found = hasher.0.finish();
        if found != digest {
            remove_if_there(&partial)?;
            return Err(Error::invalid(format!(
                "blob {digest} has wrong content: its digest is {found}"
            )));
        }
        // The directory need not be synced: a blob that a power cut takes away
        // is fetched again, and add_image makes all of them durable.
        file.sync_data()
            .and_then(|()| std::fs::rename(&partial, &target))
            .context(|| format!("cannot store blob {digest}"))
    }

    /// Fails before anything is downloaded for nothing.
    fn check_space(&self) -> Result<()> {
        let missing = self.size - self.len;
        let Ok(fs) = nix::sys::statvfs::fstatvfs(self.file.as_fd()) else {
            return Ok(());
        };
        let free = fs.blocks_available().saturating_mul(fs.fragment_size());
        if missing <= free {
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(libc::ENOSPC)).context(|| {
            format!(
                "blob {} needs {missing} bytes and {free} are free",
                self.digest
            )
        })
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.size - self.len {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("blob {} is longer than {} bytes", self.digest, self.size),
            ));
        }
        let n = self.file.write(bytes)?;
        self.hasher.0.update(&bytes[..n]);
        self.len += n as u64;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hash_to_end(file: &mut File, hasher: &mut Hasher) -> io::Result<u64> {
    let mut buffer = vec![0; 128 << 10];
    let mut total = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(n) => {
                hasher.update(&buffer[..n]);
                total += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Opens and locks the file itself: the lock goes where the file goes.
fn open_locked(path: &Path) -> Result<Flock<File>> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .context(|| format!("cannot open \"{}\"", path.display()))?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(locked) => return Ok(locked),
            Err((back, nix::Error::EINTR)) => file = back,
            Err((_, e)) => return Err(e).context(|| format!("cannot lock \"{}\"", path.display())),
        }
    }
}

/// Whether `path` still names the opened file.
pub(super) fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(e).context(|| format!("cannot remove \"{}\"", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Scratch;

    #[test]
    fn documents_round_trip() {
        let scratch = Scratch::new("blob-doc");
        let store = scratch.store();
        let digest = store.write_blob(b"{}").unwrap();
        assert!(store.has_blob(&digest));
        assert_eq!(store.read_blob(&digest, 10).unwrap(), b"{}");
        assert_eq!(
            store.read_blob(&digest, 1).unwrap_err().kind(),
            Kind::Invalid
        );
        let absent = Digest::of(b"absent");
        assert_eq!(
            store.read_blob(&absent, 9).unwrap_err().kind(),
            Kind::NotFound
        );
        std::fs::write(store.blob_path(&digest), b"[]").unwrap();
        assert_eq!(
            store.read_blob(&digest, 10).unwrap_err().kind(),
            Kind::Invalid
        );
        store.write_blob(b"{}").unwrap();
        assert_eq!(store.read_blob(&digest, 10).unwrap(), b"{}");
        assert_eq!(std::fs::read_dir(store.partials()).unwrap().count(), 0);
    }

    #[test]
    fn a_partial_blob_is_continued() {
        let scratch = Scratch::new("blob-resume");
        let store = scratch.store();
        let digest = Digest::of(b"hello world");
        let mut writer = store.begin_blob(&digest, 11).unwrap().unwrap();
        writer.write_all(b"hello ").unwrap();
        drop(writer);
        assert!(!store.has_blob(&digest));
        let mut writer = store.begin_blob(&digest, 11).unwrap().unwrap();
        assert_eq!(writer.len(), 6);
        writer.write_all(b"world").unwrap();
        writer.commit().unwrap();
        assert_eq!(store.read_blob(&digest, 11).unwrap(), b"hello world");
        assert!(store.begin_blob(&digest, 11).unwrap().is_none());
    }

    #[test]
    fn wrong_content_is_refused_and_forgotten() {
        let scratch = Scratch::new("blob-wrong");
        let store = scratch.store();
        let digest = Digest::of(b"right");
        for (content, message) in [("wrong", "wrong content"), ("rig", "has 3 of 5 bytes")] {
            let mut writer = store.begin_blob(&digest, 5).unwrap().unwrap();
            writer.restart().unwrap();
            writer.write_all(content.as_bytes()).unwrap();
            let error = writer.commit().unwrap_err();
            assert!(error.message().contains(message), "{error}");
            assert!(!store.has_blob(&digest));
        }
        let mut writer = store.begin_blob(&digest, 5).unwrap().unwrap();
        assert!(writer.write_all(b"too long").is_err());
        let huge = store.begin_blob(&Digest::of(b"huge"), 1 << 60).unwrap_err();
        assert!(huge.message().contains("no space left"), "{huge}");
    }

    #[test]
    fn a_second_writer_waits_and_finds_the_blob() {
        let scratch = Scratch::new("blob-wait");
        let store = scratch.store();
        let digest = Digest::of(b"shared");
        let mut writer = store.begin_blob(&digest, 6).unwrap().unwrap();
        let second = std::thread::scope(|scope| {
            let second = scope.spawn(|| store.begin_blob(&digest, 6).map(|w| w.is_some()));
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!second.is_finished());
            writer.write_all(b"shared").unwrap();
            writer.commit().unwrap();
            second.join().unwrap()
        });
        assert!(!second.unwrap());
        assert_eq!(std::fs::read_dir(store.partials()).unwrap().count(), 0);
    }
}
