//! `[TYPE[PLATFORM]:]KEY=VALUE`, as buildx takes annotations.

use crate::error::{Error, Result};
use crate::image::Platform;

/// One of them, in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// What it is of, as written.
    pub kind: Option<String>,
    /// Of that for one platform alone.
    pub platform: Option<Platform>,
    pub key: String,
    pub value: String,
}

impl Annotation {
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || {
            Error::usage(format!(
                "invalid annotation {text:?}, expected \"[TYPE:]KEY=VALUE\""
            ))
        };
        let (name, value) = text.split_once('=').ok_or_else(invalid)?;
        let (kind, key) = match name.split_once(':') {
            Some((kind, key)) => (Some(kind), key),
            None => (None, name),
        };
        let (kind, platform) = match kind.and_then(|k| k.strip_suffix(']')?.split_once('[')) {
            Some((kind, platform)) => (Some(kind), Some(Platform::parse(platform)?)),
            None => (kind, None),
        };
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(invalid());
        }
        Ok(Self {
            kind: kind.map(str::to_owned),
            platform,
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }

    /// What it is of; without a word, of manifests.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kind.as_deref().unwrap_or("manifest").split(',')
    }

    /// Whether it is of what is for this platform.
    pub fn is_for(&self, platform: Option<&Platform>) -> bool {
        self.platform.is_none() || self.platform.as_ref() == platform
    }
}
