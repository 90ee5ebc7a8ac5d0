//! What builds have done, on its way between machines: an image (OCI image-spec)
//! whose layers are those of steps, and whose config has the records of the steps
//! by their keys, under [`FIELD`]. An image that was built can have that, too; then
//! its layers are its own. So a registry, a layout and every tool take it, and what
//! is in it is checked as anything from elsewhere is.

mod read;
mod write;

pub use read::{Cache, Depot, Repository};
pub use write::{Packed, into_layout, into_registry, pack};

use crate::error::{Error, Result};
use crate::store::CachedStep;
use crate::text::time;
use serde_json::Value;
use std::collections::BTreeMap;

/// Of an image's config.
pub const FIELD: &str = "wherry.buildcache.v1";
/// The longest text of a step that is believed, in bytes.
const LONGEST_TEXT: usize = 64 << 10;

/// Records of steps by their keys.
pub type Steps = BTreeMap<String, CachedStep>;

/// The records of a config that comes from elsewhere; those that no build would
/// write are left out.
fn steps_of(config: &Value) -> Result<Option<Steps>> {
    let Some(field) = config.get(FIELD) else {
        return Ok(None);
    };
    let steps: Steps = serde_json::from_value(field.clone())
        .map_err(|e| Error::invalid(format!("the build cache is broken: {e}")))?;
    let believed = |(key, step): &(String, CachedStep)| {
        is_key(key) && step.same_as.as_deref().is_none_or(is_key) && is_plain(step)
    };
    Ok(Some(steps.into_iter().filter(believed).collect()))
}

/// A key is the name of a file.
fn is_key(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Its text is shown.
fn is_plain(step: &CachedStep) -> bool {
    let shown = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    // What leads to another record says nothing by itself.
    (step.same_as.is_none() || step.layer.is_none())
        && step.text.len() <= LONGEST_TEXT
        && step.text.chars().all(shown)
        && time::parse(&step.created).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_believed() {
        let key = "a".repeat(64);
        let of = |key: &str, step: Value| {
            let config = json!({ FIELD: { key: step } });
            steps_of(&config).map(|steps| steps.unwrap().len())
        };
        let good =
            json!({"layer": null, "created": "2026-01-02T03:04:05Z", "text": "RUN <<E\nx\nE"});
        assert_eq!(of(&key, good.clone()).unwrap(), 1);
        let with = |name: &str, value: Value| {
            let mut step = good.clone();
            step[name] = value;
            step
        };
        for bad in ["../../x", "", &key.to_uppercase(), &key[1..]] {
            assert_eq!(of(bad, good.clone()).unwrap(), 0, "{bad}");
        }
        for (name, value) in [
            ("text", json!("RUN \u{1b}[2J")),
            ("text", json!("x".repeat(LONGEST_TEXT + 1))),
            ("created", json!("yesterday")),
            ("same_as", json!("../x")),
        ] {
            assert_eq!(of(&key, with(name, value)).unwrap(), 0, "{name}");
        }
        let digest = crate::image::Digest::of(b"x");
        let layer =
            json!({"diff_id": digest, "media_type": "", "blob": digest, "blob_size": 0, "size": 0});
        let mut both = with("layer", layer);
        both["same_as"] = json!(key);
        assert_eq!(of(&key, both).unwrap(), 0);
        let layer = json!({"diff_id": "sha256:../x", "media_type": "", "blob": "", "blob_size": 0, "size": 0});
        assert!(of(&key, with("layer", layer)).is_err());
        assert!(of(&key, json!([])).is_err());
        assert!(steps_of(&json!({})).unwrap().is_none());
        assert!(steps_of(&json!({ FIELD: "x" })).is_err());
    }
}
