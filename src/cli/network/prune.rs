//! `wherry network prune`.

use crate::cli::{Asking, Front, Verb, stdout};
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
    #[command(flatten)]
    asking: Asking,
}

impl Verb for PruneArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let filters = Filters::parse(&self.filter, &TimeZone::system())?;
        let warning =
            "WARNING! This will remove all custom networks not used by at least one container.";
        if !self.asking.may(warning)? {
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
