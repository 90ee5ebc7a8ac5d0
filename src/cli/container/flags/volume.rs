//! `-v`: a host directory or file, or a volume, mounted into the container.

use crate::container::mounts::request::is_propagation;
use crate::error::{Error, Result};
use crate::text::path::absolute;
use crate::volume;
use std::path::Path;

/// A checked `-v`.
#[derive(Debug, PartialEq, Eq)]
pub enum Spec {
    /// `SOURCE:TARGET[:MODE]` as the record keeps it, a host's source absolute,
    /// and where it is mounted.
    Named { text: String, target: String },
    /// `TARGET` alone: a volume of the container's own.
    Anonymous(String),
}

/// Reads `[SOURCE:]TARGET[:MODE]`. `cwd` completes a source that begins with a
/// dot.
pub fn parse(text: &str, cwd: &Path) -> Result<Spec> {
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
        [target] => return Ok(Spec::Anonymous(target.into())),
        [source, target] => (source, target, None),
        [source, target, mode] => (source, target, Some(mode)),
        _ => {
            return Err(Error::usage(format!(
                "invalid spec: {text}: too many colons"
            )));
        }
    };
    let host = source.starts_with(['/', '.']);
    let kind = if host { "bind" } else { "volume" };
    check_target(target, text, kind)?;
    if let Some(mode) = mode {
        check_mode(mode, text, kind)?;
    }
    let source = match source.starts_with('.') {
        true => absolute(&cwd.join(source).to_string_lossy()),
        false => source.to_string(),
    };
    if !host {
        volume::check_name(&source)?;
    }
    let mode = mode.map(|m| format!(":{m}")).unwrap_or_default();
    Ok(Spec::Named {
        text: format!("{source}:{target}{mode}"),
        target: absolute(target),
    })
}

fn invalid(text: &str, kind: &str, why: &str) -> Error {
    Error::invalid(format!(
        "invalid volume specification: '{text}': invalid mount config for type \"{kind}\": {why}"
    ))
}

fn check_target(target: &str, text: &str, kind: &str) -> Result<()> {
    if !target.starts_with('/') {
        let why = format!("invalid mount path: '{target}' mount path must be absolute");
        return Err(invalid(text, kind, &why));
    }
    if absolute(target) == "/" {
        let why = "invalid specification: destination can't be '/'";
        return Err(invalid(text, kind, why));
    }
    Ok(())
}

/// One of each sort at most, as Docker has it (moby, linux_parser.go), and
/// podman's `U`.
fn check_mode(mode: &str, text: &str, kind: &str) -> Result<()> {
    let mut sorts = [0_u8; 5];
    for word in mode.split(',') {
        let sort = match word {
            "ro" | "rw" => 0,
            "z" | "Z" => 1,
            "nocopy" => 2,
            "U" => 3,
            _ if is_propagation(word) => 4,
            _ => return Err(Error::invalid(format!("invalid mode: {mode}"))),
        };
        sorts[sort] += 1;
    }
    if sorts.iter().any(|n| *n > 1) {
        return Err(Error::invalid(format!("invalid mode: {mode}")));
    }
    let foreign = match kind {
        "bind" if sorts[2] > 0 => "VolumeOptions",
        "volume" if sorts[4] > 0 => "BindOptions",
        _ => return Ok(()),
    };
    let why = format!("field {foreign} must not be specified");
    Err(invalid(text, kind, &why))
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

    fn read(text: &str) -> Result<Spec> {
        parse(text, Path::new("/home/me"))
    }

    #[test]
    fn binds_and_volumes() {
        for (text, kept, at) in [
            ("/a:/b", "/a:/b", "/b"),
            ("/a:/b:ro,z,rslave", "/a:/b:ro,z,rslave", "/b"),
            ("./x:/b", "/home/me/x:/b", "/b"),
            (".:/b/", "/home/me:/b/", "/b"),
            ("../x:/b:rw", "/home/x:/b:rw", "/b"),
            ("/a//b/../c:/d/./e", "/a//b/../c:/d/./e", "/d/e"),
            ("data:/x", "data:/x", "/x"),
            ("data:/x:nocopy,ro,U", "data:/x:nocopy,ro,U", "/x"),
        ] {
            let want = Spec::Named {
                text: kept.into(),
                target: at.into(),
            };
            assert_eq!(read(text).unwrap(), want);
        }
        assert_eq!(read("/a").unwrap(), Spec::Anonymous("/a".into()));
    }

    #[test]
    fn refusals() {
        for (text, kind, message) in [
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
            (
                "/a:/b:nocopy",
                Kind::Invalid,
                "invalid volume specification: '/a:/b:nocopy': invalid mount config for type \"bind\": field VolumeOptions must not be specified",
            ),
            (
                "data:/b:rslave",
                Kind::Invalid,
                "invalid volume specification: 'data:/b:rslave': invalid mount config for type \"volume\": field BindOptions must not be specified",
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
                "a:/x",
                Kind::Invalid,
                "create a: volume name is too short, names should be at least two alphanumeric characters",
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
