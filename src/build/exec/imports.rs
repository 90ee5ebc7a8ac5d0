//! Steps that other machines have done. What their records say is believed for
//! keys alone; the files are fetched when it is clear that they are needed, and
//! checked then. So a build whose last stage is known fetches nothing of the
//! stages that it was made from.

use super::chain::Chain;
use crate::build::progress::{Beside, Outcome, Progress, Vertex};
use crate::engine::Engine;
use crate::error::Result;
use crate::image::Digest;
use crate::output::progress::Silent;
use crate::store::{CachedStep, StepLayer, Store};
use crate::text::size;
use crate::transfer::cache::{Cache, Depot, Steps};
use crate::userns::task;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

/// All that was read; a step that several places know is the first one's.
#[derive(Default)]
pub struct Imports {
    places: Vec<(Depot, Cache)>,
    /// Layers that could not be had.
    lacking: RefCell<HashSet<Digest>>,
    /// What builds have made use of.
    used: RefCell<Steps>,
}

impl Imports {
    pub fn new(places: Vec<(Depot, Cache)>) -> Self {
        Self {
            places,
            ..Self::default()
        }
    }

    /// What came of the step with this key, here or elsewhere.
    pub fn step(&self, store: &Store, key: &str) -> Option<CachedStep> {
        let lacking = self.lacking.borrow();
        let is_to_be_had = |step: &&CachedStep| {
            let layer = step.layer.as_ref();
            layer.is_none_or(|layer| !lacking.contains(&layer.diff_id))
        };
        let own = store.known_step(key);
        if own.as_ref().filter(is_to_be_had).is_some() {
            return own;
        }
        let places = self.places.iter();
        let mut known = places.filter_map(|(_, cache)| cache.steps.get(key));
        let step = known.find(is_to_be_had)?;
        self.used.borrow_mut().insert(key.to_owned(), step.clone());
        Some(step.clone())
    }

    /// Brings the layers of these chains into the store; false: not all of them
    /// could be had, and the steps that made the others are known no more.
    pub fn fetch<'c>(
        &self,
        engine: &Engine,
        chains: impl Iterator<Item = &'c Chain>,
        progress: &mut dyn Progress,
    ) -> Result<bool> {
        let store = engine.store()?;
        let mut missing: BTreeMap<&Digest, &StepLayer> = BTreeMap::new();
        for layer in chains.flat_map(|chain| &chain.layers) {
            if !is_here(store, layer) {
                missing.insert(&layer.diff_id, layer);
            }
        }
        if missing.is_empty() {
            return self.keep(store).map(|()| true);
        }
        for (number, (depot, cache)) in self.places.iter().enumerate() {
            let has = |layer: &&StepLayer| cache.layers.iter().any(|l| l.diff_id == layer.diff_id);
            let wanted: Vec<StepLayer> = missing.values().copied().filter(has).cloned().collect();
            if wanted.is_empty() {
                continue;
            }
            let vertex = Vertex {
                id: Beside::CacheLayers.id(number),
                name: format!("fetching layers of the build cache {}", depot.shown()),
            };
            progress.begin(&vertex);
            let bytes: u64 = wanted.iter().map(|layer| layer.blob_size).sum();
            let told = format!("{} layers, {}\n", wanted.len(), size::decimal(bytes));
            progress.log(vertex.id, told.as_bytes());
            let fetched = task::run(&engine.paths, || depot.fetch(store, &wanted, &Silent));
            progress.end(
                vertex.id,
                match fetched {
                    Ok(()) => Outcome::Done,
                    Err(e) => Outcome::Failed(e.message().to_owned()),
                },
            );
            missing.retain(|_, layer| !is_here(store, layer));
        }
        if missing.is_empty() {
            return self.keep(store).map(|()| true);
        }
        let mut lacking = self.lacking.borrow_mut();
        let before = lacking.len();
        lacking.extend(missing.into_keys().cloned());
        if lacking.len() == before {
            // No step has made it: whoever needs it says so.
            return Ok(true);
        }
        self.used.borrow_mut().clear();
        Ok(false)
    }

    /// The records, for later builds: those can do without the same layers.
    fn keep(&self, store: &Store) -> Result<()> {
        for (key, mut step) in self.used.take() {
            if let Some(layer) = &mut step.layer {
                layer.size = store.layer_size(&layer.diff_id).unwrap_or(0);
            }
            store.keep_step(&key, &step)?;
        }
        Ok(())
    }
}

fn is_here(store: &Store, layer: &StepLayer) -> bool {
    store.has_layer(&layer.diff_id) && store.blob_size(&layer.blob) == Some(layer.blob_size)
}
