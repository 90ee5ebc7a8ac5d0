//! The steps that an image was built in, as its config tells them.

use super::Store;
use super::image::Image;
use crate::error::{Error, Result};
use crate::image::digest::Digest;
use crate::text::time;
use jiff::Timestamp;

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

impl Store {
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
