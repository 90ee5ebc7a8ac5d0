//! The directories: what their file systems can do, and how full they are.

use super::{Check, is_root, read};
use crate::engine::Engine;
use crate::error::{Context as _, Result};
use crate::host::Need;
use crate::sys::mount::Context;
use crate::sys::program;
use crate::userns::task;
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{FsType, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Less than this is as good as nothing for images.
const LITTLE: u64 = 100 << 20;
/// Magic numbers of statfs(2).
const NAMES: &[(i64, &str)] = &[
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x794c_7630, "overlay"),
    (0x6969, "nfs"),
    (0x6573_5546, "fuse"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
];

pub fn checks(engine: &Engine) -> Vec<Check> {
    let data = engine.paths.data();
    let mut checks = vec![overlay(engine), space(data)];
    if is_noexec(data) {
        checks.push(Check::missing(
            "data directory",
            Need::DataDirectory,
            format!("\"{}\" is on a noexec mount", data.display()),
        ));
    }
    if !is_root() {
        checks.push(lingering());
    }
    checks
}

fn file_system(path: &Path) -> String {
    let Ok(found) = statfs(path) else {
        return "an unknown file system".into();
    };
    let FsType(magic) = found.filesystem_type();
    #[allow(clippy::unnecessary_cast)]
    let known = NAMES.iter().find(|(number, _)| *number == magic as i64);
    known.map_or_else(
        || format!("file system {magic:#x}"),
        |(_, name)| (*name).into(),
    )
}

/// What `info` tells of the storage driver: names and values.
pub fn driver(engine: &Engine) -> Vec<[String; 2]> {
    let on = match file_system(engine.paths.data()).as_str() {
        "ext4" => "extfs".to_string(),
        other => other.to_string(),
    };
    let (way, native) = match try_overlay(engine) {
        Ok(()) => ("the kernel's overlayfs".to_string(), true),
        Err(e) => (
            format!("fuse-overlayfs, the kernel's: {}", e.message()),
            false,
        ),
    };
    let pair = |name: &str, value: String| [name.to_string(), value];
    vec![
        pair("Backing Filesystem", on),
        pair("Mounted By", way),
        pair("userxattr", (native && !is_root()).to_string()),
    ]
}

/// The kernel's overlay, else fuse-overlayfs with its device.
fn overlay(engine: &Engine) -> Check {
    let name = "root file systems";
    let on = file_system(engine.paths.data());
    let refusal = match try_overlay(engine) {
        Ok(()) => return Check::good(name, format!("the kernel's overlayfs on {on}")),
        Err(e) => e,
    };
    let found = format!("the kernel's overlayfs on {on}: {}", refusal.message());
    if program::find(&program::DIRECTORIES.map(Path::new), "fuse-overlayfs").is_none() {
        return Check::missing(name, Need::Overlay, found);
    }
    match opens("/dev/fuse") {
        true => Check::good(name, format!("fuse-overlayfs ({found})")),
        false => Check::missing(name, Need::FuseDevice, found),
    }
}

/// Mounts one in a namespace of its own, as a start of a container does.
fn try_overlay(engine: &Engine) -> Result<()> {
    let dir = engine
        .paths
        .data()
        .join(format!(".tmp-{}-doctor", std::process::id()));
    let made = ["lower", "upper", "work"]
        .iter()
        .try_for_each(|name| std::fs::create_dir_all(dir.join(name)))
        .context(|| format!("cannot write \"{}\"", dir.display()));
    let mounted = made.and_then(|()| {
        task::run(&engine.paths, || {
            unshare(CloneFlags::CLONE_NEWNS).context(|| "cannot make a mount namespace")?;
            mount(&dir).context(|| "refused")
        })
    });
    let _ = std::fs::remove_dir_all(&dir);
    // overlayfs closes its work directory to everybody.
    if dir.exists() {
        let _ = task::run(&engine.paths, || {
            let _ = std::fs::remove_dir_all(&dir);
            Ok(())
        });
    }
    mounted
}

fn mount(dir: &Path) -> nix::Result<()> {
    let overlay = Context::open(c"overlay")?;
    for (key, name) in [
        (c"lowerdir", "lower"),
        (c"upperdir", "upper"),
        (c"workdir", "work"),
    ] {
        let path =
            CString::new(dir.join(name).as_os_str().as_bytes()).map_err(|_| nix::Error::EINVAL)?;
        overlay.string(key, &path)?;
    }
    // As root of the host's own namespace, which maps every id, it needs none.
    if read("/proc/self/uid_map").split_whitespace().nth(2) != Some("4294967295") {
        overlay.flag(c"userxattr")?;
    }
    overlay.mount(0).map(drop)
}

fn space(data: &Path) -> Check {
    let name = "disk space";
    let free = statvfs(data).map_or(0, |fs| fs.blocks_available() * fs.fragment_size());
    let found = format!("{} free", crate::text::size::decimal(free));
    match free < LITTLE {
        true => Check::missing(name, Need::DiskSpace, found),
        false => Check::good(name, found),
    }
}

fn is_noexec(data: &Path) -> bool {
    statvfs(data).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_NOEXEC))
}

/// Whether systemd ends the user's processes with his last session.
fn lingering() -> Check {
    let name = "after logout";
    if !Path::new("/run/systemd/system").exists() {
        return Check::good(name, "containers go on (no systemd)");
    }
    let user =
        crate::userns::subid::Owner::of(nix::unistd::geteuid().as_raw(), &read("/etc/passwd"));
    let lingers = user
        .name
        .is_some_and(|name| Path::new("/var/lib/systemd/linger").join(name).exists());
    match lingers {
        true => Check::good(name, "containers go on (lingering)"),
        false => Check::advice(name, Need::Lingering, "no lingering"),
    }
}

pub fn opens(path: &str) -> bool {
    let mut options = std::fs::File::options();
    options.read(true).write(true).open(path).is_ok()
}
