//! Every place on disk that wherry uses.
//!
//! Two roots: the data root is durable, the run root is gone at reboot (or at
//! logout, which must not matter). Both are 0700 and owned by the caller.

use crate::error::{Context, Error, Result};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The two roots; all other places are below them.
#[derive(Debug, Clone)]
pub struct Paths {
    data: PathBuf,
    run: PathBuf,
    /// Below either root: where containers are.
    containers: PathBuf,
}

/// Where the user's containers are.
const CONTAINERS: &str = "containers";

impl Paths {
    /// Finds the roots: `WHERRY_ROOT` and `WHERRY_RUNROOT` when set, else the
    /// XDG base directories of the user, else (for root) /var/lib and /run.
    pub fn find() -> Result<Self> {
        let uid = nix::unistd::geteuid().as_raw();
        Ok(Self::at(data_root(uid)?, run_root(uid)?))
    }

    /// Roots given by the caller (tests).
    pub fn at(data: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            run: run.into(),
            containers: CONTAINERS.into(),
        }
    }

    /// The same, but for containers that are steps of the build `id`: nobody
    /// else sees them.
    pub fn of_build(&self, id: &str) -> Self {
        Self {
            containers: Path::new("build/work").join(id),
            ..self.clone()
        }
    }

    /// The user's own, and those of all builds that there are.
    pub fn with_containers(&self) -> Vec<Self> {
        let user = Self {
            containers: CONTAINERS.into(),
            ..self.clone()
        };
        let builds = std::fs::read_dir(self.build().join("work")).into_iter();
        let names = builds.flatten().flatten().map(|entry| entry.file_name());
        let builds: Vec<Self> = names
            .filter_map(|name| Some(self.of_build(name.to_str()?)))
            .collect();
        [user].into_iter().chain(builds).collect()
    }

    pub fn data(&self) -> &Path {
        &self.data
    }
    pub fn run(&self) -> &Path {
        &self.run
    }
    /// OCI image layout: oci-layout, index.json, blobs/sha256/.
    pub fn images(&self) -> PathBuf {
        self.data.join("images")
    }
    /// One directory per unpacked layer, named by the hex of its DiffID.
    pub fn layers(&self) -> PathBuf {
        self.data.join("layers")
    }
    /// Layers of names that give an image's files other owners.
    pub fn shifted(&self) -> PathBuf {
        self.data.join("shifted")
    }
    pub fn containers(&self) -> PathBuf {
        self.data.join(&self.containers)
    }
    pub fn container(&self, id: &str) -> PathBuf {
        self.data.join(&self.containers).join(id)
    }
    /// What builds keep and work with.
    pub fn build(&self) -> PathBuf {
        self.data.join("build")
    }
    /// There when a container's layer has the owners that the container sees,
    /// because fuse-overlayfs gives them others as it goes.
    pub fn owners_by_fuse(&self, id: &str) -> PathBuf {
        self.container(id).join("owners-by-fuse")
    }
    /// One file per container name; its content is the container's ID.
    pub fn names(&self) -> PathBuf {
        self.data.join("names")
    }
    /// One directory per volume, named as it.
    pub fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }
    pub fn volume(&self, name: &str) -> PathBuf {
        self.data.join("volumes").join(name)
    }
    /// What is mounted of a volume.
    pub fn volume_data(&self, name: &str) -> PathBuf {
        self.volume(name).join("_data")
    }
    /// Volatile files of a container: hosts, hostname, resolv.conf.
    pub fn run_container(&self, id: &str) -> PathBuf {
        self.run.join(&self.containers).join(id)
    }
    /// One empty file per living monitor, named `PID.STARTTIME`.
    pub fn monitors(&self) -> PathBuf {
        self.run.join("monitors")
    }

    pub fn networks(&self) -> PathBuf {
        self.data.join("networks")
    }
    /// The record of a network.
    pub fn network(&self, name: &str) -> PathBuf {
        self.data.join("networks").join(format!("{name}.json"))
    }
    /// What a network's containers have: addresses and names.
    pub fn run_network(&self, id: &str) -> PathBuf {
        self.run.join("networks").join(id)
    }
    /// Where the user's network namespace is found: one empty file per monitor
    /// that holds it, named `PID.STARTTIME.FD`.
    pub fn netns(&self) -> PathBuf {
        self.run.join("netns")
    }

    /// Makes both roots if they are missing and refuses foreign ones.
    pub fn ensure(&self) -> Result<()> {
        for dir in [&self.data, &self.run] {
            ensure_private_dir(dir)?;
        }
        Ok(())
    }
}

/// Makes `dir` (and parents) as 0700, or checks that it is a directory of ours.
/// A directory that others may use is closed to them (CVE-2021-41091 class).
fn ensure_private_dir(dir: &Path) -> Result<()> {
    match std::fs::symlink_metadata(dir) {
        Ok(meta) => check_owner(dir, &meta),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir)
                .context(|| format!("cannot make directory \"{}\"", dir.display()))?;
            let meta = std::fs::symlink_metadata(dir)
                .context(|| format!("cannot read \"{}\"", dir.display()))?;
            check_owner(dir, &meta)
        }
        Err(e) => Err(e).context(|| format!("cannot read \"{}\"", dir.display())),
    }
}

fn check_owner(dir: &Path, meta: &std::fs::Metadata) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let me = nix::unistd::geteuid().as_raw();
    if !meta.is_dir() {
        return Err(
            Error::invalid(format!("\"{}\" is not a directory", dir.display()))
                .hint("move it away; wherry makes the directory itself"),
        );
    }
    if meta.uid() != me {
        return Err(Error::new(
            crate::error::Kind::Denied,
            format!("\"{}\" belongs to uid {}, not to you", dir.display(), meta.uid()),
        )
        .hint("do not mix sudo with another user's HOME: use `sudo -H`, or unset XDG_DATA_HOME and XDG_RUNTIME_DIR"));
    }
    if meta.mode() & 0o077 != 0 {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
            .context(|| format!("cannot close \"{}\" to other users", dir.display()))?;
    }
    Ok(())
}

fn data_root(uid: u32) -> Result<PathBuf> {
    if let Some(dir) = absolute_env("WHERRY_ROOT") {
        return Ok(dir);
    }
    if uid == 0 && std::env::var_os("XDG_DATA_HOME").is_none() {
        return Ok(PathBuf::from("/var/lib/wherry"));
    }
    match directories::BaseDirs::new() {
        Some(dirs) => Ok(dirs.data_dir().join("wherry")),
        None => Err(Error::not_found("your home directory is not known")
            .hint("set HOME or WHERRY_ROOT to a directory that you can write")),
    }
}

fn run_root(uid: u32) -> Result<PathBuf> {
    if let Some(dir) = absolute_env("WHERRY_RUNROOT") {
        return Ok(dir);
    }
    if let Some(dir) = absolute_env("XDG_RUNTIME_DIR")
        && is_private_dir_of(&dir, uid)
    {
        return Ok(dir.join("wherry"));
    }
    if uid == 0 {
        return Ok(PathBuf::from("/run/wherry"));
    }
    let dir = PathBuf::from(format!("/run/user/{uid}"));
    if is_private_dir_of(&dir, uid) {
        return Ok(dir.join("wherry"));
    }
    // Without a session: a directory of our own; ensure() refuses it when
    // somebody else made it first.
    Ok(std::env::temp_dir().join(format!("wherry-{uid}")))
}

fn absolute_env(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
}

fn is_private_dir_of(dir: &Path, uid: u32) -> bool {
    std::fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir() && m.uid() == uid)
}
