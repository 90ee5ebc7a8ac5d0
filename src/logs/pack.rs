//! Packed files of the log: gzip, a rotated file at a time. The header says
//! which file it was made of, so that a follower who knows that one by its
//! inode number does not read it again.

use super::{file_name, packed_name};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::os::fd::OwnedFd;

/// Removed by the next packer when its own was killed.
const UNFINISHED: &str = ".tmp-log.gz";

/// Read and packed at once.
const PIECE: usize = 32 << 10;

/// Packs one rotated file, when its owner finds the time.
#[derive(Debug)]
pub struct Packer {
    dir: OwnedFd,
    index: u32,
    from: File,
    to: Option<GzEncoder<File>>,
}

impl Packer {
    /// For file `index` of the log in `dir`. `None`: it stays as it is.
    pub fn new(dir: &OwnedFd, index: u32) -> Option<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let from = openat(dir, file_name(index).as_str(), flags, Mode::empty()).ok()?;
        let stat = fstat(&from).ok()?;
        if SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
            return None;
        }
        let _ = unlinkat(dir, UNFINISHED, UnlinkatFlags::NoRemoveDir);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let to = openat(dir, UNFINISHED, flags, Mode::S_IRUSR | Mode::S_IWUSR).ok()?;
        let header = GzBuilder::new().extra(stat.st_ino.to_le_bytes().to_vec());
        Some(Self {
            dir: dir.try_clone().ok()?,
            index,
            from: from.into(),
            to: Some(header.write(to.into(), Compression::fast())),
        })
    }

    /// Packs about this many bytes. True: there is nothing left to do.
    pub fn step(&mut self, mut bytes: usize) -> bool {
        let mut piece = [0; PIECE];
        loop {
            let Some(to) = &mut self.to else { return true };
            match self.from.read(&mut piece) {
                Ok(0) => return self.finish(),
                Ok(n) if to.write_all(&piece[..n]).is_ok() => {
                    if bytes <= n {
                        return false;
                    }
                    bytes -= n;
                }
                // A full disk: the file stays as it is.
                _ => {
                    self.to = None;
                    return true;
                }
            }
        }
    }

    /// The packed file takes the place of the other.
    fn finish(&mut self) -> bool {
        let Some(to) = self.to.take() else {
            return true;
        };
        let to_name = packed_name(self.index);
        if to.finish().is_ok()
            && renameat(&self.dir, UNFINISHED, &self.dir, to_name.as_str()).is_ok()
        {
            let from = file_name(self.index);
            let _ = unlinkat(&self.dir, from.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        true
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        let _ = unlinkat(&self.dir, UNFINISHED, UnlinkatFlags::NoRemoveDir);
    }
}

/// What is in a packed file, up to where it is damaged.
pub struct Unpacker(flate2::bufread::GzDecoder<BufReader<File>>);

impl Read for Unpacker {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match self.0.read(buffer) {
            Err(e) if matches!(e.kind(), InvalidData | InvalidInput | UnexpectedEof) => Ok(0),
            other => other,
        }
    }
}

/// Reads it as it is wanted.
pub fn reader(mut file: File) -> std::io::Result<Unpacker> {
    file.rewind()?;
    let decoder = flate2::bufread::GzDecoder::new(BufReader::new(file));
    Ok(Unpacker(decoder))
}

/// The inode number of the file that it was made of.
pub fn made_of(file: &File) -> Option<u64> {
    let decoder = reader(file.try_clone().ok()?).ok()?;
    let extra = decoder.0.header()?.extra()?;
    Some(u64::from_le_bytes(extra.try_into().ok()?))
}

/// The content in a file that can be read from its end, in memory that goes
/// with it.
pub fn unpacked(file: &File) -> std::io::Result<File> {
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    let mut plain = File::from(nix::sys::memfd::memfd_create(c"log", flags)?);
    std::io::copy(&mut reader(file.try_clone()?)?, &mut plain)?;
    Ok(plain)
}
