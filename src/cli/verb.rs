//! What a command is: a clap `Args` struct that can run, and its row in the
//! table of commands.

use super::front::Front;
use crate::error::Result;
use clap::{ArgMatches, Command};

/// A command: its fields are its options and arguments.
pub trait Verb: clap::Args {
    /// Does the work and gives the exit status (0 is success).
    fn run(self, front: &Front) -> Result<u8>;
}

/// A row of the table of commands.
pub struct Entry {
    /// Every full name without the program, the canonical one first:
    /// `container ls`, `container list`, `container ps`, `ps`.
    pub paths: &'static [&'static str],
    /// What follows `[OPTIONS]` in the usage line; one element per form.
    pub usage: &'static [&'static str],
    pub about: &'static str,
    /// Listed first in the program's own help.
    pub common: bool,
    pub(super) build: fn(Command) -> Command,
    pub(super) call: fn(&mut ArgMatches, &Front) -> Result<u8>,
}

impl Entry {
    /// The row of command `V`.
    pub const fn of<V: Verb>(
        paths: &'static [&'static str],
        usage: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        Self {
            paths,
            usage,
            about,
            common: false,
            build: V::augment_args,
            call: call::<V>,
        }
    }

    /// Marks the command as one that everybody needs.
    #[must_use]
    pub const fn common(mut self) -> Self {
        self.common = true;
        self
    }
}

fn call<V: Verb>(matches: &mut ArgMatches, front: &Front) -> Result<u8> {
    // Everything required was checked when the words were parsed, so this
    // fails only when a command's struct contradicts its own clap attributes.
    let verb = V::from_arg_matches_mut(matches)
        .map_err(|e| crate::error::Error::internal(format!("cannot read the options: {e}")))?;
    verb.run(front)
}
