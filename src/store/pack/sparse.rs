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

/// Offset and length of the data segments of a file that is worth it.
pub fn map(file: &File, stat: &FileStat) -> Option<Vec<(u64, u64)>> {
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
    lseek(file, 0, Whence::SeekSet).ok()?;
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
