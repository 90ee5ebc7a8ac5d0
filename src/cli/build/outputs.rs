//! Where the result of a build goes: `--output`, `--load`, `--push`.

use super::command::BuildArgs;
use super::fields::{self, Output};
use crate::build::exec::chain::Chain;
use crate::build::export::{self, Made, Variant, Wanted};
use crate::build::plan::{Plan, Target};
use crate::build::progress::{Id, Progress};
use crate::cli::Front;
use crate::cli::image::{pull, push};
use crate::cli::output_file::OutputFile;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::image::{Digest, Platform, Reference};
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
    pub(super) plan: &'a Plan,
    /// Of all stages of the plan.
    pub(super) chains: &'a [Chain],
}

/// What was built.
pub(super) struct Written {
    /// The names that it has got in the store.
    pub(super) tags: Vec<Reference>,
    /// An image or an index; `None`: only files were wanted.
    pub(super) made: Option<Made>,
    /// The image for this machine, when it is in the store.
    pub(super) own: Option<Digest>,
}

/// The images of a build.
struct Images {
    /// One per target.
    each: Vec<Made>,
    /// When there are several targets.
    index: Option<Made>,
    /// The one that a name stands for on this machine.
    own: usize,
}

impl Images {
    fn whole(&self) -> &Made {
        self.index.as_ref().unwrap_or(&self.each[self.own])
    }
}

impl Outputs<'_> {
    /// All that is on this host: into the store, unless only files or archives
    /// are wanted.
    pub(super) fn write(&self, progress: &mut dyn Progress, id: Id) -> Result<Written> {
        let outputs = &self.args.output;
        let mut tags = self.args.tag.clone();
        let mut into_store = outputs.is_empty() || self.args.load || self.args.push;
        for output in outputs {
            match output {
                Output::Image { name, .. } => {
                    into_store = true;
                    tags.extend(named(name)?);
                }
                Output::Local(dir) => self.local(dir)?,
                Output::Tar(path) => {
                    let to = output_file(path)?;
                    export::archive(self.engine, &self.results(), to.file())?;
                    to.finish()?;
                }
                Output::Archive { .. } | Output::Layout { .. } | Output::Nothing => {}
            }
        }
        let archives = outputs
            .iter()
            .any(|output| matches!(output, Output::Archive { .. } | Output::Layout { .. }));
        if !into_store && !archives {
            return Ok(Written {
                tags,
                made: None,
                own: None,
            });
        }
        let images = self.images()?;
        for output in outputs {
            match output {
                Output::Archive { name, to } => self.archive(&images, self.names(name)?, to)?,
                Output::Layout { name, to } => self.layout(&images, &self.names(name)?, to)?,
                _ => {}
            }
        }
        let made = images.whole().clone();
        progress.log(id, format!("writing image {}\n", made.id).as_bytes());
        if into_store {
            let index = images.index.as_ref().map(|index| &index.id);
            export::name(self.engine, &images.each[images.own], index, &tags)?;
            for tag in &tags {
                progress.log(id, format!("naming to {}\n", tag.canonical()).as_bytes());
            }
        }
        let own = images.each[images.own].id.clone();
        Ok(Written {
            tags,
            made: Some(made),
            own: into_store.then_some(own),
        })
    }

    /// The image of each target, and an index when there are several.
    fn images(&self) -> Result<Images> {
        let (engine, annotations) = (self.engine, &self.args.annotation);
        let mut each = Vec::new();
        let mut variants = Vec::new();
        for target in &self.plan.targets {
            let of = |kind| fields::annotations(annotations, kind, &target.platform);
            let (stage, chain) = (&self.plan.stages[target.place], &self.chains[target.place]);
            let made = export::write(engine, stage, chain, &of("manifest"), self.wanted)?;
            variants.push(Variant {
                platform: target.platform.clone(),
                manifest: made.manifest.clone(),
                annotations: of("manifest-descriptor"),
            });
            each.push(made);
        }
        let host = Platform::host();
        let own = host.choose(variants.iter().map(|variant| Some(&variant.platform)));
        let index = match variants.len() {
            1 => None,
            _ => {
                let of_index = fields::annotations(annotations, "index", &host);
                Some(export::index(engine, &variants, &of_index)?)
            }
        };
        Ok(Images {
            each,
            index,
            own: own.unwrap_or(0),
        })
    }

    /// The files of each target, with the name of its place beside the others.
    fn results(&self) -> Vec<(String, &Chain)> {
        let targets = &self.plan.targets;
        let name = |target: &Target| match targets.len() {
            1 => String::new(),
            _ => target.platform.to_string().replace('/', "_"),
        };
        targets
            .iter()
            .map(|target| (name(target), &self.chains[target.place]))
            .collect()
    }

    fn local(&self, dir: &Path) -> Result<()> {
        for (name, chain) in self.results() {
            let dir = dir.join(name);
            std::fs::create_dir_all(&dir)
                .context(|| format!("cannot make directory \"{}\"", dir.display()))?;
            let to = File::open(&dir).context(|| format!("cannot open \"{}\"", dir.display()))?;
            export::files(self.engine, chain, &to)?;
        }
        Ok(())
    }

    /// Those of `--tag`, and the output's own.
    fn names(&self, own: &Option<String>) -> Result<Vec<Reference>> {
        let mut names = self.args.tag.clone();
        names.extend(named(own)?);
        Ok(names)
    }

    fn layout(&self, images: &Images, names: &[Reference], to: &Path) -> Result<()> {
        let store = self.engine.store()?;
        let mut blobs = Vec::new();
        for made in &images.each {
            let manifest = store.manifest(&store.unseen(&made.manifest)?)?;
            blobs.extend(manifest.layers);
            blobs.push(manifest.config);
            if images.index.is_some() {
                blobs.push(made.manifest.clone());
            }
        }
        let tags = names.iter().filter_map(Reference::tag);
        let tags: BTreeSet<&str> = tags.collect();
        let tags = if tags.is_empty() {
            BTreeSet::from(["latest"])
        } else {
            tags
        };
        let whole = &images.whole().manifest;
        tags.into_iter()
            .try_for_each(|tag| layout::write(store, whole, &blobs, to, tag))
    }

    fn archive(&self, images: &Images, tags: Vec<Reference>, path: &Path) -> Result<()> {
        let store = self.engine.store()?;
        let own = store.unseen(&images.each[images.own].manifest)?;
        let selected = match &images.index {
            Some(index) => Selected::of(index.manifest.clone(), own, tags),
            None => Selected::new(own, tags),
        };
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
