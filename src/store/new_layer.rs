//! Layers made here: of a directory that overlayfs has written (`commit`, a
//! step of a build), or of an archive whose content nobody has vouched for
//! (`import`, `load`). What comes of it is the same as from a pull: a packed
//! blob and an unpacked layer. gzip takes longer than all the rest, so what may
//! never leave the store is not packed by it before it does (`transfer/ship`): a
//! commit's layer stays plain, whole archives are packed by zstd.

use super::Store;
use super::blob::NewBlob;
use super::merged::Merged;
use super::pack::{self, Compressor, Packed, Packing, pack};
use super::staging::Staging;
use super::unpack::{self, Unpacked};
use crate::error::{Context, Error, Kind, Result};
use crate::image::digest::{Algorithm, Digest, Hasher};
use crate::image::manifest::{Compression, Descriptor, IN_HASTE, OCI_LAYER};
use crate::userns::layout::Layout;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::{Mode, SFlag, mknodat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

/// Bytes of the pipe from packing to unpacking: what anybody may have.
const PIPE: i32 = 1 << 20;
const BUFFER: usize = 128 << 10;

/// What a layer is made of: a directory with overlayfs' marks.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// It becomes the layer and is gone afterwards; after a failure it may
    /// still be there. It must not be mounted.
    Moved(&'a Path),
    /// It stays as it is. What is written to it meanwhile may be torn. The
    /// layout is that of the container that writes it.
    Copied(&'a Path, Layout),
}

/// A layer that is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLayer {
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// The packed blob.
    pub blob: Digest,
    /// Bytes of the packed blob.
    pub blob_size: u64,
    /// Bytes of the files.
    pub size: u64,
    /// How that is packed.
    pub compression: Compression,
    /// Files that no layer can have: sockets, and names that begin with `.wh.`.
    pub left_out: u64,
    /// It is to be packed by gzip before it leaves the store.
    pub in_haste: bool,
}

impl NewLayer {
    /// As a manifest names it.
    pub fn descriptor(&self) -> Descriptor {
        let media_type = match self.compression {
            Compression::Gzip => format!("{OCI_LAYER}+gzip"),
            Compression::Zstd => format!("{OCI_LAYER}+zstd"),
            _ => OCI_LAYER.to_owned(),
        };
        let mut layer = Descriptor::new(media_type, self.blob.clone(), self.blob_size);
        if self.in_haste {
            layer.annotations.insert(IN_HASTE.into(), "true".into());
        }
        layer
    }

    /// The digest of an archive without entries: such a layer is left out of
    /// images, as Docker does.
    pub fn is_empty(&self) -> bool {
        const EMPTY: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
        self.diff_id.hex() == EMPTY
    }
}

impl Store {
    /// Makes a layer of a directory, as root of U. Hold a lease from before
    /// this until the image is there. Durable once an image has it.
    pub fn add_layer(&self, source: Source<'_>) -> Result<NewLayer> {
        self.prepare()?;
        let (dir, layout) = match source {
            Source::Moved(dir) => (dir, Layout::Same),
            Source::Copied(dir, layout) => (dir, layout),
        };
        let mut tree = Merged::empty();
        let by_files = self.marks_are_files(dir)?;
        tree.add_of(dir, by_files, layout)?;
        match source {
            Source::Copied(..) => self.copy_layer(&tree),
            Source::Moved(dir) => {
                let mut plain = Hashed {
                    hasher: Hasher::new(Algorithm::Sha256),
                    inner: Compressor::new(self.new_blob()?, Packing::Gzip),
                };
                let options = pack::Options {
                    deletions: true,
                    strip: true,
                    zeros: pack::ZEROS,
                    ..pack::Options::default()
                };
                let packed = pack(&tree, &mut plain, options)?;
                drop(tree);
                let (blob, blob_size) = written(plain.inner)?;
                let layer = NewLayer {
                    diff_id: plain.hasher.finish(),
                    blob,
                    blob_size,
                    size: packed.bytes,
                    compression: Compression::Gzip,
                    left_out: packed.left_out,
                    in_haste: false,
                };
                self.take_layer(dir, &layer, &packed, by_files)?;
                Ok(layer)
            }
        }
    }

    /// One layer in the place of these, which lie on each other, lowest first; as
    /// [`Store::add_layer`], in haste.
    pub fn merge_layers(&self, diff_ids: &[Digest]) -> Result<NewLayer> {
        self.prepare()?;
        self.copy_layer(&self.merged(diff_ids)?)
    }

    /// Whether overlays here mark deletions by files: fuse-overlayfs does where it
    /// cannot make a device 0:0, and the kernel makes no overlay there.
    pub fn marks_are_files(&self, dir: &Path) -> Result<bool> {
        let parent = dir.parent().unwrap_or(dir);
        let parent =
            File::open(parent).context(|| format!("cannot open \"{}\"", parent.display()))?;
        let name = format!(
            "{}probe-{}",
            crate::fs::replace::TEMPORARY_PREFIX,
            std::process::id()
        );
        match mknodat(&parent, name.as_str(), SFlag::S_IFCHR, Mode::empty(), 0) {
            Ok(()) | Err(Errno::EEXIST) => {
                let _ = unlinkat(&parent, name.as_str(), UnlinkatFlags::NoRemoveDir);
                Ok(false)
            }
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(true),
            Err(e) => Err(e).context(|| "cannot tell how deletions are marked"),
        }
    }

    fn take_layer(
        &self,
        dir: &Path,
        layer: &NewLayer,
        packed: &Packed,
        deletions_as_files: bool,
    ) -> Result<()> {
        let Some(staging) = Staging::make(self, &layer.diff_id)? else {
            return super::layer::remove_tree(dir);
        };
        let unpacked = Unpacked {
            bytes: packed.bytes,
            entries: packed.entries,
            deletions_as_files,
            ..Unpacked::default()
        };
        if staging.take(dir)? {
            return staging.commit(&unpacked, &self.layer_path(&layer.diff_id));
        }
        drop(staging);
        let blob = self.open_blob(&layer.blob)?;
        self.unpack_layer(&layer.diff_id, blob, layer.compression)?;
        super::layer::remove_tree(dir)
    }

    /// Writes the archive and unpacks it in one go.
    fn copy_layer(&self, tree: &Merged) -> Result<NewLayer> {
        let staging = Staging::nameless(self)?;
        let blob = self.new_blob_hashed_elsewhere()?;
        let (reader, writer) = io::pipe().context(|| "cannot make a pipe")?;
        // Fewer turns between the two; without it they are only slower.
        let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE));
        let options = pack::Options {
            deletions: true,
            zeros: pack::ZEROS,
            ..pack::Options::default()
        };
        let (packed, unpacked) = std::thread::scope(|scope| {
            let unpacking =
                scope.spawn(|| staging.unpack(reader, Compression::None, Algorithm::Sha256));
            // Headers are small.
            let mut both = BufWriter::with_capacity(BUFFER, Both { blob, pipe: writer });
            let packed = pack(tree, &mut both, options).and_then(|packed| {
                both.flush().map_err(pack::unwritten)?;
                Ok(packed)
            });
            let (Both { blob, pipe }, _) = both.into_parts();
            drop(pipe);
            let unpacked = unpacking
                .join()
                .map_err(|_| Error::internal("the unpacking thread died"));
            (packed.map(|packed| (packed, blob)), unpacked)
        });
        match (packed, unpacked?) {
            // It cannot write, and that ended the packing.
            (Err(e), Err(cause)) if e.kind() == Kind::BrokenPipe => Err(cause),
            (packed, unpacked) => {
                let ((packed, blob), (unpacked, diff_id)) = (packed?, unpacked?);
                let layer = NewLayer {
                    blob_size: blob.finish_as(&diff_id)?,
                    blob: diff_id.clone(),
                    diff_id,
                    size: packed.bytes,
                    compression: Compression::None,
                    left_out: packed.left_out,
                    in_haste: true,
                };
                staging.commit_as(self, &layer.diff_id, &unpacked)?;
                Ok(layer)
            }
        }
    }

    /// Unpacks an archive of unknown content as a layer, and keeps it packed:
    /// as it is when it is packed as registries have it, else by zstd, in haste.
    pub fn import_layer(&self, archive: impl Read) -> Result<NewLayer> {
        let mut archive = archive;
        let (start, compression) = sniff(&mut archive)?;
        let archive = start.as_slice().chain(archive);
        match compression {
            Compression::Xz | Compression::Bzip2 => {
                let plain = unpack::decoder(archive, compression)?;
                self.keep_layer(plain, Compression::None)
            }
            _ => self.keep_layer(archive, compression),
        }
    }

    fn keep_layer(&self, archive: impl Read, compression: Compression) -> Result<NewLayer> {
        self.prepare()?;
        let staging = Staging::nameless(self)?;
        let kept = match compression {
            Compression::None => {
                Kept::Packed(Box::new(Compressor::new(self.new_blob()?, Packing::Zstd)))
            }
            _ => Kept::AsItIs(Box::new(self.new_blob()?)),
        };
        let mut through = Through {
            archive,
            kept,
            failed: None,
        };
        let unpacked = staging.unpack(&mut through, compression, Algorithm::Sha256);
        if let Some(e) = through.failed.take() {
            return Err(e).context(|| "cannot store the layer");
        }
        let (unpacked, diff_id) = unpacked?;
        let (blob, blob_size) = match through.kept {
            Kept::AsItIs(blob) => blob.finish()?,
            Kept::Packed(blob) => written(*blob)?,
        };
        staging.commit_as(self, &diff_id, &unpacked)?;
        Ok(NewLayer {
            diff_id,
            blob,
            blob_size,
            size: unpacked.bytes,
            compression: match compression {
                Compression::None => Compression::Zstd,
                packed => packed,
            },
            left_out: 0,
            in_haste: compression == Compression::None,
        })
    }
}

fn sniff(archive: &mut impl Read) -> Result<(Vec<u8>, Compression)> {
    let mut start = Vec::with_capacity(8);
    archive
        .by_ref()
        .take(6)
        .read_to_end(&mut start)
        .context(|| "cannot read the archive")?;
    let compression = Compression::detect(&start);
    Ok((start, compression))
}

/// The blob of what was written; digest and size.
fn written(blob: Compressor<NewBlob>) -> Result<(Digest, u64)> {
    let blob = blob.finish().context(|| "cannot write the layer")?;
    blob.finish()
}

/// Hashes what is written through it.
struct Hashed<W> {
    hasher: Hasher,
    inner: W,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same bytes to two places.
struct Both {
    blob: NewBlob,
    pipe: io::PipeWriter,
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.blob.write(bytes)?;
        self.pipe.write_all(&bytes[..n])?;
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Kept {
    AsItIs(Box<NewBlob>),
    Packed(Box<Compressor<NewBlob>>),
}

/// Keeps what is read through it.
struct Through<R> {
    archive: R,
    kept: Kept,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Through<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.archive.read(buffer)?;
        let written = match &mut self.kept {
            Kept::AsItIs(blob) => blob.write_all(&buffer[..n]),
            Kept::Packed(blob) => blob.write_all(&buffer[..n]),
        };
        written.inspect_err(|e| {
            let again = match e.raw_os_error() {
                Some(errno) => io::Error::from_raw_os_error(errno),
                None => io::Error::new(e.kind(), e.to_string()),
            };
            self.failed = Some(again);
        })?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Scratch;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;

    /// A directory as overlayfs leaves one, with one of everything.
    fn upper(scratch: &Scratch) -> PathBuf {
        let dir = scratch.store().layers.join("../upper");
        std::fs::create_dir_all(dir.join("d/sub")).unwrap();
        std::fs::write(dir.join("d/one"), "hello").unwrap();
        std::fs::hard_link(dir.join("d/one"), dir.join("d/sub/two")).unwrap();
        symlink("../nowhere", dir.join("link")).unwrap();
        nix::unistd::mkfifo(&dir.join("fifo"), Mode::S_IRWXU).unwrap();
        let long = dir.join("l".repeat(200)).join("n".repeat(200));
        std::fs::create_dir_all(long.parent().unwrap()).unwrap();
        std::fs::write(&long, "long").unwrap();
        std::fs::set_permissions(&long, std::fs::Permissions::from_mode(0o4751)).unwrap();
        let file = File::options().write(true).open(&long).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::new(7, 120))
            .unwrap();
        crate::sys::xattr::set(&file, c"user.note", b"a\nb\0c").unwrap();
        let hole = File::create(dir.join("hole")).unwrap();
        hole.set_len(1 << 30).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&hole, b"end", (1 << 29) + 5).unwrap();
        let whiteout = SFlag::S_IFCHR;
        mknodat(
            nix::fcntl::AT_FDCWD,
            &dir.join("gone"),
            whiteout,
            Mode::empty(),
            0,
        )
        .unwrap();
        std::fs::write(dir.join(".wh.real"), "cannot be in a layer").unwrap();
        dir
    }

    fn names(layer: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(layer)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_copied_and_a_moved_directory_make_the_same_layer() {
        let scratch = Scratch::new("new-layer");
        let store = scratch.store();
        let dir = upper(&scratch);
        let copied = store.add_layer(Source::Copied(&dir, Layout::Same)).unwrap();
        assert_eq!((copied.left_out, copied.is_empty()), (1, false));
        let diff = store.layer_path(&copied.diff_id).join("diff");
        let one = std::fs::metadata(diff.join("d/one")).unwrap();
        let two = std::fs::metadata(diff.join("d/sub/two")).unwrap();
        assert_eq!(one.ino(), two.ino());
        let long = diff.join("l".repeat(200)).join("n".repeat(200));
        let file = File::open(&long).unwrap();
        let meta = file.metadata().unwrap();
        assert_eq!(
            (meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()),
            (0o4751, 7, 120)
        );
        let note = crate::sys::xattr::get(&file, c"user.note").unwrap();
        assert_eq!(note.as_deref(), Some(&b"a\nb\0c"[..]));
        let gone = std::fs::symlink_metadata(diff.join("gone"));
        assert_eq!(gone.unwrap().rdev(), 0);
        let hole = std::fs::metadata(diff.join("hole")).unwrap();
        assert!(hole.len() == 1 << 30 && hole.blocks() * 512 < 1 << 20);
        let again = store
            .add_layer(Source::Copied(&diff, Layout::Same))
            .unwrap();
        assert_eq!(
            (&again.diff_id, &again.blob),
            (&copied.diff_id, &copied.blob)
        );

        std::fs::remove_dir_all(store.layer_path(&copied.diff_id)).unwrap();
        let moved = store.add_layer(Source::Moved(&dir)).unwrap();
        assert_eq!(moved.diff_id, copied.diff_id);
        assert!(!dir.exists() && store.has_layer(&moved.diff_id));
        assert_eq!(store.layer_size(&moved.diff_id).unwrap(), copied.size);
        let left = |path: &Path| {
            names(path)
                .into_iter()
                .filter(|n| n.starts_with(".tmp-"))
                .count()
        };
        assert_eq!((left(&store.layers), left(&store.partials())), (0, 0));
    }

    #[test]
    fn an_empty_directory_is_an_empty_layer() {
        let scratch = Scratch::new("new-layer-empty");
        let store = scratch.store();
        let dir = store.layers.join("../upper");
        std::fs::create_dir_all(&dir).unwrap();
        if nix::unistd::geteuid().is_root() {
            assert!(
                store
                    .add_layer(Source::Copied(&dir, Layout::Same))
                    .unwrap()
                    .is_empty()
            );
        }
    }

    #[test]
    fn archives_are_kept_packed() {
        let scratch = Scratch::new("new-layer-import");
        let store = scratch.store();
        let tar = crate::store::tests::tar_of("file", "content");
        let plain = store.import_layer(&tar[..]).unwrap();
        assert_eq!(plain.diff_id, Digest::of(&tar));
        let packed = std::fs::read(store.blob_path(&plain.blob)).unwrap();
        assert_eq!(Digest::of(&packed), plain.blob);
        let again = store.import_layer(&packed[..]).unwrap();
        assert_eq!((&again.blob, &again.diff_id), (&plain.blob, &plain.diff_id));
        for bad in [&tar[..700], &b"no archive at all"[..]] {
            assert!(store.import_layer(bad).is_err());
        }
        assert_eq!(std::fs::read_dir(store.partials()).unwrap().count(), 0);
        assert_eq!(names(&store.layers).len(), 1);
    }
}
