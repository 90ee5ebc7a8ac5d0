//! `--volumes-from`: the bind mounts of another container.

use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::record::container::{BindOptions, Container, HostConfig, Mount};
use crate::record::containers;

/// The mounts of the containers that `host` names, without those whose place
/// it uses itself. The last one of a place counts.
pub fn mounts(paths: &Paths, host: &HostConfig) -> Result<Vec<Mount>> {
    let own: Vec<String> = own(host)
        .into_iter()
        .map(|mount| mount.target)
        .chain(host.tmpfs.keys().cloned())
        .chain(host.mounts.iter().map(|mount| mount.target.clone()))
        .collect();
    let mut all: Vec<Mount> = Vec::new();
    for text in host.volumes_from.iter().flatten() {
        let (name, writable) = parse(text)?;
        let other = containers::find(paths, name).and_then(|id| containers::config(paths, &id))?;
        for mut mount in of(&other) {
            mount.read_only |= !writable;
            all.retain(|earlier| earlier.target != mount.target);
            if !own.contains(&mount.target) {
                all.push(mount);
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

fn of(other: &Container) -> Vec<Mount> {
    let mut all = other.inherited.clone();
    all.extend(own(&other.host_config));
    all
}

/// The binds that a container was given itself.
fn own(host: &HostConfig) -> Vec<Mount> {
    let binds = host.binds.iter().flatten().filter_map(|b| from_bind(b));
    let mounts = host.mounts.iter().filter(|mount| mount.kind == "bind");
    binds.chain(mounts.cloned()).collect()
}

/// `SOURCE:TARGET[:OPTIONS]` in the other form.
fn from_bind(text: &str) -> Option<Mount> {
    let mut parts = text.splitn(3, ':');
    let (source, target) = (parts.next()?, parts.next()?);
    let words: Vec<&str> = parts.next().unwrap_or_default().split(',').collect();
    let propagation = words
        .iter()
        .find(|w| w.ends_with("private") || w.ends_with("slave") || w.ends_with("shared"));
    Some(Mount {
        kind: "bind".into(),
        source: source.into(),
        target: target.into(),
        read_only: words.contains(&"ro"),
        bind_options: Some(BindOptions {
            propagation: propagation.copied().unwrap_or_default().into(),
            ..BindOptions::default()
        }),
        tmpfs_options: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(parse("a").unwrap(), ("a", true));
        assert_eq!(parse("a:ro").unwrap(), ("a", false));
        assert_eq!(parse("a:x").unwrap_err().message(), "invalid mode: x");
        assert!(parse(":ro").is_err());
        let mount = from_bind("/a:/b:rslave,ro").unwrap();
        assert!(mount.read_only && mount.bind_options.unwrap().propagation == "rslave");
    }
}
