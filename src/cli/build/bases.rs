//! Base images: from the store, or pulled.

use super::fields;
use crate::build::plan::{Base, Images};
use crate::cli::Front;
use crate::cli::image::pull::pull_base;
use crate::config::Policy;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{Descriptor, Platform, Reference};
use crate::output::progress::Silent;
use crate::store::Image;
use crate::transfer::layer::unpack_all;
use crate::transfer::layout::{self, Layout};
use crate::transfer::ship::ship;
use crate::transfer::trust;
use crate::userns::task;
use std::collections::{HashMap, HashSet};

pub struct Bases<'a> {
    pub engine: &'a Engine,
    pub front: &'a Front,
    /// `--pull`: the registry is asked in any case.
    pub pull: bool,
    pub quiet: bool,
    /// Values of `--build-context` that are layouts: no Dockerfile may name one.
    pub layouts: HashSet<String>,
    found: HashMap<(String, String), Base>,
}

impl<'a> Bases<'a> {
    pub fn new(
        engine: &'a Engine,
        front: &'a Front,
        pull: bool,
        quiet: bool,
        layouts: HashSet<String>,
    ) -> Self {
        Self {
            engine,
            front,
            pull,
            quiet,
            layouts,
            found: HashMap::new(),
        }
    }

    fn local(&self, name: &str, platform: &Platform) -> Result<Base> {
        let store = self.engine.store()?;
        let image = store.resolve(name)?;
        if !platform.runs(&store.config(&image)?.platform)
            && let Some(other) = store.variant(&image, platform)?
        {
            task::run(&self.engine.paths, || unpack_all(store, &other))?;
            return self.base(name, other, platform);
        }
        // What is built on it is to be the same wherever it is built.
        let image = {
            let _lease = store.lease()?;
            ship(store, &image, &Silent)?.unwrap_or(image)
        };
        self.base(name, image, platform)
    }

    /// The image of an OCI layout, which nobody else sees.
    fn of_layout(&self, name: &str, place: &str, platform: &Platform) -> Result<Base> {
        let (dir, tag, digest) = fields::layout(place)?;
        trust::takes_layout(Policy::find()?.as_ref(), &dir, &tag)?;
        let store = self.engine.store()?;
        let (media_type, found, size) = task::run(&self.engine.paths, || {
            let layout = Layout::open(&dir)?;
            let entry = layout.entry(&tag, digest.as_ref())?;
            let found = layout::import(&layout, entry, platform, store)?;
            Ok((found.media_type, found.digest, found.size))
        })?;
        let image = store.unseen(&Descriptor::new(media_type, found, size))?;
        self.base(name, image, platform)
    }

    fn base(&self, name: &str, image: Image, platform: &Platform) -> Result<Base> {
        let store = self.engine.store()?;
        let config = store.config(&image)?;
        if !config.platform.os.is_empty() && !platform.runs(&config.platform) {
            return Err(Error::not_found(format!(
                "image with reference {name} was found but does not provide the specified platform ({platform})"
            )));
        }
        let bytes = store.read_blob(&image.id, MAX_DOCUMENT)?;
        let document = serde_json::from_slice(&bytes)
            .map_err(|e| Error::invalid(format!("broken image config: {e}")))?;
        Ok(Base {
            name: Reference::parse(name).map_or_else(|_| name.into(), |r| r.canonical()),
            blobs: store.manifest(&image)?.layers,
            manifest: image.manifest.digest,
            config,
            document,
        })
    }

    fn obtain(&self, name: &str, platform: &Platform) -> Result<Base> {
        if let Some(place) = name.strip_prefix(fields::LAYOUT)
            && self.layouts.contains(name)
        {
            return self.of_layout(name, place, platform);
        }
        if !self.pull {
            match self.local(name, platform) {
                Err(e) if e.kind() == Kind::NotFound => {}
                found => return found,
            }
        }
        let wanted = (*platform != Platform::host()).then(|| platform.to_string());
        let pulled = pull_base(self.engine, self.front, name, wanted.as_deref(), self.quiet)?;
        let base = self.local(&pulled, platform)?;
        let name = Reference::parse(name)?.canonical();
        Ok(Base { name, ..base })
    }
}

impl Images for Bases<'_> {
    fn image(&mut self, name: &str, platform: &Platform) -> Result<Base> {
        let key = (name.to_string(), platform.to_string());
        if let Some(base) = self.found.get(&key) {
            return Ok(base.clone());
        }
        let base = self.obtain(name, platform).map_err(|e| {
            let shown = Reference::parse(name).map_or_else(|_| name.to_string(), |r| r.canonical());
            e.within(format!("failed to resolve source metadata for {shown}"))
        })?;
        self.found.insert(key, base.clone());
        Ok(base)
    }
}
