//! What the user and the host have configured: registries, logins, proxies, whose
//! images are taken.
//! Reads files and (with paths.rs, alone below the command line) the environment.

pub mod login;
pub mod passed;
pub mod policy;
pub mod proxies;
pub mod registries;
pub mod source;

pub use login::{Credential, Kept, Logins};
pub use policy::Policy;
pub use proxies::Proxies;
pub use registries::{Endpoint, Registries};
pub use source::Source;

use crate::error::{Context, Error, Result};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most that a settings file may have, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// The text of a settings file; `None` when there is none.
fn read_text(path: &Path) -> Result<Option<String>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(e) => return Err(e).context(|| format!("cannot read \"{}\"", path.display())),
    };
    let mut text = String::new();
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .context(|| format!("cannot read \"{}\"", path.display()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(Error::invalid(format!(
            "\"{}\" is larger than {MAX_FILE} bytes",
            path.display()
        )));
    }
    Ok(Some(text))
}

/// A directory from the environment; relative ones are ignored, as the XDG
/// specification asks.
fn env_dir(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
}

fn home() -> Option<PathBuf> {
    directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned())
}

/// Where containers' tools keep a user's settings: ~/.config/containers.
fn user_containers_dir() -> Option<PathBuf> {
    let config = env_dir("XDG_CONFIG_HOME").or_else(|| home().map(|h| h.join(".config")));
    config.map(|dir| dir.join("containers"))
}

/// Directories that may hold CA certificates and client keys for the registry
/// `host` (as `HOST[:PORT]`), as Docker and containers' tools lay them out.
pub fn certificate_dirs(host: &str) -> Vec<PathBuf> {
    let user = user_containers_dir();
    user.iter()
        .map(PathBuf::as_path)
        .chain([Path::new("/etc/containers"), Path::new("/etc/docker")])
        .map(|dir| dir.join("certs.d").join(host))
        .collect()
}
