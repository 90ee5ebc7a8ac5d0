//! COPY, ADD and WORKDIR: files put into a stage's files by a child that is
//! root of U, and what came of it packed as a layer.

use super::Build;
use super::add::{self, Fetched};
use super::chain::Chain;
use super::key;
use super::rootfs::{self, Rootless, Scratch};
use crate::build::files::clamp;
use crate::build::files::copy::{Chmod, Manner, Target};
use crate::build::files::hash;
use crate::build::files::hashes::Hashes;
use crate::build::files::select::{self, Selection};
use crate::build::files::tree::Tree;
use crate::build::plan::Copy;
use crate::error::{Context, Error, Result};
use crate::fs::rooted;
use crate::runtime::users::{self, Files};
use crate::store::{CachedStep, NewLayer, Source, StepLayer};
use crate::userns::task;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What the child tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    /// Of files that had to be looked at first.
    pub key: Option<String>,
    /// It was in the cache after all.
    pub cached: Option<CachedStep>,
    pub layer: Option<StepLayer>,
}

/// What is copied.
pub enum Content<'a> {
    /// Of a context, looked at already.
    Tree(&'a Tree, &'a Selection, &'a Hashes),
    /// Of a stage or image: these layers.
    Layers(&'a [StepLayer]),
    /// Only heredocs, and what was fetched.
    Nothing,
}

/// `None` for a layer without entries: images go without it.
pub fn kept(new: NewLayer) -> Option<StepLayer> {
    if new.is_empty() {
        return None;
    }
    Some(StepLayer {
        media_type: new.descriptor().media_type,
        diff_id: new.diff_id,
        blob: new.blob,
        blob_size: new.blob_size,
        size: new.size,
    })
}

/// For manifests.
pub fn descriptor(layer: &StepLayer) -> crate::image::Descriptor {
    let (blob, size) = (layer.blob.clone(), layer.blob_size);
    crate::image::Descriptor::new(&layer.media_type, blob, size)
}

/// Carries out a COPY or ADD on the files of `chain`. `dir` is the step's own.
pub fn copy(
    build: &Build<'_>,
    chain: &Chain,
    copy: &Copy,
    content: &Content<'_>,
    fetched: &[Fetched],
    dir: &Path,
) -> Result<Done> {
    let rootless = Rootless(!nix::unistd::geteuid().is_root());
    task::run(&build.engine.paths, || {
        rootfs::own_mounts()?;
        nix::sys::stat::umask(Mode::empty());
        match content {
            Content::Tree(tree, selection, hashes) => put(
                build,
                chain,
                copy,
                Some((tree, selection, hashes)),
                fetched,
                dir,
                rootless,
            ),
            Content::Nothing => put(build, chain, copy, None, fetched, dir, rootless),
            Content::Layers(layers) => {
                let tree = Tree::of_image(rootfs::mounted(build.engine, layers, None, rootless)?);
                let selection = select::select(&tree, &copy.sources, copy.parents, &copy.excludes)?;
                let digest = hash::digest(&tree, &selection, &mut Hashes::none())?;
                let key = key::copy(&chain.key, copy, digest.as_str(), build.options.epoch);
                if !build.options.no_cache
                    && let Some(cached) = build.engine.store()?.cached_step(&key)
                {
                    return Ok(Done {
                        key: Some(key),
                        cached: Some(cached),
                        layer: None,
                    });
                }
                let none = Hashes::none();
                let done = put(
                    build,
                    chain,
                    copy,
                    Some((&tree, &selection, &none)),
                    fetched,
                    dir,
                    rootless,
                )?;
                Ok(Done {
                    key: Some(key),
                    ..done
                })
            }
        }
    })
}

/// In the child.
fn put(
    build: &Build<'_>,
    chain: &Chain,
    copy: &Copy,
    files: Option<(&Tree, &Selection, &Hashes)>,
    fetched: &[Fetched],
    dir: &Path,
    rootless: Rootless,
) -> Result<Done> {
    let scratch = Scratch::make(dir.to_path_buf())?;
    let below: &[StepLayer] = if copy.link { &[] } else { &chain.layers };
    let root = rootfs::mounted(build.engine, below, Some(&scratch), rootless)?;
    let owner = match &copy.chown {
        None => None,
        Some(text) if copy.link && !is_numeric(text) => {
            let names = rootfs::mounted(build.engine, &chain.layers, None, rootless)?;
            Some(owner(names.as_fd(), text)?)
        }
        Some(text) => Some(owner(root.as_fd(), text)?),
    };
    let manner = Manner {
        owner,
        chmod: copy.chmod.as_deref().map(Chmod::parse).transpose()?,
        time: build.options.epoch,
        parents: copy.parents,
    };
    let target = Target {
        root: root.as_fd(),
        manner: &manner,
    };
    if let Some((tree, selection, hashes)) = files {
        add::put_files(copy, tree, selection, hashes, &target)?;
    }
    add::put_fetched(copy, fetched, &target)?;
    for heredoc in &copy.contents {
        let now = TimeSpec::new(jiff::Timestamp::now().as_second(), 0);
        let content = heredoc.content();
        target.write(
            &copy.target,
            &heredoc.name,
            &mut content.as_bytes(),
            0o644,
            now,
        )?;
    }
    finish(build, &scratch, root)
}

/// Packs what a step has written, if it has; as root of U.
pub fn layer(build: &Build<'_>, upper: &Path) -> Result<Option<StepLayer>> {
    let mut entries =
        std::fs::read_dir(upper).context(|| "cannot read what the step has written")?;
    if entries.next().is_none() {
        return Ok(None);
    }
    if let Some(epoch) = build.options.epoch {
        clamp::clamp(upper, epoch)?;
    }
    build
        .engine
        .store()?
        .add_layer(Source::Moved(upper))
        .map(kept)
}

/// Unmounts and packs.
fn finish(build: &Build<'_>, scratch: &Scratch, root: OwnedFd) -> Result<Done> {
    drop(root);
    crate::runtime::fuse::stop(&scratch.dir);
    let new = layer(build, &scratch.upper())?;
    remove(&scratch.dir)?;
    Ok(Done {
        key: None,
        cached: None,
        layer: new,
    })
}

fn remove(dir: &Path) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Ok(());
    };
    let parent =
        std::fs::File::open(parent).context(|| "cannot open the directory of the build")?;
    rooted::remove_all(parent.as_fd(), name.as_bytes())
        .context(|| format!("cannot remove \"{}\"", dir.display()))
}

/// `WORKDIR`: the directory is there, made as `user` when it was missing.
pub fn directory(
    build: &Build<'_>,
    chain: &Chain,
    path: &str,
    user: &str,
    dir: &Path,
) -> Result<Done> {
    let rootless = Rootless(!nix::unistd::geteuid().is_root());
    task::run(&build.engine.paths, || {
        rootfs::own_mounts()?;
        nix::sys::stat::umask(Mode::empty());
        let scratch = Scratch::make(dir.to_path_buf())?;
        let root = rootfs::mounted(build.engine, &chain.layers, Some(&scratch), rootless)?;
        let owner = match user {
            "" => None,
            user => Some(owner(root.as_fd(), user)?),
        };
        let manner = Manner {
            owner,
            time: build.options.epoch,
            ..Manner::default()
        };
        let target = Target {
            root: root.as_fd(),
            manner: &manner,
        };
        target.make_directories(path)?;
        finish(build, &scratch, root)
    })
}

fn is_numeric(text: &str) -> bool {
    text.split(':')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// `--chown`: a number alone is user and group (Dockerfile reference).
fn owner(root: BorrowedFd<'_>, text: &str) -> Result<(u32, u32)> {
    let text = match text.contains(':') || !is_numeric(text) {
        true => text.to_string(),
        false => format!("{text}:{text}"),
    };
    let open = |path: &[u8]| {
        rooted::open(
            root,
            path,
            OFlag::O_RDONLY | OFlag::O_NONBLOCK,
            Mode::empty(),
        )
        .ok()
    };
    let regular = |fd: OwnedFd| {
        let stat = nix::sys::stat::fstat(&fd).ok()?;
        (stat.st_mode & libc::S_IFMT == libc::S_IFREG).then_some(fd)
    };
    let files = match is_numeric(&text) {
        true => Files::default(),
        false => Files::read(
            open(b"etc/passwd").and_then(regular),
            open(b"etc/group").and_then(regular),
        ),
    };
    let found = users::resolve(&text, &[], &files)
        .map_err(|e: Error| e.within(format!("failed to convert uid/gid chown string {text:?}")))?;
    Ok((found.uid, found.gid))
}
