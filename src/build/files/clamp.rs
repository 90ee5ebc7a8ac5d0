//! SOURCE_DATE_EPOCH: nothing in a layer is younger. What a step changes is
//! dated by when that happened, and directories by what was made in them; then
//! the same steps would never make the same layer twice.

use crate::error::{Context, Result};
use crate::fs::rooted;
use nix::dir::Dir;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, UtimensatFlags, fstat, fstatat, futimens, utimensat};
use nix::sys::time::TimeSpec;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Directories within directories; deeper ones keep their times.
const DEEPEST: usize = 512;

/// Dates everything beneath `dir` that is younger by `epoch`, in seconds.
pub fn clamp(dir: &Path, epoch: i64) -> Result<()> {
    let root = File::open(dir).context(|| format!("cannot open \"{}\"", dir.display()))?;
    below(&root.into(), epoch, 0).context(|| "cannot set the times of a layer")
}

fn is_younger(stat: &FileStat, epoch: i64) -> bool {
    (stat.st_mtime, stat.st_mtime_nsec) > (epoch, 0)
}

fn below(dir: &OwnedFd, epoch: i64, depth: usize) -> nix::Result<()> {
    let time = TimeSpec::new(epoch, 0);
    let copy = nix::unistd::dup(dir)?;
    for entry in Dir::from_fd(copy)?.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        if stat.st_mode & libc::S_IFMT == libc::S_IFDIR && depth < DEEPEST {
            let child = rooted::open_child_dir(dir, name.to_bytes())?;
            below(&child, epoch, depth + 1)?;
        } else if is_younger(&stat, epoch) {
            utimensat(dir, name, &time, &time, UtimensatFlags::NoFollowSymlink)?;
        }
    }
    if is_younger(&fstat(dir)?, epoch) {
        futimens(dir, &time, &time)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn only_younger_ones_are_dated_anew() {
        let dir = std::env::temp_dir().join(format!("wherry-clamp-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("d/e")).unwrap();
        std::fs::write(dir.join("d/new"), "").unwrap();
        let old = File::create(dir.join("d/old")).unwrap();
        old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(5))
            .unwrap();
        symlink("/etc/passwd", dir.join("link")).unwrap();
        clamp(&dir, 1000).unwrap();
        let time = |name: &str| std::fs::symlink_metadata(dir.join(name)).unwrap().mtime();
        for name in ["", "d", "d/e", "d/new", "link"] {
            assert_eq!(time(name), 1000, "{name}");
        }
        assert_eq!(time("d/old"), 5);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
