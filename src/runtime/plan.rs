//! What the child does between clone and exec, as data: C strings, lists and
//! numbers, all made before the clone so that the child never allocates.

use super::beside::Join;
use crate::sys::caps::CapSet;
use crate::userns::below::IdMaps;
use std::ffi::{CString, c_char};
use std::os::fd::OwnedFd;

/// A container's start.
pub struct Plan {
    /// CLONE_NEW* of the namespaces that it gets of its own.
    pub namespaces: libc::c_int,
    /// Another container's, which it is cloned into.
    pub join: Option<Join>,
    /// uid_map and gid_map when CLONE_NEWUSER is among them.
    pub id_maps: Option<IdMaps>,
    pub hostname: CString,
    pub domainname: CString,
    pub root: Root,
    /// An empty directory of ours to attach the root on before pivot_root.
    pub staging: CString,
    /// In order; paths are below the new root, without a leading slash.
    pub steps: Vec<Step>,
    /// One place per step, where its mount waits from before the root is
    /// changed until it is its turn.
    pub opened: Vec<Option<OwnedFd>>,
    /// Trees of images, mounted by the parent for the step of that number.
    pub images: Vec<(usize, Overlay)>,
    /// The caller is not root of the container's user namespace, in which the
    /// tree is to be built by root.
    pub becomes_root: bool,
    /// `/proc/sys` files below a private procfs, and their content.
    pub sysctls: Vec<(CString, Vec<u8>)>,
    pub masked: Vec<CString>,
    pub read_only: Vec<CString>,
    pub read_only_root: bool,
    /// Written by the parent: the child is undumpable, and not its file's owner.
    pub oom_score_adj: i32,
    pub process: Process,
}

impl Plan {
    /// Not in a process namespace of its own: nothing ends with its init.
    pub fn shares_processes(&self) -> bool {
        self.namespaces & libc::CLONE_NEWPID == 0
    }

    /// Adds steps behind those that are there.
    pub fn add_steps(&mut self, steps: Vec<Step>) {
        self.opened.extend(steps.iter().map(|_| None));
        self.steps.extend(steps);
    }

    /// Descriptors that it needs.
    pub fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        let steps = self.steps.iter().filter_map(|step| match step {
            Step::Mount(Mount {
                source: Source::Detached(fd),
                ..
            }) => Some(fd),
            _ => None,
        });
        let process = [&self.process.stub].into_iter().chain(&self.process.reaper);
        let join = self.join.iter().map(|join| &join.init);
        steps.chain(process).chain(join)
    }
}

/// Where the root file system comes from.
pub enum Root {
    Overlay(Overlay),
    /// A directory of the host, used as it is.
    Directory(CString),
}

impl Root {
    pub fn overlay(&self) -> Option<&Overlay> {
        match self {
            Self::Overlay(overlay) => Some(overlay),
            Self::Directory(_) => None,
        }
    }

    pub fn overlay_mut(&mut self) -> Option<&mut Overlay> {
        match self {
            Self::Overlay(overlay) => Some(overlay),
            Self::Directory(_) => None,
        }
    }
}

/// Layers joined to one tree.
pub struct Overlay {
    /// The kernel may be asked for it; else fuse-overlayfs at once.
    pub native: bool,
    pub lower: Lower,
    /// Other owners than those on disk.
    pub shifted: Option<Shifted>,
    /// `None`: nobody writes.
    pub upper: Option<Upper>,
    /// In a user namespace overlay keeps its marks in user.overlay.*.
    pub userxattr: bool,
}

/// What takes the changes.
pub struct Upper {
    pub upper: CString,
    pub work: CString,
    /// No sync at unmount: for containers that are removed anyway.
    pub volatile: bool,
    /// Whom the root directory belongs to when it is made.
    pub owner: (u32, u32),
}

/// An overlay whose files have other owners than in the layers: `lower` is one
/// layer of names and owners alone, and the content is found in `data`
/// (Documentation/filesystems/overlayfs.rst, "Data-only lower layers"). Mounted
/// as root of U, who may read all of it.
pub struct Shifted {
    /// Highest first.
    pub data: Vec<CString>,
    /// `uidmapping` and `gidmapping` of fuse-overlayfs, which has no use for
    /// that layer.
    pub uids: String,
    pub gids: String,
}

/// The layers of an overlay, highest first.
pub enum Lower {
    /// One option per layer (Linux 6.7).
    Each(Vec<CString>),
    /// All in one string for mount(2), which cuts it at a page: so the names
    /// in `options` are short links in `directory`.
    Joined {
        directory: CString,
        options: CString,
        layers: Vec<CString>,
    },
}

/// Whether this kernel is of that release or a later one.
pub fn kernel_is(major: u32, minor: u32) -> bool {
    let Ok(uname) = nix::sys::utsname::uname() else {
        return true;
    };
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(major), Some(minor))
}

impl Lower {
    /// Their own paths.
    pub fn layers(&self) -> &[CString] {
        match self {
            Self::Each(layers) | Self::Joined { layers, .. } => layers,
        }
    }
}

/// One step of building the tree of mounts.
pub enum Step {
    Mount(Mount),
    /// A character or block device node, where the kernel lets us make one.
    Node {
        path: CString,
        kind: libc::mode_t,
        permissions: libc::mode_t,
        device: libc::dev_t,
    },
    Link {
        path: CString,
        target: CString,
    },
}

pub struct Mount {
    pub source: Source,
    pub target: CString,
    /// `mount::ATTR_*`.
    pub attributes: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`; 0 leaves it.
    pub propagation: u64,
    /// Set attributes on mounts below as well.
    pub recursive: bool,
    /// A host that cannot do it goes without.
    pub optional: bool,
    /// The target may be a symbolic link (of the user's choosing); the
    /// engine's own targets may not (CVE-2019-19921, CVE-2026-41579).
    pub follow: bool,
}

pub enum Source {
    /// A new file system of this type; options without a value are flags.
    New {
        fstype: CString,
        /// What it is of: a device, or again the type.
        device: CString,
        options: Vec<(CString, Option<CString>)>,
    },
    /// A mount that is attached nowhere yet.
    Detached(OwnedFd),
    /// A path of the host, opened before the root is changed; of it what is
    /// beneath `subpath`, which no link leads out of (CVE-2022-23648).
    Host {
        path: CString,
        subpath: Option<CString>,
        recursive: bool,
    },
    /// The tree of an image, which is in [`Plan::opened`] from the start on.
    Image { subpath: Option<CString> },
}

/// The program and what it may do; shared by start and exec.
pub struct Process {
    /// argv[0] as the user has it.
    pub program: CString,
    pub arguments: Arguments,
    /// What to try, in order: the path itself, or one per entry of PATH.
    pub candidates: Vec<CString>,
    pub environment: Strings,
    /// The environment says HOME; else it comes from the user's record.
    pub home_is_set: bool,
    /// Absolute; made when missing.
    pub directory: CString,
    /// Made when it is missing.
    pub makes_directory: bool,
    pub bounding: CapSet,
    /// Effective and permitted of uid 0 (others have none).
    pub permitted: CapSet,
    pub no_new_privileges: bool,
    pub seccomp: Option<crate::runtime::seccomp::Filter>,
    /// resource, soft, hard.
    pub limits: Vec<(u32, u64, u64)>,
    /// A pty of the container's own becomes stdin, stdout and stderr.
    pub terminal: Option<(u16, u16)>,
    /// A reaper of ours (this program) is pid 1 and the user's program its child.
    pub reaper: Option<OwnedFd>,
    /// The seccomp filter may let the program use keys: then it must not start
    /// with the caller's.
    pub needs_keyring: bool,
    pub stub: OwnedFd,
}

/// NUL-terminated strings and a list of pointers to them that ends in null.
pub struct Strings {
    owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    /// With `spare` null entries before the last, to be filled in the child.
    pub fn new(owned: Vec<CString>, spare: usize) -> Self {
        let mut pointers: Vec<_> = owned.iter().map(|s| s.as_ptr()).collect();
        pointers.extend(std::iter::repeat_n(std::ptr::null(), spare + 1));
        Self { owned, pointers }
    }
    pub fn pointers(&self) -> &[*const c_char] {
        &self.pointers
    }
    /// Fills the first spare entry.
    pub fn set_spare(&mut self, value: *const c_char) {
        let first = self.owned.len();
        self.pointers[first] = value;
    }
}

/// The stub's argument list: `[name, path, argv…]`, path filled in later.
pub struct Arguments {
    strings: Strings,
}

impl Arguments {
    pub fn new(argv: Vec<CString>) -> Self {
        let mut owned = Vec::with_capacity(argv.len() + 2);
        owned.push(CString::from(crate::sys::stub::NAME));
        owned.push(CString::from(c""));
        owned.extend(argv);
        Self {
            strings: Strings::new(owned, 0),
        }
    }
    pub fn set_path(&mut self, path: *const c_char) {
        self.strings.pointers[1] = path;
    }
    pub fn pointers(&self) -> &[*const c_char] {
        self.strings.pointers()
    }
}
