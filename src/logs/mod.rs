//! The log of a container: Docker's json-file records in `log.json`, older
//! ones in `log.json.1`, `log.json.2`, … (docs/state-format.md, "Logs").
//!
//! `write` is the monitor's side and never fails towards it; `read`, `tail`
//! and `follow` are the side of `wherry logs`. Nothing here prints.

mod encode;
mod files;
pub mod follow;
mod lines;
pub mod read;
pub mod record;
mod tail;
pub mod write;

pub use follow::follow;
pub use read::{Each, Entry, Filter, read};
pub use record::Record;
pub use write::Writer;

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
}

impl Default for Caps {
    /// 100 MiB in each of three files: unlike Docker's, never without limit.
    fn default() -> Self {
        Self {
            max_size: 100 << 20,
            max_files: 3,
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
