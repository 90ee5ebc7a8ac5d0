//! The files of a stage or an image, mounted for this process alone. Runs as
//! root of U (or as root), in a child that ends afterwards.

use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::fs::rooted;
use crate::image::Digest;
use crate::runtime::fuse;
use crate::runtime::overlay::{self, Writable};
use crate::runtime::plan::{Lower, Overlay, Upper};
use crate::store::StepLayer;
use crate::sys::mount;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Whether overlays keep their marks in `user.` attributes: in U they do.
#[derive(Clone, Copy)]
pub struct Rootless(pub bool);

/// Mounts from now on are this process's own.
pub fn own_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context(|| "cannot make a mount namespace")?;
    mount::set_root_propagation(libc::MS_REC | libc::MS_PRIVATE)
        .context(|| "cannot make mounts private")
}

/// A directory for an overlay's writes.
pub struct Scratch {
    pub dir: PathBuf,
}

impl Scratch {
    pub fn upper(&self) -> PathBuf {
        self.dir.join("upper")
    }
    fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    pub fn make(dir: PathBuf) -> Result<Self> {
        let scratch = Self { dir };
        for path in [&scratch.dir, &scratch.upper(), &scratch.work()] {
            let made = std::fs::DirBuilder::new().mode(0o755).create(path);
            made.context(|| format!("cannot make directory \"{}\"", path.display()))?;
        }
        use std::os::unix::fs::PermissionsExt;
        // The umask must not show in the root of an image.
        std::fs::set_permissions(scratch.upper(), std::fs::Permissions::from_mode(0o755))
            .context(|| "cannot set the mode of a directory")?;
        Ok(scratch)
    }
}

/// Mounts the layers, to be written to in `scratch` when there is one.
pub fn mounted(
    engine: &Engine,
    layers: &[StepLayer],
    scratch: Option<&Scratch>,
    rootless: Rootless,
) -> Result<OwnedFd> {
    let store = engine.store()?;
    let ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let mut lower = store.lower_dirs(&ids)?;
    let needs_fuse = store.needs_fuse(&ids);
    // The kernel wants two of what is only read, and one of what is written to.
    let least = if scratch.is_some() { 1 } else { 2 };
    for name in ["empty-1", "empty-2"] {
        if lower.len() < least {
            lower.push(run_dir(engine, name)?);
        }
    }
    let lower: Vec<CString> = lower.iter().map(|dir| c_path(dir)).collect::<Result<_>>()?;
    let (upper, work) = match scratch {
        Some(scratch) => (c_path(&scratch.upper())?, c_path(&scratch.work())?),
        None => (CString::default(), CString::default()),
    };
    let write = scratch.map(|_| Writable {
        upper: &upper,
        work: &work,
        volatile: true,
    });
    let refused = match needs_fuse {
        true => Errno::EOPNOTSUPP,
        false => match overlay::mount(&lower, write, rootless.0) {
            Ok(root) => return Ok(root),
            Err(errno) => errno,
        },
    };
    instead(engine, lower, scratch, (upper, work), rootless, refused)
}

/// Where the kernel's own overlay cannot be had by the new mount API.
fn instead(
    engine: &Engine,
    lower: Vec<CString>,
    scratch: Option<&Scratch>,
    (upper, work): (CString, CString),
    rootless: Rootless,
    refused: Errno,
) -> Result<OwnedFd> {
    let by_fuse = matches!(
        refused,
        Errno::EPERM | Errno::EINVAL | Errno::ENODEV | Errno::EOPNOTSUPP
    );
    if !by_fuse {
        return Err(refused).context(|| "cannot mount the files of a stage");
    }
    // Before Linux 6.7 layers are joined in one string, which is cut at a page.
    let joined: Vec<&str> = lower.iter().filter_map(|l| l.to_str().ok()).collect();
    let plain = |text: &str| !text.contains([':', ',', '\\']);
    let mut options = format!("lowerdir={}", joined.join(":"));
    if scratch.is_some() {
        options += &format!(
            ",upperdir={},workdir={},volatile",
            upper.to_string_lossy(),
            work.to_string_lossy()
        );
    }
    if rootless.0 {
        options += ",userxattr";
    }
    let fits =
        options.len() < 4095 && joined.len() == lower.len() && joined.iter().all(|l| plain(l));
    if fits && refused == Errno::EINVAL {
        let at = run_dir(engine, "mnt")?;
        let options = CString::new(options).unwrap_or_default();
        if mount::overlay(&c_path(&at)?, &options).is_ok() {
            let root = std::fs::File::open(&at).context(|| "cannot open the files of a stage")?;
            return Ok(root.into());
        }
    }
    let Some(scratch) = scratch else {
        return Err(Error::unsupported(format!(
            "cannot mount the files of a stage: {}",
            crate::error::reason(&refused.into())
        ))
        .hint("put the data directory (WHERRY_ROOT) on a file system that overlayfs works on"));
    };
    let overlay = Overlay {
        native: false,
        lower: Lower::Each(lower),
        shifted: None,
        upper: Some(Upper {
            upper,
            work,
            volatile: true,
            owner: (0, 0),
        }),
        userxattr: rootless.0,
    };
    fuse::serve(&overlay, refused, &scratch.dir).map(|(root, _)| root)
}

/// An empty directory of ours in the run directory.
fn run_dir(engine: &Engine, name: &str) -> Result<PathBuf> {
    let dir = engine.paths.run().join(name);
    match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(e).context(|| format!("cannot make directory \"{}\"", dir.display()))
        }
        _ => Ok(dir),
    }
}

/// What is mounted at `path` beneath `root`, as a detached mount of its own.
pub fn part(engine: &Engine, root: OwnedFd, path: &str) -> Result<OwnedFd> {
    let failed = || format!("cannot mount \"{path}\"");
    if path.trim_matches('/').is_empty() {
        return Ok(root);
    }
    // Only what is attached somewhere can be cloned, before Linux 6.15.
    let at = std::fs::File::open(run_dir(engine, "mnt")?).context(failed)?;
    // A second overlay may lie on the first: both are gone with this process.
    let attached = match mount::attach(&root, &at) {
        Ok(()) => root,
        // It is attached already.
        Err(Errno::EINVAL) => root,
        Err(e) => return Err(e).context(failed),
    };
    let found = beneath(attached.as_fd(), path)?;
    mount::clone_tree(found.as_fd(), c"", false).context(failed)
}

/// Opens `path` beneath `root`, links followed inside it.
pub fn beneath(root: std::os::fd::BorrowedFd<'_>, path: &str) -> Result<OwnedFd> {
    use nix::fcntl::OFlag;
    use nix::sys::stat::Mode;
    rooted::open(
        root,
        path.trim_start_matches('/').as_bytes(),
        OFlag::O_PATH,
        Mode::empty(),
    )
    .map_err(|e| match e {
        Errno::ENOENT | Errno::ENOTDIR => {
            Error::not_found(format!("\"/{}\": not found", path.trim_start_matches('/')))
        }
        e => Err::<(), _>(e)
            .context(|| format!("cannot open \"{path}\""))
            .expect_err("made from an error"),
    })
}

pub fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid(format!("path \"{}\" contains a NUL byte", path.display())))
}
