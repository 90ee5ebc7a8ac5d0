//! `--volumes-from`: the mounts of other containers.

use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::record::container::{HostConfig, MountPoint};
use crate::record::containers;

/// The mounts of the containers that `host` names, without those whose place
/// is taken. The last one of a place counts.
pub fn mounts(
    paths: &Paths,
    host: &HostConfig,
    taken: impl Fn(&str) -> bool,
) -> Result<Vec<MountPoint>> {
    let mut all: Vec<MountPoint> = Vec::new();
    for text in host.volumes_from.iter().flatten() {
        let (name, writable) = parse(text)?;
        let other = containers::find(paths, name).and_then(|id| containers::config(paths, &id))?;
        for mount in other.mounts {
            all.retain(|earlier| earlier.destination != mount.destination);
            if !taken(&mount.destination) {
                all.push(MountPoint {
                    rw: mount.rw && writable,
                    copies: false,
                    chowns: false,
                    ..mount
                });
            }
        }
    }
    Ok(all)
}

/// `NAME[:ro|:rw]`, and whether it may be written.
fn parse(text: &str) -> Result<(&str, bool)> {
    let (name, mode) = text.split_once(':').unwrap_or((text, "rw"));
    if name.is_empty() {
        return Err(Error::invalid(format!(
            "invalid volumes-from specification: '{text}'"
        )));
    }
    match mode {
        "ro" => Ok((name, false)),
        "rw" | "z" | "Z" => Ok((name, true)),
        _ => Err(Error::invalid(format!("invalid mode: {mode}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(parse("a").unwrap(), ("a", true));
        assert_eq!(parse("a:ro").unwrap(), ("a", false));
        assert_eq!(parse("a:z").unwrap(), ("a", true));
        assert_eq!(parse("a:x").unwrap_err().message(), "invalid mode: x");
        assert!(parse(":ro").is_err());
    }
}
