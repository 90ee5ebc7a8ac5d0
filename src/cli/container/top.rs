//! `wherry top`.

use crate::cli::{Front, Verb, stdout};
use crate::container::processes::top;
use crate::engine::Engine;
use crate::error::Result;
use crate::output::table::{Layout, align};

/// 20 columns at least, a gap of 3.
const LAYOUT: Layout = Layout { least: 20, gap: 3 };

#[derive(clap::Args)]
pub struct TopArgs {
    #[arg(required = true, value_name = "CONTAINER")]
    container: String,
    /// Options of ps(1)
    #[arg(value_name = "ps OPTIONS", trailing_var_arg = true, num_args = 0.., allow_hyphen_values = true)]
    options: Vec<String>,
}

impl Verb for TopArgs {
    fn run(self, _: &Front) -> Result<u8> {
        let table = top(&Engine::open()?, &self.container, &self.options)?;
        let lines = std::iter::once(&table.titles).chain(&table.rows);
        let text: String = lines.map(|cells| cells.join("\t") + "\n").collect();
        stdout::print(&align(&text, LAYOUT))?;
        Ok(0)
    }
}
