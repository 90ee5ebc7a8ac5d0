//! `-v`: a host directory or file mounted into the container.

use crate::error::{Error, Result};
use std::path::Path;

/// A checked `-v`, as the record keeps it, and where it is mounted.
#[derive(Debug, PartialEq, Eq)]
pub struct Bind {
    /// `SOURCE:TARGET[:MODE]`, the source absolute.
    pub text: String,
    pub target: String,
}

/// Reads `SOURCE:TARGET[:MODE]`. `cwd` completes a source that begins with a
/// dot. Named and anonymous volumes are refused by name.
pub fn parse(text: &str, cwd: &Path) -> Result<Bind> {
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() > 1 && parts.iter().any(|p| p.is_empty()) {
        return Err(Error::usage(format!(
            "invalid spec: {text}: empty section between colons"
        )));
    }
    if text.is_empty() {
        return Err(Error::usage("invalid empty volume spec"));
    }
    let (source, target, mode) = match parts[..] {
        [target] => return Err(no_volumes(target, text)),
        [source, target] => (source, target, None),
        [source, target, mode] => (source, target, Some(mode)),
        _ => {
            return Err(Error::usage(format!(
                "invalid spec: {text}: too many colons"
            )));
        }
    };
    check_target(target, text)?;
    if let Some(mode) = mode {
        check_mode(mode)?;
    }
    let source = absolute(source, text, cwd)?;
    let mode = mode.map(|m| format!(":{m}")).unwrap_or_default();
    Ok(Bind {
        text: format!("{source}:{target}{mode}"),
        target: clean(target),
    })
}

/// The host path, or why this is none.
fn absolute(source: &str, text: &str, cwd: &Path) -> Result<String> {
    if source.starts_with('/') {
        return Ok(source.to_string());
    }
    if source.starts_with('.') {
        let joined = cwd.join(source);
        return Ok(clean(&joined.to_string_lossy()));
    }
    let is_name = source.len() >= 2
        && source.starts_with(|c: char| c.is_ascii_alphanumeric())
        && source
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if is_name {
        return Err(no_volumes(source, text));
    }
    Err(Error::invalid(format!(
        "create {source}: \"{source}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

fn no_volumes(name: &str, text: &str) -> Error {
    Error::unsupported(format!(
        "volumes are not supported yet: \"{name}\" (-v {text})"
    ))
    .hint("use a host directory: -v /HOST/PATH:/PATH")
}

fn check_target(target: &str, text: &str) -> Result<()> {
    let invalid = |why: &str| {
        Err(Error::invalid(format!(
            "invalid volume specification: '{text}': invalid mount config for type \"bind\": {why}"
        )))
    };
    if !target.starts_with('/') {
        return invalid(&format!(
            "invalid mount path: '{target}' mount path must be absolute"
        ));
    }
    if clean(target) == "/" {
        return invalid("invalid specification: destination can't be '/'");
    }
    Ok(())
}

/// One of each sort at most, as Docker has it (moby, linux_parser.go).
fn check_mode(mode: &str) -> Result<()> {
    let mut sorts = [0_u8; 3];
    for word in mode.split(',') {
        let sort = match word {
            "ro" | "rw" => 0,
            "z" | "Z" => 1,
            _ if is_propagation(word) => 2,
            _ => return Err(Error::invalid(format!("invalid mode: {mode}"))),
        };
        sorts[sort] += 1;
    }
    if sorts.iter().any(|n| *n > 1) {
        return Err(Error::invalid(format!("invalid mode: {mode}")));
    }
    Ok(())
}

pub fn is_propagation(word: &str) -> bool {
    matches!(
        word,
        "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave"
    )
}

/// The path without `.`, `..`, double and trailing slashes, by text alone.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Refuses two mounts on one place.
pub fn refuse_twice<'a>(targets: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for target in targets {
        if !seen.insert(target) {
            return Err(Error::invalid(format!("Duplicate mount point: {target}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn read(text: &str) -> Result<Bind> {
        parse(text, Path::new("/home/me"))
    }

    #[test]
    fn binds() {
        for (text, kept, target) in [
            ("/a:/b", "/a:/b", "/b"),
            ("/a:/b:ro,z,rslave", "/a:/b:ro,z,rslave", "/b"),
            ("./x:/b", "/home/me/x:/b", "/b"),
            (".:/b/", "/home/me:/b/", "/b"),
            ("../x:/b:rw", "/home/x:/b:rw", "/b"),
            ("/a//b/../c:/d/./e", "/a//b/../c:/d/./e", "/d/e"),
        ] {
            let bind = read(text).unwrap();
            assert_eq!((bind.text.as_str(), bind.target.as_str()), (kept, target));
        }
    }

    #[test]
    fn refusals() {
        for (text, kind, message) in [
            (
                "/a",
                Kind::Unsupported,
                "volumes are not supported yet: \"/a\" (-v /a)",
            ),
            (
                "data:/x",
                Kind::Unsupported,
                "volumes are not supported yet: \"data\" (-v data:/x)",
            ),
            (
                "/a:rel",
                Kind::Invalid,
                "invalid volume specification: '/a:rel': invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute",
            ),
            (
                "/a:/..",
                Kind::Invalid,
                "invalid volume specification: '/a:/..': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
            ),
            ("/a:/b:bogus", Kind::Invalid, "invalid mode: bogus"),
            ("/a:/b:ro,rw", Kind::Invalid, "invalid mode: ro,rw"),
            (
                "/a:/b:ro:x",
                Kind::Usage,
                "invalid spec: /a:/b:ro:x: too many colons",
            ),
            (
                ":/x",
                Kind::Usage,
                "invalid spec: :/x: empty section between colons",
            ),
            (
                "/a:/b:",
                Kind::Usage,
                "invalid spec: /a:/b:: empty section between colons",
            ),
            (
                "a/b:/x",
                Kind::Invalid,
                "create a/b: \"a/b\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!((error.kind(), error.message()), (kind, message), "{text}");
        }
        assert!(read("").is_err());
    }

    #[test]
    fn one_place_holds_one_mount() {
        let error = refuse_twice(["/a", "/b", "/a"].into_iter()).unwrap_err();
        assert_eq!(error.message(), "Duplicate mount point: /a");
    }
}
