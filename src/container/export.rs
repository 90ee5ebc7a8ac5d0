//! A container's files as one archive.

use super::files;
use crate::engine::Engine;
use crate::error::Result;
use crate::record::containers;
use crate::store::pack::{Options, ZEROS, pack};
use crate::userns::task;
use std::fs::File;
use std::io::{BufWriter, Write};

/// Writes all files of the container, without what is mounted in it, to `out`.
pub fn export(engine: &Engine, wanted: &str, out: &File) -> Result<()> {
    let id = containers::find(&engine.paths, wanted)?;
    // It is not to be removed meanwhile.
    let _lock = containers::lock(&engine.paths, &id)?;
    let container = containers::config(&engine.paths, &id)?;
    task::run(&engine.paths, || {
        let tree = files::all(engine, &container)?;
        let mut out = BufWriter::with_capacity(256 << 10, out);
        let options = Options {
            zeros: ZEROS,
            ..Options::default()
        };
        pack(&tree, &mut out, options)?;
        out.flush().map_err(crate::store::pack::unwritten)
    })
}
