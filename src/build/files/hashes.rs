//! Digests of files that were read before, so that a context of which nothing
//! has changed is not read again. A file that has the same inode, size, mtime
//! and ctime as then has the same content; one that was changed when it was
//! read, or shortly before, is read again, because a later change might not
//! show (the "racy" entries of git's index).

use crate::error::{Context, Result};
use crate::fs::replace::{self, Durability};
use crate::image::digest::{Algorithm, Digest, Hasher};
use nix::sys::stat::FileStat;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// First bytes of the file; another form, another number.
const MAGIC: &[u8; 8] = b"wherryh1";
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 256 << 20;
/// Kernels count a file's times in ticks of up to 10 ms; file systems may have
/// whole seconds.
const RACY: i128 = 2_000_000_000;

/// How a file looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    device: u64,
    inode: u64,
    size: i64,
    mtime: i128,
    ctime: i128,
}

impl Look {
    pub fn of(stat: &FileStat) -> Self {
        let time = |seconds: i64, nanoseconds: i64| {
            i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
        };
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            mtime: time(stat.st_mtime, stat.st_mtime_nsec),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

struct Entry {
    look: Look,
    digest: [u8; 32],
    /// Asked for by this process: others are not kept for ever.
    used: bool,
}

#[derive(Default)]
pub struct Hashes {
    file: Option<PathBuf>,
    entries: HashMap<Vec<u8>, Entry>,
    /// Those that could change without a sign; valid for this process.
    racy: HashMap<Vec<u8>, Entry>,
    changed: bool,
    buffer: Vec<u8>,
}

impl Hashes {
    /// Of no file: all are read.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those that are kept in `file`. One that cannot be read is as if empty.
    pub fn load(file: PathBuf) -> Self {
        let mut hashes = Self {
            entries: read(&file).unwrap_or_default(),
            ..Self::default()
        };
        hashes.file = Some(file);
        hashes
    }

    /// The digest of the file at `path`, which looks like `stat`.
    pub fn of(
        &mut self,
        path: &[u8],
        stat: &FileStat,
        open: impl FnOnce() -> Result<File>,
    ) -> Result<Digest> {
        let look = Look::of(stat);
        for map in [&mut self.entries, &mut self.racy] {
            if let Some(entry) = map.get_mut(path).filter(|e| e.look == look) {
                entry.used = true;
                return text(&entry.digest);
            }
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX);
        let digest = self.read_file(open()?, path)?;
        let mut bytes = [0; 32];
        let hex = digest.hex().as_bytes();
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks(2)) {
            *byte = std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .unwrap_or(0);
        }
        let entry = Entry {
            look,
            digest: bytes,
            used: true,
        };
        // Each path is in one of the maps: what it was before is of no use.
        if look.ctime.max(look.mtime) + RACY < now {
            self.racy.remove(path);
            self.entries.insert(path.to_vec(), entry);
            self.changed = true;
        } else {
            self.changed |= self.entries.remove(path).is_some();
            self.racy.insert(path.to_vec(), entry);
        }
        Ok(digest)
    }

    /// Whether the file still is what its digest was made of.
    pub fn still(&self, path: &[u8], stat: &FileStat) -> bool {
        let seen = self.entries.get(path).or_else(|| self.racy.get(path));
        seen.is_none_or(|entry| entry.look == Look::of(stat))
    }

    fn read_file(&mut self, mut file: File, path: &[u8]) -> Result<Digest> {
        self.buffer.resize(128 << 10, 0);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        loop {
            let n = match file.read(&mut self.buffer) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other.context(|| format!("cannot read \"/{}\"", super::shown(path)))?,
            };
            if n == 0 {
                return Ok(hasher.finish());
            }
            hasher.update(&self.buffer[..n]);
        }
    }

    /// Writes down what was found out. That it cannot be only costs time.
    pub fn save(&self) {
        let stale = self.entries.values().any(|e| !e.used);
        let Some(file) = self.file.as_ref().filter(|_| self.changed || stale) else {
            return;
        };
        let mut out = MAGIC.to_vec();
        for (path, entry) in self.entries.iter().filter(|(_, e)| e.used) {
            out.extend((path.len() as u32).to_le_bytes());
            out.extend(path);
            let look = &entry.look;
            out.extend(look.device.to_le_bytes());
            out.extend(look.inode.to_le_bytes());
            out.extend(look.size.to_le_bytes());
            out.extend(look.mtime.to_le_bytes());
            out.extend(look.ctime.to_le_bytes());
            out.extend(entry.digest);
        }
        if let Some(dir) = file.parent() {
            use std::os::unix::fs::DirBuilderExt;
            let _ = std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir);
        }
        let _ = replace::replace(file, &out, Durability::Fast);
    }
}

fn text(digest: &[u8; 32]) -> Result<Digest> {
    Digest::parse(&format!("sha256:{}", crate::text::id::hex(digest)))
}

fn read(file: &Path) -> Option<HashMap<Vec<u8>, Entry>> {
    let mut bytes = Vec::new();
    let opened = File::open(file).ok()?;
    opened.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut entries = HashMap::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(take(&mut rest)?) as usize;
        let path = rest.get(..length)?.to_vec();
        rest = &rest[length..];
        let look = Look {
            device: u64::from_le_bytes(take(&mut rest)?),
            inode: u64::from_le_bytes(take(&mut rest)?),
            size: i64::from_le_bytes(take(&mut rest)?),
            mtime: i128::from_le_bytes(take(&mut rest)?),
            ctime: i128::from_le_bytes(take(&mut rest)?),
        };
        let digest = take(&mut rest)?;
        let entry = Entry {
            look,
            digest,
            used: false,
        };
        entries.insert(path, entry);
    }
    Some(entries)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, more) = rest.split_first_chunk::<N>()?;
    *rest = more;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_changed_is_not_read_again() {
        let dir = std::env::temp_dir().join(format!("wherry-hashes-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (file, kept) = (dir.join("f"), dir.join("deep/kept"));
        std::fs::write(&file, "one").unwrap();
        let stat = nix::sys::stat::stat(&file).unwrap();
        let mut old = stat;
        old.st_mtime -= 100;
        old.st_ctime -= 100;
        let mut hashes = Hashes::load(kept.clone());
        let want = Digest::of(b"one");
        assert_eq!(
            hashes
                .of(b"f", &old, || Ok(File::open(&file).unwrap()))
                .unwrap(),
            want
        );
        hashes.save();
        let never = || -> Result<File> { panic!("read again") };
        let mut again = Hashes::load(kept.clone());
        assert_eq!(again.of(b"f", &old, never).unwrap(), want);
        assert!(again.still(b"f", &old) && !again.still(b"f", &stat));
        // A change of any kind, and a file that is too young to be trusted.
        let mut other = old;
        other.st_ctime += 1;
        std::fs::write(&file, "two").unwrap();
        let two = Digest::of(b"two");
        assert_eq!(
            again
                .of(b"f", &other, || Ok(File::open(&file).unwrap()))
                .unwrap(),
            two
        );
        assert_eq!(
            again
                .of(b"young", &stat, || Ok(File::open(&file).unwrap()))
                .unwrap(),
            two
        );
        // One that was known when it was old and has just been written again.
        assert_eq!(
            again
                .of(b"f", &stat, || Ok(File::open(&file).unwrap()))
                .unwrap(),
            two
        );
        assert!(again.still(b"f", &stat) && !again.still(b"f", &other));
        again.save();
        assert!(!read(&kept).unwrap().contains_key(&b"young"[..]));
        for damage in [&b"wherryh1\x05"[..], b"other", b""] {
            std::fs::write(&kept, damage).unwrap();
            assert!(Hashes::load(kept.clone()).entries.is_empty());
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
