//! `wherry manifest create`.

use super::client;
use crate::cli::{Front, Verb, stdout};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::Reference;
use crate::transfer::manifests::{self, Entry, Lists};

#[derive(clap::Args)]
pub struct CreateArgs {
    /// Amend an existing manifest list
    #[arg(short, long)]
    amend: bool,
    /// Allow communication with an insecure registry
    #[arg(long)]
    insecure: bool,
    #[arg(required = true, value_name = "MANIFEST_LIST")]
    list: String,
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<String>,
}

impl Verb for CreateArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let name = Reference::parse(&self.list)?;
        let lists = Lists::new(&Engine::open()?.paths);
        if !self.amend && lists.find(&name).is_ok() {
            return Err(Error::conflict(
                "refusing to amend an existing manifest list with no --amend flag",
            ));
        }
        let fetch = |text: &String| -> Result<Entry> {
            manifests::entry(&client(front, &Reference::parse(text)?, self.insecure)?)
        };
        let entries: Vec<Entry> = self.manifests.iter().map(fetch).collect::<Result<_>>()?;
        lists.change(&name, |before| {
            let mut list = before.unwrap_or_else(|| manifests::new_list(&name));
            entries.into_iter().for_each(|entry| list.put(entry));
            Ok(list)
        })?;
        stdout::line(&format!("Created manifest list {}", name.canonical()))?;
        Ok(0)
    }
}
