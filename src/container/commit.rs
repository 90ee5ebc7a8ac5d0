//! An image made from what a container has written on top of its own.

use super::pause::Frozen;
use super::{files, state};
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::image::draft::{self, HistoryStep};
use crate::image::manifest::{Descriptor, MAX_DOCUMENT};
use crate::image::{Digest, Draft, Reference, change};
use crate::paths::Paths;
use crate::record::container::{Config, Container, State, Status};
use crate::record::containers;
use crate::store::{Image, NewLayer, Source, Store};
use crate::sys::signal;
use crate::text::time;
use crate::userns::layout::Layout;
use crate::userns::task;
use serde_json::{Map, Value};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether the container stands still meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pause {
    /// When it can.
    #[default]
    Default,
    Always,
    Never,
}

#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    pub author: String,
    pub message: String,
    /// Instructions as in a Dockerfile.
    pub changes: Vec<String>,
    pub pause: Pause,
    pub name: Option<Reference>,
}

pub struct Committed {
    pub id: Digest,
    /// What the user is to be told.
    pub warnings: Vec<String>,
}

/// Members of a container's config that an image has, too; the others say how
/// this one container was run.
const OF_IMAGES: [&str; 11] = [
    "User",
    "ExposedPorts",
    "Env",
    "Cmd",
    "Healthcheck",
    "Volumes",
    "WorkingDir",
    "Entrypoint",
    "Labels",
    "StopSignal",
    "StopTimeout",
];

pub fn commit(engine: &Engine, wanted: &str, request: &CommitRequest) -> Result<Committed> {
    let (paths, store) = (&engine.paths, engine.store()?);
    let id = containers::find(paths, wanted)?;
    let _lease = store.lease()?;
    let _lock = containers::lock(paths, &id)?;
    let container = containers::config(paths, &id)?;
    files::need_layer(&container, wanted)?;
    let now = state::settle(paths, &id)?;
    if matches!(now.status, Status::Removing | Status::Dead) {
        return Err(Error::conflict(format!(
            "You cannot commit container {wanted} which is {}",
            now.status.word()
        )));
    }
    let base = base(store, &container, wanted)?;
    let mut config = Draft::on(&store.read_blob(&base.id, MAX_DOCUMENT)?)?;
    let mut settings = settings(&container.config, &config)?;
    change::apply(&mut settings, &request.changes)?;
    config.set_config(settings);

    let mut warnings = Vec::new();
    let layer = match files::upper(paths, &container) {
        Some(upper) => {
            let frozen = freeze(paths, &id, &now, request.pause, &mut warnings)?;
            let layer = layer(engine, &upper, files::layout(paths, &container))?;
            drop(frozen);
            Some(layer)
        }
        None => None,
    };
    if let Some(left_out) = layer.as_ref().map(|l| l.left_out).filter(|n| *n > 0) {
        warnings.push(format!(
            "{left_out} files were left out: no image can have sockets and names that begin with .wh."
        ));
    }
    let layer = layer.filter(|layer| !layer.is_empty());
    let manifest = documents(store, &base, config, layer.as_ref(), &container, request)?;
    let image = store.add_made(request.name.as_ref(), &manifest)?;
    Ok(Committed {
        id: image.id,
        warnings,
    })
}

fn base(store: &Store, container: &Container, wanted: &str) -> Result<Image> {
    store
        .by_id(&Digest::parse(&container.image)?)?
        .ok_or_else(|| {
            Error::not_found(format!(
                "cannot commit container {wanted}: its image {} was removed",
                container.image
            ))
            .hint("pull or load the image again, or use `export` and `import`")
        })
}

/// What of the container's settings belongs to its image.
fn settings(config: &Config, base: &Draft) -> Result<Map<String, Value>> {
    let record = serde_json::to_value(config).context(|| "cannot read the container's settings")?;
    let mut out = Map::new();
    for key in OF_IMAGES {
        let value = record.get(key).filter(|value| !is_empty(value));
        out.extend(value.map(|value| (key.to_owned(), value.clone())));
    }
    out.extend(
        base.config()
            .get("Shell")
            .map(|shell| ("Shell".to_owned(), shell.clone())),
    );
    Ok(out)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn freeze<'a>(
    paths: &'a Paths,
    id: &'a str,
    now: &State,
    pause: Pause,
    warnings: &mut Vec<String>,
) -> Result<Option<Frozen<'a>>> {
    if pause == Pause::Never || now.status != Status::Running {
        return Ok(None);
    }
    match Frozen::freeze(paths, id, now) {
        Err(e) if e.kind() == Kind::Unsupported && pause == Pause::Default => {
            warnings.push(format!(
                "the container was not paused while its files were copied: {}",
                e.message()
            ));
            Ok(None)
        }
        other => other.map(Some),
    }
}

fn layer(engine: &Engine, upper: &Path, layout: Layout) -> Result<NewLayer> {
    let inode = || std::fs::symlink_metadata(upper).map(|meta| (meta.dev(), meta.ino()));
    let before = inode().context(|| "cannot read the container's layer")?;
    let store = engine.store()?;
    let layer = task::run(&engine.paths, || {
        // While the container is frozen, its command holds signals back.
        let _ = signal::unblock_all();
        store.add_layer(Source::Copied(upper, layout))
    })?;
    // A container with `--rm` may have ended and gone under our hands.
    match inode() {
        Ok(after) if after == before => Ok(layer),
        _ => Err(Error::conflict(
            "the container was removed while its files were copied",
        )),
    }
}

fn documents(
    store: &Store,
    base: &Image,
    mut config: Draft,
    layer: Option<&NewLayer>,
    container: &Container,
    request: &CommitRequest,
) -> Result<Descriptor> {
    let created = time::now();
    config.set_created(&created);
    config.set_author(&request.author);
    if let Some(layer) = layer {
        config.add_layer(&layer.diff_id);
    }
    config.add_history(&HistoryStep {
        created,
        author: request.author.clone(),
        created_by: container.config.cmd.clone().unwrap_or_default().join(" "),
        comment: request.message.clone(),
        empty_layer: layer.is_none(),
    });
    let top = layer.map(NewLayer::descriptor);
    let layers = draft::layers_on(&store.manifest(base)?, top);
    store.write_image(&config, &layers)
}
