//! The engine's own layer above an image's: mount points, so that a start
//! writes nothing into the container's layer, and so that an image's /proc,
//! /dev or /etc/hosts that is a symbolic link is out of the way
//! (CVE-2019-19921, CVE-2026-41579). Docker has the same.

use crate::error::{Context, Result};
use crate::fs::replace::temporary_beside;
use crate::paths::Paths;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Part of the directory's name: other content, other name.
const REVISION: &str = "init-1";

const DIRECTORIES: [&str; 6] = ["dev", "dev/pts", "dev/shm", "proc", "sys", "etc"];
const FILES: [&str; 5] = [
    ".dockerenv",
    "dev/console",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
];

/// Where the layer is; made when it is missing.
pub fn path(paths: &Paths) -> Result<PathBuf> {
    let layer = paths.data().join(REVISION);
    if layer.is_dir() {
        return Ok(layer);
    }
    let temporary = temporary_beside(&layer);
    let made = make(&temporary).and_then(|()| match std::fs::rename(&temporary, &layer) {
        // Another command was faster; its layer is the same.
        Err(_) if layer.is_dir() => Ok(()),
        other => other,
    });
    let _ = std::fs::remove_dir_all(&temporary);
    made.context(|| format!("cannot make \"{}\"", layer.display()))?;
    Ok(layer)
}

fn make(dir: &Path) -> std::io::Result<()> {
    let directory = |path: &Path| {
        DirBuilder::new().mode(0o755).create(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
    };
    directory(dir)?;
    for name in DIRECTORIES {
        directory(&dir.join(name))?;
    }
    for name in FILES {
        let path = dir.join(name);
        File::create(&path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    }
    symlink("/proc/mounts", dir.join("etc/mtab"))
}
