//! Words of the Dockerfile language, which `build` and `--change` have in common:
//! quotes, flags and arrays (`words`), variables (`expand`).

pub mod expand;
mod pattern;
pub mod words;
