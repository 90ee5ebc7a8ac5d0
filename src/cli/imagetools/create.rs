//! `wherry buildx imagetools create`.

use super::check_builder;
use crate::cli::annotation::Annotation;
use crate::cli::image::push::own_source;
use crate::cli::manifest::client;
use crate::cli::{Front, Verb, stdout};
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::image::{Digest, Document, Platform, Reference};
use crate::registry::Options;
use crate::transfer::manifests::{self, Entry, List};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct CreateArgs {
    /// Add annotation to the image
    #[arg(long, value_parser = Annotation::parse)]
    annotation: Vec<Annotation>,
    /// Append to existing manifest
    #[arg(long)]
    append: bool,
    /// Override the configured builder instance
    #[arg(long, value_name = "string")]
    builder: Option<String>,
    /// Show final image instead of pushing
    #[arg(long)]
    dry_run: bool,
    /// Write create result metadata to a file
    #[arg(long, value_name = "string")]
    metadata_file: Option<PathBuf>,
    /// Filter specified platforms of target image
    #[arg(short, long, value_parser = Platform::parse)]
    platform: Vec<Platform>,
    /// When only a single source is specified, prefer outputting an image index
    /// or manifest list instead of performing a carbon copy
    #[arg(long, default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = clap::value_parser!(bool))]
    prefer_index: bool,
    /// Set reference for new image
    #[arg(short, long, value_parser = Reference::parse)]
    tag: Vec<Reference>,
    #[arg(value_name = "SOURCE")]
    sources: Vec<String>,
}

/// What is to be pushed.
struct Made {
    list: List,
    bytes: Vec<u8>,
    media_type: String,
}

impl Verb for CreateArgs {
    fn run(self, front: &Front) -> Result<u8> {
        check_builder(self.builder.as_deref())?;
        if self.sources.is_empty() && !self.append {
            return Err(Error::usage("no sources specified"));
        }
        if self.tag.is_empty() && (self.append || !self.dry_run) {
            return Err(Error::usage(
                "can't push with no tags specified, please set --tag or --dry-run",
            ));
        }
        let made = self.make(front)?;
        if self.dry_run {
            let document: Value =
                serde_json::from_slice(&made.bytes).context(|| "the manifest is no JSON")?;
            let text = serde_json::to_string_pretty(&document).context(|| "cannot write JSON")?;
            stdout::line(&text)?;
            return Ok(0);
        }
        let engine = Engine::open()?;
        for name in &self.tag {
            let list = List {
                name: name.clone(),
                ..made.list.clone()
            };
            let source = own_source(front, name)?;
            manifests::push_as(
                engine.store()?,
                &list,
                (&made.bytes, &made.media_type),
                source,
                &Options::find()?,
            )?;
        }
        if let Some(path) = &self.metadata_file {
            let names: Vec<String> = self.tag.iter().map(Reference::canonical).collect();
            let metadata = json!({
                "containerimage.descriptor": {
                    "mediaType": made.media_type,
                    "digest": Digest::of(&made.bytes),
                    "size": made.bytes.len(),
                },
                "image.name": names.join(","),
            });
            let text =
                serde_json::to_string_pretty(&metadata).context(|| "cannot write the metadata")?;
            std::fs::write(path, text + "\n")
                .context(|| format!("cannot write \"{}\"", path.display()))?;
        }
        Ok(0)
    }
}

impl CreateArgs {
    fn make(&self, front: &Front) -> Result<Made> {
        let mut sources = self
            .sources
            .iter()
            .map(|source| Reference::parse(source))
            .collect::<Result<Vec<_>>>()?;
        if self.append {
            // What is there comes first.
            match client(front, &self.tag[0], false).and_then(|client| manifests::fetch(&client)) {
                Err(e) if e.kind() == Kind::NotFound && !sources.is_empty() => {}
                Err(e) => return Err(e),
                Ok(_) => sources.insert(0, self.tag[0].clone()),
            }
        }
        let name = self.tag.first().unwrap_or(&sources[0]).clone();
        let mut list = manifests::new_list(&name);
        let mut whole = None;
        for source in &sources {
            let of = client(front, source, false)?;
            let (fetched, document) = manifests::fetch(&of)?;
            let is_index = matches!(document, Document::Index(_));
            let part = |digest: &Digest| client(front, &source.with_digest(digest.clone()), false);
            for entry in manifests::entries(&of, &fetched, &document, &part)? {
                list.put(entry);
            }
            whole = Some((fetched, document, is_index));
        }
        let before = list.entries.len();
        list.entries.retain(|entry| self.wants(entry));
        if list.entries.is_empty() {
            return Err(Error::not_found("no source is for these platforms"));
        }
        self.annotate(&mut list)?;
        let is_same = list.entries.len() == before && self.annotation.is_empty();
        // An index by itself stays as it is, byte for byte.
        if let (Some((fetched, document, is_index)), 1, true) = (whole, sources.len(), is_same)
            && (is_index || !self.prefer_index)
        {
            let media_type = match document {
                Document::Index(index) => index.media_type,
                Document::Manifest(manifest) => manifest.media_type,
            };
            let bytes = fetched.bytes;
            return Ok(Made {
                list,
                bytes,
                media_type,
            });
        }
        let (document, media_type) = list.document();
        Ok(Made {
            list,
            bytes: document.to_string().into_bytes(),
            media_type: media_type.to_owned(),
        })
    }

    fn wants(&self, entry: &Entry) -> bool {
        let its = Platform::parse(&entry.platform.shown());
        self.platform.is_empty() || its.is_ok_and(|its| self.platform.contains(&its))
    }

    /// `[index:|manifest-descriptor[PLATFORM]:]KEY=VALUE`.
    fn annotate(&self, list: &mut List) -> Result<()> {
        for one in &self.annotation {
            let put = |map: &mut BTreeMap<String, String>| {
                map.insert(one.key.clone(), one.value.clone());
            };
            match one.kind.as_deref().unwrap_or("index") {
                "index" => put(&mut list.annotations),
                "manifest-descriptor" => {
                    for entry in &mut list.entries {
                        let its = Platform::parse(&entry.platform.shown()).ok();
                        if one.is_for(its.as_ref()) {
                            put(&mut entry.annotations);
                        }
                    }
                }
                kind @ ("manifest" | "index-descriptor") => {
                    return Err(Error::unsupported(format!(
                        "{kind:?} annotations are not supported yet"
                    ))
                    .hint("index and manifest-descriptor are"));
                }
                kind => return Err(Error::usage(format!("unknown annotation type {kind:?}"))),
            }
        }
        Ok(())
    }
}
