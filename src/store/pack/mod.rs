//! The one way out for file trees: a tar stream of a layer or of a merged
//! tree. The same tree gives the same bytes: entries come by name, and nothing
//! of the time or place of packing is in them. Memory does not grow with files.

mod compress;
mod header;
mod sparse;

pub use compress::{Compressor, Packing};
pub use header::{DIRECTORY, Header, REGULAR, write_end, write_padding};

use super::merged::{Listing, Merged, Node};
use super::unpack::shown;
use crate::error::{Context, Error, Result, reason};
use crate::sys::xattr;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat, major, minor};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What stands in front of all names, without a slash at its end.
    pub prefix: Vec<u8>,
    /// The root has an entry, whatever its mode.
    pub root_entry: bool,
    /// Whom everything belongs to, instead of those who have it.
    pub owner: Option<(u32, u32)>,
    /// What the layers say is gone is said, too (`.wh.` entries of
    /// the OCI image-spec, "Representing Changes"). Else it is just not there.
    pub deletions: bool,
    /// Bytes of holes in files that are written as zeros, as other engines do; those
    /// beyond that are kept as holes ([`ZEROS`]).
    pub zeros: u64,
    /// Overlayfs' notes about where files came from are removed: the tree is
    /// going to be a layer itself.
    pub strip: bool,
}

/// What becomes an image has its holes as zeros: the OCI image-spec advises
/// against sparse entries ("Sparse Files"), and what docker and podman have taken
/// in with them they can neither save nor push (tar-split: "write too long"). But a
/// file of a terabyte of nothing must not fill disks: that much in all is the limit.
pub const ZEROS: u64 = 512 << 20;

/// What was packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// Bytes of file content, hard links counted once.
    pub bytes: u64,
    pub entries: u64,
    /// Sockets, and files of a layer whose names would be read as deletions.
    pub left_out: u64,
}

/// Writes all of `tree`, and the end of the archive.
pub fn pack(tree: &Merged, out: &mut impl Write, options: Options) -> Result<Packed> {
    let packed = pack_part(tree, out, options)?;
    write_end(out).map_err(unwritten)?;
    Ok(packed)
}

/// Writes all of `tree` into an archive that goes on.
pub fn pack_part(tree: &Merged, out: &mut impl Write, options: Options) -> Result<Packed> {
    let mut packer = Packer::new(out, options);
    let mut waiting = vec![tree.root()];
    while let Some(place) = waiting.pop() {
        let Some(listing) = tree.list(&place)? else {
            continue;
        };
        packer.directory(&packer.named(&place.path), &listing)?;
        for node in listing.nodes.iter().filter(|node| !node.is_dir()) {
            let path = packer.named(&listing.path(node));
            packer
                .node(&path, &listing, node)
                .map_err(|e| e.within(format!("cannot pack \"{}\"", shown(&path))))?;
        }
        let below = listing.nodes.iter().rev().filter(|node| node.is_dir());
        waiting.extend(below.map(|node| listing.below(node)));
    }
    Ok(packer.packed)
}

/// A thing that is no directory, opened.
pub enum Item {
    File(File),
    /// Anything else, with the target of a symbolic link.
    Other(FileStat, Vec<u8>),
}

/// Writes one thing under this name, and the end of the archive.
pub fn pack_item(
    item: Item,
    name: &[u8],
    out: &mut impl Write,
    options: Options,
) -> Result<Packed> {
    let mut packer = Packer::new(out, options);
    match item {
        Item::File(file) => {
            let stat = fstat(&file).context(|| "cannot read it")?;
            packer.file(name, file, stat)?;
        }
        Item::Other(stat, link) => packer.special(name, &stat, &link)?,
    }
    write_end(packer.out).map_err(unwritten)?;
    Ok(packer.packed)
}

/// The reader of the archive has gone, or its disk is full.
pub fn unwritten(e: std::io::Error) -> Error {
    match e.kind() {
        std::io::ErrorKind::BrokenPipe => {
            Error::new(crate::error::Kind::BrokenPipe, "cannot write the archive")
        }
        _ => Err::<(), _>(e)
            .context(|| "cannot write the archive")
            .expect_err("made from an error"),
    }
}

struct Packer<'a, W> {
    out: &'a mut W,
    options: Options,
    /// Device and inode of files with several names, and the first of them.
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
    /// Of [`Options::zeros`].
    zeros: u64,
    packed: Packed,
}

impl<'w, W: Write> Packer<'w, W> {
    fn new(out: &'w mut W, options: Options) -> Self {
        Self {
            out,
            zeros: options.zeros,
            options,
            links: HashMap::new(),
            buffer: vec![0; 256 << 10],
            packed: Packed::default(),
        }
    }

    /// A path of the tree as the archive has it.
    fn named(&self, path: &[u8]) -> Vec<u8> {
        match (self.options.prefix.as_slice(), path) {
            (b"", path) => path.to_vec(),
            (prefix, b"") => prefix.to_vec(),
            (prefix, path) => [prefix, b"/", path].concat(),
        }
    }

    fn directory(&mut self, path: &[u8], listing: &Listing) -> Result<()> {
        let stat = listing.own_stat().context(|| "cannot read a directory")?;
        let records = self.attributes(listing.own())?;
        let is_root = path.is_empty();
        // What every reader gives a root that is not in the archive.
        let ordinary = !self.options.root_entry
            && (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (0o755, 0, 0);
        if !is_root || !ordinary || !records.is_empty() {
            let path = match is_root {
                true => b"./".to_vec(),
                false => [path, b"/"].concat(),
            };
            let mut header = described(&path, &stat);
            header.flag = header::DIRECTORY;
            header.records = records;
            self.header(&header)?;
        }
        if self.options.deletions && listing.opaque && !is_root {
            self.mark(&[path, b"/.wh..wh..opq"].concat())?;
        }
        Ok(())
    }

    fn node(&mut self, path: &[u8], listing: &Listing, node: &Node) -> Result<()> {
        let Some(stat) = node.stat else {
            if self.options.deletions {
                let (parent, name) = split(path);
                self.mark(&[parent, b".wh.", name].concat())?;
            }
            return Ok(());
        };
        let dir = listing.dir(node);
        match stat.st_mode & libc::S_IFMT {
            _ if self.options.deletions && node.name.starts_with(b".wh.") => {
                self.packed.left_out += 1;
                Ok(())
            }
            libc::S_IFREG => self.regular(path, listing, node),
            libc::S_IFLNK => match readlinkat(dir, node.name.as_slice()) {
                Err(Errno::ENOENT | Errno::EINVAL) => Ok(()),
                target => {
                    let target = target.context(|| "cannot read the link")?;
                    self.special(path, &stat, target.as_encoded_bytes())
                }
            },
            _ => self.special(path, &stat, b""),
        }
    }

    /// What has no content.
    fn special(&mut self, path: &[u8], stat: &FileStat, link: &[u8]) -> Result<()> {
        let mut header = described(path, stat);
        header.link = link;
        header.flag = match stat.st_mode & libc::S_IFMT {
            libc::S_IFLNK => header::SYMLINK,
            libc::S_IFIFO => header::FIFO,
            libc::S_IFCHR => header::CHAR_DEVICE,
            libc::S_IFBLK => header::BLOCK_DEVICE,
            _ => {
                self.packed.left_out += 1;
                return Ok(());
            }
        };
        self.header(&header)
    }

    fn regular(&mut self, path: &[u8], listing: &Listing, node: &Node) -> Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(
            listing.dir(node),
            node.name.as_slice(),
            flags,
            Mode::empty(),
        ) {
            // Gone, or replaced by a link, since the directory was read.
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO) => return Ok(()),
            other => File::from(other.context(|| "cannot open it")?),
        };
        let stat = listing.stat_of(node, &file).context(|| "cannot read it")?;
        self.file(path, file, stat)
    }

    fn file(&mut self, path: &[u8], mut file: File, stat: FileStat) -> Result<()> {
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Ok(());
        }
        let mut header = described(path, &stat);
        header.flag = header::REGULAR;
        if stat.st_nlink > 1 {
            let first = self.links.get(&(stat.st_dev, stat.st_ino));
            if let Some(first) = first.cloned() {
                header.flag = header::HARD_LINK;
                header.link = &first;
                return self.header(&header);
            }
            self.links.insert((stat.st_dev, stat.st_ino), path.to_vec());
        }
        header.records = self.attributes(file.as_fd())?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.packed.bytes += size;
        match sparse::map(&file, &stat).filter(|map| !self.fills(size, map)) {
            Some(map) => self.sparse(header, &mut file, size, &map),
            None => {
                header.size = size;
                self.header(&header)?;
                self.copy(&mut file, size)?;
                write_padding(size, self.out).map_err(unwritten)
            }
        }
    }

    /// Whether the holes of a file with these data are to be zeros.
    fn fills(&mut self, size: u64, segments: &[(u64, u64)]) -> bool {
        let data: u64 = segments.iter().map(|(_, length)| length).sum();
        let left = self.zeros.checked_sub(size.saturating_sub(data));
        self.zeros = left.unwrap_or(self.zeros);
        left.is_some()
    }

    /// GNU's sparse format 1.0: the data begins with a map of itself.
    fn sparse(
        &mut self,
        header: Header<'_>,
        file: &mut File,
        size: u64,
        segments: &[(u64, u64)],
    ) -> Result<()> {
        let map = sparse::written(segments);
        let path = header.path;
        let (parent, name) = split(path);
        let shadow = [parent, b"GNUSparseFile.0/", name].concat();
        let mut header = Header {
            path: &shadow,
            ..header
        };
        header.size = map.len() as u64 + segments.iter().map(|(_, length)| length).sum::<u64>();
        let mut note = |key: &str, value: &[u8]| {
            header
                .records
                .push((format!("GNU.sparse.{key}").into_bytes(), value.to_vec()));
        };
        note("major", b"1");
        note("minor", b"0");
        note("name", path);
        note("realsize", size.to_string().as_bytes());
        self.header(&header)?;
        self.out.write_all(&map).map_err(unwritten)?;
        for &(offset, length) in segments {
            file.seek(SeekFrom::Start(offset))
                .context(|| "cannot read it")?;
            self.copy(file, length)?;
        }
        write_padding(header.size, self.out).map_err(unwritten)
    }

    /// Exactly `length` bytes: a file that is being written may have less or
    /// more than its header says.
    fn copy(&mut self, file: &mut File, length: u64) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let most = self
                .buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = match file.read(&mut self.buffer[..most]) {
                Ok(0) => {
                    self.buffer[..most].fill(0);
                    most
                }
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::internal(format!("cannot read it: {}", reason(&e)))),
            };
            self.out.write_all(&self.buffer[..n]).map_err(unwritten)?;
            left -= n as u64;
        }
        Ok(())
    }

    /// An empty file that says that something is gone.
    fn mark(&mut self, path: &[u8]) -> Result<()> {
        let header = Header {
            flag: header::REGULAR,
            path,
            ..Header::default()
        };
        self.header(&header)
    }

    fn header(&mut self, header: &Header<'_>) -> Result<()> {
        self.packed.entries += 1;
        let owned = self.options.owner.map(|(uid, gid)| Header {
            uid,
            gid,
            records: header.records.clone(),
            ..*header
        });
        owned
            .as_ref()
            .unwrap_or(header)
            .write(self.out)
            .map_err(unwritten)
    }

    /// pax records of the attributes that belong to the file; takes away those
    /// that do not when asked to.
    fn attributes(&self, fd: BorrowedFd<'_>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let read = || "cannot read its attributes";
        let names = match xattr::list(fd) {
            Err(Errno::ENOTSUP) => return Ok(Vec::new()),
            other => other.context(read)?,
        };
        let mut names: Vec<CString> = names
            .split_inclusive(|&b| b == 0)
            .filter_map(|name| CStr::from_bytes_with_nul(name).ok().map(CStr::to_owned))
            .collect();
        names.sort();
        let mut records = Vec::new();
        for name in names {
            if is_note(name.to_bytes()) {
                if self.options.strip {
                    xattr::remove(fd, &name).context(|| "cannot remove an attribute")?;
                }
            } else if belongs(name.to_bytes())
                && let Some(value) = xattr::get(fd, &name).context(read)?
            {
                records.push(([b"SCHILY.xattr.", name.to_bytes()].concat(), value));
            }
        }
        Ok(records)
    }
}

/// The user's own attributes and file capabilities, as in `unpack`.
fn belongs(name: &[u8]) -> bool {
    name == b"security.capability"
        || (name.starts_with(b"user.")
            && !name.starts_with(b"user.overlay.")
            && !name.starts_with(b"user.fuseoverlayfs."))
}

/// Overlayfs' attributes but for those that make a directory opaque.
fn is_note(name: &[u8]) -> bool {
    let note = name
        .strip_prefix(b"user.overlay.")
        .or_else(|| name.strip_prefix(b"trusted.overlay."));
    note.is_some_and(|note| matches!(note, b"origin" | b"impure" | b"nlink" | b"upper" | b"uuid"))
}

fn described<'a>(path: &'a [u8], stat: &FileStat) -> Header<'a> {
    Header {
        path,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: (
            stat.st_mtime,
            u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        ),
        device: (major(stat.st_rdev), minor(stat.st_rdev)),
        ..Header::default()
    }
}

/// Parent with its slash, and last component.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    path.split_at(at)
}
