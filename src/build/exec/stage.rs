//! One stage, step by step: what is in the cache is taken from it, the rest is
//! done. The command looks first, without any process; from the first step that
//! has to be done on, a worker goes on in the same way.

use super::add;
use super::chain::{self, Chain};
use super::files::{self, Content};
use super::wire::{self, End, Failure, Packet, Told};
use super::{Build, command, key};
use crate::build::files::hash;
use crate::build::files::hashes::Hashes;
use crate::build::files::select::{self, Selection};
use crate::build::plan::mount::What;
use crate::build::plan::{Action, Copy, Run, Source, Stage, Step};
use crate::error::{Context, Error, Result};
use crate::fs::lock::Numbered;
use crate::image::Digest;
use crate::store::{CachedStep, StepLayer};
use crate::text::time;
use crate::transfer::cache::Steps;
use std::cell::RefCell;
use std::collections::HashMap;

/// Files of contexts that steps need, looked at before the first is done.
#[derive(Default)]
pub struct Contents {
    /// By stage and step.
    copies: HashMap<(usize, usize), (Selection, Digest)>,
    /// By stage, step and mount.
    mounts: HashMap<(usize, usize, usize), Digest>,
    /// Of the build context, and of the named ones.
    hashes: HashMap<String, Hashes>,
}

impl Contents {
    /// `load` finds what is known of a context's files.
    pub fn look(
        build: &Build<'_>,
        load: &dyn Fn(&str) -> Hashes,
    ) -> std::result::Result<Self, (usize, usize, Error)> {
        let mut contents = Self::default();
        for (place, stage) in build.plan.stages.iter().enumerate() {
            for (number, step) in stage.steps.iter().enumerate() {
                contents
                    .look_at(build, load, (place, number), step)
                    .map_err(|e| (place, number, e))?;
            }
        }
        for hashes in contents.hashes.values() {
            hashes.save();
        }
        Ok(contents)
    }

    fn look_at(
        &mut self,
        build: &Build<'_>,
        load: &dyn Fn(&str) -> Hashes,
        at: (usize, usize),
        step: &Step,
    ) -> Result<()> {
        match &step.action {
            Action::Copy(copy) => {
                let local: Vec<String> = local(copy);
                if !local.is_empty() && matches!(copy.from, Source::Context | Source::Named(_)) {
                    let found = self.digest(
                        build,
                        load,
                        &copy.from,
                        &local,
                        copy.parents,
                        &copy.excludes,
                    )?;
                    self.copies.insert(at, found);
                }
            }
            Action::Run(run) => {
                for (i, mount) in run.mounts.iter().enumerate() {
                    let (What::Bind { from, path } | What::Cache { from, path, .. }) = &mount.what
                    else {
                        continue;
                    };
                    if matches!(from, Source::Context | Source::Named(_)) {
                        let path = std::slice::from_ref(path);
                        let (_, digest) = self.digest(build, load, from, path, false, &[])?;
                        self.mounts.insert((at.0, at.1, i), digest);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn digest(
        &mut self,
        build: &Build<'_>,
        load: &dyn Fn(&str) -> Hashes,
        from: &Source,
        sources: &[String],
        parents: bool,
        excludes: &[String],
    ) -> Result<(Selection, Digest)> {
        let tree = build.tree(from).ok_or_else(|| {
            Error::invalid("there is no build context to copy from")
                .hint("name a directory in place of -")
        })?;
        let name = match from {
            Source::Named(name) => name.as_str(),
            _ => "",
        };
        let hashes = self
            .hashes
            .entry(name.to_string())
            .or_insert_with(|| load(name));
        let selection = select::select(tree, sources, parents, excludes)?;
        let digest = hash::digest(tree, &selection, hashes)
            .map_err(|e| e.within("failed to compute cache key"))?;
        Ok((selection, digest))
    }
}

/// Sources that are files.
fn local(copy: &Copy) -> Vec<String> {
    let files = copy
        .sources
        .iter()
        .filter(|source| !(copy.add && add::is_url(source)));
    files.cloned().collect()
}

/// What is known without doing anything.
pub enum Look {
    /// The chain has moved on; whether a step was taken from the cache.
    Moved { cached: bool },
    /// It has to be done. Its key, unless its files have to be looked at first.
    Miss(Option<String>),
    /// This stage is needed first.
    Needs(usize),
}

/// One stage on its way.
pub struct Walk<'a> {
    pub build: &'a Build<'a>,
    pub place: usize,
    pub chain: Chain,
    shared: RefCell<command::Shared>,
    looks: Looks<'a>,
}

/// Where steps are looked for.
#[derive(Clone, Copy)]
pub enum Looks<'a> {
    /// In the store, and at what other machines have done.
    Everywhere,
    /// In the store: a worker cannot fetch anything.
    Here,
    /// In the store after the end, whatever the options say: what is found is kept.
    Back(&'a RefCell<Steps>),
}

impl<'a> Walk<'a> {
    pub fn new(build: &'a Build<'a>, place: usize, chain: Chain, looks: Looks<'a>) -> Self {
        Self {
            build,
            place,
            chain,
            shared: RefCell::default(),
            looks,
        }
    }

    fn stage(&self) -> &'a Stage {
        &self.build.plan.stages[self.place]
    }

    /// The next step, and its number.
    pub fn next(&self) -> Option<(usize, &'a Step)> {
        let number = self.chain.done;
        self.stage().steps.get(number).map(|step| (number, step))
    }

    fn uses_cache(&self) -> bool {
        let options = self.build.options;
        let anew = self.stage().name.as_ref().is_some_and(|name| {
            options
                .anew
                .iter()
                .any(|wanted| wanted.eq_ignore_ascii_case(name))
        });
        !options.no_cache && !anew
    }

    fn cached(&self, key: &str) -> Result<Option<CachedStep>> {
        let store = self.build.engine.store()?;
        match self.looks {
            Looks::Back(found) => {
                let step = store.known_step(key);
                if let Some(step) = &step {
                    found.borrow_mut().insert(key.to_owned(), step.clone());
                }
                Ok(step)
            }
            _ if !self.uses_cache() => Ok(None),
            Looks::Here => Ok(store.cached_step(key)),
            Looks::Everywhere => Ok(self.build.imports.step(store, key)),
        }
    }

    /// Moves on by one step, if that is possible without doing it.
    pub fn look(&mut self, contents: &Contents, finished: &[Option<Chain>]) -> Result<Look> {
        let Some((number, step)) = self.next() else {
            return Ok(Look::Moved { cached: false });
        };
        if matches!(step.action, Action::Settings) {
            self.chain.pass();
            return Ok(Look::Moved { cached: false });
        }
        if let Some(needed) = needs(step).into_iter().find(|p| finished[*p].is_none()) {
            return Ok(Look::Needs(needed));
        }
        let Some(key) = self.key(number, step, contents, finished)? else {
            return Ok(Look::Miss(None));
        };
        match self.cached(&key)?.filter(|found| found.same_as.is_none()) {
            Some(cached) => {
                self.advance(step, key, &cached);
                Ok(Look::Moved { cached: true })
            }
            None => Ok(Look::Miss(Some(key))),
        }
    }

    fn advance(&mut self, step: &Step, key: String, cached: &CachedStep) {
        let link = matches!(&step.action, Action::Copy(copy) if copy.link);
        let key = match link {
            true => key::joined(&self.chain.key, &key),
            false => key,
        };
        self.chain.advance(key, cached);
    }

    /// The step's key; `None` when its files have to be looked at first.
    fn key(
        &self,
        number: usize,
        step: &Step,
        contents: &Contents,
        finished: &[Option<Chain>],
    ) -> Result<Option<String>> {
        let (parent, epoch) = (&self.chain.key, self.build.options.epoch);
        Ok(match &step.action {
            Action::Settings => None,
            Action::Directory { path, user } => Some(key::directory(parent, path, user, epoch)),
            Action::Run(run) => Some(self.run_key(number, run, contents, finished)?),
            Action::Copy(copy) => match self.source_key(&copy.from, finished)? {
                Some(source) => {
                    let unseen = self.unseen_key(copy, &source);
                    self.cached(&unseen)?.and_then(|leads| leads.same_as)
                }
                None => {
                    let content = contents.copies.get(&(self.place, number));
                    let mut content = content
                        .map(|(_, digest)| digest.to_string())
                        .unwrap_or_default();
                    for url in copy.sources.iter().filter(|s| copy.add && add::is_url(s)) {
                        let Some(checksum) = &copy.checksum else {
                            return Ok(None);
                        };
                        content += &format!(" {url} {checksum}");
                    }
                    Some(key::copy(parent, copy, &content, epoch))
                }
            },
        })
    }

    /// Of a copy whose files have not been looked at; `source` is their key.
    fn unseen_key(&self, copy: &Copy, source: &str) -> String {
        key::copy_unseen(&self.chain.key, copy, source, self.build.options.epoch)
    }

    /// The lock of whoever does the next step, in this build or another: what
    /// is alike is done once. Nobody waits who would not take it from the cache.
    fn turn(&self, key: Option<&str>, finished: &[Option<Chain>]) -> Result<Option<Numbered>> {
        let Some((_, step)) = self.next().filter(|_| self.uses_cache()) else {
            return Ok(None);
        };
        let key = match (key, &step.action) {
            (None, Action::Copy(copy)) => {
                let source = self.source_key(&copy.from, finished)?.unwrap_or_default();
                Some(self.unseen_key(copy, &source))
            }
            (key, _) => key.map(str::to_owned),
        };
        let number = key.and_then(|key| u32::from_str_radix(key.get(..8)?, 16).ok());
        let path = self.build.engine.paths.build().join("turns");
        number
            .map(|number| Numbered::new(&path, number))
            .transpose()
    }

    /// The key of another stage or image; `None` for contexts.
    fn source_key(&self, source: &Source, finished: &[Option<Chain>]) -> Result<Option<String>> {
        Ok(match source {
            Source::Context | Source::Named(_) => None,
            Source::Scratch => Some(key::Key::new("scratch").finish()),
            Source::Stage(place) => finished[*place].as_ref().map(|chain| chain.key.clone()),
            Source::Image(image) => Some(Chain::of_image(&self.build.plan.images[*image])?.key),
        })
    }

    fn run_key(
        &self,
        number: usize,
        run: &Run,
        contents: &Contents,
        finished: &[Option<Chain>],
    ) -> Result<String> {
        let mut sources = Vec::new();
        for (i, mount) in run.mounts.iter().enumerate() {
            let (What::Bind { from, .. } | What::Cache { from, .. }) = &mount.what else {
                continue;
            };
            sources.push(match self.source_key(from, finished)? {
                Some(key) => key,
                None => contents
                    .mounts
                    .get(&(self.place, number, i))
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            });
        }
        let network = run
            .network
            .as_deref()
            .unwrap_or(&self.build.options.network);
        Ok(key::run(
            &self.chain.key,
            run,
            &sources,
            network,
            &self.build.options.extra_hosts,
            self.build.options.epoch,
        ))
    }

    /// Does the next step and keeps what came of it. `log` gets its output.
    /// Whether it was in the cache after all. `known`: its key, from [`Walk::look`].
    fn act(
        &mut self,
        known: Option<String>,
        contents: &Contents,
        finished: &[Option<Chain>],
        log: &mut dyn FnMut(&[u8]),
    ) -> Result<bool> {
        let Some((number, step)) = self.next() else {
            return Ok(false);
        };
        let store = self.build.engine.store()?;
        let (key, layer) = match &step.action {
            Action::Settings => return Ok(false),
            Action::Directory { path, user } => {
                let done = files::directory(self.build, &self.chain, path, user, &self.dir())?;
                (known, done.layer)
            }
            Action::Run(run) => {
                let layers = |from: &Source| layers(self.build, from, finished);
                let platform = self.stage().platform.to_string();
                let shared = &mut *self.shared.borrow_mut();
                let (build, chain) = (self.build, &self.chain);
                let made = command::run(build, chain, run, &platform, &layers, shared, log)?;
                (known, made)
            }
            Action::Copy(copy) => match self.copy(number, copy, contents, finished, log)? {
                (key, Ok(layer)) => (Some(key), layer),
                (key, Err(cached)) => {
                    self.lead(copy, &key, finished)?;
                    self.advance(step, key, &cached);
                    return Ok(true);
                }
            },
        };
        let key = key.ok_or_else(|| Error::internal("a step of the build has no key"))?;
        let made = CachedStep {
            layer,
            created: match self.build.options.epoch {
                Some(seconds) => chain::dated(seconds),
                None => time::now(),
            },
            text: step.text.clone(),
            same_as: None,
        };
        store.keep_step(&key, &made)?;
        if let Action::Copy(copy) = &step.action {
            self.lead(copy, &key, finished)?;
        }
        self.advance(step, key, &made);
        Ok(false)
    }

    /// Next time the files of the other stage need not be looked at.
    fn lead(&self, copy: &Copy, key: &str, finished: &[Option<Chain>]) -> Result<()> {
        let Some(source) = self.source_key(&copy.from, finished)? else {
            return Ok(());
        };
        let unseen = self.unseen_key(copy, &source);
        let leads = CachedStep {
            layer: None,
            created: time::now(),
            text: String::new(),
            same_as: Some(key.to_string()),
        };
        self.build.engine.store()?.keep_step(&unseen, &leads)
    }

    /// A new directory of this worker's own.
    fn dir(&self) -> std::path::PathBuf {
        let name = format!("files-{}-{}", std::process::id(), self.chain.done);
        self.build.steps.paths.containers().join(name)
    }

    /// The key, and the layer, or what was in the cache.
    #[allow(clippy::type_complexity)]
    fn copy(
        &self,
        number: usize,
        copy: &Copy,
        contents: &Contents,
        finished: &[Option<Chain>],
        log: &mut dyn FnMut(&[u8]),
    ) -> Result<(String, std::result::Result<Option<StepLayer>, CachedStep>)> {
        let dir = self.dir();
        let files = contents.copies.get(&(self.place, number));
        let fetched = match copy.add && copy.sources.iter().any(|s| add::is_url(s)) {
            true => {
                let parent = dir.parent().unwrap_or(&dir);
                let options = crate::registry::Options::find()?;
                add::fetch(copy, parent, &options, log)?
            }
            false => Vec::new(),
        };
        let found;
        let content = match (&copy.from, files) {
            (Source::Context | Source::Named(_), Some((selection, _))) => {
                let tree = self
                    .build
                    .tree(&copy.from)
                    .ok_or_else(|| Error::internal("the context is gone"))?;
                let name = match &copy.from {
                    Source::Named(name) => name.as_str(),
                    _ => "",
                };
                let hashes = contents
                    .hashes
                    .get(name)
                    .ok_or_else(|| Error::internal("the context was not looked at"))?;
                Content::Tree(tree, selection, hashes)
            }
            (Source::Stage(_) | Source::Image(_), _) => {
                found = layers(self.build, &copy.from, finished)?;
                Content::Layers(&found)
            }
            _ => Content::Nothing,
        };
        let key = match &content {
            Content::Layers(_) => None,
            _ => {
                let mut text = files
                    .map(|(_, digest)| digest.to_string())
                    .unwrap_or_default();
                let urls = copy.sources.iter().filter(|s| add::is_url(s));
                for (url, one) in urls.zip(&fetched) {
                    let said = copy.checksum.clone();
                    text += &format!(" {url} {}", said.unwrap_or_else(|| one.digest.to_string()));
                }
                Some(key::copy(
                    &self.chain.key,
                    copy,
                    &text,
                    self.build.options.epoch,
                ))
            }
        };
        if let Some(key) = &key
            && !fetched.is_empty()
            && let Some(cached) = self.cached(key)?
        {
            return Ok((key.clone(), Err(cached)));
        }
        let done = files::copy(self.build, &self.chain, copy, &content, &fetched, &dir)?;
        let key = key
            .or(done.key)
            .ok_or_else(|| Error::internal("a copy has no key"))?;
        Ok((key, done.cached.map_or(Ok(done.layer), Err)))
    }
}

/// The layers of a stage that is done, or of an image.
pub fn layers(
    build: &Build<'_>,
    from: &Source,
    finished: &[Option<Chain>],
) -> Result<Vec<StepLayer>> {
    match from {
        Source::Stage(place) => finished[*place]
            .as_ref()
            .map(|chain| chain.layers.clone())
            .ok_or_else(|| Error::internal("a stage that is needed is not done")),
        Source::Image(image) => Ok(Chain::of_image(&build.plan.images[*image])?.layers),
        _ => Ok(Vec::new()),
    }
}

/// Stages whose files a step takes.
pub fn needs(step: &Step) -> Vec<usize> {
    let of = |source: &Source| match source {
        Source::Stage(place) => Some(*place),
        _ => None,
    };
    match &step.action {
        Action::Copy(copy) => of(&copy.from).into_iter().collect(),
        Action::Run(run) => run
            .mounts
            .iter()
            .filter_map(|mount| match &mount.what {
                What::Bind { from, .. } | What::Cache { from, .. } => of(from),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The whole work of a worker, which has a process of its own: from where
/// `walk` is to the end of its stage.
pub fn work(
    mut walk: Walk<'_>,
    contents: &Contents,
    mut finished: Vec<Option<Chain>>,
    mut to: End,
) {
    let mut turn = None;
    let told = loop {
        let Some((number, _)) = walk.next() else {
            break Told::Finished(walk.chain.clone());
        };
        let result = match walk.look(contents, &finished) {
            Ok(Look::Moved { cached: false }) => continue,
            Ok(Look::Moved { cached: true }) => to
                .tell(&Told::Cached(number))
                .context(|| "cannot tell of a step"),
            Ok(Look::Needs(place)) => wait_for(place, &mut finished, &mut to),
            Ok(Look::Miss(key)) if turn.is_none() => {
                let taken = take_turn(&walk, key.as_deref(), &finished, &to);
                taken.map(|taken| turn = Some((number, taken)))
            }
            Ok(Look::Miss(key)) => {
                let begun = to
                    .tell(&Told::Begin(number))
                    .context(|| "cannot tell of a step");
                let mut log = |bytes: &[u8]| {
                    let _ = to.log(number, bytes);
                };
                begun
                    .and_then(|()| walk.act(key, contents, &finished, &mut log))
                    .and_then(|cached| {
                        let told = if cached {
                            Told::Cached(number)
                        } else {
                            Told::Done(number)
                        };
                        to.tell(&told).context(|| "cannot tell of a step")
                    })
            }
            Err(e) => Err(e),
        };
        turn = turn.filter(|(held, _)| *held == walk.chain.done);
        if let Err(error) = result {
            let upper = walk.shared.borrow_mut().failed.take();
            let scene = upper.map(|upper| command::Scene {
                chain: walk.chain.clone(),
                upper,
            });
            break Told::Failed(Some(number), Failure::from(&error), scene);
        }
    };
    // The command may end as soon as it has heard.
    drop(walk);
    let _ = to.tell(&told);
}

/// For whoever has it before us has the step in the cache then: it is looked for
/// once more.
fn take_turn(
    walk: &Walk<'_>,
    key: Option<&str>,
    finished: &[Option<Chain>],
    to: &End,
) -> Result<Option<Numbered>> {
    let turn = walk.turn(key, finished)?;
    if let Some(turn) = &turn
        && !turn.try_take()?
    {
        to.tell(&Told::Waits).context(|| "cannot tell of a step")?;
        turn.take()?;
    }
    Ok(turn)
}

fn wait_for(place: usize, finished: &mut [Option<Chain>], to: &mut End) -> Result<()> {
    to.tell(&Told::Need(place))
        .context(|| "cannot ask for a stage")?;
    match to.hear().context(|| "cannot hear of a stage")? {
        Some(Packet::Document(text)) => {
            finished[place] = Some(wire::parse(&text)?);
            Ok(())
        }
        _ => Err(Error::internal("the build has ended")),
    }
}
