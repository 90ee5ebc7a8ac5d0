//! The image store against hostile archives, other tools, kills and full
//! disks.

mod collected;
mod commands;
mod evil;
mod faults;
mod races;
mod tags;
mod tools;

use super::support::env::Env;
use super::support::payload;
use std::path::{Path, PathBuf};
use wherry::image::digest::Digest;
use wherry::image::manifest::Compression;
use wherry::paths::Paths;
use wherry::store::Store;
use wherry::store::unpack::Unpacked;

/// A store of its own inside a test's environment.
fn store_at(dir: &Path) -> Store {
    let paths = Paths::at(dir.join("data"), dir.join("run"));
    paths.ensure().unwrap();
    Store::open(&paths).unwrap()
}

fn layers(dir: &Path) -> Vec<PathBuf> {
    let layers = dir.join("data/layers");
    let entries = std::fs::read_dir(&layers).into_iter().flatten();
    entries.map(|e| e.unwrap().path()).collect()
}

/// Unpacks a plain layer whose DiffID is right.
fn unpack(dir: &Path, tar: &[u8]) -> wherry::error::Result<(PathBuf, Unpacked)> {
    let diff_id = Digest::of(tar);
    let unpacked = store_at(dir).unpack_layer(&diff_id, tar, Compression::None)?;
    Ok((
        dir.join("data/layers").join(diff_id.hex()).join("diff"),
        unpacked,
    ))
}

/// Runs the probe: takes `tag` of `layout` into the store at `root`.
fn take(env: &Env, root: &Path, layout: &Path, tag: &str) -> super::support::env::Output {
    super::support::env::run(take_command(env, root, layout, tag), b"", 60)
}

fn take_command(env: &Env, root: &Path, layout: &Path, tag: &str) -> std::process::Command {
    let mut command = env.command(payload("store_probe"));
    command.arg(root).arg(layout).arg(tag);
    command
}
