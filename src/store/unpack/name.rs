//! Names inside an archive: made relative and plain before anything is opened.

use crate::error::{Error, Result};

/// PATH_MAX of Linux without the final NUL.
const LONGEST: usize = 4095;
const WHITEOUT_PREFIX: &[u8] = b".wh.";
const META_PREFIX: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What the last component of a layer entry's name asks for (OCI image-spec,
/// "Representing Changes").
#[derive(Debug, PartialEq, Eq)]
pub enum Role<'a> {
    /// An ordinary file of the layer.
    Plain,
    /// `.wh.NAME`: NAME of the layers below is gone.
    Whiteout(&'a [u8]),
    /// `.wh..wh..opq`: nothing of the layers below shows in this directory.
    Opaque,
    /// Other `.wh..wh.` names: notes of AUFS to itself.
    Ignored,
}

/// Takes `/`, `./` and empty components out of `raw`; the empty result is the
/// root itself. `..` is refused rather than resolved.
pub fn normal(raw: &[u8]) -> Result<Vec<u8>> {
    let bad = |why: &str| Error::invalid(format!("name \"{}\" {why}", shown(raw)));
    if raw.is_empty() {
        return Err(bad("is empty"));
    }
    if raw.len() > LONGEST {
        return Err(bad("is longer than 4095 bytes"));
    }
    if raw.contains(&0) {
        return Err(bad("contains a NUL byte"));
    }
    let mut path = Vec::with_capacity(raw.len());
    for component in raw.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(bad("contains \"..\"")),
            _ => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(component);
            }
        }
    }
    Ok(path)
}

/// Parent (empty: the root) and last component of a normal path.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Sorts a normal path of a layer by its whiteout marks.
pub fn role(path: &[u8]) -> Result<Role<'_>> {
    let (parent, last) = split(path);
    for component in parent.split(|&b| b == b'/') {
        if component.starts_with(META_PREFIX) {
            return Ok(Role::Ignored);
        }
        if component.starts_with(WHITEOUT_PREFIX) {
            return Err(Error::invalid(format!(
                "\"{}\" lies below a whiteout",
                shown(path)
            )));
        }
    }
    if last == OPAQUE {
        return Ok(Role::Opaque);
    }
    if last.starts_with(META_PREFIX) {
        return Ok(Role::Ignored);
    }
    match last.strip_prefix(WHITEOUT_PREFIX) {
        None => Ok(Role::Plain),
        Some(b"" | b"." | b"..") => Err(Error::invalid(format!(
            "whiteout \"{}\" names nothing that can be removed",
            shown(path)
        ))),
        Some(name) => Ok(Role::Whiteout(name)),
    }
}

/// For messages: printable and not endless.
pub fn shown(name: &[u8]) -> String {
    let mut text = name[..name.len().min(200)].escape_ascii().to_string();
    if name.len() > 200 {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_relative() {
        for (raw, want) in [
            ("a", "a"),
            ("./a//b/./c/", "a/b/c"),
            ("/etc/passwd", "etc/passwd"),
            ("./", ""),
            (".", ""),
            ("/", ""),
            ("...", "..."),
            ("a/..b", "a/..b"),
        ] {
            assert_eq!(normal(raw.as_bytes()).unwrap(), want.as_bytes(), "{raw}");
        }
        let long = "a".repeat(4096);
        for raw in ["", "..", "../a", "a/../b", "/..", "a/..", "a\0b", &long] {
            assert!(normal(raw.as_bytes()).is_err(), "{raw}");
        }
    }

    #[test]
    fn roles() {
        for (path, want) in [
            ("a/b", Role::Plain),
            ("wh.x", Role::Plain),
            ("a/.wh.b", Role::Whiteout(b"b")),
            (".wh.b", Role::Whiteout(b"b")),
            ("a/.wh..wh..opq", Role::Opaque),
            (".wh..wh..opq", Role::Opaque),
            (".wh..wh.plnk/1.2", Role::Ignored),
            (".wh..wh.aufs", Role::Ignored),
        ] {
            assert_eq!(role(path.as_bytes()).unwrap(), want, "{path}");
        }
        for path in [".wh.", ".wh..", ".wh...", "a/.wh..", ".wh.x/y", ".wh.../x"] {
            assert!(role(path.as_bytes()).is_err(), "{path}");
        }
    }
}
