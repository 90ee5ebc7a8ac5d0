//! `wherry pull`, and the pull that `run` and `create` begin with.

use crate::cli::registry::server::logins;
use crate::cli::{Front, Verb, stdout};
use crate::config::{Policy, Registries, Source};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::{Platform, Reference};
use crate::output::draw::Drawing;
use crate::output::progress::{Progress, Silent};
use crate::registry::{Client, Options};
use crate::sys::pty;
use crate::transfer::pull::{self, PullOptions};
use crate::userns::task;
use std::io::IsTerminal;

#[derive(clap::Args)]
pub struct PullArgs {
    /// Download all tagged images in the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    #[arg(required = true, value_name = "NAME[:TAG|@DIGEST]")]
    name: String,
}

impl Verb for PullArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let (written, assumed) = Reference::parse_written(&self.name)?;
        if self.all_tags && !assumed {
            return Err(Error::invalid("tag can't be used with --all-tags/-a"));
        }
        if assumed && !self.all_tags && !self.quiet && written.digest().is_none() {
            stdout::line("Using default tag: latest")?;
        }
        let engine = Engine::open()?;
        let progress = progress(std::io::stdout(), self.quiet);
        let request = Request {
            name: &self.name,
            platform: self.platform.as_deref(),
            all_tags: self.all_tags,
            beside: false,
        };
        for name in request.carry_out(&engine, front, &*progress)? {
            stdout::line(&name)?;
        }
        Ok(0)
    }
}

/// Pulls what `run` and `create` need; all output goes to standard error.
pub fn pull_missing(
    engine: &Engine,
    front: &Front,
    name: &str,
    platform: Option<&str>,
    quiet: bool,
) -> Result<()> {
    let request = Request {
        name,
        platform,
        all_tags: false,
        beside: false,
    };
    request.besides(engine, front, quiet).map(drop)
}

/// The same for builds: an image for another platform than this machine's does not
/// take the name from one that has it. What it is called.
pub fn pull_base(
    engine: &Engine,
    front: &Front,
    name: &str,
    platform: Option<&str>,
    quiet: bool,
) -> Result<String> {
    let request = Request {
        name,
        platform,
        all_tags: false,
        beside: platform.is_some(),
    };
    let names = request.besides(engine, front, quiet)?;
    Ok(names.into_iter().next().unwrap_or_else(|| name.to_owned()))
}

/// What to pull.
struct Request<'a> {
    name: &'a str,
    platform: Option<&'a str>,
    all_tags: bool,
    /// [`PullOptions::beside`].
    beside: bool,
}

impl Request<'_> {
    /// As a part of another command, whose standard output it leaves alone.
    fn besides(&self, engine: &Engine, front: &Front, quiet: bool) -> Result<Vec<String>> {
        let progress = progress(std::io::stderr(), quiet);
        self.carry_out(engine, front, &*progress)
    }

    /// Pulls in a child process that is root of U, because the files of layers
    /// belong to U's ids. Everything of the user's own (settings, logins,
    /// credential helpers) is read before. Returns the names that were pulled.
    fn carry_out(
        &self,
        engine: &Engine,
        front: &Front,
        progress: &dyn Progress,
    ) -> Result<Vec<String>> {
        let registries = Registries::find()?;
        let reference = registries.expand(self.name)?;
        let sources = Source::find(&registries, &logins(front), &reference)?;
        let options = Options::find()?;
        let wanted = PullOptions {
            platform: self.platform.map(Platform::parse).transpose()?,
            policy: Policy::find()?,
            beside: self.beside,
            ..PullOptions::default()
        };
        let store = engine.store()?;
        task::run(&engine.paths, || {
            // What killed pulls left; not getting rid of it is no failure.
            let _ = store.sweep();
            let client = Client::new(&reference, sources, &options);
            if self.all_tags {
                let all = pull::pull_all_tags(store, &client, &wanted, progress)?;
                return Ok(all.iter().map(|p| p.reference.canonical()).collect());
            }
            let pulled = pull::pull(store, &client, &wanted, progress)?;
            Ok(vec![pulled.reference.canonical()])
        })
    }
}

/// What was asked for, else what suits this machine.
pub fn wanted_platform(asked: Option<&Platform>) -> Platform {
    asked.cloned().unwrap_or_else(Platform::host)
}

/// Moving lines on a terminal, plain ones elsewhere, none with `quiet`.
pub fn progress<W>(out: W, quiet: bool) -> Box<dyn Progress>
where
    W: std::io::Write + IsTerminal + std::os::fd::AsFd + Send + 'static,
{
    if quiet {
        return Box::new(Silent);
    }
    if !out.is_terminal() {
        return Box::new(Drawing::plain(out));
    }
    let columns = pty::size(&out).map_or(80, |size| size.columns);
    Box::new(Drawing::terminal(out, columns))
}
