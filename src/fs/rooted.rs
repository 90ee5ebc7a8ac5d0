//! Paths that come from outside, resolved beneath a directory descriptor.
//!
//! The kernel does the walking (openat2(2), RESOLVE_IN_ROOT): symbolic links
//! and `..` cannot lead out, and there is no moment between check and use.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, renameat};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Opens `path` as if `root` were `/`. The empty path is `root` itself.
/// `flags` gets O_CLOEXEC; mounts beneath `root` are not entered.
pub fn open(root: BorrowedFd<'_>, path: &[u8], flags: OFlag, mode: Mode) -> nix::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let mut how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(
        ResolveFlag::RESOLVE_IN_ROOT
            | ResolveFlag::RESOLVE_NO_MAGICLINKS
            | ResolveFlag::RESOLVE_NO_XDEV,
    );
    if flags.contains(OFlag::O_CREAT) {
        how = how.mode(mode);
    }
    // EAGAIN: something was renamed during the walk; the kernel says try again.
    for _ in 0..100 {
        match openat2(root, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            other => return other,
        }
    }
    Err(Errno::EAGAIN)
}

/// Opens an existing directory for reading, following links inside `root`.
pub fn open_dir(root: BorrowedFd<'_>, path: &[u8]) -> nix::Result<OwnedFd> {
    open(
        root,
        path,
        OFlag::O_RDONLY | OFlag::O_DIRECTORY,
        Mode::empty(),
    )
}

/// Opens the directory `name` (one component, not a link) of `parent`.
pub fn open_child_dir(parent: impl AsFd, name: &[u8]) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Directories deeper than this are moved up before they are emptied, so that
/// no tree can exhaust descriptors or the stack.
const DEEPEST: usize = 32;

/// Removes `name` of `parent` with everything beneath it; never follows links,
/// never leaves the file system. A missing `name` is no error.
pub fn remove_all(parent: BorrowedFd<'_>, name: &[u8]) -> nix::Result<()> {
    let mut removal = Removal {
        top: parent,
        name,
        moved: 0,
        waiting: Vec::new(),
    };
    removal.remove(parent, name, 0)?;
    while let Some(moved) = removal.waiting.pop() {
        removal.remove(parent, &moved, 0)?;
    }
    Ok(())
}

struct Removal<'a> {
    top: BorrowedFd<'a>,
    name: &'a [u8],
    /// How many directories were moved up to `top`: names are not used twice.
    moved: u64,
    /// Those of them that are still there.
    waiting: Vec<Vec<u8>>,
}

impl Removal<'_> {
    fn next_name(&mut self) -> Vec<u8> {
        self.moved += 1;
        // Starts as a temporary name does: a killed removal leaves garbage.
        let stem = &self.name[..self.name.len().min(100)];
        [b".tmp-deep-", self.moved.to_string().as_bytes(), b"-", stem].concat()
    }

    fn remove(&mut self, parent: BorrowedFd<'_>, name: &[u8], depth: usize) -> nix::Result<()> {
        match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::EISDIR | Errno::EPERM) => {}
            Err(e) => return Err(e),
        }
        match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
            Err(e) => return Err(e),
        }
        if depth >= DEEPEST {
            return self.move_up(parent, name);
        }
        let dir = open_for_removal(parent, name)?;
        self.empty(&dir, depth)?;
        unlinkat(parent, name, UnlinkatFlags::RemoveDir)
    }

    fn move_up(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> nix::Result<()> {
        loop {
            let moved = self.next_name();
            match renameat(parent, name, self.top, moved.as_slice()) {
                Ok(()) => {
                    self.waiting.push(moved);
                    return Ok(());
                }
                // Left by a removal that was killed.
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn empty(&mut self, dir: &OwnedFd, depth: usize) -> nix::Result<()> {
        let mut listing = Dir::openat(
            dir,
            ".",
            OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        for child in listing.iter() {
            let child = child?;
            let name = child.file_name().to_bytes();
            if name != b"." && name != b".." {
                self.remove(dir.as_fd(), name, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// A directory of mode 000 is no obstacle to its owner.
fn open_for_removal(parent: BorrowedFd<'_>, name: &[u8]) -> nix::Result<OwnedFd> {
    use nix::sys::stat::{FchmodatFlags, fchmodat};
    match open_child_dir(parent, name) {
        Err(Errno::EACCES) => {
            let stat = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
                return Err(Errno::ENOTDIR);
            }
            fchmodat(parent, name, Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)?;
            open_child_dir(parent, name)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("wherry-rooted-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn links_stay_inside() {
        let dir = scratch("links");
        let root = dir.join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        symlink("/etc", root.join("absolute")).unwrap();
        symlink("../../../../etc", root.join("up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("/proc/self/root", root.join("magic")).unwrap();
        let fd = File::open(&root).unwrap();
        let inside = |path: &str| {
            let opened = open_dir(fd.as_fd(), path.as_bytes())?;
            Ok::<_, Errno>(
                std::fs::read_link(format!(
                    "/proc/self/fd/{}",
                    std::os::fd::AsRawFd::as_raw_fd(&opened)
                ))
                .unwrap(),
            )
        };
        for path in ["absolute", "up", "etc/../../../etc", "/etc"] {
            assert_eq!(inside(path).unwrap(), root.join("etc"), "{path}");
        }
        assert_eq!(inside("loop"), Err(Errno::ELOOP));
        assert_eq!(inside("magic"), Err(Errno::ENOENT));
        assert_eq!(inside("").unwrap(), root);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn removes_deep_trees_and_spares_link_targets() {
        let dir = scratch("remove");
        let canary = dir.join("canary");
        std::fs::write(&canary, "x").unwrap();
        let fd = File::open(&dir).unwrap();
        std::fs::create_dir(dir.join("tree")).unwrap();
        symlink(&dir, dir.join("tree/link")).unwrap();
        let mut at = open_child_dir(&fd, b"tree").unwrap();
        for _ in 0..3000 {
            nix::sys::stat::mkdirat(&at, "deep", Mode::S_IRWXU).unwrap();
            nix::sys::stat::mkdirat(&at, "closed", Mode::empty()).unwrap();
            at = open_child_dir(&at, b"deep").unwrap();
        }
        remove_all(fd.as_fd(), b"tree").unwrap();
        remove_all(fd.as_fd(), b"tree").unwrap();
        let left: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["canary"]);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
