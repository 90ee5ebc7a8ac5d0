//! The files of several layers as the one tree that overlayfs makes of them,
//! read without a mount: for packing, comparing and copying out.
//!
//! Marks are those that `unpack` and overlayfs write: a character device 0:0
//! (or, where the file system has none, a file `.wh.NAME`) for a deletion, an
//! attribute (or a file `.wh..wh..opq`) for a directory that hides what lies
//! below it.

use super::unpack::Privilege;
use crate::error::{Context, Result};
use crate::fs::rooted;
use crate::sys::xattr;
use crate::userns::layout::Layout;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

/// Paths longer than this begin anew at a directory that is kept open.
const LONGEST: usize = 2048;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE_FILE: &[u8] = b".wh..wh..opq";

/// One layer of the tree.
struct Layer {
    root: Rc<OwnedFd>,
    /// Its deletions are files named `.wh.…`.
    marked_by_files: bool,
    /// Of the ids of its files.
    layout: Layout,
}

/// Layers, uppermost first.
pub struct Merged {
    layers: Vec<Layer>,
    /// `None`: it is no layer, nothing in it is a mark.
    opaque: Option<&'static CStr>,
}

/// A directory of one layer: `path` beneath `from`.
#[derive(Clone)]
struct Beneath {
    layer: usize,
    from: Rc<OwnedFd>,
    path: Vec<u8>,
}

/// A directory of the tree, and where its layers have it.
#[derive(Clone)]
pub struct Place {
    /// From the root, without a leading slash.
    pub path: Vec<u8>,
    parts: Vec<Beneath>,
    /// A layer below these says that it is gone, or something else.
    closed: bool,
}

/// A directory that has been read.
pub struct Listing {
    parts: Vec<Beneath>,
    open: Vec<Rc<OwnedFd>>,
    /// As many, of the layers.
    layouts: Vec<Layout>,
    path: Vec<u8>,
    /// Its layers hide what others, below all of these, may have in it.
    pub opaque: bool,
    /// By name.
    pub nodes: Vec<Node>,
}

pub struct Node {
    pub name: Vec<u8>,
    /// `None`: the uppermost layer that says something says that it is gone.
    pub stat: Option<FileStat>,
    /// Positions of the layers that have it, up to the first that hides the
    /// rest; more than one only for directories.
    at: Vec<usize>,
    closed: bool,
}

impl Node {
    pub fn is_dir(&self) -> bool {
        self.stat
            .is_some_and(|s| s.st_mode & libc::S_IFMT == libc::S_IFDIR)
    }
}

impl Merged {
    pub fn empty() -> Self {
        Self {
            layers: Vec::new(),
            opaque: Some(match Privilege::of_this_process() {
                Privilege::Root => c"trusted.overlay.opaque",
                _ => c"user.overlay.opaque",
            }),
        }
    }

    /// An ordinary directory with what is mounted in it.
    pub fn plain(dir: OwnedFd) -> Self {
        Self {
            layers: vec![Layer {
                root: Rc::new(dir),
                marked_by_files: false,
                layout: Layout::Same,
            }],
            opaque: None,
        }
    }

    /// Adds a layer below those that are there.
    pub fn add(&mut self, dir: &Path, marked_by_files: bool) -> Result<()> {
        self.add_of(dir, marked_by_files, Layout::Same)
    }

    /// The same for a layer whose files have the owners that a container with
    /// ids of its own gives them: they are shown as it sees them.
    pub fn add_of(&mut self, dir: &Path, marked_by_files: bool, layout: Layout) -> Result<()> {
        let root = File::open(dir).context(|| format!("cannot open \"{}\"", dir.display()))?;
        self.layers.push(Layer {
            root: Rc::new(root.into()),
            marked_by_files,
            layout,
        });
        Ok(())
    }

    pub fn root(&self) -> Place {
        let parts = self.layers.iter().enumerate().map(|(layer, l)| Beneath {
            layer,
            from: Rc::clone(&l.root),
            path: Vec::new(),
        });
        Place {
            path: Vec::new(),
            parts: parts.collect(),
            closed: false,
        }
    }

    /// Reads a directory; `None` when it has vanished.
    pub fn list(&self, place: &Place) -> Result<Option<Listing>> {
        let read = || format!("cannot read \"/{}\"", super::unpack::shown(&place.path));
        let mut listing = Listing {
            parts: Vec::new(),
            open: Vec::new(),
            layouts: Vec::new(),
            path: place.path.clone(),
            opaque: place.closed,
            nodes: Vec::new(),
        };
        let mut found: BTreeMap<Vec<u8>, Node> = BTreeMap::new();
        for part in &place.parts {
            let dir = match self.open(part) {
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EXDEV) => continue,
                other => Rc::new(other.context(read)?),
            };
            let position = listing.open.len();
            listing.parts.push(part.clone());
            listing.open.push(Rc::clone(&dir));
            listing.layouts.push(self.layers[part.layer].layout);
            let by_file = self
                .collect(part.layer, position, &dir, &mut found)
                .context(read)?;
            if by_file || self.is_opaque(&dir).context(read)? {
                listing.opaque = true;
                break;
            }
        }
        listing.nodes = found.into_values().collect();
        Ok((!listing.open.is_empty()).then_some(listing))
    }

    /// Adds what one layer has in a directory; `true` when a file says that it
    /// hides the layers below.
    fn collect(
        &self,
        layer: usize,
        position: usize,
        dir: &OwnedFd,
        found: &mut BTreeMap<Vec<u8>, Node>,
    ) -> nix::Result<bool> {
        let mut hides = false;
        let by_files = self.layers[layer].marked_by_files;
        let layout = self.layers[layer].layout;
        let mut names = Dir::from_fd(dir.try_clone().map_err(|_| Errno::EMFILE)?)?;
        for entry in names.iter() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if by_files && name == OPAQUE_FILE {
                hides = true;
                continue;
            }
            let (name, stat) = match name.strip_prefix(WHITEOUT).filter(|_| by_files) {
                Some(gone) => (gone, None),
                None => match fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                    Ok(stat) if self.opaque.is_some() && is_whiteout(&stat) => (name, None),
                    Ok(stat) => (name, Some(seen(stat, layout))),
                    Err(Errno::ENOENT) => continue,
                    Err(e) => return Err(e),
                },
            };
            add(found, position, name, stat);
        }
        Ok(hides)
    }

    /// Mounts belong to an ordinary directory only, and the kernel's own file
    /// systems to none.
    fn open(&self, part: &Beneath) -> nix::Result<OwnedFd> {
        use nix::sys::statfs::{self, fstatfs};
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let (from, path) = (part.from.as_fd(), &part.path);
        if self.opaque.is_some() {
            return rooted::open(from, path, flags, Mode::empty());
        }
        let dir = rooted::open_across(from, path, flags, Mode::empty())?;
        let kind = fstatfs(&dir)?.filesystem_type();
        let kernels = [
            statfs::PROC_SUPER_MAGIC,
            statfs::SYSFS_MAGIC,
            statfs::CGROUP2_SUPER_MAGIC,
            statfs::DEVPTS_SUPER_MAGIC,
        ];
        if !path.is_empty() && kernels.contains(&kind) {
            return Err(Errno::EXDEV);
        }
        Ok(dir)
    }

    fn is_opaque(&self, dir: &OwnedFd) -> nix::Result<bool> {
        let Some(opaque) = self.opaque else {
            return Ok(false);
        };
        match xattr::get(dir, opaque) {
            Ok(value) => Ok(value.as_deref() == Some(b"y")),
            // A file system without attributes has no marks.
            Err(Errno::ENOTSUP) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

fn add(found: &mut BTreeMap<Vec<u8>, Node>, position: usize, name: &[u8], stat: Option<FileStat>) {
    let is_dir = stat.is_some_and(|s| s.st_mode & libc::S_IFMT == libc::S_IFDIR);
    match found.get_mut(name) {
        None => {
            let node = Node {
                name: name.to_vec(),
                stat,
                at: stat.map(|_| position).into_iter().collect(),
                closed: !is_dir,
            };
            found.insert(name.to_vec(), node);
        }
        Some(node) if !node.closed && is_dir => node.at.push(position),
        Some(node) => node.closed = true,
    }
}

impl Listing {
    /// The directory itself, in its uppermost layer.
    pub fn own(&self) -> BorrowedFd<'_> {
        self.open[0].as_fd()
    }

    /// The directory in which `node` is.
    pub fn dir(&self, node: &Node) -> BorrowedFd<'_> {
        self.open[node.at.first().copied().unwrap_or(0)].as_fd()
    }

    /// What the directory itself is.
    pub fn own_stat(&self) -> nix::Result<FileStat> {
        Ok(seen(fstat(self.own())?, self.layouts[0]))
    }

    /// What an opened file is that `node` was.
    pub fn stat_of(&self, node: &Node, file: impl AsFd) -> nix::Result<FileStat> {
        let position = node.at.first().copied().unwrap_or(0);
        Ok(seen(fstat(file)?, self.layouts[position]))
    }

    /// Path of `node` from the root.
    pub fn path(&self, node: &Node) -> Vec<u8> {
        join(&self.path, &node.name)
    }

    /// The directory that `node` is.
    pub fn below(&self, node: &Node) -> Place {
        let part = |&position: &usize| {
            let part = &self.parts[position];
            match part.path.len() < LONGEST {
                true => Beneath {
                    layer: part.layer,
                    from: Rc::clone(&part.from),
                    path: join(&part.path, &node.name),
                },
                false => Beneath {
                    layer: part.layer,
                    from: Rc::clone(&self.open[position]),
                    path: node.name.clone(),
                },
            }
        };
        Place {
            path: self.path(node),
            parts: node.at.iter().map(part).collect(),
            closed: node.closed,
        }
    }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    let separator: &[u8] = if parent.is_empty() { b"" } else { b"/" };
    [parent, separator, name].concat()
}

fn seen(mut stat: FileStat, layout: Layout) -> FileStat {
    (stat.st_uid, stat.st_gid) = layout.inside(stat.st_uid, stat.st_gid);
    stat
}

fn is_whiteout(stat: &FileStat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == 0
}
