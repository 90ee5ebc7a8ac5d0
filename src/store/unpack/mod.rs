//! The one way in for file trees from outside: tar streams are unpacked
//! beneath a directory descriptor, whatever their names and links say.
//!
//! Two threads: the caller's reads, decompresses and hashes; a second one,
//! with a umask of its own, makes the files.

mod decode;
mod name;
mod pax;
mod tarball;
mod tree;

pub use decode::decoder;
pub use name::{normal, shown};
pub use tarball::{Entry, Kind, Tarball};

use crate::error::{Error, Result};
use crate::image::digest::{Algorithm, Digest, Hasher};
use crate::image::manifest::Compression;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::os::fd::BorrowedFd;

/// Entries that one archive may have: far above any real layer, and a bound
/// for the time and inodes that a hostile one can take.
const MOST_ENTRIES: u64 = 2_000_000;

/// What this process may do to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// Root of the host: devices are made, overlay marks are `trusted.`.
    Root,
    /// Root of a user namespace with many ids: owners are kept, devices are
    /// left out, overlay marks are `user.`.
    Mapped,
    /// Only one id to give: other owners are replaced by it and counted.
    OneId,
}

impl Privilege {
    /// Read from this process's user id and id map (user_namespaces(7)).
    pub fn of_this_process() -> Self {
        if !nix::unistd::geteuid().is_root() {
            return Self::OneId;
        }
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let counts = map
            .lines()
            .filter_map(|line| line.split_whitespace().nth(2));
        let ids: u64 = counts.filter_map(|n| n.parse::<u64>().ok()).sum();
        match ids {
            0xffff_ffff.. => Self::Root,
            0 | 1 => Self::OneId,
            _ => Self::Mapped,
        }
    }
}

/// Whom the files are to belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Whom the archive says.
    Archive,
    /// This process.
    Caller,
    Given(u32, u32),
}

#[derive(Debug, Clone)]
pub struct Options {
    pub privilege: Privilege,
    pub owners: Owners,
    /// The directory below the root that everything goes into; it has to be
    /// there. Links within the root are followed on the way.
    pub prefix: Vec<u8>,
    /// The root is in use: what is mounted in it belongs to it, and neither
    /// does a file replace a directory nor the reverse.
    pub in_use: bool,
    /// `.wh.` names are deletions, as in image layers. Otherwise they are
    /// ordinary files.
    pub whiteouts: bool,
}

impl Options {
    /// For a layer in a directory of its own.
    pub fn layer(privilege: Privilege) -> Self {
        Self {
            privilege,
            owners: Owners::Archive,
            prefix: Vec::new(),
            in_use: false,
            whiteouts: true,
        }
    }
}

/// What an archive amounted to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unpacked {
    /// Bytes of file content, hard links counted once.
    pub bytes: u64,
    pub entries: u64,
    /// Device nodes that were left out.
    pub devices_skipped: u64,
    /// Entries that belong to another user than the archive says.
    pub owners_ignored: u64,
    /// Attributes that the file system or our rights did not allow.
    pub attributes_lost: u64,
    /// The layer hides everything below it.
    pub opaque_root: bool,
    /// The file system cannot have overlayfs' marks for deletions: they are
    /// files named `.wh.…`, as in the archive, which fuse-overlayfs reads.
    pub deletions_as_files: bool,
}

/// Unpacks a tar stream into `root` and reads it to its very end. Gives the
/// digest of the uncompressed stream with the counts.
pub fn unpack(
    root: BorrowedFd<'_>,
    compressed: impl Read,
    compression: Compression,
    algorithm: Algorithm,
    options: Options,
) -> Result<(Unpacked, Digest)> {
    let (sender, receiver) = decode::channel();
    std::thread::scope(|scope| {
        let files = std::thread::Builder::new()
            .name("unpack".into())
            .spawn_scoped(scope, move || make_files(root, receiver, options))
            .map_err(|e| Error::internal(format!("cannot start a thread: {e}")))?;
        let mut hasher = Hasher::new(algorithm);
        let decoded = decode::run(compressed, compression, Some(&mut hasher), sender);
        let made = files
            .join()
            .map_err(|_| Error::internal("the unpacking thread died"))?;
        match (decoded, made) {
            (Ok(()), Ok(unpacked)) => Ok((unpacked, hasher.finish())),
            // The files' thread sees a broken stream as an archive that ends early.
            (Err(decode::Stop::Failed(e)), _) | (_, Err(e)) => Err(e),
            (Err(decode::Stop::NobodyListens), Ok(_)) => Err(Error::internal(
                "unpacking stopped before the archive's end",
            )),
        }
    })
}

/// Hands the entries of an archive of files (not of a layer) to `read`, in
/// their order, and then reads the stream to its end.
pub fn read_archive<T>(
    compressed: impl Read + Send,
    compression: Compression,
    read: impl FnOnce(&mut Tarball<decode::Receiver>) -> Result<T>,
) -> Result<T> {
    let (sender, receiver) = decode::channel();
    std::thread::scope(|scope| {
        let decoding = std::thread::Builder::new()
            .name("decode".into())
            .spawn_scoped(scope, move || {
                decode::run(compressed, compression, None, sender)
            })
            .map_err(|e| Error::internal(format!("cannot start a thread: {e}")))?;
        let mut tarball = Tarball::new(receiver);
        let value = read(&mut tarball);
        let rest = value.is_ok().then(|| tarball.skip_to_end());
        drop(tarball);
        let decoded = decoding
            .join()
            .map_err(|_| Error::internal("the decoding thread died"))?;
        match (decoded, value, rest) {
            // Its reader sees a broken stream as an archive that ends early.
            (Err(decode::Stop::Failed(e)), ..) => Err(e),
            (_, Ok(_), Some(Err(e))) => Err(e),
            (_, value, _) => value,
        }
    })
}

fn make_files(
    root: BorrowedFd<'_>,
    mut stream: decode::Receiver,
    options: Options,
) -> Result<Unpacked> {
    use nix::sched::{CloneFlags, unshare};
    use nix::sys::stat::{Mode, umask};
    // A umask of this thread alone: modes are right at creation.
    unshare(CloneFlags::CLONE_FS)
        .map_err(|e| Error::internal(format!("cannot set up the unpacking thread: {e}")))?;
    umask(Mode::empty());
    let mut tarball = tarball::Tarball::new(&mut stream);
    let mut tree = tree::Tree::new(root, options)?;
    while let Some(entry) = tarball.next_entry()? {
        tree.add(&entry, &mut tarball)?;
        if tree.unpacked().entries > MOST_ENTRIES {
            return Err(Error::invalid(format!(
                "archive has more than {MOST_ENTRIES} entries"
            )));
        }
    }
    let unpacked = tree.finish()?;
    std::io::copy(&mut stream, &mut std::io::sink())
        .map_err(|e| Error::internal(format!("cannot read archive: {e}")))?;
    Ok(unpacked)
}
