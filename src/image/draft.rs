//! The documents of an image in the making: its config (OCI image-spec,
//! "Image Configuration", with Docker's additions in `config`) and the
//! manifest over it.

use super::digest::Digest;
use super::manifest::{
    Descriptor, IN_HASTE, MAX_DOCUMENT, MAX_LAYERS, Manifest, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST,
};
use super::platform::Platform;
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A step in an image's history.
#[derive(Debug, Clone, Default)]
pub struct HistoryStep {
    /// RFC 3339.
    pub created: String,
    pub author: String,
    pub created_by: String,
    pub comment: String,
    pub empty_layer: bool,
}

/// An image config that can still be changed.
#[derive(Debug, Clone)]
pub struct Draft {
    document: Map<String, Value>,
}

impl Draft {
    /// An image without a base.
    pub fn new(platform: &Platform) -> Self {
        let mut draft = Self {
            document: Map::new(),
        };
        draft.put("created", json!(""));
        draft.put("author", json!(""));
        draft.put("architecture", json!(platform.architecture));
        if let Some(variant) = &platform.variant {
            draft.put("variant", json!(variant));
        }
        draft.put("os", json!(platform.os));
        draft.put("config", json!({}));
        draft.put("rootfs", json!({"type": "layers", "diff_ids": []}));
        draft.put("history", json!([]));
        draft
    }

    /// On top of an image with this config, of which what is not known is kept.
    pub fn on(base: &[u8]) -> Result<Self> {
        super::config::ImageConfig::parse(base)?;
        let document = serde_json::from_slice(base)
            .map_err(|e| Error::invalid(format!("broken image config: {e}")))?;
        let mut draft = Self { document };
        // Docker's notes about how the base was made are not about this one.
        for key in [
            "container",
            "container_config",
            "docker_version",
            "id",
            "parent",
        ] {
            draft.document.remove(key);
        }
        for (key, empty) in [("config", json!({})), ("history", json!([]))] {
            if draft.document.get(key).is_none_or(Value::is_null) {
                draft.put(key, empty);
            }
        }
        Ok(draft)
    }

    /// One that no specification knows.
    pub fn set_field(&mut self, name: &str, value: Value) {
        self.put(name, value);
    }

    fn put(&mut self, key: &str, value: Value) {
        self.document.insert(key.into(), value);
    }

    pub fn set_created(&mut self, time: &str) {
        self.put("created", json!(time));
    }

    /// Empty: none.
    pub fn set_author(&mut self, author: &str) {
        self.put("author", json!(author));
    }

    pub fn config(&self) -> &Map<String, Value> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let config = self.document.get("config").and_then(Value::as_object);
        config.unwrap_or(&EMPTY)
    }

    pub fn set_config(&mut self, config: Map<String, Value>) {
        self.put("config", Value::Object(config));
    }

    pub fn add_layer(&mut self, diff_id: &Digest) {
        if let Some(ids) = self.list("/rootfs/diff_ids") {
            ids.push(json!(diff_id));
        }
    }

    pub fn add_history(&mut self, step: &HistoryStep) {
        let mut entry = Map::new();
        entry.insert("created".into(), json!(step.created));
        for (key, text) in [
            ("author", &step.author),
            ("created_by", &step.created_by),
            ("comment", &step.comment),
        ] {
            if !text.is_empty() {
                entry.insert(key.into(), json!(text));
            }
        }
        if step.empty_layer {
            entry.insert("empty_layer".into(), json!(true));
        }
        if let Some(history) = self.list("/history") {
            history.push(Value::Object(entry));
        }
    }

    fn list(&mut self, pointer: &str) -> Option<&mut Vec<Value>> {
        let (parent, last) = pointer.rsplit_once('/')?;
        let parent = match parent {
            "" => &mut self.document,
            parent => self.document.get_mut(&parent[1..])?.as_object_mut()?,
        };
        parent.get_mut(last)?.as_array_mut()
    }

    /// The document.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut document = self.document.clone();
        if document.get("author").and_then(Value::as_str) == Some("") {
            document.remove("author");
        }
        let bytes = Value::Object(document).to_string().into_bytes();
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(Error::invalid(format!(
                "the image's config would have more than {MAX_DOCUMENT} bytes"
            )));
        }
        Ok(bytes)
    }
}

/// The OCI manifest over a config and layers, lowest first. Layers of Docker's
/// media types are called by the OCI's.
pub fn manifest(config: &[u8], layers: &[Descriptor]) -> Result<Vec<u8>> {
    annotated_manifest(config, layers, &BTreeMap::new())
}

/// The same, with annotations.
pub fn annotated_manifest(
    config: &[u8],
    layers: &[Descriptor],
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    if layers.len() > MAX_LAYERS {
        return Err(Error::invalid(format!(
            "the image would have {} layers, more than the limit of {MAX_LAYERS}",
            layers.len()
        )));
    }
    let layers: Vec<Value> = layers.iter().map(layer).collect();
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": Digest::of(config), "size": config.len()},
        "layers": layers,
    });
    if !annotations.is_empty() {
        document["annotations"] = json!(annotations);
    }
    Ok(document.to_string().into_bytes())
}

fn layer(layer: &Descriptor) -> Value {
    let media_type = oci_type(&layer.media_type);
    let mut out = json!({"mediaType": media_type, "digest": layer.digest, "size": layer.size});
    if layer.is_in_haste() {
        out["annotations"] = json!({ IN_HASTE: "true" });
    }
    out
}

fn oci_type(media_type: &str) -> String {
    let Some(rest) = media_type.strip_prefix("application/vnd.docker.image.rootfs.") else {
        return media_type.to_owned();
    };
    let (foreign, rest) = match rest.strip_prefix("foreign.") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let packed = match rest {
        "diff.tar.gzip" => "+gzip",
        "diff.tar.zstd" => "+zstd",
        _ => "",
    };
    match foreign {
        true => format!("application/vnd.oci.image.layer.nondistributable.v1.tar{packed}"),
        false => format!("{OCI_LAYER}{packed}"),
    }
}

/// Layers of a manifest with one more on top.
pub fn layers_on(base: &Manifest, top: Option<Descriptor>) -> Vec<Descriptor> {
    base.layers.iter().cloned().chain(top).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Document, ImageConfig};

    #[test]
    fn what_is_made_can_be_read() {
        let id = Digest::of(b"layer");
        let mut draft = Draft::new(&Platform::parse("linux/arm/v7").unwrap());
        draft.add_layer(&id);
        draft.add_history(&HistoryStep {
            comment: "Imported".into(),
            ..HistoryStep::default()
        });
        let bytes = draft.to_bytes().unwrap();
        let config = ImageConfig::parse(&bytes).unwrap();
        assert_eq!(
            (config.diff_ids, config.platform.to_string()),
            (vec![id.clone()], "linux/arm/v7".into())
        );
        let docker = Descriptor::new("application/vnd.docker.image.rootfs.diff.tar.gzip", id, 3);
        let manifest = manifest(&bytes, &[docker]).unwrap();
        let Document::Manifest(read) = Document::parse(&manifest, None).unwrap() else {
            panic!("not a manifest");
        };
        read.ensure_image().unwrap();
        assert_eq!(
            read.layers[0].media_type,
            "application/vnd.oci.image.layer.v1.tar+gzip"
        );
    }

    #[test]
    fn a_base_keeps_what_is_not_known() {
        let base = json!({"architecture": "amd64", "os": "linux", "x": 1, "container": "abc",
            "history": null, "rootfs": {"type": "layers", "diff_ids": []}});
        let mut draft = Draft::on(base.to_string().as_bytes()).unwrap();
        draft.add_history(&HistoryStep {
            empty_layer: true,
            ..HistoryStep::default()
        });
        let made: Value = serde_json::from_slice(&draft.to_bytes().unwrap()).unwrap();
        assert_eq!((&made["x"], &made["container"]), (&json!(1), &Value::Null));
        assert_eq!(made["history"][0]["empty_layer"], true);
        assert!(Draft::on(b"{}").is_err());
    }
}
