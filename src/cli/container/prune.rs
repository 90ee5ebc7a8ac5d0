//! `wherry container prune`.

use crate::cli::{Asking, Front, Verb, show, stdout};
use crate::container::prune::{Filters, prune};
use crate::engine::Engine;
use crate::error::Result;
use crate::text::size;
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
    fn run(self, front: &Front) -> Result<u8> {
        let filters = Filters::parse(&self.filter, &TimeZone::system())?;
        let warning = "WARNING! This will remove all stopped containers.";
        if !self.asking.may(warning)? {
            return Ok(0);
        }
        let pruned = prune(&Engine::open()?, &filters)?;
        let mut text = String::new();
        if !pruned.ids.is_empty() {
            text = format!("Deleted Containers:\n{}\n\n", pruned.ids.join("\n"));
        }
        let reclaimed = size::decimal4(pruned.reclaimed);
        stdout::print(&format!("{text}Total reclaimed space: {reclaimed}\n"))?;
        for failure in &pruned.failures {
            show(failure, front);
        }
        Ok(u8::from(!pruned.failures.is_empty()))
    }
}
