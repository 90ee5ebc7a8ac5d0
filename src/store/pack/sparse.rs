//! Files with large holes: only their data is packed. Small holes are packed
//! as zeros, which every reader takes.

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::unistd::{Whence, lseek};
use std::fs::File;

/// Holes of at least this many bytes in all are worth a map.
const WORTH: u64 = 16 << 20;
/// A file with more segments is packed whole.
const MOST_SEGMENTS: usize = 10_000;

/// Offset and length of the data segments of a file that is worth it. The file is
/// at its beginning afterwards, with a map or without.
pub fn map(file: &File, stat: &FileStat) -> Option<Vec<(u64, u64)>> {
    let found = segments(file, stat);
    // Looking for data and holes has moved it.
    lseek(file, 0, Whence::SeekSet).ok()?;
    found
}

fn segments(file: &File, stat: &FileStat) -> Option<Vec<(u64, u64)>> {
    let size = u64::try_from(stat.st_size).ok()?;
    let on_disk = u64::try_from(stat.st_blocks).ok()? * 512;
    if size < on_disk + WORTH {
        return None;
    }
    let mut segments = Vec::new();
    let (mut at, mut data) = (0, 0);
    while at < stat.st_size {
        let start = match lseek(file, at, Whence::SeekData) {
            Ok(start) => start,
            // A hole up to the end.
            Err(Errno::ENXIO) => break,
            Err(_) => return None,
        };
        let end = lseek(file, start, Whence::SeekHole).ok()?.min(stat.st_size);
        if end <= start || segments.len() == MOST_SEGMENTS {
            return None;
        }
        let length = (end - start) as u64;
        segments.push((start as u64, length));
        data += length;
        at = end;
    }
    if size - data < WORTH {
        return None;
    }
    // The map's last segment tells where the file ends.
    if at < stat.st_size || segments.is_empty() {
        segments.push((size, 0));
    }
    Some(segments)
}

/// The map as decimal lines in whole blocks.
pub fn written(segments: &[(u64, u64)]) -> Vec<u8> {
    let mut text = format!("{}\n", segments.len());
    for (offset, length) in segments {
        text += &format!("{offset}\n{length}\n");
    }
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(super::header::BLOCK), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::fstat;
    use std::io::{Seek, SeekFrom, Write};

    /// A file with a block at every second place, and what is found in it.
    fn looked_at(name: &str, blocks: u64, end: u64) -> (Option<usize>, u64) {
        let name = format!("wherry-sparse-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut file = File::create(&path).unwrap();
        for n in 0..blocks {
            file.seek(SeekFrom::Start(n * 8192)).unwrap();
            file.write_all(&[1; 4096]).unwrap();
        }
        file.set_len(end.max(blocks * 8192)).unwrap();
        let file = File::open(&path).unwrap();
        let found = map(&file, &fstat(&file).unwrap());
        std::fs::remove_file(&path).unwrap();
        let mut file = file;
        (found.map(|map| map.len()), file.stream_position().unwrap())
    }

    #[test]
    fn a_file_is_read_from_its_beginning_whatever_was_found() {
        assert_eq!(looked_at("holes", 2, 40 << 20), (Some(3), 0));
        assert_eq!(looked_at("pieces", MOST_SEGMENTS as u64 + 1, 0), (None, 0));
        assert_eq!(looked_at("small", 2, 0), (None, 0));
    }
}
