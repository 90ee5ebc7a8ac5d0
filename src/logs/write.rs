//! The monitor's side: output comes in as it was read, records go to the file.
//!
//! Nothing that happens to the disk may stop the container: what cannot be
//! written is dropped and counted. The file is made with the first byte.
//! The caller ignores SIGXFSZ, or a file size limit would end it.

use super::{Caps, FILE, PARTIAL, Stream, encode, file_name};
use crate::error::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, ftruncate, unlinkat, write};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Escaped bytes are written out when there are more than this.
const BATCH: usize = 32 << 10;

/// A buffer that control bytes or binary output made larger is given back.
const KEPT: usize = 64 << 10;

/// Writes the log of one container. No memory before the first byte, about
/// 64 KiB afterwards.
#[derive(Debug)]
pub struct Writer {
    dir: OwnedFd,
    caps: Caps,
    file: Option<OwnedFd>,
    /// Bytes in `file`, all of them whole records.
    size: u64,
    /// Whole records that are not in `file` yet.
    out: Vec<u8>,
    /// `","stream":"…","time":"…"` of the present batch.
    tail: Vec<u8>,
    /// Beginnings of lines whose ends were not read yet, one for each stream.
    pending: [Vec<u8>; 2],
    /// The file ends in half a record that could not be taken back.
    torn: bool,
    dropped: u64,
}

impl Writer {
    /// For the log in `dir`, the container's own directory (0700).
    pub fn open(dir: &Path, caps: Caps) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = nix::fcntl::open(dir, flags, Mode::empty())
            .context(|| format!("cannot open log directory \"{}\"", dir.display()))?;
        Ok(Self::at(fd, caps))
    }

    /// For the log in an open directory.
    pub fn at(dir: OwnedFd, caps: Caps) -> Self {
        Self {
            dir,
            caps,
            file: None,
            size: 0,
            out: Vec::new(),
            tail: Vec::new(),
            pending: [Vec::new(), Vec::new()],
            torn: false,
            dropped: 0,
        }
    }

    /// Takes what one read(2) gave; its whole lines are in the file afterwards.
    /// They get the time of this call, so read 4 to 32 KiB at a time.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.stamp(stream);
        let mut pending = std::mem::take(&mut self.pending[stream as usize]);
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end + 1);
            rest = after;
            if pending.is_empty() && line.len() <= PARTIAL {
                self.record(line);
            } else {
                self.join(&mut pending, line);
                self.record(&pending);
                pending.clear();
            }
        }
        self.join(&mut pending, rest);
        self.pending[stream as usize] = pending;
        self.flush();
    }

    /// The stream has ended: what is left of it becomes a record that has no
    /// newline.
    pub fn finish(&mut self, stream: Stream) {
        let pending = std::mem::take(&mut self.pending[stream as usize]);
        if !pending.is_empty() {
            self.stamp(stream);
            self.record(&pending);
            self.flush();
        }
    }

    /// Records that could not be written: lines, or 16 KiB parts of long ones.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn stamp(&mut self, stream: Stream) {
        let now = jiff::Timestamp::now();
        self.tail.clear();
        let _ = write!(
            self.tail,
            "\",\"stream\":\"{}\",\"time\":\"{now}\"",
            stream.name()
        );
    }

    /// Adds to the beginning of a line; what fills a part becomes a record.
    fn join(&mut self, pending: &mut Vec<u8>, mut bytes: &[u8]) {
        loop {
            let room = PARTIAL - pending.len();
            if bytes.len() < room || (bytes.len() == room && bytes.ends_with(b"\n")) {
                pending.extend_from_slice(bytes);
                return;
            }
            let (now, later) = bytes.split_at(room);
            pending.extend_from_slice(now);
            let len = part_len(pending);
            self.record(&pending[..len]);
            pending.drain(..len);
            bytes = later;
        }
    }

    fn record(&mut self, bytes: &[u8]) {
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
    fn flush(&mut self) {
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
        let last = self.caps.max_files.max(1) - 1;
        if last == 0 {
            let _ = unlinkat(&self.dir, FILE, UnlinkatFlags::NoRemoveDir);
        }
        for index in (0..last).rev() {
            let (from, to) = (file_name(index), file_name(index + 1));
            let moved = renameat(&self.dir, from.as_str(), &self.dir, to.as_str());
            if index == 0 && moved.is_err() {
                // Appending to a file that is too large loses nothing.
                return;
            }
        }
        self.file = None;
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

/// Where a full part ends: before a character that is only begun, so that
/// text that is UTF-8 stays so in every record.
fn part_len(part: &[u8]) -> usize {
    for back in 1..=3 {
        let width = match part[part.len() - back] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if width > back {
            part.len() - back
        } else {
            part.len()
        };
    }
    part.len()
}

#[cfg(test)]
mod tests {
    use super::super::{Entry, Filter, read};
    use super::*;

    fn directory(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("wherry-logw-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        dir
    }

    /// Records as (`log`, `stream`, bytes), and that no damage is met.
    fn records(dir: &Path) -> Vec<(Stream, Vec<u8>)> {
        let mut all = Vec::new();
        read(dir, &Filter::default(), &mut |entry| {
            match entry {
                Entry::Record(r) => all.push((r.stream, r.bytes.into_owned())),
                other => panic!("{other:?}"),
            }
            Ok(())
        })
        .unwrap();
        all
    }

    fn bytes_of(dir: &Path, stream: Stream) -> Vec<u8> {
        let all = records(dir).into_iter().filter(|(s, _)| *s == stream);
        all.flat_map(|(_, bytes)| bytes).collect()
    }

    #[test]
    fn writes_what_docker_writes() {
        let dir = directory("docker");
        let mut writer = Writer::open(&dir, Caps::default()).unwrap();
        assert!(!dir.join(FILE).exists(), "no file before the first byte");
        writer.write(Stream::Stdout, b"hello <\"w\xc3\xb6rld\">\nhalf");
        writer.write(Stream::Stderr, b"oops\n");
        writer.write(Stream::Stdout, b" done\nend");
        writer.finish(Stream::Stdout);
        writer.finish(Stream::Stderr);
        let text = std::fs::read_to_string(dir.join(FILE)).unwrap();
        let logs: Vec<_> = text
            .lines()
            .map(|line| {
                let (log, time) = line.split_once(",\"time\":\"").unwrap();
                let time = time.strip_suffix("\"}").unwrap();
                assert!(time.ends_with('Z') && !time.ends_with("0Z"), "{time}");
                time.parse::<jiff::Timestamp>().unwrap();
                log
            })
            .collect();
        let want = [
            "{\"log\":\"hello \\u003c\\\"wörld\\\"\\u003e\\n\",\"stream\":\"stdout\"",
            "{\"log\":\"oops\\n\",\"stream\":\"stderr\"",
            "{\"log\":\"half done\\n\",\"stream\":\"stdout\"",
            "{\"log\":\"end\",\"stream\":\"stdout\"",
        ];
        assert_eq!(logs, want);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn long_lines_are_cut_at_16_kib_however_they_arrive() {
        for len in [
            0,
            1,
            PARTIAL - 2,
            PARTIAL - 1,
            PARTIAL,
            PARTIAL + 1,
            5 * PARTIAL + 7,
        ] {
            for step in [1000, PARTIAL - 1, PARTIAL, 3 * PARTIAL] {
                let dir = directory("long");
                let mut writer = Writer::open(&dir, Caps::default()).unwrap();
                let mut line = vec![b'x'; len];
                line.push(b'\n');
                for piece in line.chunks(step) {
                    writer.write(Stream::Stdout, piece);
                }
                let lens: Vec<_> = records(&dir).iter().map(|(_, bytes)| bytes.len()).collect();
                let mut want = vec![PARTIAL; (len + 1) / PARTIAL];
                if (len + 1) % PARTIAL > 0 {
                    want.push((len + 1) % PARTIAL);
                }
                assert_eq!(lens, want, "{len} by {step}");
                assert_eq!(bytes_of(&dir, Stream::Stdout), line);
                std::fs::remove_dir_all(dir).unwrap();
            }
        }
    }

    #[test]
    fn a_character_is_not_cut() {
        let dir = directory("char");
        let mut writer = Writer::open(&dir, Caps::default()).unwrap();
        let text = format!("x{}\n", "€𝄞".repeat(20_000));
        for piece in text.as_bytes().chunks(4097) {
            writer.write(Stream::Stdout, piece);
        }
        assert!(
            records(&dir)
                .iter()
                .all(|(_, bytes)| std::str::from_utf8(bytes).is_ok())
        );
        assert_eq!(bytes_of(&dir, Stream::Stdout), text.as_bytes());
        assert!(
            !std::fs::read_to_string(dir.join(FILE))
                .unwrap()
                .contains("\"raw\"")
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_come_back(pieces in proptest::collection::vec(
            (proptest::bool::ANY, proptest::collection::vec(proptest::num::u8::ANY, 0..3000)), 0..12,
        )) {
            let dir = directory("any");
            let caps = Caps { max_size: 2000, max_files: 1000 };
            let mut writer = Writer::open(&dir, caps).unwrap();
            let mut want = [Vec::new(), Vec::new()];
            for (err, bytes) in &pieces {
                let stream = if *err { Stream::Stderr } else { Stream::Stdout };
                writer.write(stream, bytes);
                want[usize::from(*err)].extend_from_slice(bytes);
            }
            for (stream, want) in [Stream::Stdout, Stream::Stderr].into_iter().zip(want) {
                writer.finish(stream);
                proptest::prop_assert_eq!(bytes_of(&dir, stream), want);
            }
            proptest::prop_assert_eq!(writer.dropped(), 0);
            std::fs::remove_dir_all(dir).unwrap();
        }
    }

    #[test]
    fn rotates_and_keeps_so_many() {
        for (max_files, kept) in [(0, 1), (1, 1), (2, 2), (5, 5)] {
            let dir = directory("rotate");
            let caps = Caps {
                max_size: 1000,
                max_files,
            };
            let mut writer = Writer::open(&dir, caps).unwrap();
            for n in 0..1000 {
                writer.write(Stream::Stdout, format!("line {n}\n").as_bytes());
            }
            let lines = records(&dir);
            let last = lines.len();
            for (at, (_, bytes)) in lines.iter().enumerate() {
                assert_eq!(bytes, format!("line {}\n", 1000 - last + at).as_bytes());
            }
            let names = std::fs::read_dir(&dir).unwrap();
            let sizes: Vec<_> = names
                .map(|e| e.unwrap().metadata().unwrap().len())
                .collect();
            assert_eq!(sizes.len(), kept);
            assert!(sizes.iter().all(|size| *size < 1000 + 100), "{sizes:?}");
            std::fs::remove_dir_all(dir).unwrap();
        }
    }

    #[test]
    fn goes_on_in_an_old_log_and_heals_its_end() {
        let dir = directory("again");
        for n in 0..3 {
            let mut writer = Writer::open(&dir, Caps::default()).unwrap();
            writer.write(Stream::Stdout, format!("run {n}\n").as_bytes());
        }
        assert_eq!(bytes_of(&dir, Stream::Stdout), b"run 0\nrun 1\nrun 2\n");
        let path = dir.join(FILE);
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"log\":\"ha");
        std::fs::write(&path, &text).unwrap();
        let mut writer = Writer::open(&dir, Caps::default()).unwrap();
        writer.write(Stream::Stdout, b"run 3\n");
        let (mut damaged, mut whole) = (0, 0);
        read(&dir, &Filter::default(), &mut |entry| {
            match entry {
                Entry::Damaged => damaged += 1,
                _ => whole += 1,
            }
            Ok(())
        })
        .unwrap();
        assert_eq!((damaged, whole), (1, 4));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn touches_nothing_but_a_regular_file() {
        let dir = directory("foreign");
        let victim = dir.join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let path = dir.join(FILE);
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        let mut writer = Writer::open(&dir, Caps::default()).unwrap();
        writer.write(Stream::Stdout, b"one\ntwo\n");
        assert_eq!(writer.dropped(), 2);
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        writer.write(Stream::Stdout, b"three\n");
        assert_eq!(writer.dropped(), 3);
        assert_eq!(
            read(&dir, &Filter::default(), &mut |_| Ok(()))
                .unwrap_err()
                .kind(),
            crate::error::Kind::Invalid
        );
        std::fs::remove_file(&path).unwrap();
        writer.write(Stream::Stdout, b"four\n");
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
        assert_eq!(bytes_of(&dir, Stream::Stdout), b"four\n");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_size_limit_or_full_disk_drops_whole_records() {
        // /dev/full refuses every byte; a pipe takes a part and then refuses.
        let (_read, write_end) = nix::unistd::pipe2(OFlag::O_NONBLOCK).unwrap();
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        for (file, some) in [(full.into(), false), (write_end, true)] {
            let dir = directory("full");
            let mut writer = Writer::open(&dir, Caps::default()).unwrap();
            writer.file = Some(file);
            let lines = "0123456789\n".repeat(20_000);
            writer.write(Stream::Stdout, lines.as_bytes());
            let dropped = writer.dropped();
            assert!(if some {
                dropped < 20_000 && dropped > 1000
            } else {
                dropped == 20_000
            });
            // Room again: the log goes on, nothing of the batch before comes late.
            writer.file = None;
            writer.write(Stream::Stdout, b"back\n");
            assert_eq!(bytes_of(&dir, Stream::Stdout), b"back\n");
            assert_eq!(writer.dropped(), dropped);
            std::fs::remove_dir_all(dir).unwrap();
        }
    }

    #[test]
    fn memory_is_given_back() {
        let dir = directory("memory");
        let mut writer = Writer::open(&dir, Caps::default()).unwrap();
        for _ in 0..10 {
            writer.write(Stream::Stdout, &[0; 100_000]);
            writer.write(Stream::Stderr, &[0xff; 100_000]);
        }
        let held: usize = writer.pending.iter().map(Vec::capacity).sum();
        assert!(
            writer.out.capacity() <= KEPT && held <= 4 * PARTIAL,
            "{held}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
