//! An entry of a list of referrers (OCI image-spec, "Image Manifest", `subject`
//! and `artifactType`).

use super::digest::Digest;
use super::manifest::{Descriptor, MAX_DOCUMENT};
use crate::error::{Error, Result};
use oci_spec::image as oci;
use serde::Deserialize;

/// Something that is about another manifest: a signature, an SBOM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    pub descriptor: Descriptor,
    /// What it is, as a media type; empty when it does not say.
    pub artifact_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Config>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: String,
}

impl Referrer {
    /// The entries of a list: an index, whatever it says that it is.
    pub fn list(bytes: &[u8]) -> Result<Vec<Self>> {
        let index: oci::ImageIndex = serde_json::from_slice(bytes)
            .map_err(|e| Error::invalid(format!("the list of referrers is broken: {e}")))?;
        let entries = index.manifests().iter();
        entries
            .map(|entry| {
                let kind = entry.artifact_type().as_ref();
                Ok(Self {
                    descriptor: entry.try_into()?,
                    artifact_type: kind.map_or_else(String::new, ToString::to_string),
                })
            })
            .collect()
    }

    /// A manifest that was found by its name.
    pub fn of(digest: Digest, bytes: &[u8], media_type: Option<&str>) -> Result<Self> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(Error::invalid(format!("{digest} is too large")));
        }
        let kind: Kind = serde_json::from_slice(bytes)
            .map_err(|e| Error::invalid(format!("{digest} is not valid JSON: {e}")))?;
        let media_type = kind.media_type.as_deref().or(media_type);
        let media_type = media_type.unwrap_or(super::manifest::OCI_MANIFEST);
        let config = kind.config.map(|config| config.media_type);
        Ok(Self {
            descriptor: Descriptor::new(media_type, digest, bytes.len() as u64),
            artifact_type: kind.artifact_type.or(config).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let digest = Digest::of(b"x");
        for (text, want) in [
            (
                r#"{"artifactType":"a/b","config":{"mediaType":"c/d"}}"#,
                "a/b",
            ),
            (r#"{"config":{"mediaType":"c/d"}}"#, "c/d"),
            ("{}", ""),
        ] {
            let found = Referrer::of(digest.clone(), text.as_bytes(), None).unwrap();
            assert_eq!(found.artifact_type, want);
        }
        assert!(Referrer::of(digest.clone(), b"[", None).is_err());
        let list = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"m/x","digest":"{digest}","size":3,"artifactType":"a/b"}},{{"mediaType":"m/x","digest":"{digest}","size":3}}]}}"#
        );
        let found = Referrer::list(list.as_bytes()).unwrap();
        assert_eq!((found[0].artifact_type.as_str(), found.len()), ("a/b", 2));
        assert_eq!(found[1].artifact_type, "");
        let bad = list.replace(digest.as_str(), "sha256:../x");
        assert!(Referrer::list(bad.as_bytes()).is_err());
        assert!(Referrer::list(b"{}").is_err());
    }
}
