//! Where the result of a build goes: `--output`, `--load`, `--push`.

use super::command::BuildArgs;
use super::fields::Output;
use crate::build::exec::chain::Chain;
use crate::build::export::{self, Files, Made, Wanted};
use crate::build::plan::Plan;
use crate::build::progress::{Id, Progress};
use crate::cli::Front;
use crate::cli::image::{pull, push};
use crate::cli::output_file::OutputFile;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::image::Reference;
use crate::output::progress::Silent;
use crate::registry;
use crate::store::pack::unwritten;
use crate::transfer::layout;
use crate::transfer::push::Push;
use crate::transfer::save::{self, Selected};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

pub(super) struct Outputs<'a> {
    pub(super) engine: &'a Engine,
    pub(super) args: &'a BuildArgs,
    pub(super) wanted: Wanted<'a>,
}

impl Outputs<'_> {
    /// All that is on this host: into the store, unless only files or archives
    /// are wanted. The names that it has got there, and the image, unless there
    /// is none.
    pub(super) fn write(
        &self,
        plan: &Plan,
        chain: &Chain,
        progress: &mut dyn Progress,
        id: Id,
    ) -> Result<(Vec<Reference>, Option<Made>)> {
        let outputs = &self.args.output;
        let mut tags = self.args.tag.clone();
        let mut into_store = outputs.is_empty() || self.args.load || self.args.push;
        for output in outputs {
            match output {
                Output::Image { name, .. } => {
                    into_store = true;
                    tags.extend(named(name)?);
                }
                Output::Local(dir) => local(self.engine, chain, dir)?,
                Output::Tar(path) => {
                    let to = output_file(path)?;
                    export::files(self.engine, chain, &Files::Tar(to.file()))?;
                    to.finish()?;
                }
                Output::Archive { .. } | Output::Layout { .. } | Output::Nothing => {}
            }
        }
        let archives = outputs
            .iter()
            .any(|output| matches!(output, Output::Archive { .. } | Output::Layout { .. }));
        if !into_store && !archives {
            return Ok((tags, None));
        }
        let made = export::write(self.engine, plan.target(), chain, self.wanted)?;
        for output in outputs {
            match output {
                Output::Archive { name, to } => self.archive(&made, self.names(name)?, to)?,
                Output::Layout { name, to } => self.layout(&made, &self.names(name)?, to)?,
                _ => {}
            }
        }
        progress.log(id, format!("writing image {}\n", made.id).as_bytes());
        if into_store {
            export::name(self.engine, &made, &tags)?;
            for tag in &tags {
                progress.log(id, format!("naming to {}\n", tag.canonical()).as_bytes());
            }
        }
        Ok((tags, Some(made)))
    }

    /// Those of `--tag`, and the output's own.
    fn names(&self, own: &Option<String>) -> Result<Vec<Reference>> {
        let mut names = self.args.tag.clone();
        names.extend(named(own)?);
        Ok(names)
    }

    fn layout(&self, made: &Made, names: &[Reference], to: &Path) -> Result<()> {
        let store = self.engine.store()?;
        let manifest = store.manifest(&store.unseen(&made.manifest)?)?;
        let mut blobs = manifest.layers;
        blobs.push(manifest.config);
        let tags = names.iter().filter_map(Reference::tag);
        let tags: BTreeSet<&str> = tags.collect();
        let tags = if tags.is_empty() {
            BTreeSet::from(["latest"])
        } else {
            tags
        };
        tags.into_iter()
            .try_for_each(|tag| layout::write(store, &made.manifest, &blobs, to, tag))
    }

    fn archive(&self, made: &Made, tags: Vec<Reference>, path: &Path) -> Result<()> {
        let store = self.engine.store()?;
        let selected = Selected::new(store.unseen(&made.manifest)?, tags);
        let to = output_file(path)?;
        let mut writer = BufWriter::with_capacity(256 << 10, to.file());
        save::save(store, &[selected], &mut writer, &Silent)?;
        writer.flush().map_err(unwritten)?;
        drop(writer);
        to.finish()
    }

    /// To the registries of its names, if that is asked for. The image is in
    /// the store and has its names by then: what a registry refuses is not lost.
    pub(super) fn push(&self, front: &Front, tags: &[Reference], quiet: bool) -> Result<()> {
        let asks = |output: &Output| matches!(output, Output::Image { push: true, .. });
        if !self.args.push && !self.args.output.iter().any(asks) {
            return Ok(());
        }
        let options = registry::Options::find()?;
        let silent = quiet || matches!(self.args.progress.as_str(), "none" | "rawjson");
        for tag in tags {
            let progress = pull::progress(std::io::stderr(), silent);
            let source = push::own_source(front, tag)?;
            let store = self.engine.store()?;
            let pushed = Push::to(store, tag, source, &options, &*progress)?.image(tag, None);
            let pushed = pushed.map_err(|e| {
                e.within(format!(
                    "the image was built; cannot push {}",
                    tag.familiar()
                ))
            })?;
            drop(progress);
            if !silent {
                let line = format!("pushed {}@{}\n", tag.canonical(), pushed.digest);
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
        }
        Ok(())
    }
}

/// The name that an output gives by itself.
fn named(name: &Option<String>) -> Result<Option<Reference>> {
    name.as_deref().map(Reference::parse).transpose()
}

/// `-`: standard output.
fn output_file(path: &Path) -> Result<OutputFile> {
    match path.to_str() {
        Some("-") => OutputFile::open(""),
        Some(path) => OutputFile::open(path),
        None => Err(Error::invalid(format!(
            "\"{}\" is not UTF-8",
            path.display()
        ))),
    }
}

fn local(engine: &Engine, chain: &Chain, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)
        .context(|| format!("cannot make directory \"{}\"", dir.display()))?;
    let to = File::open(dir).context(|| format!("cannot open \"{}\"", dir.display()))?;
    export::files(engine, chain, &Files::Directory(&to))
}
