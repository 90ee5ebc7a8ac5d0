//! When the monitor lets go of the code that it has used: the start takes far
//! more of it than what follows, and so does a question about a name.

use crate::sys::memory;
use std::time::{Duration, Instant};

/// A container that ends sooner would only have to fetch its end's share of the
/// code of its start again.
const FIRST: Duration = Duration::from_secs(1);
/// Turns of the poll loop that no container takes that does little.
const TURNS: u32 = 64;
/// From the first sign of life after the last time.
const AGAIN: Duration = Duration::from_secs(3);

pub struct Rest {
    due: Option<Instant>,
    /// Turns left until it is due for that reason.
    turns: u32,
}

impl Rest {
    /// At the end of a start.
    pub fn after_start() -> Self {
        Self {
            due: Some(Instant::now() + FIRST),
            turns: TURNS,
        }
    }

    /// When [`Rest::after_turn`] is to be called at the latest.
    pub fn limit(&self) -> Option<Instant> {
        self.due
    }

    /// `active`: something was done in this turn.
    pub fn after_turn(&mut self, active: bool) {
        if active && self.due.is_none() {
            self.due = Some(Instant::now() + AGAIN);
        }
        let many = self.turns == 1;
        self.turns = self.turns.saturating_sub(1);
        if many || self.due.is_some_and(|due| Instant::now() >= due) {
            memory::release_code();
            self.due = None;
            self.turns = 0;
        }
    }
}
