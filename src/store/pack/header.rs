//! Headers of a tar stream: ustar (POSIX.1-1988), with a pax extended header
//! (POSIX.1-2001) in front where a value does not fit. Nothing in them depends
//! on when or by whom they are written.

use std::io::{self, Write};

pub const BLOCK: usize = 512;
/// What an octal field of 7 digits holds.
const MAX_ID: u32 = 0o7_777_777;
/// The same of 11 digits.
const MAX_SIZE: u64 = 0o77_777_777_777;

/// Type flags (pax(1), "ustar Interchange Format").
pub const REGULAR: u8 = b'0';
pub const HARD_LINK: u8 = b'1';
pub const SYMLINK: u8 = b'2';
pub const CHAR_DEVICE: u8 = b'3';
pub const BLOCK_DEVICE: u8 = b'4';
pub const DIRECTORY: u8 = b'5';
pub const FIFO: u8 = b'6';

/// One file as its header has it.
#[derive(Default)]
pub struct Header<'a> {
    pub flag: u8,
    /// Directories end in a slash.
    pub path: &'a [u8],
    pub link: &'a [u8],
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bytes that follow.
    pub size: u64,
    /// Seconds and nanoseconds since 1970.
    pub mtime: (i64, u32),
    pub device: (u64, u64),
    /// More pax records.
    pub records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Header<'_> {
    /// Writes all the blocks that come before the file's data.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut block = [0; BLOCK];
        let mut records = Vec::new();
        let mut record = |key: &[u8], value: &[u8]| append(&mut records, key, value);
        match split(self.path) {
            Some((prefix, name)) => {
                block[..name.len()].copy_from_slice(name);
                block[345..345 + prefix.len()].copy_from_slice(prefix);
            }
            None => {
                record(b"path", self.path);
                block[..100].copy_from_slice(&self.path[..100]);
            }
        }
        if self.link.len() > 100 {
            record(b"linkpath", self.link);
        }
        let short = &self.link[..self.link.len().min(100)];
        block[157..157 + short.len()].copy_from_slice(short);
        octal(&mut block[100..108], u64::from(self.mode));
        for (field, key, id) in [(108, &b"uid"[..], self.uid), (116, b"gid", self.gid)] {
            if id > MAX_ID {
                record(key, id.to_string().as_bytes());
            }
            octal(&mut block[field..field + 8], u64::from(id.min(MAX_ID)));
        }
        if self.size > MAX_SIZE {
            record(b"size", self.size.to_string().as_bytes());
        }
        octal(&mut block[124..136], self.size.min(MAX_SIZE));
        let (seconds, nanoseconds) = self.mtime;
        let plain = u64::try_from(seconds).ok().filter(|s| *s <= MAX_SIZE);
        if nanoseconds != 0 || plain.is_none() {
            record(b"mtime", timestamp(self.mtime).as_bytes());
        }
        octal(&mut block[136..148], plain.unwrap_or(0));
        for (key, value) in &self.records {
            record(key, value);
        }
        block[156] = self.flag;
        block[257..265].copy_from_slice(b"ustar\x0000");
        if matches!(self.flag, CHAR_DEVICE | BLOCK_DEVICE) {
            octal(&mut block[329..337], self.device.0);
            octal(&mut block[337..345], self.device.1);
        }
        if !records.is_empty() {
            write_extension(&records, out)?;
        }
        seal(&mut block);
        out.write_all(&block)
    }
}

/// The two blocks at the end.
pub fn write_end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

/// Fills up the last block of `size` bytes of data.
pub fn write_padding(size: u64, out: &mut impl Write) -> io::Result<()> {
    let padding = size.next_multiple_of(BLOCK as u64) - size;
    out.write_all(&[0; BLOCK][..padding as usize])
}

fn write_extension(records: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut block = [0; BLOCK];
    let name = b"PaxHeaders.0/next";
    block[..name.len()].copy_from_slice(name);
    for (start, end) in [(100, 108), (108, 116), (116, 124), (136, 148)] {
        octal(&mut block[start..end], 0);
    }
    octal(&mut block[124..136], records.len() as u64);
    block[156] = b'x';
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    out.write_all(&block)?;
    out.write_all(records)?;
    write_padding(records.len() as u64, out)
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn append(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let digits = |n: usize| n.to_string().len();
    let mut length = rest + digits(rest);
    if digits(length) > digits(rest) {
        length += 1;
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// Prefix and name of at most 155 and 100 bytes that a slash joins.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= 100 {
        return Some((b"", path));
    }
    // The slash at the very end belongs to the name.
    let end = path.len() - 1;
    let earliest = path.len().saturating_sub(101);
    let slash = earliest + path[earliest..end].iter().position(|&b| b == b'/')?;
    (slash > 0 && slash <= 155).then(|| (&path[..slash], &path[slash + 1..]))
}

/// Seconds with as many decimals as there are; negative ones are of the whole.
fn timestamp((seconds, nanoseconds): (i64, u32)) -> String {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let sign = if total < 0 { "-" } else { "" };
    let (whole, fraction) = (
        total.unsigned_abs() / 1_000_000_000,
        total.unsigned_abs() % 1_000_000_000,
    );
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let text = format!("{sign}{whole}.{fraction:09}");
    text.trim_end_matches('0').to_owned()
}

/// Digits filled up with zeros, and a NUL.
fn octal(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    let text = format!("{value:0width$o}");
    let text = &text.as_bytes()[text.len() - width..];
    field[..width].copy_from_slice(text);
    field[width] = 0;
}

fn seal(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|&b| u64::from(b)).sum();
    octal(&mut block[148..155], sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_are_split_or_recorded() {
        let name = [b'n'; 100];
        let fits = [&[b'p'; 155][..], b"/", &name].concat();
        assert_eq!(split(&fits), Some((&fits[..155], &name[..])));
        assert_eq!(split(&[b'n'; 101]), None);
        assert_eq!(split(&[&[b'p'; 156][..], b"/", &name].concat()), None);
        let dir = [&[b'p'; 90][..], b"/", &[b'd'; 20], b"/"].concat();
        assert_eq!(split(&dir), Some((&dir[..90], &dir[91..])));
        assert_eq!(split(&[&[b'd'; 110][..], b"/"].concat()), None);
    }

    #[test]
    fn records_count_their_own_digits() {
        for length in [1, 3, 4, 5, 90, 91, 92, 93, 94, 95, 990, 991, 992, 993, 994] {
            let mut record = Vec::new();
            append(&mut record, b"k", &vec![b'v'; length]);
            let said: usize = std::str::from_utf8(&record)
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            assert_eq!(said, record.len(), "{length}");
        }
    }

    #[test]
    fn times() {
        for (time, text) in [
            ((5, 0), "5"),
            ((5, 120_000_000), "5.12"),
            ((-1, 0), "-1"),
            ((-1, 750_000_000), "-0.25"),
        ] {
            assert_eq!(timestamp(time), text);
        }
    }
}
