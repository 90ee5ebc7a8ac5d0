//! Manifests and indexes: OCI and Docker schema 2, read into values whose
//! digests, sizes and kinds are already checked.
//!
//! A document is one thing only: what calls itself a manifest but carries the
//! members of an index (or the other way round) is refused (CVE-2021-41190).

use super::digest::Digest;
use super::platform::Platform;
use crate::error::{Error, Result};
use oci_spec::image as oci;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most that a manifest, index or image config may have, in bytes.
pub const MAX_DOCUMENT: u64 = 4 << 20;
/// The most layers one image may have.
pub const MAX_LAYERS: usize = 500;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Of a layer that is not compressed; `+gzip` and `+zstd` follow it.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// The annotation of layers that were made here and packed in haste or not at all,
/// because nobody should wait for what may never leave the store.
pub const IN_HASTE: &str = "wherry.layer.in-haste";

/// What a client asks a registry for, in the order of preference.
pub const ACCEPTED: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/// How a layer or an archive is packed. Registries have the first three only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

impl Compression {
    /// By the first bytes of the layer, as Docker does: media types are often
    /// wrong, and the DiffID is checked in any case. Four bytes are enough.
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A zstd stream may open with a skippable frame.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', ..] => Self::Xz,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            _ => Self::None,
        }
    }
}

/// Points at a blob: what it is, its digest and its size in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: Digest,
    pub size: u64,
    pub platform: Option<Platform>,
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// For writing into a document.
    pub fn to_oci(&self) -> oci::Descriptor {
        let digest: oci::Digest = self
            .digest
            .as_str()
            .parse()
            .expect("our digests are stricter");
        let mut out = oci::Descriptor::new(self.media_type.as_str().into(), self.size, digest);
        if let Some(p) = &self.platform {
            let mut platform = oci::Platform::default();
            platform.set_os(p.os.as_str().into());
            platform.set_architecture(p.architecture.as_str().into());
            platform.set_variant(p.variant.clone());
            out.set_platform(Some(platform));
        }
        if !self.annotations.is_empty() {
            out.set_annotations(Some(self.annotations.clone().into_iter().collect()));
        }
        out
    }

    /// Whether it is a layer that must be packed by gzip before it leaves the store.
    pub fn is_in_haste(&self) -> bool {
        self.annotations.contains_key(IN_HASTE)
    }

    pub fn is_manifest(&self) -> bool {
        matches!(self.media_type.as_str(), OCI_MANIFEST | DOCKER_MANIFEST)
    }

    pub fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), OCI_INDEX | DOCKER_LIST)
    }

    /// BuildKit puts provenance and SBOM documents beside the images.
    pub fn is_attestation(&self) -> bool {
        self.annotations.contains_key("vnd.docker.reference.type")
    }
}

impl TryFrom<&oci::Descriptor> for Descriptor {
    type Error = Error;
    fn try_from(d: &oci::Descriptor) -> Result<Self> {
        Ok(Self {
            media_type: d.media_type().to_string(),
            digest: Digest::parse(d.digest().as_ref())?,
            size: d.size(),
            platform: d.platform().as_ref().map(Platform::from),
            annotations: d
                .annotations()
                .clone()
                .unwrap_or_default()
                .into_iter()
                .collect(),
        })
    }
}

/// One image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub media_type: String,
    pub config: Descriptor,
    /// Lowest layer first.
    pub layers: Vec<Descriptor>,
}

impl Manifest {
    /// Refuses what is no container image: charts, signatures, other artifacts.
    pub fn ensure_image(&self) -> Result<()> {
        if !matches!(self.config.media_type.as_str(), OCI_CONFIG | DOCKER_CONFIG) {
            return Err(Error::unsupported(format!(
                "this is not a container image: unsupported config media type {:?}",
                self.config.media_type
            )));
        }
        match self.layers.iter().find(|l| !is_layer(&l.media_type)) {
            Some(layer) => Err(Error::unsupported(format!(
                "unsupported layer media type {:?}",
                layer.media_type
            ))),
            None => Ok(()),
        }
    }
}

/// Whether it is the media type of a layer.
pub fn is_layer(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.layer.v1.tar"
            | "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.oci.image.layer.v1.tar+zstd"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.diff.tar"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.zstd"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    )
}

/// Manifests of one image for several platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    pub media_type: String,
    pub manifests: Vec<Descriptor>,
}

impl Index {
    /// The entry for `platform`; its descriptor may point to another index.
    pub fn choose(&self, platform: &Platform) -> Result<&Descriptor> {
        let usable = |d: &&Descriptor| !d.is_attestation() && (d.is_index() || d.is_manifest());
        let entries: Vec<&Descriptor> = self.manifests.iter().filter(usable).collect();
        let chosen = platform.choose(entries.iter().map(|d| d.platform.as_ref()));
        chosen.map(|i| entries[i]).ok_or_else(|| {
            let mut offered: Vec<String> = entries
                .iter()
                .filter_map(|d| d.platform.as_ref().map(Platform::to_string))
                .collect();
            offered.sort();
            offered.dedup();
            let error = Error::not_found(format!(
                "no matching manifest for {platform} in the manifest list entries"
            ));
            match offered.len() {
                0 => error,
                _ => error.hint(format!(
                    "the image exists for {}; choose one with --platform",
                    offered.join(", ")
                )),
            }
        })
    }
}

/// What a registry or a layout hands out under a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    Manifest(Manifest),
    Index(Index),
}

/// Just enough to see what a document claims to be.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    schema_version: Option<u32>,
    media_type: Option<String>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Manifest,
    Index,
}

impl Document {
    /// Reads `bytes` as what `content_type` (of the response or descriptor)
    /// and the document itself agree on.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(Error::invalid(format!(
                "manifest of {} bytes is larger than the limit of {MAX_DOCUMENT}",
                bytes.len()
            )));
        }
        let probe: Probe = serde_json::from_slice(bytes)
            .map_err(|e| Error::invalid(format!("manifest is not valid JSON: {e}")))?;
        let (sort, media_type) = sort_of(&probe, content_type.and_then(essence))?;
        let broken = |e: oci_spec::OciSpecError| Error::invalid(format!("broken manifest: {e}"));
        match sort {
            Sort::Manifest => {
                let manifest = oci::ImageManifest::from_reader(bytes).map_err(broken)?;
                read_manifest(&manifest, media_type).map(Self::Manifest)
            }
            Sort::Index => {
                let index = oci::ImageIndex::from_reader(bytes).map_err(broken)?;
                read_index(&index, media_type).map(Self::Index)
            }
        }
    }
}

fn read_manifest(manifest: &oci::ImageManifest, media_type: String) -> Result<Manifest> {
    let layers = manifest.layers();
    if layers.len() > MAX_LAYERS {
        return Err(Error::invalid(format!(
            "image has {} layers, more than the limit of {MAX_LAYERS}",
            layers.len()
        )));
    }
    let config = Descriptor::try_from(manifest.config())?;
    let layers: Vec<Descriptor> = layers
        .iter()
        .map(TryInto::try_into)
        .collect::<Result<_>>()?;
    let sizes = layers.iter().map(|l| l.size).chain([config.size]);
    let total = sizes.into_iter().try_fold(0u64, u64::checked_add);
    if config.size > MAX_DOCUMENT || total.is_none_or(|t| t > i64::MAX as u64) {
        return Err(Error::invalid("broken manifest: impossible blob sizes"));
    }
    Ok(Manifest {
        media_type,
        config,
        layers,
    })
}

fn read_index(index: &oci::ImageIndex, media_type: String) -> Result<Index> {
    let manifests = index
        .manifests()
        .iter()
        .map(TryInto::try_into)
        .collect::<Result<_>>()?;
    Ok(Index {
        media_type,
        manifests,
    })
}

/// The media type without parameters, if it says anything about manifests.
fn essence(content_type: &str) -> Option<&str> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let generic = matches!(
        essence,
        "" | "application/json" | "text/plain" | "text/html" | "application/octet-stream"
    );
    (!generic).then_some(essence)
}

fn sort_of(probe: &Probe, content_type: Option<&str>) -> Result<(Sort, String)> {
    let claims = [content_type, probe.media_type.as_deref()];
    let schema1 = |t: &str| t.starts_with("application/vnd.docker.distribution.manifest.v1+");
    if probe.schema_version == Some(1)
        || probe.fs_layers.is_some()
        || claims.iter().flatten().any(|t| schema1(t))
    {
        return Err(Error::unsupported(
            "image is in Docker's obsolete schema 1 format, which is not supported",
        )
        .hint("ask its author to push it again with a current tool"));
    }
    if let [Some(header), Some(body)] = claims
        && header != body
    {
        return Err(Error::invalid(format!(
            "ambiguous manifest: it was sent as {header:?} but calls itself {body:?}"
        )));
    }
    let has_manifest = probe.layers.is_some() || probe.config.is_some();
    let has_index = probe.manifests.is_some();
    if has_manifest && has_index {
        return Err(Error::invalid(
            "ambiguous manifest: it has the members of a manifest and of an index",
        ));
    }
    let claimed = claims.into_iter().flatten().next();
    let (sort, media_type) = match claimed {
        Some(t @ (OCI_MANIFEST | DOCKER_MANIFEST)) => (Sort::Manifest, t),
        Some(t @ (OCI_INDEX | DOCKER_LIST)) => (Sort::Index, t),
        Some(other) => {
            return Err(Error::unsupported(format!(
                "unsupported manifest media type {other:?}"
            )));
        }
        None if has_index => (Sort::Index, OCI_INDEX),
        None => (Sort::Manifest, OCI_MANIFEST),
    };
    if (sort == Sort::Manifest && has_index) || (sort == Sort::Index && has_manifest) {
        return Err(Error::invalid(format!(
            "ambiguous manifest: its members do not fit {media_type:?}"
        )));
    }
    Ok((sort, media_type.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn blob(n: u8) -> Value {
        json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
               "digest": Digest::of(&[n]).as_str(), "size": 10})
    }
    fn config() -> Value {
        json!({"mediaType": OCI_CONFIG, "digest": Digest::of(b"c").as_str(), "size": 2})
    }
    fn manifest() -> Value {
        json!({"schemaVersion": 2, "config": config(), "layers": [blob(1), blob(2)]})
    }
    fn index() -> Value {
        json!({"schemaVersion": 2, "manifests": [
            {"mediaType": OCI_MANIFEST, "digest": Digest::of(b"x").as_str(), "size": 5,
             "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"mediaType": OCI_MANIFEST, "digest": Digest::of(b"y").as_str(), "size": 5,
             "platform": {"os": "linux", "architecture": "amd64"}},
            {"mediaType": OCI_MANIFEST, "digest": Digest::of(b"z").as_str(), "size": 5,
             "platform": {"os": "unknown", "architecture": "unknown"},
             "annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
        ]})
    }
    fn parse(v: &Value, content_type: Option<&str>) -> Result<Document> {
        Document::parse(v.to_string().as_bytes(), content_type)
    }
    fn with(mut v: Value, key: &str, value: Value) -> Value {
        v[key] = value;
        v
    }

    #[test]
    fn both_families_are_read() {
        for t in [OCI_MANIFEST, DOCKER_MANIFEST] {
            let doc = parse(&with(manifest(), "mediaType", t.into()), Some(t)).unwrap();
            let Document::Manifest(m) = doc else { panic!() };
            assert_eq!((m.media_type.as_str(), m.layers.len()), (t, 2));
            m.ensure_image().unwrap();
        }
        for t in [OCI_INDEX, DOCKER_LIST] {
            let Document::Index(i) = parse(&index(), Some(t)).unwrap() else {
                panic!()
            };
            let arm = i.choose(&Platform::parse("linux/arm64").unwrap()).unwrap();
            assert_eq!(arm.digest, Digest::of(b"x"));
            let error = i
                .choose(&Platform::parse("linux/s390x").unwrap())
                .unwrap_err();
            assert_eq!(
                error.message(),
                "no matching manifest for linux/s390x in the manifest list entries"
            );
            assert_eq!(
                error.hint_text().unwrap(),
                "the image exists for linux/amd64, linux/arm64; choose one with --platform"
            );
        }
        for generic in [
            None,
            Some("application/json; charset=utf-8"),
            Some("text/plain"),
        ] {
            assert!(matches!(
                parse(&manifest(), generic),
                Ok(Document::Manifest(_))
            ));
            assert!(matches!(parse(&index(), generic), Ok(Document::Index(_))));
        }
    }

    #[test]
    fn ambiguous_documents_are_refused_under_every_content_type() {
        let both = with(manifest(), "manifests", index()["manifests"].clone());
        let documents = [
            both.clone(),
            with(both.clone(), "mediaType", OCI_MANIFEST.into()),
            with(both, "mediaType", OCI_INDEX.into()),
            with(manifest(), "mediaType", OCI_INDEX.into()),
            with(index(), "mediaType", OCI_MANIFEST.into()),
            with(
                with(index(), "config", config()),
                "mediaType",
                OCI_INDEX.into(),
            ),
        ];
        for document in &documents {
            for t in ACCEPTED
                .into_iter()
                .map(Some)
                .chain([None, Some("application/json")])
            {
                assert!(parse(document, t).is_err(), "{document} as {t:?}");
            }
        }
        assert!(parse(&manifest(), Some(OCI_INDEX)).is_err());
        assert!(parse(&index(), Some(OCI_MANIFEST)).is_err());
    }

    #[test]
    fn hostile_documents_are_errors() {
        let bad_digest = |d: &str| {
            with(
                manifest(),
                "config",
                json!({"mediaType": OCI_CONFIG, "digest": d, "size": 2}),
            )
        };
        let sized = |n: Value| {
            with(
                manifest(),
                "config",
                json!({"mediaType": OCI_CONFIG, "digest": Digest::of(b"c").as_str(), "size": n}),
            )
        };
        let many: Vec<Value> = (0..=MAX_LAYERS).map(|_| blob(1)).collect();
        let mut huge = blob(1);
        huge["size"] = json!(u64::MAX);
        for document in [
            json!(null),
            json!([]),
            json!("x"),
            json!({}),
            json!({"schemaVersion": 2}),
            json!({"schemaVersion": 1, "fsLayers": []}),
            with(manifest(), "schemaVersion", json!("2")),
            with(manifest(), "layers", json!({})),
            with(manifest(), "layers", json!([null])),
            with(manifest(), "layers", many.into()),
            with(manifest(), "layers", json!([huge])),
            bad_digest("sha256:../../x"),
            bad_digest("md5:d41d8cd98f00b204e9800998ecf8427e"),
            bad_digest(""),
            bad_digest(&format!("sha256:{}", "A".repeat(64))),
            sized(json!(-1)),
            sized(json!(1.5)),
            sized(json!("1")),
            sized(json!(5 << 20)),
            with(index(), "manifests", json!([{"digest": "x"}])),
        ] {
            assert!(parse(&document, None).is_err(), "{document}");
        }
        for text in [
            "",
            "{",
            "\u{0}",
            "{\"layers\":[],\"layers\":[]}",
            &"[".repeat(100_000),
        ] {
            assert!(Document::parse(text.as_bytes(), None).is_err());
        }
        assert!(Document::parse(&vec![b' '; MAX_DOCUMENT as usize + 1], None).is_err());
        let v1 = parse(
            &json!({"schemaVersion": 1}),
            Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
        );
        assert!(v1.unwrap_err().message().contains("schema 1"));
    }

    #[test]
    fn artifacts_are_no_images() {
        let chart = with(
            manifest(),
            "config",
            json!({"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": Digest::of(b"c").as_str(), "size": 2}),
        );
        let Document::Manifest(m) = parse(&chart, None).unwrap() else {
            panic!()
        };
        assert!(m.ensure_image().is_err());
    }

    #[test]
    fn descriptors_survive_the_way_out_and_back() {
        let Document::Index(i) = parse(&index(), None).unwrap() else {
            panic!()
        };
        for d in &i.manifests {
            assert_eq!(&Descriptor::try_from(&d.to_oci()).unwrap(), d);
        }
    }

    #[test]
    fn compression_by_first_bytes() {
        assert_eq!(Compression::detect(b"\x1f\x8b\x08\0"), Compression::Gzip);
        assert_eq!(Compression::detect(b"\x28\xb5\x2f\xfd"), Compression::Zstd);
        assert_eq!(Compression::detect(b"\x50\x2a\x4d\x18"), Compression::Zstd);
        assert_eq!(Compression::detect(b"etc/"), Compression::None);
        assert_eq!(Compression::detect(b""), Compression::None);
    }
}
