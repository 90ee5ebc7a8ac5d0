//! `wherry image prune`.

use crate::cli::{Asking, Front, Verb, stdout};
use crate::container::images::{self, Pruned};
use crate::engine::Engine;
use crate::error::Result;
use crate::store::Removal;
use crate::text::size;

#[derive(clap::Args)]
pub struct PruneArgs {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Provide filter values (e.g. "until=<timestamp>")
    #[arg(long, value_name = "filter", value_parser = crate::cli::filter)]
    filter: Vec<(String, String)>,
    #[command(flatten)]
    asking: Asking,
}

impl Verb for PruneArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let which = match self.all {
            true => "all images without at least one container associated to them",
            false => "all dangling images",
        };
        if !self
            .asking
            .may(&format!("WARNING! This will remove {which}."))?
        {
            return Ok(0);
        }
        let pruned = images::prune(&Engine::open()?, self.all, self.filter)?;
        let total = size::decimal4(pruned.freed);
        stdout::print(&format!(
            "{}Total reclaimed space: {total}\n",
            deleted(&pruned)
        ))?;
        Ok(0)
    }
}

/// The removals as a section; nothing when there are none.
pub fn deleted(pruned: &Pruned) -> String {
    if pruned.removed.is_empty() {
        return String::new();
    }
    let mut out = String::from("Deleted Images:\n");
    for step in &pruned.removed {
        let line = match step {
            Removal::Untagged(name) => format!("untagged: {}\n", name.familiar()),
            Removal::Deleted(id) => format!("deleted: {id}\n"),
        };
        out.push_str(&line);
    }
    out + "\n"
}
