//! A file is right or absent: written under a unique temporary name in the
//! same directory, then renamed.

use crate::error::{Context, Result};
use crate::sys::procfs::Process;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Temporary names start with this; what no living process owns is garbage.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// Whether the content must survive a power cut once the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// fsync of file and directory: the user was told that it is done.
    Durable,
    /// Atomic against crashes of processes, not of the machine.
    Fast,
    /// The same, for what a lost machine takes with it anyway: a file system
    /// need not put the new content on the disk for the sake of the old one's
    /// name, as ext4 does in a rename(2) over it (auto_da_alloc, ext4(5)).
    Passing,
}

/// Writes `bytes` to `path` with mode 0600, replacing what is there.
pub fn replace(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, bytes, durability).and_then(|()| match durability {
        Durability::Passing => exchange(&temporary, path),
        Durability::Durable | Durability::Fast => std::fs::rename(&temporary, path),
    });
    if let Err(e) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(e).context(|| format!("cannot write \"{}\"", path.display()));
    }
    if durability == Durability::Durable {
        sync_parent(path)?;
    }
    Ok(())
}

/// Both files change names; the old one, which has the temporary name then, goes.
fn exchange(temporary: &Path, path: &Path) -> std::io::Result<()> {
    let exchanged = renameat2(
        AT_FDCWD,
        temporary,
        AT_FDCWD,
        path,
        RenameFlags::RENAME_EXCHANGE,
    );
    match exchanged {
        Ok(()) => std::fs::remove_file(temporary),
        // Nothing there yet, or a file system that cannot (EINVAL: NFS).
        Err(_) => std::fs::rename(temporary, path),
    }
}

/// The same for a small JSON record, also on a full disk: there the old file is
/// written over, by one call and with blanks to its old length.
pub fn replace_record(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let replaced = replace(path, bytes, durability);
    match replaced {
        Err(_) if is_full(path) && write_over(path, bytes).is_ok() => Ok(()),
        other => other,
    }
}

fn is_full(path: &Path) -> bool {
    let parent = path.parent().unwrap_or(Path::new("/"));
    nix::sys::statvfs::statvfs(parent).is_ok_and(|fs| fs.blocks_available() < 16)
}

fn write_over(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().max(length.min(1 << 16)), b' ');
    file.write_all_at(&padded, 0)
}

/// fsync of the directory that holds `path`: makes a rename durable.
pub fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .context(|| format!("cannot sync directory \"{}\"", parent.display()))
}

/// A temporary name beside `path` that carries our pid, so that a later
/// command can tell whether its owner still lives.
pub fn temporary_beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(
        "{TEMPORARY_PREFIX}{}-{n}-{name}",
        std::process::id()
    ))
}

/// The pid in a temporary name.
pub fn maker_of(name: &str) -> Option<i32> {
    name.strip_prefix(TEMPORARY_PREFIX)?
        .split('-')
        .next()?
        .parse()
        .ok()
}

/// Removes what killed processes have left of writing `path`.
pub fn sweep_beside(path: &Path) {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    sweep(dir, &format!("-{}", name.to_string_lossy()));
}

/// The same for all files of a directory.
pub fn sweep_dir(dir: &Path) {
    sweep(dir, "");
}

fn sweep(dir: &Path, ending: &str) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Some(maker) = maker_of(&name).filter(|_| name.ends_with(ending)) else {
            continue;
        };
        // A zombie, which nobody has waited for yet, writes no more either.
        if Process::of(maker).is_none() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn write_new(path: &Path, bytes: &[u8], durability: Durability) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    file.write_all(bytes)?;
    if durability == Durability::Durable {
        file.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_over_to_the_old_length() {
        let path = std::env::temp_dir().join(format!("wherry-over-{}", std::process::id()));
        std::fs::write(&path, "{\"a\":12345}").unwrap();
        for record in ["{}", "{\"abc\":1234567890}", "[1]"] {
            write_over(&path, record.as_bytes()).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.trim_end(), record);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(write_over(&path, b"{}").is_err());
    }

    #[test]
    fn replaces_and_leaves_no_temporary() {
        let dir = std::env::temp_dir().join(format!("wherry-replace-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("x.json");
        replace(&path, b"one", Durability::Fast).unwrap();
        replace(&path, b"two", Durability::Durable).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        replace(&path, b"three", Durability::Passing).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        let new = dir.join("y.json");
        replace(&new, b"one", Durability::Passing).unwrap();
        assert_eq!(std::fs::read(&new).unwrap(), b"one");
        std::fs::remove_file(&new).unwrap();
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
