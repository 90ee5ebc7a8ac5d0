//! Records in files: `log.json` grows, is rotated and, when asked for, packed.

use super::pack::Packer;
use super::{Caps, FILE, Stream, encode, file_name, packed_name};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, ftruncate, unlinkat, write};
use std::io::Write;
use std::os::fd::OwnedFd;

/// Escaped bytes are written out when there are more than this.
const BATCH: usize = 32 << 10;

/// A buffer that control bytes or binary output made larger is given back.
pub const KEPT: usize = 64 << 10;

/// The files of one container's log. Made with the first byte.
#[derive(Debug)]
pub struct Disk {
    dir: OwnedFd,
    caps: Caps,
    /// `,"attrs":{…}`, or nothing.
    attrs: String,
    pub file: Option<OwnedFd>,
    /// Bytes in `file`, all of them whole records.
    size: u64,
    /// Whole records that are not in `file` yet.
    pub out: Vec<u8>,
    /// `","stream":"…",…,"time":"…"` of the present batch.
    tail: Vec<u8>,
    /// The file ends in half a record that could not be taken back.
    torn: bool,
    dropped: u64,
    packer: Option<Packer>,
}

impl Disk {
    pub fn at(dir: OwnedFd, caps: Caps, attrs: String) -> Self {
        Self {
            dir,
            caps,
            attrs,
            file: None,
            size: 0,
            out: Vec::new(),
            tail: Vec::new(),
            torn: false,
            dropped: 0,
            packer: None,
        }
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    pub fn stamp(&mut self, stream: Stream) {
        let now = jiff::Timestamp::now();
        self.tail.clear();
        let _ = write!(
            self.tail,
            "\",\"stream\":\"{}\"{},\"time\":\"{now}\"",
            stream.name(),
            self.attrs
        );
    }

    /// A rotated file is packed bit by bit, a few times as much as is written:
    /// so the container never waits long and nobody has to come back for it.
    pub fn pack(&mut self, written: usize) {
        if let Some(packer) = &mut self.packer
            && packer.step(4 * written)
        {
            self.packer = None;
        }
    }

    pub fn record(&mut self, bytes: &[u8]) {
        let max = self.caps.max_size;
        if max > 0 && self.size + self.out.len() as u64 >= max {
            self.flush();
            if self.size >= max {
                self.rotate();
            }
        }
        self.out.extend_from_slice(b"{\"log\":\"");
        if let Ok(text) = std::str::from_utf8(bytes) {
            encode::escape_str(&mut self.out, text);
            self.out.extend_from_slice(&self.tail);
        } else {
            encode::escape_lossy(&mut self.out, bytes);
            self.out.extend_from_slice(&self.tail);
            self.out.extend_from_slice(b",\"raw\":\"");
            let mut raw = base64::write::EncoderWriter::new(
                &mut self.out,
                &base64::engine::general_purpose::STANDARD,
            );
            let _ = raw.write_all(bytes).and_then(|()| raw.finish().map(drop));
            drop(raw);
            self.out.push(b'"');
        }
        self.out.extend_from_slice(b"}\n");
        if self.out.len() >= BATCH {
            self.flush();
        }
    }

    /// One write(2) for all records that wait.
    pub fn flush(&mut self) {
        if self.out.is_empty() {
            return;
        }
        if self.file.is_none() {
            self.open_file();
        }
        let kept = match &self.file {
            Some(file) => {
                if self.torn && write_all(file, b"\n") == 1 {
                    self.torn = false;
                    self.size += 1;
                }
                if self.torn {
                    0
                } else {
                    write_all(file, &self.out)
                }
            }
            None => 0,
        };
        self.keep(kept);
        self.out.clear();
        if self.out.capacity() > KEPT {
            self.out = Vec::new();
        }
    }

    /// Of the records that wait, `kept` bytes went to the file.
    fn keep(&mut self, kept: usize) {
        let whole = memchr::memrchr(b'\n', &self.out[..kept]).map_or(0, |end| end + 1);
        self.size += whole as u64;
        if kept == self.out.len() {
            return;
        }
        self.dropped += memchr::memchr_iter(b'\n', &self.out[whole..]).count() as u64;
        if let (true, Some(file)) = (kept > whole, &self.file) {
            let size = i64::try_from(self.size).unwrap_or(i64::MAX);
            if ftruncate(file, size).is_err() {
                self.torn = true;
                self.size += (kept - whole) as u64;
            }
        }
    }

    fn open_file(&mut self) {
        let flags = OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        self.size = 0;
        self.torn = false;
        self.file = match openat(
            &self.dir,
            FILE,
            flags | OFlag::O_CREAT | OFlag::O_EXCL,
            mode,
        ) {
            Ok(file) => Some(file),
            Err(Errno::EEXIST) => self.open_existing(flags),
            Err(_) => None,
        };
    }

    /// The log of an earlier run of the container. Anything but a regular file
    /// was not made by us (CVE-2026-53489 class) and stays untouched.
    fn open_existing(&mut self, flags: OFlag) -> Option<OwnedFd> {
        let flags = (flags - OFlag::O_WRONLY) | OFlag::O_RDWR | OFlag::O_NONBLOCK;
        let file = openat(&self.dir, FILE, flags, Mode::empty()).ok()?;
        let stat = fstat(&file).ok()?;
        if SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) != SFlag::S_IFREG {
            return None;
        }
        self.size = u64::try_from(stat.st_size).ok()?;
        let mut last = [0];
        self.torn = self.size > 0
            && (nix::sys::uio::pread(&file, &mut last, stat.st_size - 1) != Ok(1)
                || last != *b"\n");
        Some(file)
    }

    /// log.json becomes log.json.1 and so on; the oldest goes.
    fn rotate(&mut self) {
        if let Some(mut packer) = self.packer.take() {
            packer.step(usize::MAX);
        }
        let last = self.caps.max_files.max(1) - 1;
        if last == 0 {
            let _ = unlinkat(&self.dir, FILE, UnlinkatFlags::NoRemoveDir);
        }
        let free = (1..=last)
            .find(|&index| !self.exists(index))
            .unwrap_or(last);
        for index in (0..free).rev() {
            if !self.move_up(index) && index == 0 {
                // Appending to a file that is too large loses nothing.
                return;
            }
        }
        self.file = None;
        if self.caps.compress && last > 0 {
            self.packer = Packer::new(&self.dir, 1);
        }
    }

    fn exists(&self, index: u32) -> bool {
        let there = |name: String| {
            let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
            nix::sys::stat::fstatat(&self.dir, name.as_str(), flags).is_ok()
        };
        there(file_name(index)) || there(packed_name(index))
    }

    /// A file keeps its form; nothing stays of the one that was there, and of
    /// one that was just packed.
    fn move_up(&self, index: u32) -> bool {
        let rename = |name: fn(u32) -> String| {
            let (from, to) = (name(index), name(index + 1));
            renameat(&self.dir, from.as_str(), &self.dir, to.as_str()).is_ok()
        };
        let remove = |name: String| {
            let _ = unlinkat(&self.dir, name.as_str(), UnlinkatFlags::NoRemoveDir);
        };
        if rename(file_name) {
            remove(packed_name(index));
            remove(packed_name(index + 1));
            return true;
        }
        let moved = rename(packed_name);
        if moved {
            remove(file_name(index + 1));
        }
        moved
    }
}

/// Bytes that were written.
fn write_all(file: &OwnedFd, bytes: &[u8]) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        match write(file, &bytes[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    done
}
