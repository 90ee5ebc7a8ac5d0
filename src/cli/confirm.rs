//! Asking before something is removed.

use super::stdout;
use crate::error::Result;
use std::io::BufRead;

/// The option of a command that asks first.
#[derive(clap::Args)]
pub struct Asking {
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
}

impl Asking {
    /// Whether the user agrees, or wants no question.
    pub fn may(&self, warning: &str) -> Result<bool> {
        Ok(self.force || confirm(warning)?)
    }
}

/// Whether the answer is yes. The end of input is a no.
fn confirm(warning: &str) -> Result<bool> {
    stdout::print(&format!(
        "{warning}\nAre you sure you want to continue? [y/N] "
    ))?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y"))
}
