//! How a build tells what it is doing. Drawing it is the command line's
//! business.

use std::time::Duration;

/// A step as people see it; IDs are the build's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    pub id: Id,
    /// `[builder 2/5] RUN make`.
    pub name: String,
}

/// Stage and step; what is not a step has a stage beyond all ([`Beside`]).
pub type Id = (usize, usize);

/// What is told of besides the steps.
#[derive(Debug, Clone, Copy)]
pub enum Beside {
    Definition,
    /// A context or repository.
    Fetched,
    /// A build cache that is read, its layers, and one that is written.
    CacheRead,
    CacheLayers,
    CacheWritten,
    Image,
}

impl Beside {
    /// Of the `number`th of its kind, from 0.
    pub fn id(self, number: usize) -> Id {
        (usize::MAX - self as usize, number)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Cached,
    /// Why.
    Failed(String),
}

pub trait Progress {
    fn begin(&mut self, vertex: &Vertex);
    /// Output as it comes, in any pieces.
    fn log(&mut self, id: Id, bytes: &[u8]);
    fn end(&mut self, id: Id, outcome: Outcome);
    /// How often [`Progress::tick`] is wanted while nothing happens.
    fn pace(&self) -> Option<Duration> {
        None
    }
    fn tick(&mut self) {}
}

/// Tells nobody.
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _: &Vertex) {}
    fn log(&mut self, _: Id, _: &[u8]) {}
    fn end(&mut self, _: Id, _: Outcome) {}
}
