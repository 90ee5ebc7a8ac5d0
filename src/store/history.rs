//! The steps that an image was built in, as its config tells them.

use super::Store;
use super::image::Image;
use crate::error::{Error, Result};
use crate::image::digest::Digest;
use crate::text::time;
use jiff::Timestamp;
use oci_spec::image as oci;

/// A step; its image is only known for the last one, which is the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub id: Option<Digest>,
    pub created: Option<Timestamp>,
    pub created_by: String,
    /// Bytes of the layer that it made; 0 when it made none.
    pub size: u64,
    pub comment: String,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerUse {
    pub diff_id: Digest,
    /// What made it; empty when the image does not say.
    pub created_by: String,
    /// Bytes of its files.
    pub size: u64,
    /// Bytes of its blob.
    pub packed: u64,
}

impl Store {
    /// The layers, the lowest one first. A history of fewer steps is that of the
    /// uppermost ones: images are built on others that have none.
    pub fn layers(&self, image: &Image) -> Result<Vec<LayerUse>> {
        let (config, manifest) = (self.config(image)?, self.manifest(image)?);
        let made = |step: &&oci::History| step.empty_layer() != Some(true);
        let steps: Vec<&oci::History> =
            config.oci.history().iter().flatten().filter(made).collect();
        let untold = config.diff_ids.len().checked_sub(steps.len());
        let layers = config.diff_ids.iter().zip(&manifest.layers).enumerate();
        layers
            .map(|(place, (diff_id, blob))| {
                let step = untold.and_then(|untold| steps.get(place.checked_sub(untold)?));
                Ok(LayerUse {
                    diff_id: diff_id.clone(),
                    created_by: step
                        .and_then(|s| s.created_by().clone())
                        .unwrap_or_default(),
                    size: self.layer_size(diff_id)?,
                    packed: blob.size,
                })
            })
            .collect()
    }

    /// The steps, the last one first.
    pub fn history(&self, image: &Image) -> Result<Vec<Step>> {
        let config = self.config(image)?;
        let mut layers = config.diff_ids.iter();
        let mut steps = Vec::new();
        for step in config.oci.history().iter().flatten() {
            let size = match step.empty_layer() {
                Some(true) => 0,
                _ => {
                    let layer = layers.next().ok_or_else(|| {
                        Error::invalid(format!(
                            "image {}: its history has more layers than the image",
                            image.id.short()
                        ))
                    })?;
                    self.layer_size(layer)?
                }
            };
            steps.push(Step {
                id: None,
                created: step.created().as_deref().and_then(time::parse),
                created_by: step.created_by().clone().unwrap_or_default(),
                size,
                comment: step.comment().clone().unwrap_or_default(),
            });
        }
        if let Some(last) = steps.last_mut() {
            last.id = Some(image.id.clone());
        }
        steps.reverse();
        Ok(steps)
    }
}
