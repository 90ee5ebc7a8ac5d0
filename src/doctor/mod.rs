//! Whether this host has what containers need. Everything is really tried or
//! read; nothing is changed. Each finding that is no good names a [`Need`],
//! which knows the words and the command.

mod ids;
mod kernel;
mod limits;
pub mod outside;
pub mod storage;

use crate::engine::Engine;
use crate::host::Need;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Good,
    /// Containers run, but something that users may ask for does not.
    Advice(Need),
    /// Containers do not run, or not as they should.
    Missing(Need),
}

/// One thing that was looked at.
#[derive(Debug)]
pub struct Check {
    pub name: &'static str,
    pub state: State,
    /// What was found, in a few words.
    pub found: String,
}

impl Check {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Good,
            found: found.into(),
        }
    }

    fn missing(name: &'static str, need: Need, found: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Missing(need),
            found: found.into(),
        }
    }

    fn advice(name: &'static str, need: Need, found: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Advice(need),
            found: found.into(),
        }
    }
}

/// Looks at everything. The caller must have one thread.
pub fn examine(engine: &Engine) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(kernel::checks());
    checks.extend(ids::checks(engine));
    checks.extend(storage::checks(engine));
    checks.extend(outside::checks(engine));
    checks.extend(limits::checks(engine));
    checks
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A sysctl or another small file; empty when there is none.
fn read(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}
