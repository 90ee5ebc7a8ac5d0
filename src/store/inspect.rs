//! An image as `inspect` shows it: Docker's document (Engine API 1.50,
//! ImageInspect), its members in Docker's order.

use super::{Image, Store};
use crate::error::{Context, Result};
use crate::text::time;
use serde_json::{Value, json};

impl Store {
    /// The document of `image`.
    pub fn inspect(&self, image: &Image) -> Result<Value> {
        let config = self.config(image)?;
        let names = |list: &[crate::image::reference::Reference]| -> Vec<String> {
            list.iter().map(crate::image::reference::Reference::familiar).collect()
        };
        let layers: Vec<String> = config.diff_ids.iter().map(ToString::to_string).collect();
        let lower: Vec<_> = self.lower_dirs(&config.diff_ids).unwrap_or_default();
        let lower: Vec<String> = lower.iter().rev().map(|dir| dir.display().to_string()).collect();
        let mut all = json!({
            "Id": image.id.to_string(),
            "RepoTags": names(&image.names),
            "RepoDigests": names(&image.digests),
            "Parent": "",
            "Comment": comment(&config.oci),
            "Created": image.created.as_deref().unwrap_or(time::NEVER),
            "DockerVersion": "",
            "Author": config.oci.author().as_deref().unwrap_or_default(),
            "Config": config.raw,
            "Architecture": config.platform.architecture,
        });
        if let Some(variant) = config.oci.variant() {
            all["Variant"] = variant.as_str().into();
        }
        all["Os"] = config.platform.os.as_str().into();
        if let Some(version) = config.oci.os_version() {
            all["OsVersion"] = version.as_str().into();
        }
        all["Size"] = image.size.into();
        all["GraphDriver"] = json!({"Data": {"LowerDir": lower.join(":")}, "Name": "overlay2"});
        all["RootFS"] = json!({"Type": "layers", "Layers": layers});
        all["Metadata"] = json!({"LastTagTime": image.tagged.as_deref().unwrap_or(time::NEVER)});
        all["Descriptor"] = serde_json::to_value(image.manifest.to_oci()).context(|| "cannot show the image's descriptor")?;
        Ok(all)
    }
}

/// What the newest layer was made with.
fn comment(config: &oci_spec::image::ImageConfiguration) -> String {
    let last = config.history().iter().flatten().last();
    last.and_then(|h| h.comment().clone()).unwrap_or_default()
}
