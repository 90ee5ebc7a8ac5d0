//! From create to rm: states, signals, and what a kill -9 leaves.

mod health;
mod kills;
mod pause;
mod policies;
mod prune;
mod rename;
mod restart;
mod states;
mod table;
mod top;
