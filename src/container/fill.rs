//! The volumes of a new container: made when they are missing, and the empty
//! ones filled with what the image has in their place.

use super::mounts;
use super::plan::{self, Layers};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::fs::replace::Durability;
use crate::fs::rooted;
use crate::record::container::{Container, MountPoint};
use crate::record::mount::Kind;
use crate::runtime::fuse::Server;
use crate::runtime::outside;
use crate::runtime::plan::Overlay;
use crate::userns::layout::Layout;
use crate::userns::map::Maps;
use crate::userns::task;
use crate::volume::{self, Held, driver, fill};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// Volumes that nobody removes or fills meanwhile.
pub struct Volumes(Vec<Held>);

impl Volumes {
    /// Makes and holds the volumes that have a name of the user's. Before the
    /// lock of any container is taken.
    pub fn hold_named(engine: &Engine, container: &Container) -> Result<Self> {
        let (named, _) = mounts::volumes(container);
        volume::hold_all(&engine.paths, named, durability(container)).map(Self)
    }

    /// Those without one as well: of a container that exists, or else nobody
    /// would know whose they are.
    pub fn and_anonymous(mut self, engine: &Engine, container: &Container) -> Result<Self> {
        let (_, anonymous) = mounts::volumes(container);
        let durability = durability(container);
        self.0
            .extend(volume::hold_all(&engine.paths, anonymous, durability)?);
        Ok(self)
    }

    /// Copies the image's files into those that are empty.
    pub fn fill(&self, engine: &Engine, container: &Container) -> Result<()> {
        let mut wanted = Vec::new();
        for point in &container.mounts {
            if self.wants(engine, container, point)? {
                wanted.push(point);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let maps = match nix::unistd::geteuid().is_root() {
            true => None,
            false => Some(Maps::of_caller()?),
        };
        let image = Image::of(engine, container, maps.as_ref())?;
        task::run(&engine.paths, || {
            // Its server is listened to while it works.
            let (root, server) = image.open()?;
            let filled = wanted
                .iter()
                .try_for_each(|point| fill_one(engine, container, point, &root));
            drop(root);
            image.close();
            drop(server);
            filled
        })
    }

    fn wants(&self, engine: &Engine, container: &Container, point: &MountPoint) -> Result<bool> {
        let given_away = container.ids == Layout::Nomap;
        if point.kind != Kind::Volume || !(point.copies || given_away) {
            return Ok(false);
        }
        if !self.0.iter().any(|held| held.name == point.name) {
            return Ok(false);
        }
        let volume = volume::get(&engine.paths, &point.name)?;
        let own = driver::backing(&volume)? == driver::Backing::Directory;
        Ok(own && fill::may_want(&engine.paths.volume(&point.name)))
    }
}

fn durability(container: &Container) -> Durability {
    match container.host_config.auto_remove {
        true => Durability::Fast,
        false => Durability::Durable,
    }
}

/// As root of U.
fn fill_one(
    engine: &Engine,
    container: &Container,
    point: &MountPoint,
    root: &OwnedFd,
) -> Result<()> {
    let path = point.destination.trim_start_matches('/');
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    let from = match rooted::open(root.as_fd(), path.as_bytes(), flags, Mode::empty()) {
        Ok(dir) if point.copies => Some(dir),
        Ok(_) | Err(Errno::ENOENT | Errno::ELOOP | Errno::EXDEV) => None,
        Err(Errno::ENOTDIR) => {
            return Err(Error::invalid(format!(
                "cannot mount volume over existing file, file exists {}",
                point.destination
            )));
        }
        Err(e) => {
            return Err(e).context(|| format!("cannot read {} of the image", point.destination));
        }
    };
    let dir = engine.paths.volume(&point.name);
    let owners = |uid, gid| container.ids.outside(uid, gid);
    fill::fill(&dir, from.as_ref().map(AsFd::as_fd), &owners)?;
    if from.is_none() && container.ids == Layout::Nomap {
        // The caller, who has made it, is nobody in there.
        fill::give_empty(&dir, container.ids.outside(0, 0))?;
    }
    Ok(())
}

/// The image's files as they are.
enum Image {
    Layers {
        overlay: Overlay,
        staging: CString,
        run_dir: std::path::PathBuf,
    },
    Directory(std::path::PathBuf),
}

impl Image {
    fn of(engine: &Engine, container: &Container, maps: Option<&Maps>) -> Result<Self> {
        if let Some(dir) = &container.rootfs {
            return Ok(Self::Directory(dir.clone()));
        }
        let layers: Layers = super::start::layers(engine, &container.layers)?;
        let run_dir = engine.paths.run_container(&container.id).join("fill");
        Ok(Self::Layers {
            overlay: plan::root::view(&engine.paths, &layers, maps, &run_dir)?,
            staging: plan::staging(&engine.paths)?,
            run_dir,
        })
    }

    fn open(&self) -> Result<(OwnedFd, Option<Server>)> {
        match self {
            Self::Layers {
                overlay,
                staging,
                run_dir,
            } => outside::open(overlay, staging, run_dir, None),
            Self::Directory(dir) => std::fs::File::open(dir)
                .map(|dir| (OwnedFd::from(dir), None))
                .context(|| format!("cannot open \"{}\"", dir.display())),
        }
    }

    /// Waits for its server, if it has one; its mount must be dropped.
    fn close(&self) {
        if let Self::Layers { run_dir, .. } = self {
            crate::runtime::fuse::stop(run_dir);
            let _ = std::fs::remove_dir_all(run_dir);
        }
    }
}
