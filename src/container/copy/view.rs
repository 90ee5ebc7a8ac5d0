//! The container's own view of its files, for a process that is made for one
//! copy. Of a running container: its mount namespace, volumes and all. Of any
//! other: its root and volumes mounted for this process alone. All paths are
//! resolved below the root's descriptor by the kernel, and nothing is executed.

use super::path::{Asked, Landing, split};
use crate::container::plan::namespaces::Namespaces;
use crate::container::plan::{self, Shared};
use crate::container::{kill, start, state};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::fs::lock::Lock;
use crate::fs::rooted;
use crate::record::container::{Container, Status};
use crate::record::containers;
use crate::runtime::plan::Plan;
use crate::runtime::users::{self, Files};
use crate::runtime::{member, offline};
use crate::store::unpack::{Owners, Privilege};
use crate::sys::{cred, ns};
use crate::text::path::plain;
use crate::userns::below;
use crate::userns::map::Maps;
use crate::userns::task::{self, Running};
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat};
use serde::Serialize;
use std::cell::RefCell;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How often a link may lead to a link.
const MOST_LINKS: usize = 40;

pub struct View<'a> {
    engine: &'a Engine,
    container: Container,
    way: Way,
    /// Nobody starts or removes it while its files are mounted here.
    _lock: Option<Lock>,
}

enum Way {
    /// Its init.
    Inside(OwnedFd),
    /// The plan of its files.
    Mounted(Box<RefCell<Plan>>),
}

impl<'a> View<'a> {
    pub fn open(engine: &'a Engine, wanted: &str) -> Result<Self> {
        let paths = &engine.paths;
        let id = containers::find(paths, wanted)?;
        let running = |status| matches!(status, Status::Running | Status::Paused);
        let now = state::started(engine, &id)?;
        if running(now.status) {
            let init = kill::open_init(&id, &now)?;
            let container = containers::config(paths, &id)?;
            return Ok(Self {
                engine,
                container,
                way: Way::Inside(init),
                _lock: None,
            });
        }
        if now.status == Status::Restarting {
            return Err(kill::restarting(&id));
        }
        let lock = containers::lock(paths, &id)?;
        if running(state::settle(paths, &id)?.status) {
            return Err(
                Error::conflict(format!("container {wanted} is just starting")).hint("try again"),
            );
        }
        let container = containers::config(paths, &id)?;
        let way = Way::Mounted(Box::new(RefCell::new(files_plan(engine, &container)?)));
        Ok(Self {
            engine,
            container,
            way,
            _lock: Some(lock),
        })
    }

    /// Does `work` in there; it is given the root, and what this process may
    /// do to files in it.
    pub fn start<T: Serialize>(
        &self,
        work: impl FnOnce(BorrowedFd<'_>, Privilege) -> Result<T>,
    ) -> Result<Running<T>> {
        task::start(&self.engine.paths, || {
            // /proc is not ours any more in there.
            let privilege = Privilege::of_this_process();
            let root = match &self.way {
                Way::Inside(init) => {
                    member::enter(init, libc::CLONE_NEWNS)?;
                    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                    nix::fcntl::open("/", flags, Mode::empty())
                        .context(|| "cannot open the container's root")?
                }
                Way::Mounted(plan) => mounted(&mut plan.borrow_mut())?,
            };
            if !self.container.ids.is_same() {
                // The caller may be nobody in there, whose new files are nobody's.
                cred::become_user(0, 0, &[]).context(|| "cannot become the container's root")?;
            }
            work(root.as_fd(), privilege)
        })
    }

    /// Whom the container runs as, when that is not its root.
    pub fn user(&self) -> Option<String> {
        Some(self.container.config.user.clone()).filter(|user| !user.is_empty())
    }
}

/// The files, and where its ids are laid out in another way, this process where
/// they are what the container calls them.
fn mounted(plan: &mut Plan) -> Result<OwnedFd> {
    let shifted = plan.id_maps.as_ref().filter(|_| plan.becomes_root);
    // First: there is no /proc of ours afterwards.
    let userns = shifted.map(below::make).transpose()?;
    let root = offline::mount(plan)?;
    if let Some(userns) = userns {
        ns::join(userns, libc::CLONE_NEWUSER)
            .context(|| "cannot join the container's user namespace")?;
    }
    Ok(root)
}

fn files_plan(engine: &Engine, container: &Container) -> Result<Plan> {
    let maps = match nix::unistd::geteuid().is_root() {
        true => None,
        false => Some(Maps::of_caller()?),
    };
    let shared = Shared {
        namespaces: Namespaces::of(&container.host_config)?,
        join: None,
        memory: None,
    };
    let material = start::material(engine, container)?;
    let plan = plan::build(&engine.paths, container, &material, maps.as_ref(), shared)?;
    if plan.root.overlay().is_some_and(|overlay| !overlay.native) {
        return Err(Error::unsupported(format!(
            "cannot copy from or to container {} while it does not run: its files are put together by fuse-overlayfs, which runs with it",
            container.id
        ))
        .hint("start it first, or use `wherry export`"));
    }
    Ok(plan)
}

/// A thing that was found, opened.
pub enum Found {
    Directory(OwnedFd),
    File(File),
    /// Anything else, with the target of a symbolic link.
    Other(Box<FileStat>, Vec<u8>),
}

impl Found {
    /// Opens what was asked for below `root`; a link as itself, unless it is to
    /// be followed.
    pub fn open(
        root: BorrowedFd<'_>,
        asked: &Asked,
        follow: bool,
        missing: impl Fn() -> Error,
    ) -> Result<Self> {
        let follow = follow || asked.directory;
        let failed = |errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => missing(),
            e => Err::<(), _>(e)
                .context(|| format!("cannot open \"/{}\"", String::from_utf8_lossy(&asked.path)))
                .expect_err("made from an error"),
        };
        let open = |flags: OFlag| {
            let flags = match follow {
                true => flags,
                false => flags | OFlag::O_NOFOLLOW,
            };
            rooted::open_across(root, &asked.path, flags, Mode::empty())
        };
        let place = open(OFlag::O_PATH).map_err(failed)?;
        let stat = fstat(&place).map_err(failed)?;
        let kind = stat.st_mode & libc::S_IFMT;
        if asked.directory && kind != libc::S_IFDIR {
            return Err(Error::invalid("not a directory"));
        }
        Ok(match kind {
            libc::S_IFDIR => {
                let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                let dir = nix::fcntl::openat(&place, ".", flags, Mode::empty());
                Self::Directory(dir.map_err(failed)?)
            }
            libc::S_IFREG => {
                let file = open(OFlag::O_RDONLY | OFlag::O_NONBLOCK).map_err(failed)?;
                let now = fstat(&file).map_err(failed)?;
                // It has been exchanged meanwhile: for a device, say.
                if (now.st_dev, now.st_ino) != (stat.st_dev, stat.st_ino) {
                    return Err(missing());
                }
                Self::File(file.into())
            }
            libc::S_IFLNK => {
                let target = readlinkat(&place, "").map_err(failed)?;
                Self::Other(Box::new(stat), target.as_encoded_bytes().to_vec())
            }
            _ => Self::Other(Box::new(stat), Vec::new()),
        })
    }

    pub fn is_dir(&self) -> bool {
        matches!(self, Self::Directory(_))
    }
}

/// What a copy to this path meets in the container.
pub fn landing(root: BorrowedFd<'_>, asked: &Asked) -> Result<Landing> {
    let mut path = asked.path.clone();
    let open = |path: &[u8], flags| rooted::open_across(root, path, flags, Mode::empty());
    let mut links = 0;
    let stat = loop {
        let place = match open(&path, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
            Ok(place) => place,
            Err(Errno::ENOENT | Errno::ENOTDIR) => break None,
            Err(e) => {
                return Err(e)
                    .context(|| format!("cannot open \"/{}\"", String::from_utf8_lossy(&path)));
            }
        };
        let stat = fstat(&place).context(|| "cannot read the destination")?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFLNK {
            break Some(stat);
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Error::invalid("the destination is a loop of links"));
        }
        let target = readlinkat(&place, "").context(|| "cannot read the destination")?;
        let target = target.as_encoded_bytes();
        path = match target.starts_with(b"/") {
            true => plain(target),
            false => plain(&[split(&path).0, b"/", target].concat()),
        };
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    Ok(Landing {
        exists: stat.is_some(),
        is_dir: stat.is_some_and(|s| s.st_mode & libc::S_IFMT == libc::S_IFDIR),
        parent_exists: stat.is_some() || open(split(&path).0, flags).is_ok(),
        asserts_dir: asked.directory,
        path,
    })
}

/// The container's user as its own files name it.
pub fn owner(root: BorrowedFd<'_>, user: &str) -> Result<Owners> {
    let open = |path: &[u8]| {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        rooted::open_across(root, path, flags, Mode::empty()).ok()
    };
    let files = Files::read(open(b"etc/passwd"), open(b"etc/group"));
    let who = users::resolve(user, &[], &files)?;
    Ok(Owners::Given(who.uid, who.gid))
}
