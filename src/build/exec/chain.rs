//! How far a stage has got: its layers, the key that stands for them, and what
//! came of each step.

use crate::build::plan::{Base, Begin, Stage};
use crate::error::{Error, Result};
use crate::image::Digest;
use crate::store::{CachedStep, StepLayer};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Lowest first.
    pub layers: Vec<StepLayer>,
    /// Says all that the files depend on.
    pub key: String,
    /// Of each step since the base image, those of earlier stages included.
    pub outcomes: Vec<Outcome>,
    /// How many steps of this stage are done.
    pub done: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub has_layer: bool,
    /// RFC 3339; `None`: the step changes settings alone.
    pub created: Option<String>,
}

impl Chain {
    fn new(key: String) -> Self {
        Self {
            layers: Vec::new(),
            key,
            outcomes: Vec::new(),
            done: 0,
        }
    }

    /// Where a stage begins; `None`: the stage that it begins with is not done.
    pub fn begin(stage: &Stage, finished: &[Option<Self>]) -> Result<Option<Self>> {
        Ok(match &stage.begin {
            Begin::Scratch => Some(Self::new(super::key::Key::new("scratch").finish())),
            Begin::Image(base) => Some(Self::of_image(base)?),
            Begin::Stage(place) => finished[*place]
                .clone()
                .map(|chain| Self { done: 0, ..chain }),
        })
    }

    /// The files of an image.
    pub fn of_image(base: &Base) -> Result<Self> {
        let ids = &base.config.diff_ids;
        if base.blobs.len() != ids.len() {
            return Err(Error::invalid(format!(
                "image {}: its manifest does not fit its config",
                base.name
            )));
        }
        let layers = ids
            .iter()
            .zip(&base.blobs)
            .map(|(diff_id, blob)| StepLayer {
                diff_id: diff_id.clone(),
                media_type: blob.media_type.clone(),
                blob: blob.digest.clone(),
                blob_size: blob.size,
                size: 0,
            });
        // The layers, not the name or the settings: those are in the plan.
        let mut key = super::key::Key::new("image");
        for id in ids {
            key.field(id.as_str());
        }
        Ok(Self {
            layers: layers.collect(),
            ..Self::new(key.finish())
        })
    }

    pub fn diff_ids(&self) -> Vec<Digest> {
        self.layers
            .iter()
            .map(|layer| layer.diff_id.clone())
            .collect()
    }

    /// How many of the layers are those of this stage's own steps.
    pub fn own_layers(&self) -> usize {
        let own = &self.outcomes[self.outcomes.len() - self.done..];
        own.iter().filter(|outcome| outcome.has_layer).count()
    }

    /// A step that only changed settings.
    pub fn pass(&mut self) {
        self.outcomes.push(Outcome {
            has_layer: false,
            created: None,
        });
        self.done += 1;
    }

    /// A step with this key has been done, now or before.
    pub fn advance(&mut self, key: String, step: &CachedStep) {
        self.key = key;
        self.outcomes.push(Outcome {
            has_layer: step.layer.is_some(),
            created: Some(step.created.clone()),
        });
        self.layers.extend(step.layer.clone());
        self.done += 1;
    }
}

/// Seconds since 1970 as a document has them.
pub fn dated(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds);
    time.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}
