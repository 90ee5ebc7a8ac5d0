//! `--cache-from` and `--cache-to`: build caches of other machines.

use super::fields::{fields, refused};
use crate::build::exec::imports::Imports;
use crate::build::progress::{Beside, Outcome, Progress, Vertex};
use crate::cli::Front;
use crate::cli::image::push;
use crate::cli::registry::server::logins;
use crate::config::{Policy, Registries, Source};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, Reference};
use crate::output::progress::Silent;
use crate::registry::Options;
use crate::store::StepLayer;
use crate::transfer::cache::{self, Depot, Repository, Steps};
use crate::userns::task;
use std::path::PathBuf;

/// Where the tag of a layout is not given.
const TAG: &str = "latest";

/// `--cache-from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheFrom {
    Registry(Reference),
    Local {
        src: PathBuf,
        tag: String,
        digest: Option<Digest>,
    },
}

/// `--cache-to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTo {
    to: To,
    /// With the layers of all stages, not those of the result alone.
    max: bool,
    ignore_error: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum To {
    /// Into the image itself.
    Inline,
    Registry(Reference),
    Local {
        dest: PathBuf,
        tag: String,
    },
}

/// `user/app:cache`, or fields.
fn typed(text: &str) -> Result<(&str, Vec<(&str, &str)>)> {
    if !text.contains('=') {
        return Ok(("registry", vec![("ref", text)]));
    }
    let mut kind = None;
    let mut others = Vec::new();
    for (key, value) in fields(text) {
        let value = value
            .ok_or_else(|| Error::usage(format!("invalid value {key}: expected key=value")))?;
        match key {
            "type" => kind = Some(value),
            key => others.push((key, value)),
        }
    }
    match kind {
        Some(kind) => Ok((kind, others)),
        None => Err(Error::usage(format!("type required form> {text:?}"))),
    }
}

pub fn cache_from(text: &str) -> Result<CacheFrom> {
    let (kind, fields) = typed(text)?;
    let unknown = |key: &str| refused(&format!("--cache-from {key} of type={kind}"));
    match kind {
        "registry" => {
            let mut name = None;
            for (key, value) in fields {
                match key {
                    "ref" => name = Some(Reference::parse(value)?),
                    key => return Err(unknown(key)),
                }
            }
            let missing = || Error::usage("registry cache importer requires ref");
            name.map(CacheFrom::Registry).ok_or_else(missing)
        }
        "local" => {
            let (mut src, mut tag, mut digest) = (None, TAG.to_owned(), None);
            for (key, value) in fields {
                match key {
                    "src" => src = Some(PathBuf::from(value)),
                    "tag" => value.clone_into(&mut tag),
                    "digest" => digest = Some(Digest::parse(value)?),
                    key => return Err(unknown(key)),
                }
            }
            let src = src.ok_or_else(|| Error::usage("local cache importer requires src"))?;
            Ok(CacheFrom::Local { src, tag, digest })
        }
        kind => Err(refused(&format!("--cache-from type={kind}"))),
    }
}

pub fn cache_to(text: &str) -> Result<CacheTo> {
    let (kind, fields) = typed(text)?;
    let (mut name, mut dest, mut tag) = (None, None, TAG.to_owned());
    let (mut max, mut ignore_error) = (false, false);
    let unknown = |key: &str, value: &str| refused(&format!("--cache-to {key}={value}"));
    for (key, value) in fields {
        match (kind, key, value) {
            ("registry", "ref", value) => name = Some(Reference::parse(value)?),
            ("local", "dest", value) => dest = Some(PathBuf::from(value)),
            ("local", "tag", value) => value.clone_into(&mut tag),
            ("registry" | "local", "mode", "max") => max = true,
            ("registry" | "local" | "inline", "mode", "min") => {}
            ("registry" | "local", "ignore-error", "true") => ignore_error = true,
            ("registry" | "local", "ignore-error", "false") => {}
            // It is so in any case.
            ("registry" | "local", "oci-mediatypes" | "image-manifest", "true") => {}
            (_, key, value) => return Err(unknown(key, value)),
        }
    }
    let to = match kind {
        "inline" => To::Inline,
        "registry" => {
            To::Registry(name.ok_or_else(|| Error::usage("registry cache exporter requires ref"))?)
        }
        "local" => To::Local {
            dest: dest.ok_or_else(|| Error::usage("local cache exporter requires dest"))?,
            tag,
        },
        kind => return Err(refused(&format!("--cache-to type={kind}"))),
    };
    Ok(CacheTo {
        to,
        max,
        ignore_error,
    })
}

impl CacheTo {
    pub fn is_inline(&self) -> bool {
        self.to == To::Inline
    }

    /// Of this machine's, where it is written.
    pub fn directory(&self) -> Option<&PathBuf> {
        match &self.to {
            To::Local { dest, .. } => Some(dest),
            To::Inline | To::Registry(_) => None,
        }
    }

    fn shown(&self) -> String {
        match &self.to {
            To::Inline => "inline".to_owned(),
            To::Registry(name) => name.familiar(),
            To::Local { dest, .. } => dest.display().to_string(),
        }
    }
}

/// Reads what there is. What cannot be read is told, and no reason not to build.
pub fn import(
    engine: &Engine,
    front: &Front,
    from: &[CacheFrom],
    progress: &mut dyn Progress,
) -> Result<Imports> {
    let mut places = Vec::new();
    let policy = match from.is_empty() {
        true => None,
        false => Policy::find()?,
    };
    for (number, one) in from.iter().enumerate() {
        let depot = match one {
            CacheFrom::Registry(name) => {
                let registries = Registries::find()?;
                Depot::Registry(Repository {
                    name: name.clone(),
                    sources: Source::find(&registries, &logins(front), name)?,
                    options: Options::find()?,
                })
            }
            CacheFrom::Local { src, tag, digest } => Depot::Layout {
                dir: src.clone(),
                tag: tag.clone(),
                digest: digest.clone(),
            },
        };
        let vertex = Vertex {
            id: Beside::CacheRead.id(number),
            name: format!("importing cache manifest from {}", depot.shown()),
        };
        progress.begin(&vertex);
        let outcome = match task::run(&engine.paths, || depot.read(policy.as_ref())) {
            Ok(cache) => {
                places.push((depot, cache));
                Outcome::Done
            }
            // As on the first run of a pipeline.
            Err(e) if e.kind() == Kind::NotFound => {
                progress.log(vertex.id, format!("{}\n", e.message()).as_bytes());
                Outcome::Done
            }
            Err(e) => Outcome::Failed(e.message().to_owned()),
        };
        progress.end(vertex.id, outcome);
    }
    Ok(Imports::new(places))
}

/// Writes the records of a build's steps where they are wanted, with the layers
/// of `result` or of all of them.
pub fn export(
    engine: &Engine,
    front: &Front,
    wanted: &[CacheTo],
    steps: &Steps,
    result: &[StepLayer],
    progress: &mut dyn Progress,
) -> Result<()> {
    let outside = wanted.iter().filter(|one| !one.is_inline());
    for (number, one) in outside.enumerate() {
        let vertex = Vertex {
            id: Beside::CacheWritten.id(number),
            name: format!("exporting cache to {}", one.shown()),
        };
        progress.begin(&vertex);
        let written = write(engine, front, one, steps, result);
        let outcome = match &written {
            Ok(()) => Outcome::Done,
            Err(e) => Outcome::Failed(e.message().to_owned()),
        };
        progress.end(vertex.id, outcome);
        match written {
            Err(e) if !one.ignore_error => {
                return Err(e.within(format!("cannot export the build cache to {}", one.shown())));
            }
            _ => {}
        }
    }
    Ok(())
}

fn write(
    engine: &Engine,
    front: &Front,
    wanted: &CacheTo,
    steps: &Steps,
    result: &[StepLayer],
) -> Result<()> {
    let store = engine.store()?;
    let mut layers: Vec<StepLayer> = Vec::new();
    for layer in steps.values().filter_map(|step| step.layer.as_ref()) {
        let is_of = |list: &[StepLayer]| list.iter().any(|l| l.diff_id == layer.diff_id);
        let is_here = store.has_blob(&layer.blob);
        if is_here && !is_of(&layers) && (wanted.max || is_of(result)) {
            layers.push(layer.clone());
        }
    }
    let packed = cache::pack(store, steps, &layers)?;
    match &wanted.to {
        To::Inline => Ok(()),
        To::Local { dest, tag } => cache::into_layout(store, &packed, dest, tag),
        To::Registry(name) => {
            let source = push::own_source(front, name)?;
            cache::into_registry(store, &packed, name, source, &Options::find()?, &Silent)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let name = |text: &str| Reference::parse(text).unwrap();
        assert_eq!(
            cache_from("a/b:c").unwrap(),
            CacheFrom::Registry(name("a/b:c"))
        );
        assert_eq!(
            cache_from("type=registry,ref=a").unwrap(),
            CacheFrom::Registry(name("a"))
        );
        let local = |tag: &str| CacheFrom::Local {
            src: "d".into(),
            tag: tag.into(),
            digest: None,
        };
        assert_eq!(cache_from("type=local,src=d").unwrap(), local("latest"));
        assert_eq!(cache_from("src=d,type=local,tag=x").unwrap(), local("x"));
        for bad in [
            "type=local",
            "type=registry",
            "type=registry,ref=A",
            "type=registry,ref=a,x=y",
            "type=gha",
            "type=inline",
            "type=local,src=d,digest=x",
            "src=d",
            "A",
        ] {
            assert!(cache_from(bad).is_err(), "{bad}");
        }
        let to = cache_to("type=registry,ref=a,mode=max,ignore-error=true").unwrap();
        assert!(to.max && to.ignore_error && to.to == To::Registry(name("a")));
        let to = cache_to("type=local,dest=d").unwrap();
        assert!(!to.max && !to.ignore_error && !to.is_inline());
        assert!(cache_to("type=inline").unwrap().is_inline());
        for bad in [
            "type=inline,mode=max",
            "type=local",
            "type=s3,bucket=b",
            "type=registry,ref=a,compression=zstd",
            "type=registry,ref=a,mode=x",
            "type=registry,ref=a,image-manifest=false",
            "type=local,ref=a",
        ] {
            assert!(cache_to(bad).is_err(), "{bad}");
        }
    }
}
