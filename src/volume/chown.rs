//! `:U`: a volume's or bind's files are given to the container's user.

use crate::fs::copy::names;
use crate::fs::rooted;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::unistd::{Gid, Uid, fchownat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

/// Paths longer than this begin anew at a directory that is kept open.
const LONGEST: usize = 2048;

/// Directories of the host that nobody wants to give away, podman's list.
const KEPT: [&str; 26] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/passwd",
    "/etc/pki",
    "/etc/shadow",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/selinux",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/tmp",
];

/// Whether giving `source` away would break the host, or somebody's home.
pub fn is_kept(source: &Path) -> bool {
    KEPT.iter().any(|kept| source == Path::new(kept)) || source.parent() == Some(Path::new("/home"))
}

/// Gives the file or directory `top`, opened with O_PATH, and what is in it to
/// `uid` and `gid`. Never follows links, nor leaves the file system; what
/// vanishes meanwhile is left out.
pub fn give(top: BorrowedFd<'_>, uid: u32, gid: u32) -> nix::Result<()> {
    let owner = (Uid::from_raw(uid), Gid::from_raw(gid));
    let stat = nix::sys::stat::fstat(top)?;
    change(top, c"", &stat, owner, AtFlags::AT_EMPTY_PATH)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
        return Ok(());
    }
    let top = top.try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
    let mut waiting = vec![(Rc::new(top), Vec::new())];
    while let Some((from, path)) = waiting.pop() {
        let dir = match open_dir(&from, &path) {
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EXDEV) => continue,
            other => other?,
        };
        let (from, path) = match path.len() < LONGEST {
            true => (from, path),
            false => (
                Rc::new(dir.try_clone().map_err(|_| Errno::EMFILE)?),
                Vec::new(),
            ),
        };
        for name in names(&dir)? {
            let stat = match fstatat(&dir, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(Errno::ENOENT) => continue,
                other => other?,
            };
            match change(
                dir.as_fd(),
                &name,
                &stat,
                owner,
                AtFlags::AT_SYMLINK_NOFOLLOW,
            ) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(e) => return Err(e),
            }
            if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
                let mut below = path.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend_from_slice(name.to_bytes());
                waiting.push((Rc::clone(&from), below));
            }
        }
    }
    Ok(())
}

/// What has the right owner already keeps its times and set-uid bits.
fn change(
    dir: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    stat: &FileStat,
    (uid, gid): (Uid, Gid),
    flags: AtFlags,
) -> nix::Result<()> {
    if (stat.st_uid, stat.st_gid) == (uid.as_raw(), gid.as_raw()) {
        return Ok(());
    }
    fchownat(dir, name, Some(uid), Some(gid), flags)
}

fn open_dir(from: &OwnedFd, path: &[u8]) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    rooted::open(from.as_fd(), path, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn what_nobody_gives_away() {
        for (path, kept) in [
            ("/", true),
            ("/etc", true),
            ("/home/me", true),
            ("/home/me/data", false),
            ("/srv/data", false),
        ] {
            assert_eq!(is_kept(Path::new(path)), kept, "{path}");
        }
    }

    #[test]
    fn links_are_not_followed() {
        let dir = std::env::temp_dir().join(format!("wherry-give-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("top/a")).unwrap();
        std::fs::write(dir.join("top/a/file"), "").unwrap();
        symlink("/", dir.join("top/a/root")).unwrap();
        let top = std::fs::File::open(dir.join("top")).unwrap();
        let me = std::fs::metadata(&dir).unwrap();
        // To whom it belongs already: nothing changes, and nothing is refused.
        give(top.as_fd(), me.uid(), me.gid()).unwrap();
        if me.uid() == 0 {
            give(top.as_fd(), 12, 34).unwrap();
            for path in ["top", "top/a", "top/a/file", "top/a/root"] {
                let meta = std::fs::symlink_metadata(dir.join(path)).unwrap();
                assert_eq!((meta.uid(), meta.gid()), (12, 34), "{path}");
            }
            assert_eq!(std::fs::metadata("/").unwrap().uid(), 0);
        } else {
            assert_eq!(give(top.as_fd(), me.uid() + 1, me.gid()), Err(Errno::EPERM));
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
