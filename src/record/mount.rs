//! What a container has mounted: as it was asked for (`--mount`, Docker's
//! `HostConfig.Mounts`), and as it was resolved when the container was made
//! (Docker's `Mounts`).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `--mount`, Docker's `HostConfig.Mounts`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs` or `image`.
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    pub target: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Means nothing on Linux; kept as it was given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub consistency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_options: Option<ImageOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BindOptions {
    /// `rprivate` (default), `private`, `rshared`, `shared`, `rslave`, `slave`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub propagation: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub non_recursive: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create_mountpoint: bool,
    /// Read-only at the top, what is mounted below stays as it is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_non_recursive: bool,
    /// Read-only all the way down, or no start.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_force_recursive: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VolumeOptions {
    /// The image's files are not copied into an empty volume.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_copy: bool,
    /// For a volume that is made.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// A directory or file below the volume's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subpath: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<DriverConfig>,
}

/// For a volume that is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DriverConfig {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageOptions {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subpath: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TmpfsOptions {
    /// Bytes; 0 is half the memory.
    pub size_bytes: i64,
    /// Permission bits; 0 is 1777.
    pub mode: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Bind,
    Volume,
    Tmpfs,
    Image,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Tmpfs => "tmpfs",
            Self::Image => "image",
        }
    }
}

/// A mount as it was resolved when the container was made: the first fields
/// are Docker's `MountPoint`, the others what a start needs besides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountPoint {
    #[serde(rename = "Type")]
    pub kind: Kind,
    /// The volume's; else empty.
    pub name: String,
    /// A path of the host, or an image ID; empty for volumes, whose place is
    /// known by their name, and for tmpfs.
    pub source: String,
    /// Absolute and clean.
    pub destination: String,
    /// As given behind the second colon of `-v`; `z` for volumes without.
    pub mode: String,
    #[serde(rename = "RW")]
    pub rw: bool,
    /// `rprivate` and its like; only of binds.
    pub propagation: String,
    /// Below the volume or image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subpath: String,
    /// The volume was made for the container and has no name of the user's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
    /// An empty volume gets the image's files.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub copies: bool,
    /// `:U`: its files are given to the container's user at every start.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub chowns: bool,
    /// A missing source is made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub makes_source: bool,
    /// Without what is mounted below the source.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub non_recursive: bool,
    /// Read-only at the top only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub writable_below: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs: Option<TmpfsOptions>,
    /// DiffIDs of an image's layers, lowest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}
