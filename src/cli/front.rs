//! What a command knows of how it was called: the program's name and the
//! options that stand before the command.

use std::path::PathBuf;

/// The options before the command, and the words that chose it.
#[derive(Debug, Default)]
pub struct Front {
    /// `wherry`, or `docker` when called by a link of that name.
    pub program: String,
    /// The command as it was typed: `ps`, `container ls`.
    pub command: String,
    /// `-D`, `--debug`, `--log-level debug`: errors show what caused them.
    pub debug: bool,
    /// `--log-level error` or `fatal`: no warnings.
    pub quiet: bool,
    /// `--config`: the directory of Docker's client settings and credentials.
    pub config: Option<PathBuf>,
}

impl Front {
    /// `wherry ps`.
    pub fn full(&self) -> String {
        if self.command.is_empty() {
            self.program.clone()
        } else {
            format!("{} {}", self.program, self.command)
        }
    }

    /// One line on standard error, which does not change the exit status.
    pub fn warn(&self, text: &str) {
        if !self.quiet {
            super::report::stderr(&format!("WARNING: {text}\n"));
        }
    }

    /// One line on standard error for people, not for scripts.
    pub fn note(&self, text: &str) {
        super::report::stderr(&format!("{text}\n"));
    }
}
