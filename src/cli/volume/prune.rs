//! `wherry volume prune`.

use crate::cli::{Asking, Front, Verb, show, stdout};
use crate::container::volumes::{self, PruneFilters, Pruned};
use crate::engine::Engine;
use crate::error::Result;
use crate::text::size;

#[derive(clap::Args)]
pub struct PruneArgs {
    /// Remove all unused volumes, not just anonymous ones
    #[arg(short, long)]
    all: bool,
    /// Provide filter values (e.g. "label=<label>")
    #[arg(long, value_name = "filter", value_parser = crate::cli::filter)]
    filter: Vec<(String, String)>,
    #[command(flatten)]
    asking: Asking,
}

impl Verb for PruneArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let filters = PruneFilters::parse(self.all, &self.filter)?;
        let which = match self.all {
            true => "all local volumes",
            false => "anonymous local volumes",
        };
        let warning =
            format!("WARNING! This will remove {which} not used by at least one container.");
        if !self.asking.may(&warning)? {
            return Ok(0);
        }
        let pruned = volumes::prune(&Engine::open()?, &filters)?;
        let total = size::decimal4(pruned.reclaimed);
        stdout::print(&format!(
            "{}Total reclaimed space: {total}\n",
            deleted(&pruned)
        ))?;
        let failed = pruned.failures.iter().map(|e| show(e, front)).max();
        Ok(failed.unwrap_or(0))
    }
}

/// The names as a section; nothing when there are none.
pub fn deleted(pruned: &Pruned) -> String {
    match pruned.names.as_slice() {
        [] => String::new(),
        names => format!("Deleted Volumes:\n{}\n\n", names.join("\n")),
    }
}
