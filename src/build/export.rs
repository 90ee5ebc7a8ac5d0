//! The image of a stage that is done: its documents in the store, and its
//! names. The same chain makes the same documents.

use super::exec::chain::{Chain, dated};
use super::plan::Stage;
use super::plan::settings::{History, Settings};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::image::digest::Algorithm;
use crate::image::manifest::Descriptor;
use crate::image::{Compression, Digest, Draft, Reference};
use crate::store::Merged;
use crate::store::pack::{Options, pack, unwritten};
use crate::store::unpack::{self, Privilege};
use crate::transfer::cache::{FIELD, Steps};
use crate::userns::task;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::AsFd;

/// An image that is in the store.
#[derive(Debug, Clone)]
pub struct Made {
    pub id: Digest,
    pub manifest: Descriptor,
}

/// What the options of a build say of its image.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// SOURCE_DATE_EPOCH.
    pub epoch: Option<i64>,
    /// The records of the steps, for other machines.
    pub inline: Option<&'a Steps>,
    /// Of the manifest.
    pub annotations: &'a BTreeMap<String, String>,
}

/// Writes config and manifest.
pub fn write(engine: &Engine, stage: &Stage, chain: &Chain, wanted: Wanted<'_>) -> Result<Made> {
    let mut settings = stage.settings.clone();
    settings.diff_ids = chain.diff_ids();
    date(&mut settings, chain, wanted.epoch);
    let document = settings.document(&stage.platform).to_string().into_bytes();
    let mut draft = Draft::on(&document)?;
    if let Some(steps) = wanted.inline {
        draft.set_field(FIELD, json!(steps));
    }
    let layers: Vec<Descriptor> = chain.layers.iter().map(super::exec::descriptor).collect();
    let store = engine.store()?;
    let manifest = store.write_annotated(&draft, &layers, wanted.annotations)?;
    Ok(Made {
        id: Digest::of(&draft.to_bytes()?),
        manifest,
    })
}

/// When each step was done. One that made no layer takes the time of the layer
/// before it, else of the first one after it, as BuildKit has it: then nothing
/// depends on when the settings were read.
fn date(settings: &mut Settings, chain: &Chain, epoch: Option<i64>) {
    let base = settings.history.len() - chain.outcomes.len();
    let epoch = epoch.map(dated);
    let first = chain
        .outcomes
        .iter()
        .find_map(|outcome| outcome.created.clone());
    let before = settings.history[..base]
        .iter()
        .rev()
        .find_map(|h| h.created.clone());
    let mut last = first.or(before);
    let new: &mut [History] = &mut settings.history[base..];
    for (entry, outcome) in new.iter_mut().zip(&chain.outcomes) {
        entry.empty_layer = !outcome.has_layer;
        if outcome.created.is_some() {
            last.clone_from(&outcome.created);
        }
        entry.created = epoch.clone().or_else(|| last.clone());
    }
    settings.created = epoch.or(last).or_else(|| settings.created.clone());
}

/// Gives the image its names; without one it stays nameless. What is so
/// already is not written again.
pub fn name(engine: &Engine, made: &Made, tags: &[Reference]) -> Result<()> {
    let store = engine.store()?;
    for tag in tags {
        let is_so = store.resolve(&tag.canonical()).is_ok_and(|image| {
            image.manifest.digest == made.manifest.digest && image.names.contains(tag)
        });
        if !is_so {
            store.add_made(Some(tag), &made.manifest)?;
        }
    }
    if tags.is_empty() && store.by_id(&made.id)?.is_none() {
        store.add_made(None, &made.manifest)?;
    }
    Ok(())
}

/// Where the files of a stage go.
pub enum Files<'a> {
    /// An archive.
    Tar(&'a File),
    /// A directory that is there; all of them are the caller's.
    Directory(&'a File),
}

/// Writes all files of a stage.
pub fn files(engine: &Engine, chain: &Chain, to: &Files<'_>) -> Result<()> {
    let store = engine.store()?;
    task::run(&engine.paths, || {
        let mut tree = Merged::empty();
        store.add_layers(&mut tree, &chain.diff_ids())?;
        let dir = match to {
            Files::Tar(file) => {
                let mut out = BufWriter::with_capacity(256 << 10, *file);
                pack(&tree, &mut out, Options::default())?;
                return out.flush().map_err(unwritten);
            }
            Files::Directory(dir) => dir.as_fd(),
        };
        let (reader, mut writer) = std::io::pipe().context(|| "cannot make a pipe")?;
        std::thread::scope(|scope| {
            let unpacking = scope.spawn(move || {
                let options = unpack::Options {
                    whiteouts: false,
                    ..unpack::Options::layer(Privilege::OneId)
                };
                unpack::unpack(dir, reader, Compression::None, Algorithm::Sha256, options)
            });
            let packed = pack(&tree, &mut writer, Options::default());
            drop(writer);
            match (packed, unpacking.join()) {
                // It cannot write, and that ended the packing.
                (_, Ok(Err(cause))) => Err(cause),
                (packed, Ok(Ok(_))) => packed.map(drop),
                (_, Err(_)) => Err(Error::internal("the unpacking thread died")),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::exec::chain::Outcome;

    #[test]
    fn dates_follow_the_layers() {
        let history = |text: &str| History {
            created_by: text.into(),
            ..History::default()
        };
        let mut settings = Settings {
            history: vec![
                History {
                    created: Some("2020".into()),
                    ..history("base")
                },
                history("ENV"),
                history("RUN"),
                history("LABEL"),
                history("COPY"),
            ],
            ..Settings::default()
        };
        let outcome = |created: Option<&str>, has_layer| Outcome {
            has_layer,
            created: created.map(str::to_string),
        };
        let chain = Chain {
            layers: Vec::new(),
            key: String::new(),
            outcomes: vec![
                outcome(None, false),
                outcome(Some("1"), true),
                outcome(None, false),
                outcome(Some("2"), false),
            ],
            done: 4,
        };
        date(&mut settings, &chain, None);
        let dates: Vec<_> = settings
            .history
            .iter()
            .map(|h| (h.created.as_deref().unwrap(), h.empty_layer))
            .collect();
        assert_eq!(
            dates,
            [
                ("2020", false),
                ("1", true),
                ("1", false),
                ("1", true),
                ("2", true)
            ]
        );
        assert_eq!(settings.created.as_deref(), Some("2"));
        date(&mut settings, &chain, Some(0));
        assert_eq!(
            settings.history[1].created.as_deref(),
            Some("1970-01-01T00:00:00Z")
        );
        assert_eq!(settings.history[0].created.as_deref(), Some("2020"));
    }
}
