//! Reads the entries of a tar stream: ustar, pax, GNU and V7 headers.
//!
//! Field layout comes from the `tar` crate; its iterator is not used because
//! it reads extension headers without a bound and cuts pax records at
//! newlines, which loses binary attributes. Anything that two parsers could
//! read differently is an error here, so that what is hashed is what is seen.

use super::pax;
use crate::error::{Error, Result, reason};
use std::io::{self, Read};

/// Largest extension header that is read, in bytes.
const EXTENSION_LIMIT: u64 = 1 << 20;
const BLOCK: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Regular,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// One file of the archive, as described by all its headers together.
#[derive(Debug)]
pub struct Entry {
    pub kind: Kind,
    /// As written; not yet safe to use (see `name`).
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    /// Permission bits with setuid, setgid and sticky, no file type.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: (i64, u32),
    /// Length of the file in bytes, holes included.
    pub size: u64,
    pub device: (u64, u64),
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Data segments (offset, length) of a GNU sparse file.
    pub sparse: Option<Vec<(u64, u64)>>,
}

/// A tar stream; `Read` gives the data of the entry returned last.
pub struct Tarball<R> {
    input: R,
    /// Bytes of the current entry not yet read.
    remaining: u64,
    padding: u64,
}

impl<R: Read> Tarball<R> {
    pub fn new(input: R) -> Self {
        Self {
            input,
            remaining: 0,
            padding: 0,
        }
    }

    /// The next file, or `None` at the archive's end mark.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let mut long_path = None;
        let mut long_link = None;
        let mut records: Option<pax::Records> = None;
        loop {
            self.skip_rest()?;
            let Some(header) = self.read_header()? else {
                if long_path.is_some() || long_link.is_some() || records.is_some() {
                    return Err(Error::invalid("archive ends after an extension header"));
                }
                return Ok(None);
            };
            let size = number(&header.as_old().size, "size")?;
            match header.as_old().linkflag[0] {
                b'L' => set_once(&mut long_path, self.extension_text(size)?, "long name")?,
                b'K' => set_once(&mut long_link, self.extension_text(size)?, "long link")?,
                b'x' | b'X' => {
                    let parsed = pax::parse(&self.extension(size)?)?;
                    set_once(&mut records, parsed, "pax header")?;
                }
                b'g' => pax::check_global(&self.extension(size)?)?,
                _ => {
                    let records = records.unwrap_or_default();
                    return self
                        .entry(&header, size, long_path, long_link, records)
                        .map(Some);
                }
            }
        }
    }

    fn entry(
        &mut self,
        header: &tar::Header,
        header_size: u64,
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        records: pax::Records,
    ) -> Result<Entry> {
        let old = header.as_old();
        let own_name = records.sparse.as_ref().and_then(|s| s.name.clone());
        let path = match (own_name, one_of(long_path, records.path, "name")?) {
            // A sparse file's other name is for readers that do not know it.
            (Some(name), _) => Some(name),
            (None, name) => name,
        };
        let path = path.unwrap_or_else(|| header.path_bytes().into_owned());
        let at = |e: Error| e.within(format!("\"{}\"", path.escape_ascii()));
        let link = one_of(long_link, records.linkpath, "link name")
            .map_err(at)?
            .unwrap_or_else(|| until_nul(&old.linkname).to_vec());
        let stored = records.size.unwrap_or(header_size);
        let kind = kind(old.linkflag[0], &path, stored).map_err(at)?;
        if kind != Kind::Regular && stored != 0 {
            return Err(at(Error::invalid("an entry that is not a file has data")));
        }
        let seconds = signed_number(&old.mtime, "time").map_err(at)?;
        let entry = Entry {
            kind,
            mode: (number(&old.mode, "mode").map_err(at)? & 0o7777) as u32,
            uid: id(records.uid, &old.uid, "uid").map_err(at)?,
            gid: id(records.gid, &old.gid, "gid").map_err(at)?,
            mtime: records.mtime.unwrap_or((seconds, 0)),
            size: stored,
            device: device(header, kind).map_err(at)?,
            xattrs: records.xattrs,
            sparse: None,
            link,
            path,
        };
        self.begin_data(stored)?;
        if old.linkflag[0] == b'S' {
            return self.sparse(header, entry);
        }
        match records.sparse {
            Some(sparse) => self.pax_sparse(&sparse, entry),
            None => Ok(entry),
        }
    }

    /// GNU's sparse format 1.0: the map is the beginning of the data, decimal
    /// lines in whole blocks.
    fn pax_sparse(&mut self, sparse: &pax::Sparse, mut entry: Entry) -> Result<Entry> {
        let (Kind::Regular, (Some(1), Some(0)), Some(size)) =
            (entry.kind, sparse.version, sparse.size)
        else {
            return Err(bad_map(&entry));
        };
        let mut lines = Lines::default();
        let count = self.map_number(&mut lines, &entry)?;
        let mut map = Vec::new();
        for _ in 0..count {
            map.push((
                self.map_number(&mut lines, &entry)?,
                self.map_number(&mut lines, &entry)?,
            ));
        }
        check_map(&map, size, self.remaining).ok_or_else(|| bad_map(&entry))?;
        entry.size = size;
        entry.sparse = Some(map);
        Ok(entry)
    }

    fn map_number(&mut self, lines: &mut Lines, entry: &Entry) -> Result<u64> {
        let mut number: Option<u64> = None;
        loop {
            if lines.at == lines.block.len() {
                lines.read += BLOCK as u64;
                if lines.read > EXTENSION_LIMIT {
                    return Err(bad_map(entry));
                }
                lines.block.resize(BLOCK, 0);
                lines.at = 0;
                self.read_exact(&mut lines.block).map_err(|e| broken(&e))?;
            }
            let byte = lines.block[lines.at];
            lines.at += 1;
            number = match (byte, number) {
                (b'\n', Some(number)) => return Ok(number),
                (b'0'..=b'9', before) => before
                    .unwrap_or(0)
                    .checked_mul(10)
                    .and_then(|n| n.checked_add(u64::from(byte - b'0'))),
                _ => None,
            };
            if number.is_none() {
                return Err(bad_map(entry));
            }
        }
    }

    /// Old GNU sparse format: the map is in the header and in blocks behind it.
    fn sparse(&mut self, header: &tar::Header, mut entry: Entry) -> Result<Entry> {
        let bad = || bad_map(&entry);
        let gnu = header.as_gnu().ok_or_else(bad)?;
        let mut map = Vec::new();
        let mut add = |block: &tar::GnuSparseHeader| -> Result<()> {
            if block.numbytes[0] != 0 {
                map.push((
                    number(&block.offset, "sparse offset")?,
                    number(&block.numbytes, "sparse length")?,
                ));
            }
            Ok(())
        };
        gnu.sparse.iter().try_for_each(&mut add)?;
        let mut more = gnu.isextended[0] == 1;
        let mut blocks = 0;
        while more {
            let mut extended = tar::GnuExtSparseHeader::new();
            self.input
                .read_exact(extended.as_mut_bytes())
                .map_err(|e| broken(&e))?;
            extended.sparse.iter().try_for_each(&mut add)?;
            more = extended.isextended[0] == 1;
            blocks += 1;
            if blocks * BLOCK as u64 > EXTENSION_LIMIT {
                return Err(bad());
            }
        }
        let size = number(&gnu.realsize, "sparse size")?;
        check_map(&map, size, entry.size).ok_or_else(bad)?;
        entry.size = size;
        entry.sparse = Some(map);
        Ok(entry)
    }

    /// One header block with a right checksum, or `None` at the end mark.
    fn read_header(&mut self) -> Result<Option<tar::Header>> {
        let mut header = tar::Header::new_old();
        if !self.read_block(header.as_mut_bytes())? {
            return Ok(None);
        }
        if header.as_bytes().iter().all(|&b| b == 0) {
            // The mark is two zero blocks; one of them and nothing else is common.
            if self.read_block(header.as_mut_bytes())? && header.as_bytes().iter().any(|&b| b != 0)
            {
                return Err(Error::invalid(
                    "archive has a zero block between its entries",
                ));
            }
            return Ok(None);
        }
        let sum = number(&header.as_old().cksum, "checksum")?;
        let (before, rest) = header.as_bytes().split_at(148);
        let bytes = || before.iter().chain(&[b' '; 8]).chain(&rest[8..]);
        let unsigned: u64 = bytes().map(|&b| u64::from(b)).sum();
        // Some old writers summed signed characters.
        let signed: i64 = bytes().map(|&b| i64::from(b as i8)).sum();
        if sum != unsigned && i64::try_from(sum) != Ok(signed) {
            return Err(Error::invalid("checksum of an archive header is wrong"));
        }
        Ok(Some(header))
    }

    /// Fills `block`; `false` when the stream ends right before it.
    fn read_block(&mut self, block: &mut [u8]) -> Result<bool> {
        let mut filled = 0;
        while filled < block.len() {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(Error::invalid("archive ends in a header")),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(broken(&e)),
            }
        }
        Ok(true)
    }

    fn begin_data(&mut self, size: u64) -> Result<()> {
        if i64::try_from(size).is_err() {
            return Err(Error::invalid(format!("entry size {size} is out of range")));
        }
        self.remaining = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
        Ok(())
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > EXTENSION_LIMIT {
            return Err(Error::invalid(format!(
                "extension header of {size} bytes is too large"
            )));
        }
        self.begin_data(size)?;
        let mut data = Vec::with_capacity(size as usize);
        self.by_ref()
            .read_to_end(&mut data)
            .map_err(|e| broken(&e))?;
        Ok(data)
    }

    fn extension_text(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut text = self.extension(size)?;
        if text.last() == Some(&0) {
            text.pop();
        }
        if text.contains(&0) {
            return Err(Error::invalid("long name contains a NUL byte"));
        }
        Ok(text)
    }

    /// Reads what follows the archive's end mark.
    pub fn skip_to_end(&mut self) -> Result<()> {
        io::copy(&mut self.input, &mut io::sink())
            .map(drop)
            .map_err(|e| broken(&e))
    }

    fn skip_rest(&mut self) -> Result<()> {
        let rest = self.remaining + self.padding;
        (self.remaining, self.padding) = (0, 0);
        let skipped = io::copy(&mut self.input.by_ref().take(rest), &mut io::sink())
            .map_err(|e| broken(&e))?;
        if skipped < rest {
            return Err(Error::invalid("archive ends inside an entry"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Tarball<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let n = self.input.read(&mut buffer[..most])?;
        if n == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "archive ends inside an entry",
            ));
        }
        self.remaining -= n as u64;
        Ok(n)
    }
}

/// Blocks of a map that is read number by number.
#[derive(Default)]
struct Lines {
    block: Vec<u8>,
    at: usize,
    read: u64,
}

fn bad_map(entry: &Entry) -> Error {
    Error::invalid(format!(
        "sparse map of \"{}\" is wrong",
        entry.path.escape_ascii()
    ))
}

/// Segments must come in order, within `size`, and be `stored` bytes together.
fn check_map(map: &[(u64, u64)], size: u64, stored: u64) -> Option<()> {
    let (mut end, mut data) = (0u64, 0u64);
    for &(offset, length) in map {
        if offset < end {
            return None;
        }
        end = offset.checked_add(length)?;
        data = data.checked_add(length)?;
    }
    let fits = end <= size && data == stored && i64::try_from(size).is_ok();
    fits.then_some(())
}

fn broken(e: &io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => Error::invalid("archive ends inside an entry"),
        _ => Error::invalid(format!("cannot read archive: {}", reason(e))),
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T, what: &str) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::invalid(format!(
            "two {what} entries describe one file"
        ))),
    }
}

/// GNU and pax long names exclude each other: readers differ in which wins.
fn one_of(gnu: Option<Vec<u8>>, pax: Option<Vec<u8>>, what: &str) -> Result<Option<Vec<u8>>> {
    match (gnu, pax) {
        (Some(_), Some(_)) => Err(Error::invalid(format!(
            "a GNU and a pax long {what} describe one file"
        ))),
        (gnu, pax) => Ok(gnu.or(pax)),
    }
}

fn kind(flag: u8, path: &[u8], size: u64) -> Result<Kind> {
    let slash = path.ends_with(b"/");
    Ok(match flag {
        // V7 archives mark a directory by a slash alone.
        0 if slash && size == 0 => Kind::Directory,
        0 | b'0' | b'7' | b'S' if slash => {
            return Err(Error::invalid("a file's name ends in a slash"));
        }
        0 | b'0' | b'7' | b'S' => Kind::Regular,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => {
            return Err(Error::unsupported(format!(
                "archive entry type '{}' is not supported",
                other.escape_ascii()
            )));
        }
    })
}

fn id(pax: Option<u64>, field: &[u8], what: &str) -> Result<u32> {
    let value = match pax {
        Some(value) => value,
        None => number(field, what)?,
    };
    // The last value means "leave as it is" to chown(2).
    u32::try_from(value)
        .ok()
        .filter(|&id| id != u32::MAX)
        .ok_or_else(|| Error::invalid(format!("{what} {value} is out of range")))
}

fn device(header: &tar::Header, kind: Kind) -> Result<(u64, u64)> {
    if !matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
        return Ok((0, 0));
    }
    // Both formats keep the numbers at the same place.
    let (major, minor) = (&header.as_bytes()[329..337], &header.as_bytes()[337..345]);
    Ok((number(major, "device")?, number(minor, "device")?))
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    &field[..end]
}

fn number(field: &[u8], what: &str) -> Result<u64> {
    u64::try_from(signed_number(field, what)?)
        .map_err(|_| Error::invalid(format!("{what} of an entry is negative")))
}

/// Octal text, or GNU base-256 when the first bit is set. Blank is 0.
fn signed_number(field: &[u8], what: &str) -> Result<i64> {
    let bad = || Error::invalid(format!("{what} of an entry is not a number"));
    let Some(&first) = field.first() else {
        return Ok(0);
    };
    if first & 0x80 != 0 {
        // Two's complement, big-endian; bit 6 of the first byte is the sign.
        let start = i128::from(first & 0x7f) - if first & 0x40 != 0 { 0x80 } else { 0 };
        let value = field[1..]
            .iter()
            .try_fold(start, |n, &b| n.checked_mul(256).map(|n| n + i128::from(b)));
        return value.and_then(|n| i64::try_from(n).ok()).ok_or_else(bad);
    }
    let text = std::str::from_utf8(until_nul(field)).map_err(|_| bad())?;
    let text = text.trim_matches(' ');
    if text.is_empty() {
        return Ok(0);
    }
    if !text.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return Err(bad());
    }
    i64::from_str_radix(text, 8).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(path: &str, flag: u8, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkflag[0] = flag;
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(5);
        header.set_cksum();
        header
    }

    fn archive(parts: &[(tar::Header, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (header, data) in parts {
            out.extend_from_slice(header.as_bytes());
            out.extend_from_slice(data);
            out.resize(out.len().next_multiple_of(BLOCK), 0);
        }
        out.extend_from_slice(&[0; 2 * BLOCK]);
        out
    }

    fn list(bytes: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut tarball = Tarball::new(bytes);
        let mut out = Vec::new();
        while let Some(entry) = tarball.next_entry()? {
            let mut data = Vec::new();
            tarball.read_to_end(&mut data).map_err(|e| broken(&e))?;
            out.push((entry.path, data));
        }
        Ok(out)
    }

    #[test]
    fn long_names_and_pax_sizes() {
        let long = "d/".repeat(80) + "f";
        let bytes = archive(&[
            (
                header("././@LongLink", b'L', long.len() as u64 + 1),
                format!("{long}\0").as_bytes(),
            ),
            (header("short", b'0', 3), b"abc"),
            (header("pax", b'x', 9), b"9 size=5\n"),
            (header("sized", b'0', 0), b"hello"),
        ]);
        let got = list(&bytes).unwrap();
        assert_eq!(got[0], (long.into_bytes(), b"abc".to_vec()));
        assert_eq!(got[1], (b"sized".to_vec(), b"hello".to_vec()));
    }

    #[test]
    fn truncation_anywhere_is_an_error_or_the_end() {
        let bytes = archive(&[
            (header("a", b'0', 700), &[7; 700]),
            (header("b", b'5', 0), b""),
        ]);
        for cut in 1..bytes.len() - 2 * BLOCK {
            let got = list(&bytes[..cut]);
            assert_eq!(got.is_ok(), cut == 1536, "cut at {cut}");
        }
        assert_eq!(list(&bytes).unwrap().len(), 2);
    }

    #[test]
    fn ambiguous_archives_are_refused() {
        let name = |flag| (header("x", flag, 2), b"n\0" as &[u8]);
        let mut wrong_sum = header("a", b'0', 0);
        wrong_sum.as_old_mut().cksum = *b"0000001\0";
        let mut negative = header("a", b'0', 0);
        negative.as_old_mut().size = [0xff; 12];
        negative.set_cksum();
        let mut wide = header("a", b'0', 0);
        wide.as_old_mut().size = [0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        wide.set_cksum();
        let cases: Vec<Vec<(tar::Header, &[u8])>> = vec![
            vec![name(b'L'), name(b'L'), (header("a", b'0', 0), b"")],
            vec![
                name(b'L'),
                (header("p", b'x', 9), b"9 path=b\n"),
                (header("a", b'0', 0), b""),
            ],
            vec![name(b'L')],
            vec![(header("l", b'1', 4), b"data")],
            vec![(header("d", b'5', 4), b"data")],
            vec![(header("f/", b'0', 4), b"data")],
            vec![(header("v", b'V', 0), b"")],
            vec![(header("u", b'Z', 0), b"")],
            vec![(header("x", b'x', 2 << 20), b"")],
            vec![
                (header("g", b'g', 9), b"9 size=9\n"),
                (header("a", b'0', 0), b""),
            ],
            vec![(wrong_sum, b"")],
            vec![(negative, b"")],
            vec![(wide, b"")],
            vec![
                (header("p", b'x', 27), b"27 size=999999999999999999\n"),
                (header("a", b'0', 0), b""),
            ],
        ];
        for (i, case) in cases.iter().enumerate() {
            assert!(list(&archive(case)).is_err(), "case {i}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(signed_number(b"0000644\0", "n").unwrap(), 0o644);
        assert_eq!(signed_number(b"   644 \0", "n").unwrap(), 0o644);
        assert_eq!(signed_number(b"\0\0\0\0", "n").unwrap(), 0);
        assert_eq!(signed_number(&[0xff; 12], "n").unwrap(), -1);
        assert_eq!(
            signed_number(&[0x80, 0, 0, 0, 0, 0, 1, 0], "n").unwrap(),
            256
        );
        for bad in [b"0000x44\0", b"00 0644\0", b"+000644\0", b"-000001\0"] {
            assert!(signed_number(bad, "n").is_err());
        }
    }

    #[test]
    fn old_gnu_sparse() {
        let mut sparse = header("s", b'S', 4);
        {
            let gnu = sparse.as_gnu_mut().unwrap();
            gnu.sparse[0].offset = *b"00000001000\0";
            gnu.sparse[0].numbytes = *b"00000000004\0";
            gnu.realsize = *b"00000002000\0";
        }
        sparse.set_cksum();
        let bytes = archive(&[(sparse.clone(), b"data")]);
        let mut tarball = Tarball::new(&bytes[..]);
        let entry = tarball.next_entry().unwrap().unwrap();
        assert_eq!((entry.size, entry.sparse), (1024, Some(vec![(512, 4)])));
        sparse.as_gnu_mut().unwrap().realsize = *b"00000000777\0";
        sparse.set_cksum();
        assert!(list(&archive(&[(sparse, b"data")])).is_err());
    }
}
