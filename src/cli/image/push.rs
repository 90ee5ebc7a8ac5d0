//! `wherry push`.

use super::pull::progress;
use crate::cli::registry::server::logins;
use crate::cli::{Front, Verb, stdout};
use crate::config::{Registries, Source};
use crate::container::images;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::image::{Platform, Reference};
use crate::registry::Options;
use crate::transfer::push::{Push, tags};

#[derive(clap::Args)]
pub struct PushArgs {
    /// Push all tags of an image to the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Push a platform-specific manifest as a single-platform image to the
    /// registry (as "os[/arch[/variant]]")
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    #[arg(required = true, value_name = "NAME[:TAG]")]
    name: String,
}

impl Verb for PushArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let (written, assumed) = Reference::parse_written(&self.name)?;
        if self.all_tags && !assumed {
            return Err(Error::invalid("tag can't be used with --all-tags/-a"));
        }
        if assumed && !self.all_tags && !self.quiet && written.digest().is_none() {
            stdout::line("Using default tag: latest")?;
        }
        if !self.quiet {
            stdout::line(&format!(
                "The push refers to repository [{}]",
                written.name()
            ))?;
        }
        let engine = Engine::open()?;
        let store = engine.store()?;
        let names = match self.all_tags {
            true => tags(store, &written)?,
            false => vec![written.clone()],
        };
        let missing = || {
            Error::not_found(format!(
                "An image does not exist locally with the tag: {}",
                written.familiar_name()
            ))
        };
        let there = |name: &Reference| match store.resolve(&name.canonical()) {
            Err(e) if e.kind() == Kind::NotFound => Err(missing()),
            other => other.map(drop),
        };
        names.iter().try_for_each(there)?;
        if names.is_empty() {
            return Err(missing());
        }
        let source = own_source(front, &written)?;
        let options = Options::find()?;
        let progress = progress(std::io::stdout(), self.quiet);
        let push = Push::to(store, &written, source, &options, &*progress)?;
        let mut repacked = false;
        for name in &names {
            let pushed = push.image(name, self.platform.as_ref())?;
            repacked |= pushed.repacked;
            if self.quiet {
                stdout::line(&name.canonical())?;
                continue;
            }
            if let Some(index) = pushed.left_out {
                front.warn(&format!(
                    "not all of the index {index} is here: the available single-platform image was pushed, {}",
                    pushed.digest
                ));
            }
            let tag = name.tag().unwrap_or_default();
            stdout::line(&format!(
                "{tag}: digest: {} size: {}",
                pushed.digest, pushed.size
            ))?;
        }
        drop(push);
        drop(progress);
        if repacked {
            images::collect(&engine)?;
        }
        Ok(0)
    }
}

/// The registry itself: mirrors are not pushed to.
pub fn own_source(front: &Front, name: &Reference) -> Result<Source> {
    let registries = Registries::find()?;
    let sources = Source::find(&registries, &logins(front), name)?;
    let own = sources.into_iter().find(|source| !source.endpoint.mirror);
    own.ok_or_else(|| Error::internal(format!("{} has no registry", name.familiar())))
}
