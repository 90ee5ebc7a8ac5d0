//! Extended header records of pax archives: `LENGTH KEY=VALUE\n`.
//!
//! Records are cut by their length alone, because values (file capabilities
//! among them) are binary; what two parsers could read in two ways is refused
//! (CVE-2025-62518, CVE-2026-33055).

use crate::error::{Error, Result};

/// What the records of one file say; `None` means the header block decides.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Records {
    pub path: Option<Vec<u8>>,
    pub linkpath: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    /// Seconds and nanoseconds since 1970.
    pub mtime: Option<(i64, u32)>,
    /// What GNU's sparse format 1.0 says: the file's own name and length.
    pub sparse: Option<Sparse>,
    /// `SCHILY.xattr.` records without that prefix, in the archive's order.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// `GNU.sparse.…` records (GNU tar manual, "PAX Format, Version 1.0").
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sparse {
    pub version: (Option<u64>, Option<u64>),
    pub name: Option<Vec<u8>>,
    pub size: Option<u64>,
}

/// Keys that a global header may carry without changing what is unpacked.
const HARMLESS_GLOBAL: [&[u8]; 3] = [b"comment", b"charset", b"hdrcharset"];

/// Reads the records that describe the next file.
pub fn parse(data: &[u8]) -> Result<Records> {
    let mut records = Records::default();
    let mut seen: Vec<&[u8]> = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let (key, value, after) = split_record(rest)?;
        rest = after;
        if seen.contains(&key) {
            return Err(Error::invalid(format!(
                "pax record \"{}\" is given twice",
                key.escape_ascii()
            )));
        }
        seen.push(key);
        apply(&mut records, key, value)?;
    }
    Ok(records)
}

/// Refuses a global header that would change the files behind it: parsers
/// disagree on whether it does.
pub fn check_global(data: &[u8]) -> Result<()> {
    let mut rest = data;
    while !rest.is_empty() {
        let (key, _, after) = split_record(rest)?;
        rest = after;
        if !HARMLESS_GLOBAL.contains(&key) {
            return Err(Error::invalid(format!(
                "global pax record \"{}\" is not supported",
                key.escape_ascii()
            )));
        }
    }
    Ok(())
}

fn apply(records: &mut Records, key: &[u8], value: &[u8]) -> Result<()> {
    // An empty value takes a record back (POSIX pax, "Extended Header").
    match key {
        b"path" if !value.is_empty() => records.path = Some(value.to_vec()),
        b"linkpath" if !value.is_empty() => records.linkpath = Some(value.to_vec()),
        b"size" if !value.is_empty() => records.size = Some(decimal(key, value)?),
        b"uid" if !value.is_empty() => records.uid = Some(decimal(key, value)?),
        b"gid" if !value.is_empty() => records.gid = Some(decimal(key, value)?),
        b"mtime" if !value.is_empty() => records.mtime = Some(timestamp(value)?),
        _ => {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                records.xattrs.push((name.to_vec(), value.to_vec()));
            } else if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
                sparse(records.sparse.get_or_insert_default(), name, key, value)?;
            }
        }
    }
    Ok(())
}

fn sparse(sparse: &mut Sparse, name: &[u8], key: &[u8], value: &[u8]) -> Result<()> {
    match name {
        b"major" => sparse.version.0 = Some(decimal(key, value)?),
        b"minor" => sparse.version.1 = Some(decimal(key, value)?),
        b"name" => sparse.name = Some(value.to_vec()),
        b"realsize" => sparse.size = Some(decimal(key, value)?),
        // Formats 0.0 and 0.1, whose maps are records.
        _ => {
            return Err(Error::unsupported(
                "sparse files in pax format are supported in version 1.0 only",
            ));
        }
    }
    Ok(())
}

/// Cuts the first record off: key, value, and what follows.
fn split_record(data: &[u8]) -> Result<(&[u8], &[u8], &[u8])> {
    let bad = || Error::invalid("pax record is malformed");
    let space = data
        .iter()
        .take(20)
        .position(|&b| b == b' ')
        .ok_or_else(bad)?;
    let length = usize::try_from(decimal(b"length", &data[..space])?).map_err(|_| bad())?;
    if length <= space + 1 || length > data.len() || data[length - 1] != b'\n' {
        return Err(bad());
    }
    let record = &data[space + 1..length - 1];
    let equals = record.iter().position(|&b| b == b'=').ok_or_else(bad)?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    let text = key == b"path"
        || key == b"linkpath"
        || key == b"GNU.sparse.name"
        || key.starts_with(b"SCHILY.xattr.");
    let nul = key.contains(&0) || (text && !key.starts_with(b"SCHILY") && value.contains(&0));
    if key.is_empty() || nul {
        return Err(bad());
    }
    Ok((key, value, &data[length..]))
}

fn decimal(key: &[u8], value: &[u8]) -> Result<u64> {
    let bad = || {
        Error::invalid(format!(
            "pax record \"{}\" is not a number: \"{}\"",
            key.escape_ascii(),
            value.escape_ascii()
        ))
    };
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(bad());
    }
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(bad)
}

/// `[-]SECONDS[.FRACTION]`; digits beyond nanoseconds are dropped.
fn timestamp(value: &[u8]) -> Result<(i64, u32)> {
    let bad = || {
        Error::invalid(format!(
            "pax time is not a number: \"{}\"",
            value.escape_ascii()
        ))
    };
    let text = std::str::from_utf8(value).map_err(|_| bad())?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !whole
        .bytes()
        .chain(fraction.bytes())
        .all(|b| b.is_ascii_digit())
    {
        return Err(bad());
    }
    let seconds: i64 = whole.parse().map_err(|_| bad())?;
    let nanos = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
    Ok(match (negative, nanos) {
        (false, n) => (seconds, n),
        (true, 0) => (-seconds, 0),
        (true, n) => (-seconds - 1, 1_000_000_000 - n),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let mut length = body + 1;
        while length != body + length.to_string().len() {
            length = body + length.to_string().len();
        }
        let mut out = format!("{length} {key}=").into_bytes();
        out.extend_from_slice(value);
        out.push(b'\n');
        out
    }

    #[test]
    fn reads_binary_values_by_length() {
        let capability = [1, 0, 0, 2, b'\n', 4, b'=', 0, 0, b'\n', 0, 0];
        let mut data = record("SCHILY.xattr.security.capability", &capability);
        data.extend(record("path", "söme/päth".as_bytes()));
        data.extend(record("size", b"12"));
        let records = parse(&data).unwrap();
        assert_eq!(records.xattrs[0].0, b"security.capability");
        assert_eq!(records.xattrs[0].1, capability);
        assert_eq!(records.path.as_deref(), Some("söme/päth".as_bytes()));
        assert_eq!(records.size, Some(12));
    }

    #[test]
    fn times() {
        for (text, want) in [
            ("0", (0, 0)),
            ("1350244992.023960108", (1_350_244_992, 23_960_108)),
            ("1.5", (1, 500_000_000)),
            ("-1", (-1, 0)),
            ("-1.25", (-2, 750_000_000)),
            ("7.1234567899", (7, 123_456_789)),
        ] {
            assert_eq!(timestamp(text.as_bytes()).unwrap(), want, "{text}");
        }
        for text in ["", "NaN", "1e9", "--1", "1.-5", "99999999999999999999", "."] {
            assert!(timestamp(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn hostile_records_are_refused() {
        let twice = [record("path", b"a"), record("path", b"b")].concat();
        let cases: [&[u8]; 12] = [
            &twice,
            b"x",
            b"0 a=b\n",
            b"4 a=b\n",
            b"7 a=b\n",
            b"99999999999999999999 a=b\n",
            b"6 a=bx",
            b"5 ab\n",
            b"5 =b\n",
            &record("size", b"-1"),
            &record("size", b"18446744073709551616"),
            &record("path", b"a\0b"),
        ];
        for data in cases {
            assert!(parse(data).is_err(), "{}", data.escape_ascii());
        }
        assert!(check_global(&record("path", b"x")).is_err());
        assert!(check_global(&record("comment", b"0123")).is_ok());
    }
}
