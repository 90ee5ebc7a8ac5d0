//! An image as `image inspect` shows it: the Engine API's ImageInspect, with
//! the members of `Config` that older clients expect present though empty.

use super::Store;
use super::image::Image;
use crate::error::Result;
use crate::image::config::ImageConfig;
use crate::image::reference::Reference;
use crate::text::time;
use serde_json::{Map, Value, json};

/// Members of `Config` in Docker's order; `None`: left out when the image does
/// not have it.
fn config_members() -> [(&'static str, Option<Value>); 21] {
    let text = || Some(json!(""));
    [
        ("Hostname", text()),
        ("Domainname", text()),
        ("User", text()),
        ("AttachStdin", Some(json!(false))),
        ("AttachStdout", Some(json!(false))),
        ("AttachStderr", Some(json!(false))),
        ("ExposedPorts", None),
        ("Tty", Some(json!(false))),
        ("OpenStdin", Some(json!(false))),
        ("StdinOnce", Some(json!(false))),
        ("Env", Some(json!([]))),
        ("Cmd", Some(Value::Null)),
        ("Healthcheck", None),
        ("ArgsEscaped", None),
        ("Image", text()),
        ("Volumes", Some(Value::Null)),
        ("WorkingDir", text()),
        ("Entrypoint", Some(Value::Null)),
        ("OnBuild", Some(Value::Null)),
        ("Labels", Some(Value::Null)),
        ("StopSignal", None),
    ]
}

impl Store {
    /// Docker's JSON for one image.
    pub fn inspect(&self, image: &Image) -> Result<Value> {
        let config = self.config(image)?;
        let mut out = Map::new();
        let mut put = |key: &str, value: Value| out.insert(key.into(), value);
        put("Id", json!(image.id));
        put("RepoTags", names(&image.names));
        put("RepoDigests", names(&image.digests));
        put("Parent", json!(""));
        put("Comment", json!(comment(&config)));
        put(
            "Created",
            json!(image.created.as_deref().unwrap_or(time::NEVER)),
        );
        put("DockerVersion", json!(""));
        put(
            "Author",
            json!(config.oci.author().as_deref().unwrap_or_default()),
        );
        put("Config", Value::Object(docker_config(&config)));
        put("Architecture", json!(config.platform.architecture));
        if let Some(variant) = &config.platform.variant {
            put("Variant", json!(variant));
        }
        put("Os", json!(config.platform.os));
        if let Some(version) = config.oci.os_version() {
            put("OsVersion", json!(version));
        }
        put("Size", json!(image.size));
        put("GraphDriver", self.graph_driver(&config));
        put(
            "RootFS",
            json!({"Type": "layers", "Layers": config.diff_ids}),
        );
        put(
            "Metadata",
            json!({"LastTagTime": image.tagged.as_deref().unwrap_or(time::NEVER)}),
        );
        put(
            "Descriptor",
            json!({
                "mediaType": image.manifest.media_type,
                "digest": image.manifest.digest,
                "size": image.manifest.size,
            }),
        );
        Ok(Value::Object(out))
    }

    /// Where the layers lie, uppermost first.
    fn graph_driver(&self, config: &ImageConfig) -> Value {
        let dirs = self.lower_dirs(&config.diff_ids).unwrap_or_default();
        let mut dirs = dirs.iter().map(|dir| dir.display().to_string());
        let upper = dirs.next();
        let lower: Vec<String> = dirs.collect();
        let mut data = Map::new();
        if !lower.is_empty() {
            data.insert("LowerDir".into(), json!(lower.join(":")));
        }
        if let Some(upper) = upper {
            data.insert("UpperDir".into(), json!(upper));
        }
        json!({"Data": data, "Name": "overlay2"})
    }
}

fn names(names: &[Reference]) -> Value {
    names.iter().map(Reference::familiar).collect()
}

/// Of the step that made the uppermost layer.
fn comment(config: &ImageConfig) -> String {
    let history = config.oci.history().as_deref().unwrap_or_default();
    let last = history.last().and_then(|step| step.comment().clone());
    last.unwrap_or_default()
}

fn docker_config(config: &ImageConfig) -> Map<String, Value> {
    let has = |key: &str| config.raw.get(key).filter(|v| !v.is_null()).cloned();
    let mut out = Map::new();
    for (key, absent) in config_members() {
        if let Some(value) = has(key).or(absent) {
            out.insert(key.into(), value);
        }
    }
    for key in ["StopTimeout", "Shell"] {
        out.extend(has(key).map(|value| (key.to_owned(), value)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Scratch;

    #[test]
    fn keys_in_dockers_order() {
        let scratch = Scratch::new("inspect");
        let image = scratch.image("alpine", "one");
        let shown = scratch.store().inspect(&image).unwrap();
        let keys: Vec<&str> = shown
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys.join(" "),
            "Id RepoTags RepoDigests Parent Comment Created DockerVersion Author Config Architecture Os Size \
             GraphDriver RootFS Metadata Descriptor"
        );
        assert_eq!(shown["RepoTags"], json!(["alpine:latest"]));
        assert_eq!(shown["Config"]["Labels"], Value::Null);
        assert_eq!(shown["Size"], json!(3));
        assert_eq!(shown["RootFS"]["Layers"].as_array().unwrap().len(), 1);
    }
}
