//! Keeps what a step has written, to be shown when it fails.

use crate::build::progress::{Id, Outcome, Progress, Vertex};
use std::collections::HashMap;
use std::time::Duration;

/// What of one step is kept, in bytes: its end.
const MOST: usize = 8 << 20;

pub struct Recorder {
    inner: Box<dyn Progress>,
    steps: HashMap<Id, Step>,
}

pub struct Step {
    pub name: String,
    pub log: Vec<u8>,
    /// Its beginning was too much.
    pub is_cut: bool,
}

impl Recorder {
    pub fn new(inner: Box<dyn Progress>) -> Self {
        Self {
            inner,
            steps: HashMap::new(),
        }
    }

    /// What is known of the step; the drawing ends.
    pub fn finish(mut self, id: Id) -> Option<Step> {
        self.steps.remove(&id)
    }
}

impl Progress for Recorder {
    fn begin(&mut self, vertex: &Vertex) {
        self.steps.entry(vertex.id).or_insert_with(|| Step {
            name: vertex.name.clone(),
            log: Vec::new(),
            is_cut: false,
        });
        self.inner.begin(vertex);
    }

    fn log(&mut self, id: Id, bytes: &[u8]) {
        if let Some(step) = self.steps.get_mut(&id) {
            step.log.extend_from_slice(bytes);
            if step.log.len() > 2 * MOST {
                step.log.drain(..step.log.len() - MOST);
                step.is_cut = true;
            }
        }
        self.inner.log(id, bytes);
    }

    fn end(&mut self, id: Id, outcome: Outcome) {
        if let Some(step) = self
            .steps
            .get_mut(&id)
            .filter(|_| !matches!(outcome, Outcome::Failed(_)))
        {
            step.log = Vec::new();
        }
        self.inner.end(id, outcome);
    }

    fn pace(&self) -> Option<Duration> {
        self.inner.pace()
    }

    fn tick(&mut self) {
        self.inner.tick();
    }
}
