//! From what a name stands for to the manifest for one platform.

use crate::error::{Error, Result};
use crate::image::{Descriptor, Document, Manifest, Platform};

/// How many indexes may point to each other before it is a loop.
pub const MAX_INDEXES: usize = 3;

/// The manifest, with its bytes and what the last index says of it, if there is
/// one; `read` gets what an index points at.
pub fn choose(
    mut bytes: Vec<u8>,
    media_type: Option<&str>,
    platform: &Platform,
    read: &dyn Fn(&Descriptor) -> Result<Vec<u8>>,
) -> Result<(Manifest, Vec<u8>, Option<Descriptor>)> {
    let mut media_type = media_type.map(str::to_owned);
    let mut entry = None;
    for _ in 0..=MAX_INDEXES {
        let index = match Document::parse(&bytes, media_type.as_deref())? {
            Document::Manifest(manifest) => return Ok((manifest, bytes, entry)),
            Document::Index(index) => index,
        };
        let chosen = index.choose(platform)?;
        bytes = read(chosen)?;
        media_type = Some(chosen.media_type.clone());
        entry = Some(chosen.clone());
    }
    Err(Error::invalid(format!(
        "more than {MAX_INDEXES} indexes point to each other"
    )))
}
