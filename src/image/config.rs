//! The image config: what to run and which layers make the root file system.
//! oci-spec's type for what the OCI specifies, Docker's additions beside it.

use super::digest::Digest;
use super::manifest::{MAX_DOCUMENT, MAX_LAYERS};
use super::platform::Platform;
use crate::error::{Error, Result};
use oci_spec::image::ImageConfiguration;
use serde::Deserialize;
use serde_json::Value;

/// A parsed and checked image config.
#[derive(Debug, Clone)]
pub struct ImageConfig {
    /// The part that the OCI image specification describes.
    pub oci: ImageConfiguration,
    /// DiffIDs, lowest layer first.
    pub diff_ids: Vec<Digest>,
    pub platform: Platform,
    /// The whole `config` member as it stands in the document (`Null` when
    /// there is none), for what oci-spec leaves out and for `inspect`.
    pub raw: Value,
}

/// As much of the document as the specification's type does not keep.
#[derive(Deserialize)]
struct Extra {
    #[serde(default)]
    config: Value,
}

impl ImageConfig {
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let broken =
            |e: &dyn std::fmt::Display| Error::invalid(format!("broken image config: {e}"));
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(broken(&format!(
                "larger than the limit of {MAX_DOCUMENT} bytes"
            )));
        }
        let oci: ImageConfiguration = serde_json::from_slice(bytes).map_err(|e| broken(&e))?;
        let extra: Extra = serde_json::from_slice(bytes).map_err(|e| broken(&e))?;
        let ids = oci.rootfs().diff_ids();
        if oci.rootfs().typ() != "layers" {
            return Err(broken(&format!(
                "unknown rootfs type {:?}",
                oci.rootfs().typ()
            )));
        }
        if ids.len() > MAX_LAYERS {
            return Err(broken(&format!("more than {MAX_LAYERS} layers")));
        }
        let diff_ids = ids
            .iter()
            .map(|id| Digest::parse(id))
            .collect::<Result<_>>();
        let diff_ids = diff_ids.map_err(|e| e.within("broken image config"))?;
        let platform = Platform::new(
            &oci.os().to_string(),
            &oci.architecture().to_string(),
            oci.variant().as_deref(),
        );
        Ok(Self {
            oci,
            diff_ids,
            platform,
            raw: extra.config,
        })
    }

    /// Docker's `Healthcheck` object, as it is.
    pub fn healthcheck(&self) -> Option<&Value> {
        self.extra("Healthcheck")
    }
    /// Instructions for builds on top of this image.
    pub fn on_build(&self) -> Vec<&str> {
        self.strings("OnBuild")
    }
    /// The shell of `RUN` and of shell-form commands.
    pub fn shell(&self) -> Vec<&str> {
        self.strings("Shell")
    }
    /// Seconds that `stop` waits, when the image says.
    pub fn stop_timeout(&self) -> Option<i64> {
        self.extra("StopTimeout").and_then(Value::as_i64)
    }

    fn extra(&self, name: &str) -> Option<&Value> {
        self.raw.get(name).filter(|v| !v.is_null())
    }
    fn strings(&self, name: &str) -> Vec<&str> {
        let list = self.extra(name).and_then(Value::as_array);
        list.map(|l| l.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn docker_config_with_its_own_members() {
        let id = Digest::of(b"layer");
        let doc = json!({
            "architecture": "arm", "variant": "v7", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "docker_version": "28", "history": null, "container_config": {"Cmd": ["x"]},
            "config": {"Env": ["A=b"], "Cmd": ["sh"], "Entrypoint": null, "Labels": null,
                       "Volumes": {"/data": {}}, "ExposedPorts": {"80/tcp": {}}, "ArgsEscaped": true,
                       "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5}, "OnBuild": ["RUN x"],
                       "Shell": ["/bin/ash", "-c"], "StopTimeout": 3},
            "rootfs": {"type": "layers", "diff_ids": [id.as_str()]}});
        let config = ImageConfig::parse(doc.to_string().as_bytes()).unwrap();
        assert_eq!(config.diff_ids, [id]);
        assert_eq!(config.platform.to_string(), "linux/arm/v7");
        assert_eq!(config.healthcheck().unwrap()["Interval"], 5);
        assert_eq!(
            (config.on_build(), config.shell()),
            (vec!["RUN x"], vec!["/bin/ash", "-c"])
        );
        assert_eq!(config.stop_timeout(), Some(3));
        assert_eq!(
            config
                .oci
                .config()
                .as_ref()
                .unwrap()
                .env()
                .as_ref()
                .unwrap(),
            &["A=b"]
        );
    }

    #[test]
    fn bad_configs_are_errors() {
        let rootfs = |r: Value| json!({"architecture": "amd64", "os": "linux", "rootfs": r});
        for doc in [
            json!(null),
            json!([]),
            json!({}),
            rootfs(json!(null)),
            rootfs(json!({"type": "layers"})),
            rootfs(json!({"type": "layers", "diff_ids": ["sha256:../../etc"]})),
            rootfs(json!({"type": "layers", "diff_ids": [7]})),
            rootfs(json!({"type": "windows", "diff_ids": []})),
            rootfs(
                json!({"type": "layers", "diff_ids": vec![Digest::of(b"").to_string(); MAX_LAYERS + 1]}),
            ),
            json!({"architecture": "amd64", "os": "linux", "config": {"Env": "x"}, "rootfs": {"type": "layers", "diff_ids": []}}),
        ] {
            assert!(
                ImageConfig::parse(doc.to_string().as_bytes()).is_err(),
                "{doc}"
            );
        }
        assert!(ImageConfig::parse(b"{\"config\":{\"Cmd\":[").is_err());
    }
}
