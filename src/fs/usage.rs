//! How much a tree of files holds, counted as Docker counts it, and how much of
//! the disk it takes, counted as du(1) does.

use super::rooted;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::stat::{Mode, fstat, fstatat};
use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

/// Paths longer than this begin anew at a directory that is kept open.
const LONGEST: usize = 2048;

/// The unit of `st_blocks`.
const BLOCK: u64 = 512;

/// A directory: `path` beneath `from`.
struct Place {
    from: Rc<OwnedFd>,
    path: Vec<u8>,
}

/// Bytes of all files beneath `root`: every inode once, directories nothing.
/// What vanishes meanwhile, and other file systems, do not count.
pub fn bytes(root: &Path) -> nix::Result<u64> {
    Ok(count(root)?.bytes)
}

/// Bytes on disk of `path` with everything beneath it, holes and second names
/// left out, directories counted. 0 for what is not there.
pub fn on_disk(path: &Path) -> nix::Result<u64> {
    let blocks = match count(path) {
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            let stat = fstatat(AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            stat.st_blocks
        }
        Err(Errno::ENOENT) => 0,
        other => other?.blocks,
    };
    Ok(u64::try_from(blocks).unwrap_or(0) * BLOCK)
}

fn count(root: &Path) -> nix::Result<Count> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let root = nix::fcntl::open(root, flags, Mode::empty())?;
    let mut count = Count::default();
    count.waiting.push(Place {
        from: Rc::new(root),
        path: Vec::new(),
    });
    while let Some(place) = count.waiting.pop() {
        count.enter(place)?;
    }
    Ok(count)
}

#[derive(Default)]
struct Count {
    bytes: u64,
    /// In units of `st_blocks`.
    blocks: i64,
    /// Directories that are still to be read.
    waiting: Vec<Place>,
    /// Files that have several names.
    linked: HashSet<(u64, u64)>,
}

impl Count {
    fn enter(&mut self, place: Place) -> nix::Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let dir = match rooted::open(place.from.as_fd(), &place.path, flags, Mode::empty()) {
            Err(e) if has_changed(e) => return Ok(()),
            other => other?,
        };
        self.blocks += fstat(&dir)?.st_blocks;
        let at = if place.path.len() < LONGEST {
            place
        } else {
            Place {
                from: Rc::new(dir.try_clone().map_err(|_| Errno::EMFILE)?),
                path: Vec::new(),
            }
        };
        let mut listing = Dir::from_fd(dir.try_clone().map_err(|_| Errno::EMFILE)?)?;
        for child in listing.iter() {
            let child = child?;
            let name = child.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if child.file_type() == Some(Type::Directory) {
                self.waiting.push(at.below(name));
                continue;
            }
            match fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(stat) if stat.st_mode & libc::S_IFMT == libc::S_IFDIR => {
                    self.waiting.push(at.below(name));
                }
                Ok(stat) => self.add(&stat),
                Err(e) if has_changed(e) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn add(&mut self, stat: &nix::sys::stat::FileStat) {
        if stat.st_nlink < 2 || self.linked.insert((stat.st_dev, stat.st_ino)) {
            self.bytes += u64::try_from(stat.st_size).unwrap_or(0);
            self.blocks += stat.st_blocks;
        }
    }
}

impl Place {
    fn below(&self, name: &[u8]) -> Self {
        let mut path = self.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Self {
            from: Rc::clone(&self.from),
            path,
        }
    }
}

/// It is not there (any more), or is something else, or another file system.
fn has_changed(e: Errno) -> bool {
    matches!(
        e,
        Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EXDEV
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::mkdirat;
    use std::os::unix::fs::symlink;

    #[test]
    fn counts_every_inode_once_and_goes_as_deep_as_there_is() {
        let dir = std::env::temp_dir().join(format!("wherry-usage-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        std::fs::write(dir.join("five"), "12345").unwrap();
        std::fs::write(dir.join("a/b/seven"), "1234567").unwrap();
        std::fs::hard_link(dir.join("five"), dir.join("a/five")).unwrap();
        // A link counts as its own text, not as what it leads to.
        symlink("/usr", dir.join("a/link")).unwrap();
        assert_eq!(bytes(&dir), Ok(5 + 7 + 4));
        let fd = std::fs::File::open(&dir).unwrap();
        let mut at = rooted::open_child_dir(&fd, b"a").unwrap();
        for _ in 0..800 {
            mkdirat(&at, "deep", Mode::S_IRWXU).unwrap();
            at = rooted::open_child_dir(&at, b"deep").unwrap();
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_CLOEXEC;
        let file = nix::fcntl::openat(&at, "nine", flags, Mode::S_IRWXU).unwrap();
        nix::unistd::write(&file, b"123456789").unwrap();
        assert_eq!(bytes(&dir), Ok(5 + 7 + 4 + 9));
        assert_eq!(bytes(&dir.join("nope")), Err(Errno::ENOENT));
        let name = dir.file_name().unwrap().to_str().unwrap();
        let parent = std::fs::File::open(dir.parent().unwrap()).unwrap();
        rooted::remove_all(parent.as_fd(), name.as_bytes()).unwrap();
    }

    #[test]
    fn the_disk_is_counted_as_du_does() {
        let dir = std::env::temp_dir().join(format!("wherry-disk-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        std::fs::write(dir.join("a/b/big"), vec![1; 300_000]).unwrap();
        std::fs::hard_link(dir.join("a/b/big"), dir.join("again")).unwrap();
        symlink("/usr", dir.join("a/link")).unwrap();
        let hole = std::fs::File::create(dir.join("hole")).unwrap();
        hole.set_len(1 << 30).unwrap();
        let du = |path: &Path| -> u64 {
            let mut du = std::process::Command::new("du");
            let said = du.args(["-s", "-B1"]).arg(path).output().unwrap().stdout;
            let said = String::from_utf8(said).unwrap();
            said.split_whitespace().next().unwrap().parse().unwrap()
        };
        for path in [dir.clone(), dir.join("again"), dir.join("a/link")] {
            assert_eq!(on_disk(&path), Ok(du(&path)), "{}", path.display());
        }
        assert_eq!(on_disk(&dir.join("missing")), Ok(0));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
