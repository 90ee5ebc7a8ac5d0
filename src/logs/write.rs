//! The monitor's side: output comes in as it was read, records go to files or
//! to the journal.
//!
//! Nothing that happens to the disk may stop the container: what cannot be
//! written is dropped and counted. The file is made with the first byte.
//! The caller ignores SIGXFSZ, or a file size limit would end it.

use super::disk::Disk;
use super::journal::Journal;
use super::{Caps, PARTIAL, Stream, Target};
use crate::error::{Context, Result};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Writes the log of one container. No memory before the first byte, about
/// 64 KiB afterwards.
#[derive(Debug)]
pub struct Writer {
    sink: Sink,
    /// Beginnings of lines whose ends were not read yet, one for each stream.
    pending: [Vec<u8>; 2],
}

#[derive(Debug)]
enum Sink {
    Files(Box<Disk>),
    Journal(Journal),
}

impl Writer {
    /// To `target`; its files are in `dir`, the container's own directory (0700).
    pub fn new(dir: &Path, target: &Target) -> Result<Self> {
        let sink = match target {
            Target::Files { caps, attrs } => {
                Sink::Files(Box::new(Disk::at(open(dir)?, *caps, attrs.clone())))
            }
            Target::Journal(journal) => Sink::Journal(journal.again()?),
        };
        Ok(Self {
            sink,
            pending: [Vec::new(), Vec::new()],
        })
    }

    /// For the files in `dir`.
    pub fn open(dir: &Path, caps: Caps) -> Result<Self> {
        let attrs = String::new();
        Self::new(dir, &Target::Files { caps, attrs })
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
                self.record(stream, line);
            } else {
                self.join(stream, &mut pending, line);
                self.record(stream, &pending);
                pending.clear();
            }
        }
        self.join(stream, &mut pending, rest);
        self.pending[stream as usize] = pending;
        self.flush();
        if let Sink::Files(disk) = &mut self.sink {
            disk.pack(bytes.len());
        }
    }

    /// The stream has ended: what is left of it becomes a record that has no
    /// newline.
    pub fn finish(&mut self, stream: Stream) {
        let pending = std::mem::take(&mut self.pending[stream as usize]);
        if !pending.is_empty() {
            self.stamp(stream);
            match &mut self.sink {
                // The end of the line, though it has no newline.
                Sink::Journal(journal) => journal.send(stream, &pending, false),
                Sink::Files(disk) => disk.record(&pending),
            }
        }
        self.flush();
    }

    /// Records that could not be written: lines, or 16 KiB parts of long ones.
    pub fn dropped(&self) -> u64 {
        match &self.sink {
            Sink::Files(disk) => disk.dropped(),
            Sink::Journal(journal) => journal.dropped(),
        }
    }

    fn stamp(&mut self, stream: Stream) {
        if let Sink::Files(disk) = &mut self.sink {
            disk.stamp(stream);
        }
    }

    fn record(&mut self, stream: Stream, bytes: &[u8]) {
        match &mut self.sink {
            Sink::Files(disk) => disk.record(bytes),
            Sink::Journal(journal) => match bytes.strip_suffix(b"\n") {
                Some(line) => journal.send(stream, line, false),
                None => journal.send(stream, bytes, true),
            },
        }
    }

    fn flush(&mut self) {
        match &mut self.sink {
            Sink::Files(disk) => disk.flush(),
            Sink::Journal(journal) => journal.flush(),
        }
    }

    /// Adds to the beginning of a line; what fills a part becomes a record.
    fn join(&mut self, stream: Stream, pending: &mut Vec<u8>, mut bytes: &[u8]) {
        loop {
            let room = PARTIAL - pending.len();
            if bytes.len() < room || (bytes.len() == room && bytes.ends_with(b"\n")) {
                pending.extend_from_slice(bytes);
                return;
            }
            let (now, later) = bytes.split_at(room);
            pending.extend_from_slice(now);
            let len = part_len(pending);
            self.record(stream, &pending[..len]);
            pending.drain(..len);
            bytes = later;
        }
    }
}

fn open(dir: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::open(dir, flags, Mode::empty())
        .context(|| format!("cannot open log directory \"{}\"", dir.display()))
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
    use super::super::disk::KEPT;
    use super::super::{Entry, FILE, Filter, read};
    use super::*;

    fn disk(writer: &mut Writer) -> &mut Disk {
        match &mut writer.sink {
            Sink::Files(disk) => disk,
            Sink::Journal(_) => panic!("the journal"),
        }
    }

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
            let caps = Caps { max_size: 2000, max_files: 1000, ..Caps::default() };
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
                ..Caps::default()
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
            disk(&mut writer).file = Some(file);
            let lines = "0123456789\n".repeat(20_000);
            writer.write(Stream::Stdout, lines.as_bytes());
            let dropped = writer.dropped();
            assert!(if some {
                dropped < 20_000 && dropped > 1000
            } else {
                dropped == 20_000
            });
            // Room again: the log goes on, nothing of the batch before comes late.
            disk(&mut writer).file = None;
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
            disk(&mut writer).out.capacity() <= KEPT && held <= 4 * PARTIAL,
            "{held}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
