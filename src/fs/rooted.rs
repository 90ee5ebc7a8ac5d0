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
    walk(root, path, flags, mode, ResolveFlag::RESOLVE_NO_XDEV)
}

/// The same, into mounts as well.
pub fn open_across(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlag,
    mode: Mode,
) -> nix::Result<OwnedFd> {
    walk(root, path, flags, mode, ResolveFlag::empty())
}

fn walk(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlag,
    mode: Mode,
    more: ResolveFlag,
) -> nix::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let mut how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS | more);
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

/// A path without links, and what of it is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Canonical {
    /// Components that are there.
    pub found: Vec<Vec<u8>>,
    pub missing: Vec<Vec<u8>>,
}

impl Canonical {
    /// All of it, without a leading slash.
    pub fn path(&self) -> Vec<u8> {
        let all: Vec<&[u8]> = self
            .found
            .iter()
            .chain(&self.missing)
            .map(Vec::as_slice)
            .collect();
        all.join(&b'/')
    }
}

/// Links that one path may go through, as the kernel counts (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// What `path` leads to when `root` is `/`, all links followed. To be opened,
/// it is resolved again by the kernel: this one only tells.
pub fn canonical(root: BorrowedFd<'_>, path: &[u8]) -> nix::Result<Canonical> {
    let components = |path: &[u8]| -> Vec<Vec<u8>> {
        let all = path
            .split(|&b| b == b'/')
            .filter(|c| !c.is_empty() && *c != b".");
        all.map(<[u8]>::to_vec).collect()
    };
    let mut todo = components(path);
    todo.reverse();
    let mut at = Canonical::default();
    let mut links = 0;
    while let Some(next) = todo.pop() {
        if next == b".." {
            if at.missing.pop().is_none() {
                at.found.pop();
            }
            continue;
        }
        if !at.missing.is_empty() {
            at.missing.push(next);
            continue;
        }
        at.found.push(next);
        let here = at.path();
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let fd = match open(root, &here, flags, Mode::empty()) {
            Err(Errno::ENOENT) => {
                at.missing.extend(at.found.pop());
                continue;
            }
            other => other?,
        };
        if nix::sys::stat::fstat(&fd)?.st_mode & libc::S_IFMT != libc::S_IFLNK {
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Errno::ELOOP);
        }
        let target = nix::fcntl::readlinkat(&fd, c"")?;
        let target = std::os::unix::ffi::OsStrExt::as_bytes(target.as_os_str());
        at.found.pop();
        if target.starts_with(b"/") {
            at.found.clear();
        }
        todo.extend(components(target).into_iter().rev());
    }
    Ok(at)
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
/// never leaves the file system. A missing `name` is no error, nor is one that
/// somebody else removes meanwhile.
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
        // Two may be removing the same: whoever finds it gone is done, too.
        let gone = |e| match e {
            Errno::ENOENT => Ok(()),
            e => Err(e),
        };
        let dir = match open_for_removal(parent, name) {
            Ok(dir) => dir,
            Err(e) => return gone(e),
        };
        self.empty(&dir, depth)?;
        unlinkat(parent, name, UnlinkatFlags::RemoveDir).or_else(gone)
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
    fn canonical_paths_have_no_links_and_stay_inside() {
        let dir = scratch("canonical");
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        std::fs::write(dir.join("a/b/f"), "").unwrap();
        for (target, link) in [
            ("/a/b", "abs"),
            ("../../..", "a/up"),
            ("loop", "loop"),
            ("nowhere/x", "dangling"),
            ("b/f", "a/file"),
        ] {
            symlink(target, dir.join(link)).unwrap();
        }
        let fd = File::open(&dir).unwrap();
        let of = |path: &str| {
            let found = canonical(fd.as_fd(), path.as_bytes())?;
            let text = |list: &[Vec<u8>]| {
                let list: Vec<_> = list
                    .iter()
                    .map(|c| String::from_utf8_lossy(c).into_owned())
                    .collect();
                list.join("/")
            };
            Ok::<_, Errno>((text(&found.found), text(&found.missing)))
        };
        for (path, found, missing) in [
            ("", "", ""),
            ("/abs/f", "a/b/f", ""),
            ("abs/../file", "a/b/f", ""),
            ("a/up/abs", "a/b", ""),
            ("a/up/../../x/y", "", "x/y"),
            ("dangling/z", "", "nowhere/x/z"),
            ("a/x/../y", "a", "y"),
            ("a/x/../../b", "", "b"),
        ] {
            assert_eq!(of(path), Ok((found.into(), missing.into())), "{path}");
        }
        assert_eq!(of("loop"), Err(Errno::ELOOP));
        assert_eq!(of("a/b/f/x"), Err(Errno::ENOTDIR));
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
