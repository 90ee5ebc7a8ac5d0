//! Mount points that a step's container made for its mounts: they are not of
//! the image, and go before its layer is packed. Only what was not there
//! before, is empty, and has not been replaced by something else goes
//! (CVE-2024-23652).

use crate::error::{Context, Result};
use crate::fs::rooted;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A path of the image, without links, and how many of its last components are
/// not there before the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    components: Vec<Vec<u8>>,
    missing: usize,
}

/// What of `target` is missing in the files at `root`.
pub fn look(root: BorrowedFd<'_>, target: &str) -> Result<Point> {
    let found = rooted::canonical(root, target.as_bytes())
        .context(|| format!("cannot read the mount point \"{target}\""))?;
    Ok(Point {
        missing: found.missing.len(),
        components: found.found.into_iter().chain(found.missing).collect(),
    })
}

/// Removes them from what the step has written.
pub fn remove(upper: &Path, points: &[Point]) -> Result<()> {
    let root = std::fs::File::open(upper).context(|| "cannot open what the step has written")?;
    for point in points {
        for length in (point.components.len() - point.missing + 1..=point.components.len()).rev() {
            let path = &point.components[..length];
            let Some((name, parent)) = path.split_last() else {
                continue;
            };
            let Ok(parent) = open(root.as_fd(), &parent.join(&b'/')) else {
                break;
            };
            if !remove_empty(&parent, name) {
                break;
            }
        }
    }
    Ok(())
}

fn open(root: BorrowedFd<'_>, path: &[u8]) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    let path: &[u8] = if path.is_empty() { b"." } else { path };
    openat2(root, path, how)
}

fn remove_empty(parent: &OwnedFd, name: &[u8]) -> bool {
    let Ok(stat) = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
        return false;
    };
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => unlinkat(parent, name, UnlinkatFlags::RemoveDir) != Err(Errno::ENOTEMPTY),
        libc::S_IFREG if stat.st_size == 0 && stat.st_nlink == 1 => {
            unlinkat(parent, name, UnlinkatFlags::NoRemoveDir).is_ok()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_our_own_empty_ones_go() {
        let dir = std::env::temp_dir().join(format!("wherry-points-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let (before, upper) = (dir.join("before"), dir.join("upper"));
        std::fs::create_dir_all(before.join("there")).unwrap();
        for made in ["a/b/c", "there/x", "full/d", "swapped"] {
            std::fs::create_dir_all(upper.join(made)).unwrap();
        }
        std::fs::write(upper.join("full/file"), "").unwrap();
        std::fs::write(upper.join("a/secret"), "").unwrap();
        let canary = dir.join("canary");
        std::fs::create_dir_all(canary.join("y")).unwrap();
        symlink(&canary, upper.join("swapped/link")).unwrap();
        let root = std::fs::File::open(&before).unwrap();
        let points: Vec<Point> = [
            "/a/b/c",
            "/a/secret",
            "/there/x",
            "/there",
            "/full/d",
            "/swapped/link/y",
        ]
        .iter()
        .map(|target| look(root.as_fd(), target).unwrap())
        .collect();
        remove(&upper, &points).unwrap();
        assert!(!upper.join("a").exists() && !upper.join("there/x").exists());
        assert!(upper.join("there").exists() && upper.join("full/file").exists());
        assert!(!upper.join("full/d").exists());
        assert!(canary.join("y").exists() && upper.join("swapped/link").is_symlink());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
