//! `wherry manifest push`.

use super::sources;
use crate::cli::{Front, Verb, stdout};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::Reference;
use crate::registry::Options;
use crate::transfer::manifests::{self, Lists};

#[derive(clap::Args)]
pub struct PushArgs {
    /// Allow push to an insecure registry
    #[arg(long)]
    insecure: bool,
    /// Remove the local manifest list after push
    #[arg(short, long)]
    purge: bool,
    #[arg(required = true, value_name = "MANIFEST_LIST")]
    list: String,
}

impl Verb for PushArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let name = Reference::parse(&self.list)?;
        let engine = Engine::open()?;
        let lists = Lists::new(&engine.paths);
        let list = lists.find(&name)?;
        let own = sources(front, &name, self.insecure)?
            .into_iter()
            .find(|source| !source.endpoint.mirror);
        let own =
            own.ok_or_else(|| Error::internal(format!("{} has no registry", name.familiar())))?;
        let digest = manifests::push(engine.store()?, &list, own, &Options::find()?)?;
        stdout::line(digest.as_str())?;
        if self.purge {
            lists.remove(&name)?;
        }
        Ok(0)
    }
}
