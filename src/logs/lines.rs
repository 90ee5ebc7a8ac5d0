//! Lines of a file that may still grow, in bounded memory.

use super::files::LogFile;
use super::pack;
use std::io::{BufRead, BufReader, Read, Result, Seek, SeekFrom};

/// A longer line is no record: 16 KiB of output escaped take 120 KiB at most.
pub const MAX_LINE: usize = 1 << 20;

/// Every record begins with this, and inside of a record it cannot be.
pub const BEGIN: &[u8] = b"{\"log\":\"";

pub struct Lines {
    reader: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
    whole: bool,
}

impl Lines {
    /// Reads from `offset` on.
    pub fn at(from: LogFile, offset: u64) -> Result<Self> {
        let mut file = from.file;
        let reader: Box<dyn Read> = if from.id.packed {
            let mut content = pack::reader(file)?;
            std::io::copy(&mut content.by_ref().take(offset), &mut std::io::sink())?;
            Box::new(content)
        } else {
            file.seek(SeekFrom::Start(offset))?;
            Box::new(file)
        };
        Ok(Self {
            reader: BufReader::with_capacity(64 << 10, reader),
            line: Vec::new(),
            whole: false,
        })
    }

    /// The next line without its newline, or `None` at the present end of the
    /// file; a line without newline stays and may be completed later.
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        if std::mem::take(&mut self.whole) {
            self.line.clear();
        }
        loop {
            let room = (MAX_LINE - self.line.len()) as u64;
            self.reader
                .by_ref()
                .take(room)
                .read_until(b'\n', &mut self.line)?;
            if let Some(line) = self.line.strip_suffix(b"\n") {
                self.whole = true;
                // Borrowed anew: the loop holds the first borrow.
                return Ok(Some(&self.line[..line.len()]));
            }
            if self.line.len() < MAX_LINE {
                return Ok(None);
            }
            self.forget();
        }
    }

    /// What follows the last newline.
    pub fn rest(&self) -> &[u8] {
        if self.whole { &[] } else { &self.line }
    }

    /// Of a line that is too long only what may be the beginning of a record
    /// is kept, behind a byte that marks the damage.
    fn forget(&mut self) {
        let begin = memchr::memmem::rfind(&self.line[MAX_LINE / 2..], BEGIN);
        let kept = begin.map_or(MAX_LINE - BEGIN.len() + 1, |at| MAX_LINE / 2 + at);
        self.line.splice(..kept, [0]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::Id;
    use super::*;
    use std::fs::File;
    use std::io::Write;

    #[test]
    fn lines_grow_and_long_ones_are_cut() {
        let path = std::env::temp_dir().join(format!("wherry-lines-{}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        let from = LogFile {
            file: File::open(&path).unwrap(),
            id: Id::plain(0),
        };
        let mut lines = Lines::at(from, 0).unwrap();
        assert_eq!(lines.next().unwrap(), None);
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(lines.next().unwrap(), Some(&b"one"[..]));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.rest(), b"tw");
        file.write_all(b"o\n\n").unwrap();
        assert_eq!(lines.next().unwrap(), Some(&b"two"[..]));
        assert_eq!(lines.next().unwrap(), Some(&b""[..]));
        file.write_all(&vec![0; 3 * MAX_LINE - 3]).unwrap();
        file.write_all(b"{\"log\":\"x\n").unwrap();
        let line = lines.next().unwrap().unwrap();
        assert!(
            line.ends_with(b"{\"log\":\"x") && line.len() <= MAX_LINE,
            "{}",
            line.len()
        );
        assert_eq!(line[0], 0);
        assert_eq!(lines.next().unwrap(), None);
        assert!(lines.rest().is_empty());
        std::fs::remove_file(path).unwrap();
    }
}
