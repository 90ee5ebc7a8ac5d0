//! What every command works with: the places on disk and the stores, opened on
//! first use. No logic.

use crate::error::Result;
use crate::paths::Paths;
use crate::store::Store;
use std::cell::OnceCell;

pub struct Engine {
    pub paths: Paths,
    store: OnceCell<Store>,
}

impl Engine {
    /// Finds the roots and makes them when they are missing.
    pub fn open() -> Result<Self> {
        let paths = Paths::find()?;
        paths.ensure()?;
        Ok(Self::at(paths))
    }

    /// With roots that are there.
    pub fn at(paths: Paths) -> Self {
        Self {
            paths,
            store: OnceCell::new(),
        }
    }

    pub fn store(&self) -> Result<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = Store::open(&self.paths)?;
        Ok(self.store.get_or_init(|| store))
    }
}
