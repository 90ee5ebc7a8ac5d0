//! Where the last N lines of a log begin, found from its end by blocks.

use super::files::LogFile;
use super::lines::MAX_LINE;
use super::pack;
use std::fs::File;
use std::io::Result;
use std::os::unix::fs::FileExt;

const BLOCK: usize = 64 << 10;

/// Index into `files` (newest first) and offset of the first of the last
/// `count` lines; the very beginning when there are fewer.
///
/// Parts of a long line count as one. Where the two streams' parts are mixed
/// the first line may lack its beginning.
pub fn begin(files: &[LogFile], count: u64) -> Result<(usize, u64)> {
    let mut counter = Counter {
        left: count,
        open: [false; 2],
    };
    for (index, file) in files.iter().enumerate() {
        let offset = if file.id.packed {
            in_file(&pack::unpacked(&file.file)?, &mut counter)?
        } else {
            in_file(&file.file, &mut counter)?
        };
        if let Some(offset) = offset {
            return Ok((index, offset));
        }
    }
    Ok((files.len().saturating_sub(1), 0))
}

/// Counts lines from the last one on.
struct Counter {
    left: u64,
    /// A later record of this stream was seen, so that one without newline
    /// belongs to a line that is counted already.
    open: [bool; 2],
}

impl Counter {
    /// False: this record is one too many.
    fn take(&mut self, record: &[u8]) -> bool {
        let Some((stream, complete)) = glance(record) else {
            return true;
        };
        if complete || !self.open[stream] {
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
        }
        self.open[stream] = true;
        true
    }
}

/// The offset behind the last record that is not wanted.
fn in_file(file: &File, counter: &mut Counter) -> Result<Option<u64>> {
    let mut at = file.metadata()?.len();
    // `line` is what was seen of the record that ends at `end`.
    let (mut line, mut end) = (Vec::new(), at);
    while at > 0 {
        let len = BLOCK.min(usize::try_from(at).unwrap_or(BLOCK));
        at -= len as u64;
        let mut block = vec![0; len];
        file.read_exact_at(&mut block, at)?;
        let mut stop = len;
        while let Some(newline) = memchr::memrchr(b'\n', &block[..stop]) {
            line.splice(..0, block[newline + 1..stop].iter().copied());
            if !counter.take(&line) {
                return Ok(Some(end));
            }
            line.clear();
            stop = newline;
            end = at + newline as u64 + 1;
        }
        if line.len() < MAX_LINE {
            line.splice(..0, block[..stop].iter().copied());
        }
    }
    Ok((!counter.take(&line)).then_some(end))
}

/// Stream, and whether its log text ends in a newline, without parsing: a
/// quotation mark within the text always has a backslash before it.
fn glance(record: &[u8]) -> Option<(usize, bool)> {
    const AFTER: &[u8] = b"\",\"stream\":\"std";
    let text = memchr::memmem::find(record, AFTER)?;
    let stream = match record.get(text + AFTER.len()) {
        Some(b'o') => 0,
        Some(b'e') => 1,
        _ => return None,
    };
    let Some(before) = record[..text].strip_suffix(b"n") else {
        return Some((stream, false));
    };
    let slashes = before.iter().rev().take_while(|b| **b == b'\\').count();
    Some((stream, slashes % 2 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_the_newline() {
        for (text, complete) in [
            (r"x\n", true),
            (r"\n", true),
            (r"x", false),
            (r"n", false),
            ("", false),
            (r"x\\n", false),
            (r"x\\\n", true),
            (r#"\",\"stream\":\"stderr\n"#, true),
        ] {
            let record = format!("{{\"log\":\"{text}\",\"stream\":\"stderr\",\"time\":\"t\"}}");
            assert_eq!(glance(record.as_bytes()), Some((1, complete)), "{text}");
        }
        assert_eq!(glance(b"\0\0\0"), None);
        assert_eq!(glance(b"\",\"stream\":\"std"), None);
    }
}
