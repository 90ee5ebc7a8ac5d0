//! `networks/`: one record per network. A record is right or absent; whoever
//! makes or removes one holds the lock, readers hold none.

use super::record::{Network, PREDEFINED, VERSION};
use crate::error::{Context, Error, Result};
use crate::fs::lock::{self, Lock};
use crate::fs::private;
use crate::fs::replace::{Durability, TEMPORARY_PREFIX, replace_record};
use crate::paths::Paths;
use crate::text::id;
use std::io::ErrorKind;

const ENDING: &str = ".json";

/// The lock of whoever makes or removes networks.
pub fn lock(paths: &Paths) -> Result<Lock> {
    private::dir(&paths.networks()).context(|| "cannot make the directory of networks")?;
    lock::exclusive(&paths.networks().join("lock"))
}

/// Writes a record; the caller holds the lock.
pub fn write(paths: &Paths, network: &Network) -> Result<()> {
    let text = serde_json::to_vec(network).context(|| "cannot write the network's record")?;
    let durability = Durability::Durable;
    replace_record(&paths.network(&network.name), &text, durability)
}

/// Removes a record; the caller holds the lock.
pub fn remove(paths: &Paths, network: &Network) -> Result<()> {
    let path = paths.network(&network.name);
    std::fs::remove_file(&path).context(|| format!("cannot remove \"{}\"", path.display()))?;
    let _ = std::fs::remove_dir_all(paths.run_network(&network.id));
    Ok(())
}

/// The network of this name.
pub fn by_name(paths: &Paths, name: &str) -> Result<Option<Network>> {
    if !is_name(name) {
        return Ok(None);
    }
    let path = paths.network(name);
    let text = match std::fs::read(&path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return fixed(paths, name),
        other => other.context(|| format!("cannot read \"{}\"", path.display()))?,
    };
    let network: Network = serde_json::from_slice(&text)
        .context(|| format!("the record \"{}\" is damaged", path.display()))
        .map_err(|e| e.hint(format!("`rm {}` removes the network", path.display())))?;
    if network.version > VERSION {
        return Err(Error::unsupported(format!(
            "network {name} was written by a newer wherry (record version {}, this one knows {VERSION})",
            network.version
        ))
        .hint("use that version of wherry"));
    }
    Ok(Some(network))
}

/// `host` and `none` have nothing to be chosen: their records are only needed
/// for their IDs. That of `bridge` is made when it is first used.
fn fixed(paths: &Paths, name: &str) -> Result<Option<Network>> {
    match name {
        "bridge" => super::create::default(paths).map(Some),
        "host" | "none" => {
            let _lock = lock(paths)?;
            if paths.network(name).exists() {
                return by_name(paths, name);
            }
            let driver = if name == "none" { "null" } else { name };
            let network = Network::predefined(name, driver)?;
            write(paths, &network)?;
            Ok(Some(network))
        }
        _ => Ok(None),
    }
}

/// The network with this name, ID, or unambiguous prefix of an ID.
pub fn find(paths: &Paths, wanted: &str) -> Result<Network> {
    let missing = || Error::not_found(format!("network {wanted} not found"));
    if let Some(network) = by_name(paths, wanted)? {
        return Ok(network);
    }
    if !id::is_prefix(wanted) {
        return Err(missing());
    }
    // One that is not written down has no ID yet.
    let mut found = written(paths)?
        .into_iter()
        .filter(|network| network.id.starts_with(wanted));
    match (found.next(), found.next()) {
        (None, _) => Err(missing()),
        (Some(network), None) => Ok(network),
        (Some(_), Some(_)) => Err(Error::invalid(format!(
            "network {wanted} is ambiguous (2 matches found on ID prefix)"
        ))
        .hint("give more digits of the ID")),
    }
}

/// All networks by name, the predefined ones among them. One that vanishes
/// while it is read is not there.
pub fn all(paths: &Paths) -> Result<Vec<Network>> {
    let mut names = names(paths)?;
    names.extend(PREDEFINED.map(str::to_string));
    names.sort();
    names.dedup();
    let mut found = Vec::new();
    for name in names {
        found.extend(by_name(paths, &name)?);
    }
    Ok(found)
}

/// The networks that are written down, in no order.
pub fn written(paths: &Paths) -> Result<Vec<Network>> {
    let names = names(paths)?;
    let mut found = Vec::new();
    for name in names {
        found.extend(by_name(paths, &name)?);
    }
    Ok(found)
}

/// Their names.
pub fn names(paths: &Paths) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(paths.networks()) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.context(|| "cannot read the directory of networks")?,
    };
    let name = |entry: std::fs::DirEntry| {
        let file = entry.file_name().into_string().ok()?;
        let name = file.strip_suffix(ENDING)?;
        (!name.starts_with(TEMPORARY_PREFIX) && is_name(name)).then(|| name.to_string())
    };
    Ok(entries.flatten().filter_map(name).collect())
}

/// As Docker: letters, digits, `_`, `.` and `-`, beginning with one of the
/// first two. What is more could not be a file's name.
pub fn is_name(name: &str) -> bool {
    name.len() <= 200
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}
