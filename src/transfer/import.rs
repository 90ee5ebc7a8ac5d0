//! An image of one layer from an archive of files (`import`).

use crate::error::Result;
use crate::image::draft::HistoryStep;
use crate::image::{Digest, Draft, Platform, Reference, change};
use crate::store::Store;
use crate::text::time;
use std::io::Read;

#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// Instructions as in a Dockerfile.
    pub changes: Vec<String>,
    /// The comment in the image's history.
    pub message: String,
    /// `None`: this machine's.
    pub platform: Option<Platform>,
    pub name: Option<Reference>,
}

/// Makes the image, as root of U; its ID.
pub fn import(store: &Store, archive: impl Read, request: &ImportRequest) -> Result<Digest> {
    let _lease = store.lease()?;
    let platform = request.platform.clone().unwrap_or_else(Platform::host);
    let mut config = Draft::new(&platform);
    let mut settings = config.config().clone();
    change::apply(&mut settings, &request.changes)?;
    config.set_config(settings);
    let layer = store.import_layer(archive)?;
    let created = time::now();
    config.set_created(&created);
    config.add_layer(&layer.diff_id);
    config.add_history(&HistoryStep {
        created,
        comment: request.message.clone(),
        ..HistoryStep::default()
    });
    let layers = [layer.descriptor()];
    let manifest = store.write_image(&config, &layers)?;
    Ok(store.add_made(request.name.as_ref(), &manifest)?.id)
}
