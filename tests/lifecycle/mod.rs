//! From create to rm: states, signals, and what a kill -9 leaves.

mod kills;
mod states;
