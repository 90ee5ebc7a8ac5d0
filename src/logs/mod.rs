//! The log of a container: Docker's json-file records in `log.json`, older
//! ones in `log.json.1`, `log.json.2`, …, packed ones in `log.json.1.gz`, …
//! (docs/state-format.md, "Logs"); or the host's journal.
//!
//! `write` is the monitor's side and never fails towards it; `read`, `tail`
//! and `follow` are the side of `wherry logs`. Nothing here prints.

mod disk;
mod encode;
mod files;
pub mod follow;
pub mod journal;
mod lines;
mod options;
mod pack;
pub mod read;
pub mod record;
mod tail;
pub mod write;

pub use follow::follow;
pub use journal::Journal;
pub use options::{Driver, Options};
pub use read::{Each, Entry, Filter, read};
pub use record::Record;
pub use write::Writer;

use std::os::fd::{AsRawFd, RawFd};

/// The file that is written; rotated ones have `.1` (the newest), `.2`, … added.
pub const FILE: &str = "log.json";

/// A record without a newline holds this many bytes of output, as Docker's do.
pub const PARTIAL: usize = 16 << 10;

/// Which of the container's two outputs; a terminal has only the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// How much of the output is kept (`--log-opt max-size`, `max-file`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Bytes after which a file is rotated; 0 is never.
    pub max_size: u64,
    /// Files kept, the written one among them; 0 counts as 1.
    pub max_files: u32,
    /// Rotated files are packed by gzip.
    pub compress: bool,
}

impl Default for Caps {
    /// 100 MiB in each of three files: unlike Docker's, never without limit.
    fn default() -> Self {
        Self {
            max_size: 100 << 20,
            max_files: 3,
            compress: false,
        }
    }
}

/// Where a container's output goes.
#[derive(Debug)]
pub enum Target {
    /// `attrs` goes into each record: `,"attrs":{…}` or nothing.
    Files {
        caps: Caps,
        attrs: String,
    },
    Journal(Journal),
}

impl Target {
    /// The descriptor that it needs.
    pub fn as_raw_fd(&self) -> Option<RawFd> {
        match self {
            Self::Files { .. } => None,
            Self::Journal(journal) => Some(journal.as_fd().as_raw_fd()),
        }
    }
}

/// `log.json` for 0, else `log.json.N`.
fn file_name(index: u32) -> String {
    match index {
        0 => FILE.into(),
        n => format!("{FILE}.{n}"),
    }
}

/// A rotated file that was packed.
fn packed_name(index: u32) -> String {
    format!("{}.gz", file_name(index))
}
