//! Where a container's root file system comes from.

use super::{Layers, c_path};
use crate::error::{Context, Error, Result};
use crate::paths::Paths;
use crate::record::container::Container;
use crate::runtime::init_layer;
use crate::runtime::plan::{Lower, Root};
use std::ffi::CString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A page, less one: mount(2) cuts its options there without a word.
const MAX_OPTIONS: usize = 4095;

pub fn root(paths: &Paths, container: &Container, layers: &Layers, rootless: bool) -> Result<Root> {
    if let Some(dir) = &container.rootfs {
        return Ok(Root::Directory(c_path(dir)?));
    }
    let init = init_layer::path(paths)?;
    let lower: Vec<&Path> = std::iter::once(init.as_path())
        .chain(layers.dirs.iter().map(PathBuf::as_path))
        .collect();
    let dir = paths.container(&container.id);
    let overlay = Overlay {
        upper: dir.join("upper"),
        work: dir.join("work"),
        volatile: container.host_config.auto_remove,
        userxattr: rootless,
    };
    let lower = if takes_layers_one_by_one() {
        Lower::Each(lower.into_iter().map(c_path).collect::<Result<_>>()?)
    } else {
        overlay.joined(&paths.run_container(&container.id).join("l"), &lower)?
    };
    Ok(Root::Overlay {
        native: !layers.need_fuse,
        lower,
        upper: c_path(&overlay.upper)?,
        work: c_path(&overlay.work)?,
        volatile: overlay.volatile,
        userxattr: overlay.userxattr,
    })
}

/// overlayfs has `lowerdir+` since Linux 6.7.
fn takes_layers_one_by_one() -> bool {
    let Ok(uname) = nix::sys::utsname::uname() else {
        return true;
    };
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(['.', '-'])
        .map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(7))
}

struct Overlay {
    upper: PathBuf,
    work: PathBuf,
    volatile: bool,
    userxattr: bool,
}

impl Overlay {
    /// Makes the short links in `links` and the options that name them.
    fn joined(&self, links: &Path, lower: &[&Path]) -> Result<Lower> {
        let made = |e: std::io::Result<()>| {
            e.context(|| format!("cannot make links in \"{}\"", links.display()))
        };
        let _ = std::fs::remove_dir_all(links);
        made(std::fs::create_dir_all(links))?;
        let mut names = Vec::with_capacity(lower.len());
        for (i, layer) in lower.iter().enumerate() {
            made(symlink(layer, links.join(i.to_string())))?;
            names.push(i.to_string());
        }
        made(symlink(&self.upper, links.join("u")))?;
        made(symlink(&self.work, links.join("w")))?;
        let mut options = format!("lowerdir={},upperdir=u,workdir=w", names.join(":"));
        if self.userxattr {
            options += ",userxattr";
        }
        if self.volatile {
            options += ",volatile";
        }
        if options.len() > MAX_OPTIONS {
            return Err(Error::unsupported(format!(
                "the image has {} layers, more than this kernel can mount",
                lower.len()
            ))
            .hint("Linux 6.7 takes 500"));
        }
        Ok(Lower::Joined {
            directory: c_path(links)?,
            options: CString::new(options).unwrap_or_default(),
            layers: lower.iter().map(|l| c_path(l)).collect::<Result<_>>()?,
        })
    }
}
