//! Asking before something is removed.

use super::stdout;
use crate::error::Result;
use std::io::BufRead;

/// Whether the answer is yes. The end of input is a no.
pub fn confirm(warning: &str) -> Result<bool> {
    stdout::print(&format!(
        "{warning}\nAre you sure you want to continue? [y/N] "
    ))?;
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y"))
}
