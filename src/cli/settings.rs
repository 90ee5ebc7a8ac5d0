//! Docker's client settings: the formats that users keep in config.json.

use super::front::Front;
use std::io::Read;
use std::path::PathBuf;

const MOST: u64 = 1 << 20;

/// The text setting `name` of config.json, below `--config`, `DOCKER_CONFIG`
/// or ~/.docker. A file that is missing or damaged has no settings.
pub fn text(front: &Front, name: &str) -> Option<String> {
    let dir = front
        .config
        .clone()
        .or_else(|| {
            std::env::var_os("DOCKER_CONFIG")
                .filter(|d| !d.is_empty())
                .map(PathBuf::from)
        })
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(dir.join("config.json")).ok()?;
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    let settings: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    settings
        .get(name)?
        .as_str()
        .filter(|t| !t.is_empty())
        .map(str::to_string)
}
