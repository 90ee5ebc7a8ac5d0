//! The image of a stage that is done: its documents in the store, and its
//! names. The same chain makes the same documents.

use super::exec::chain::{Chain, dated};
use super::plan::Stage;
use super::plan::settings::{History, Settings};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::image::digest::Algorithm;
use crate::image::manifest::{Descriptor, OCI_INDEX};
use crate::image::{Compression, Digest, Draft, Platform, Reference};
use crate::output::progress::Silent;
use crate::store::pack::{Options, pack, pack_part, unwritten, write_end};
use crate::store::unpack::{self, Privilege};
use crate::store::{Origin, StepLayer};
use crate::transfer::cache::{FIELD, Steps};
use crate::transfer::ship::repack;
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
    /// One layer in the place of those that the stage has made.
    pub squash: bool,
}

/// Writes config and manifest, with annotations of that.
pub fn write(
    engine: &Engine,
    stage: &Stage,
    chain: &Chain,
    annotations: &BTreeMap<String, String>,
    wanted: Wanted<'_>,
) -> Result<Made> {
    let mut settings = stage.settings.clone();
    date(&mut settings, chain, wanted.epoch);
    let mut layers: Vec<Descriptor> = chain.layers.iter().map(super::exec::descriptor).collect();
    settings.diff_ids = chain.diff_ids();
    let own = chain.own_layers();
    if wanted.squash && own > 1 {
        let made = squash(engine, &settings.diff_ids.split_off(layers.len() - own))?;
        layers.truncate(layers.len() - own);
        layers.push(super::exec::descriptor(&made));
        settings.diff_ids.push(made.diff_id);
        settings.squash(chain.done, own);
    }
    let document = settings.document(&stage.platform).to_string().into_bytes();
    let mut draft = Draft::on(&document)?;
    if let Some(steps) = wanted.inline {
        draft.set_field(FIELD, json!(steps));
    }
    let store = engine.store()?;
    let manifest = store.write_annotated(&draft, &layers, annotations)?;
    Ok(Made {
        id: Digest::of(&draft.to_bytes()?),
        manifest,
    })
}

/// An image of an index.
#[derive(Debug, Clone)]
pub struct Variant {
    pub platform: Platform,
    pub manifest: Descriptor,
    /// Of its entry in the index.
    pub annotations: BTreeMap<String, String>,
}

/// Writes an index of these, in this order. Nothing but the index has its ID.
pub fn index(
    engine: &Engine,
    variants: &[Variant],
    annotations: &BTreeMap<String, String>,
) -> Result<Made> {
    let entries = variants.iter().map(|variant| Descriptor {
        platform: Some(variant.platform.clone()),
        annotations: variant.annotations.clone(),
        ..variant.manifest.clone()
    });
    let entries: Vec<oci_spec::image::Descriptor> = entries.map(|entry| entry.to_oci()).collect();
    let mut document = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries,
    });
    if !annotations.is_empty() {
        document["annotations"] = json!(annotations);
    }
    let bytes = document.to_string();
    let id = engine.store()?.write_blob(bytes.as_bytes())?;
    let manifest = Descriptor::new(OCI_INDEX, id.clone(), bytes.len() as u64);
    Ok(Made { id, manifest })
}

/// One layer of several, packed as those of steps are.
fn squash(engine: &Engine, layers: &[Digest]) -> Result<StepLayer> {
    let store = engine.store()?;
    task::run(&engine.paths, || {
        let made = store.merge_layers(layers)?;
        let packed = repack(store, &made.descriptor(), &made.diff_id, &Silent)?;
        Ok(StepLayer {
            diff_id: made.diff_id,
            media_type: packed.media_type,
            blob: packed.digest,
            blob_size: packed.size,
            size: made.size,
        })
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
/// already is not written again. `index`: all of which is kept with it.
pub fn name(
    engine: &Engine,
    made: &Made,
    index: Option<&Digest>,
    tags: &[Reference],
) -> Result<()> {
    let (store, manifest) = (engine.store()?, &made.manifest);
    let origin = index.map(|index| Origin {
        index: index.clone(),
        whole: true,
    });
    for tag in tags {
        let is_so = store.resolve(&tag.canonical()).is_ok_and(|image| {
            let known = store.index_of(&image, Some(tag)).map(|(origin, _)| origin);
            image.manifest.digest == manifest.digest && image.names.contains(tag) && known == origin
        });
        if !is_so {
            store.add_of(Some(tag), manifest, origin.as_ref())?;
        }
    }
    if tags.is_empty() && (origin.is_some() || store.by_id(&made.id)?.is_none()) {
        store.add_of(None, manifest, origin.as_ref())?;
    }
    Ok(())
}

/// Writes all files of these stages into one archive, each below its name; one
/// without a name is the archive.
pub fn archive(engine: &Engine, chains: &[(String, &Chain)], to: &File) -> Result<()> {
    let store = engine.store()?;
    task::run(&engine.paths, || {
        let mut out = BufWriter::with_capacity(256 << 10, to);
        for (name, chain) in chains {
            let tree = store.merged(&chain.diff_ids())?;
            let options = Options {
                prefix: name.clone().into_bytes(),
                root_entry: !name.is_empty(),
                ..Options::default()
            };
            pack_part(&tree, &mut out, options)?;
        }
        write_end(&mut out).map_err(unwritten)?;
        out.flush().map_err(unwritten)
    })
}

/// Writes all files of a stage into a directory; all of them are the caller's.
pub fn files(engine: &Engine, chain: &Chain, to: &File) -> Result<()> {
    let store = engine.store()?;
    task::run(&engine.paths, || {
        let (tree, dir) = (store.merged(&chain.diff_ids())?, to.as_fd());
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
