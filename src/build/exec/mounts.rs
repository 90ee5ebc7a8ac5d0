//! The mounts of a RUN, made before its container starts: by a child that is
//! root of U and hands them over as descriptors. Binds are read-only, or are
//! written to in an overlay that is thrown away: a step never changes the
//! context or another stage (CVE-2025-4953). Secrets are files on a tmpfs.

use super::cache_mount::{self, Cache};
use super::chain::Chain;
use super::points::{self, Point};
use super::rootfs::{self, Rootless, Scratch};
use super::wire::{self, Failure, Packet};
use super::{Build, Secret};
use crate::build::files::copy::{self, Manner, Target};
use crate::build::files::hashes::Hashes;
use crate::build::files::select;
use crate::build::files::tree::Tree;
use crate::build::plan::mount::{Mount as Wanted, What};
use crate::build::plan::{Run, Source as From};
use crate::error::{Context, Error, Kind, Result};
use crate::runtime::overlay::{self, Writable};
use crate::runtime::plan::{Mount, Source, Step};
use crate::store::StepLayer;
use crate::sys::mount::{self, ATTR_NODEV, ATTR_NOSUID, ATTR_RDONLY};
use crate::sys::{clone, pidfd};
use crate::userns::enter::{Entered, Userns};
use crate::userns::map::Maps;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, renameat2};
use nix::sys::stat::{Mode, SFlag, fchmod, mknodat};
use nix::unistd::{Gid, Uid, fchown};
use std::ffi::CString;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The most of a secret, in bytes, as with BuildKit.
const MAX_SECRET: u64 = 500 << 10;

/// What the container gets, and what is to be put away after it.
#[derive(Default)]
pub struct Prepared {
    pub steps: Vec<Step>,
    /// Variables with secrets in them, and where agents are.
    pub env: Vec<String>,
    /// Mount points that the image does not have.
    pub points: Vec<Point>,
    _caches: Vec<Cache>,
}

/// One mount to be made.
struct Made {
    target: String,
    read_only: bool,
    what: Making,
}

enum Making {
    /// Part of the files of a stage or image.
    Layers(Vec<StepLayer>, String),
    /// Part of a context.
    Tree(From, String),
    /// A cache, and what a new one begins with.
    Cache {
        data: PathBuf,
        owner: (u32, u32),
        mode: u32,
        first: Option<(Vec<StepLayer>, Option<From>, String)>,
    },
    /// A file in memory.
    File {
        content: Vec<u8>,
        owner: (u32, u32),
        mode: u32,
    },
    /// A socket of the host.
    Socket(PathBuf),
}

/// Makes the mounts of `run`, whose files are those of `chain`. `dir` is the
/// step's own directory, `layers` finds those of stages and images.
pub fn prepare(
    build: &Build<'_>,
    chain: &Chain,
    run: &Run,
    dir: &Path,
    layers: &dyn Fn(&From) -> Result<Vec<StepLayer>>,
) -> Result<Prepared> {
    let mut prepared = Prepared::default();
    let mut making = Vec::new();
    for wanted in &run.mounts {
        want(build, wanted, layers, &mut prepared, &mut making)?;
    }
    if let Some(script) = &run.script {
        making.push(Made {
            target: format!("/dev/pipes/{}", script.name),
            read_only: true,
            what: Making::File {
                content: script.content().into_bytes(),
                owner: (0, 0),
                mode: 0o755,
            },
        });
    }
    if making.is_empty() && prepared.steps.is_empty() {
        return Ok(prepared);
    }
    // Those above others first.
    making.sort_by_key(|made| made.target.matches('/').count());
    let targets: Vec<&str> = run
        .mounts
        .iter()
        .map(|mount| mount.target.as_str())
        .filter(|target| !target.is_empty())
        .collect();
    let (mounts, points) = by_child(build, chain, &making, &targets, dir)?;
    for (made, fd) in making.iter().zip(mounts) {
        prepared
            .steps
            .push(Step::Mount(attach(&made.target, Source::Detached(fd), 0)?));
    }
    prepared.points = points;
    Ok(prepared)
}

fn attach(target: &str, source: Source, attributes: u64) -> Result<Mount> {
    Ok(Mount {
        source,
        target: text(target.trim_start_matches('/'))?,
        attributes,
        propagation: 0,
        recursive: false,
        optional: false,
        follow: true,
    })
}

fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid(format!("{text:?} contains a NUL byte")))
}

fn want(
    build: &Build<'_>,
    wanted: &Wanted,
    layers: &dyn Fn(&From) -> Result<Vec<StepLayer>>,
    prepared: &mut Prepared,
    making: &mut Vec<Made>,
) -> Result<()> {
    let target = wanted.target.clone();
    let read_only = |default: bool| wanted.read_only.unwrap_or(default);
    let what = match &wanted.what {
        What::Bind { from, path } => match build.tree(from) {
            Some(_) => Making::Tree(from.clone(), path.clone()),
            None if matches!(from, From::Context) => return Err(no_context()),
            None => Making::Layers(layers(from)?, path.clone()),
        },
        What::Cache {
            id,
            sharing,
            from,
            path,
            mode,
            uid,
            gid,
        } => {
            let cache = cache_mount::take(&build.engine.paths, id, *sharing)?;
            let first = match from {
                From::Scratch => None,
                From::Context | From::Named(_) => {
                    Some((Vec::new(), Some(from.clone()), path.clone()))
                }
                from => Some((layers(from)?, None, path.clone())),
            };
            let made = Making::Cache {
                data: cache.data.clone(),
                owner: (*uid, *gid),
                mode: *mode,
                first,
            };
            prepared._caches.push(cache);
            making.push(Made {
                target,
                read_only: read_only(false),
                what: made,
            });
            return Ok(());
        }
        What::Tmpfs { size } => {
            let mut options = vec![(text("mode")?, Some(text("1777")?))];
            if *size > 0 {
                options.push((text("size")?, Some(text(&size.to_string())?)));
            }
            let source = Source::New {
                fstype: text("tmpfs")?,
                device: text("tmpfs")?,
                options,
            };
            let mount = attach(&target, source, ATTR_NOSUID | ATTR_NODEV)?;
            prepared.steps.push(Step::Mount(mount));
            return Ok(());
        }
        What::Secret(secret) => {
            let Some(content) = read_secret(build, &secret.id, secret.required)? else {
                return Ok(());
            };
            if let Some(name) = &secret.env {
                let value = String::from_utf8(content.clone()).map_err(|_| {
                    Error::invalid(format!(
                        "secret {}: it is not UTF-8, so it can be no variable",
                        secret.id
                    ))
                })?;
                prepared.env.push(format!("{name}={value}"));
            }
            if target.is_empty() {
                return Ok(());
            }
            Making::File {
                content,
                owner: (secret.uid, secret.gid),
                mode: secret.mode,
            }
        }
        What::Ssh(agent) => {
            let Some(socket) = build.options.agents.get(&agent.id) else {
                return match agent.required {
                    true => Err(
                        Error::not_found(format!("ssh agent {}: not found", agent.id))
                            .hint("give it to the build by --ssh"),
                    ),
                    false => Ok(()),
                };
            };
            if (agent.uid, agent.gid, agent.mode) != (0, 0, 0o600) {
                return Err(Error::unsupported(
                    "uid, gid and mode of an ssh mount are not supported: the socket is the agent's own",
                ));
            }
            prepared.env.push(format!("SSH_AUTH_SOCK={target}"));
            Making::Socket(socket.clone())
        }
    };
    making.push(Made {
        target,
        read_only: read_only(true),
        what,
    });
    Ok(())
}

fn no_context() -> Error {
    Error::invalid("there is no build context to mount")
}

fn read_secret(build: &Build<'_>, id: &str, required: bool) -> Result<Option<Vec<u8>>> {
    let missing = || match required {
        true => Err(Error::not_found(format!("secret {id}: not found"))
            .hint("give it to the build by --secret")),
        false => Ok(None),
    };
    match build.options.secrets.get(id) {
        None => missing(),
        Some(Secret::Variable(value)) => Ok(Some(value.clone().into_bytes())),
        Some(Secret::File(path)) => {
            let mut content = Vec::new();
            std::fs::File::open(path)
                .and_then(|file| file.take(MAX_SECRET + 1).read_to_end(&mut content))
                .context(|| format!("cannot read secret {id}"))?;
            match content.len() as u64 > MAX_SECRET {
                true => Err(Error::invalid(format!(
                    "secret {id} is larger than {MAX_SECRET} bytes"
                ))),
                false => Ok(Some(content)),
            }
        }
    }
}

/// Forks the child and takes what it hands over.
fn by_child(
    build: &Build<'_>,
    chain: &Chain,
    making: &[Made],
    targets: &[&str],
    dir: &Path,
) -> Result<(Vec<OwnedFd>, Vec<Point>)> {
    let failed = || "cannot make the mounts of a step";
    let (ours, theirs) = wire::pair().context(failed)?;
    let maps = Maps::of_caller()?;
    let rootless = Rootless(!nix::unistd::geteuid().is_root());
    match Userns::find_passing(&build.engine.paths, &maps)?.fork()?.0 {
        Entered::Child => {
            drop(ours);
            let made = make_all(build, chain, making, targets, dir, rootless, &theirs);
            let _ = theirs.tell(&made.map_err(|e| Failure::from(&e)));
            clone::exit(0)
        }
        Entered::Parent { pidfd, .. } => {
            drop(theirs);
            let taken = take_all(ours);
            let _ = pidfd::reap(&pidfd);
            taken
        }
    }
}

fn take_all(mut child: wire::End) -> Result<(Vec<OwnedFd>, Vec<Point>)> {
    let mut mounts = Vec::new();
    loop {
        let heard = child.hear().context(|| "cannot hear of a step's mounts")?;
        match heard.ok_or_else(|| Error::internal("making a step's mounts ended early"))? {
            Packet::Descriptor(fd) => mounts.push(fd),
            Packet::Document(text) => {
                let points: std::result::Result<Vec<Point>, Failure> = wire::parse(&text)?;
                return Ok((mounts, points?));
            }
            Packet::Log(..) => {}
        }
    }
}

/// In the child.
fn make_all(
    build: &Build<'_>,
    chain: &Chain,
    making: &[Made],
    targets: &[&str],
    dir: &Path,
    rootless: Rootless,
    to: &wire::End,
) -> Result<Vec<Point>> {
    rootfs::own_mounts()?;
    nix::sys::stat::umask(Mode::empty());
    let mut points = Vec::new();
    if !targets.is_empty() {
        let root = rootfs::mounted(build.engine, &chain.layers, None, rootless)?;
        for target in targets {
            points.push(points::look(root.as_fd(), target)?);
        }
    }
    for (number, made) in making.iter().enumerate() {
        let mount = make(build, made, &dir.join(format!("m{number}")), rootless)
            .map_err(|e| e.within(format!("mount of {}", made.target)))?;
        let mut attributes = ATTR_NOSUID | ATTR_NODEV;
        if made.read_only {
            attributes |= ATTR_RDONLY;
        }
        mount::set_attributes(&mount, attributes, libc::MS_PRIVATE, false)
            .context(|| "cannot set the attributes of a mount")?;
        to.hand_over(mount.as_fd())
            .context(|| "cannot hand over a mount")?;
    }
    Ok(points)
}

fn make(build: &Build<'_>, made: &Made, dir: &Path, rootless: Rootless) -> Result<OwnedFd> {
    match &made.what {
        Making::Layers(layers, path) => {
            let scratch = match made.read_only {
                true => None,
                false => Some(Scratch::make(dir.to_path_buf())?),
            };
            let root = rootfs::mounted(build.engine, layers, scratch.as_ref(), rootless)?;
            rootfs::part(build.engine, root, path)
        }
        Making::Tree(from, path) => {
            let tree = build.tree(from).ok_or_else(no_context)?;
            of_tree(build, tree, path, made.read_only, dir, rootless)
        }
        Making::Cache {
            data,
            owner,
            mode,
            first,
        } => {
            make_cache(build, data, *owner, *mode, first.as_ref(), rootless)?;
            let path = rootfs::c_path(data)?;
            mount::clone_tree(nix::fcntl::AT_FDCWD, &path, false)
                .context(|| "cannot mount the cache")
        }
        Making::File {
            content,
            owner,
            mode,
        } => in_memory(build, content, *owner, *mode),
        Making::Socket(path) => {
            let path = rootfs::c_path(path)?;
            mount::clone_tree(nix::fcntl::AT_FDCWD, &path, false)
                .context(|| format!("cannot mount \"{}\"", path.to_string_lossy()))
        }
    }
}

/// The context as it is when nothing in it is hidden and nothing will be
/// written; else an overlay on top, with deletions for what is hidden.
fn of_tree(
    build: &Build<'_>,
    tree: &Tree,
    path: &str,
    read_only: bool,
    dir: &Path,
    rootless: Rootless,
) -> Result<OwnedFd> {
    let excluded = tree.excluded()?;
    let root = reopened(tree)?;
    let path = tree.canonical(path.trim_start_matches('/').as_bytes())?;
    let real = String::from_utf8_lossy(&path).into_owned();
    if read_only && excluded.is_empty() {
        let found = rootfs::beneath(root.as_fd(), &real)?;
        return mount::clone_tree(found.as_fd(), c"", false)
            .context(|| "cannot mount the build context");
    }
    let scratch = Scratch::make(dir.to_path_buf())?;
    for path in &excluded {
        hide(&scratch.upper(), tree, path)?;
    }
    let lower = vec![text(&format!("/proc/self/fd/{}", root.as_raw_fd()))?];
    let (upper, work) = (
        rootfs::c_path(&scratch.upper())?,
        rootfs::c_path(&scratch.dir.join("work"))?,
    );
    let write = Writable {
        upper: &upper,
        work: &work,
        volatile: true,
    };
    let root = overlay::mount(&lower, Some(write), rootless.0)
        .context(|| "cannot mount the build context for writing")?;
    rootfs::part(build.engine, root, &real)
}

/// The context as this process's own mounts have it: what was opened before
/// them cannot be mounted. It must be the same directory still.
fn reopened(tree: &Tree) -> Result<OwnedFd> {
    let failed = || "cannot mount the build context";
    let link = format!("/proc/self/fd/{}", tree.root().as_raw_fd());
    let path = std::fs::read_link(link).context(failed)?;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = nix::fcntl::open(&path, flags, Mode::empty()).context(failed)?;
    let inode = |fd: &OwnedFd| nix::sys::stat::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    match (inode(&root), inode(tree.root())) {
        (Ok(now), Ok(then)) if now == then => Ok(root),
        _ => Err(Error::conflict(
            "the build context has been moved while the build was running",
        )),
    }
}

/// A deletion of `path` on top of the context.
fn hide(upper: &Path, tree: &Tree, path: &[u8]) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let place = upper.join(std::ffi::OsStr::from_bytes(path));
    let failed = || format!("cannot hide \"/{}\"", crate::build::files::shown(path));
    let mut above = Vec::new();
    for name in crate::build::files::hash::split(path)
        .0
        .split(|&b| b == b'/')
        .filter(|n| !n.is_empty())
    {
        above = crate::build::files::join(&above, name);
        let dir = upper.join(std::ffi::OsStr::from_bytes(&above));
        let mode = tree.stat(&above)?.st_mode & 0o7777;
        match std::fs::DirBuilder::new().mode(mode).create(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(e).context(failed);
            }
            _ => {}
        }
    }
    mknodat(
        nix::fcntl::AT_FDCWD,
        &place,
        SFlag::S_IFCHR,
        Mode::empty(),
        0,
    )
    .context(failed)
}

/// A new cache is made as it is wanted; one that is there stays as it is.
fn make_cache(
    build: &Build<'_>,
    data: &Path,
    owner: (u32, u32),
    mode: u32,
    first: Option<&(Vec<StepLayer>, Option<From>, String)>,
    rootless: Rootless,
) -> Result<()> {
    if data.exists() {
        return Ok(());
    }
    let failed = || format!("cannot make the cache \"{}\"", data.display());
    let new = crate::fs::replace::temporary_beside(data);
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&new)
        .context(failed)?;
    let dir = std::fs::File::open(&new).context(failed)?;
    if let Some((layers, from, path)) = first {
        let mounted;
        let tree = match from {
            Some(from) => build.tree(from).ok_or_else(no_context)?,
            None => {
                mounted = Tree::of_image(rootfs::mounted(build.engine, layers, None, rootless)?);
                &mounted
            }
        };
        let selection = select::select(tree, std::slice::from_ref(path), false, &[])?;
        let manner = Manner::default();
        let target = Target {
            root: dir.as_fd(),
            manner: &manner,
        };
        copy::copy(tree, &selection, "/", &target, &Hashes::none())?;
    }
    fchown(
        &dir,
        Some(Uid::from_raw(owner.0)),
        Some(Gid::from_raw(owner.1)),
    )
    .context(failed)?;
    fchmod(&dir, Mode::from_bits_truncate(mode)).context(failed)?;
    // A plain rename would put it in the place of one that is still empty, which
    // another step has mounted already.
    match renameat2(
        AT_FDCWD,
        &new,
        AT_FDCWD,
        data,
        RenameFlags::RENAME_NOREPLACE,
    ) {
        // That step was faster.
        Err(Errno::EEXIST) => std::fs::remove_dir_all(&new).context(failed),
        other => other.context(failed),
    }
}

/// A file on a tmpfs of its own: it is never on a disk.
fn in_memory(build: &Build<'_>, content: &[u8], owner: (u32, u32), mode: u32) -> Result<OwnedFd> {
    let failed = || "cannot make a file in memory";
    let memory = mount::Context::open(c"tmpfs").context(failed)?;
    memory.string(c"source", c"tmpfs").context(failed)?;
    memory.string(c"mode", c"0755").context(failed)?;
    let root = memory.mount(0).context(failed)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let fd = nix::fcntl::openat(&root, "file", flags, Mode::S_IRUSR).context(failed)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(content).context(failed)?;
    fchown(
        &file,
        Some(Uid::from_raw(owner.0)),
        Some(Gid::from_raw(owner.1)),
    )
    .context(|| format!("cannot give it to {}:{}", owner.0, owner.1))
    .map_err(|e| e.with_kind(Kind::Unsupported))?;
    fchmod(&file, Mode::from_bits_truncate(mode)).context(failed)?;
    drop(file);
    rootfs::part(build.engine, root, "file")
}
