//! `wherry network prune`.

use crate::cli::{Front, Verb, confirm, stdout};
use crate::container::network::operate;
use crate::container::prune::Filters;
use crate::engine::Engine;
use crate::error::Result;
use jiff::tz::TimeZone;

#[derive(clap::Args)]
pub struct PruneArgs {
    /// Provide filter values (e.g. "until=<timestamp>")
    #[arg(long, value_name = "filter", value_parser = crate::cli::filter)]
    filter: Vec<(String, String)>,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
}

impl Verb for PruneArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let filters = Filters::parse(&self.filter, &TimeZone::system())?;
        let warning =
            "WARNING! This will remove all custom networks not used by at least one container.";
        if !self.force && !confirm(warning)? {
            return Ok(0);
        }
        stdout::print(&deleted(&operate::prune(&Engine::open()?, &filters)?))?;
        Ok(0)
    }
}

/// What `prune` prints of them.
pub fn deleted(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("Deleted Networks:\n{}\n\n", names.join("\n")),
    }
}
