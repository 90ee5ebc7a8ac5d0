//! Where a container's root file system comes from.

use super::{Layers, c_path, staging};
use crate::error::{Context, Error, Result};
use crate::paths::Paths;
use crate::record::container::Container;
use crate::runtime::plan::{Lower, Overlay, Root, Upper, kernel_is};
use crate::runtime::{init_layer, shift};
use crate::userns::layout::Layout;
use crate::userns::map::Maps;
use std::ffi::CString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A page, less one: mount(2) cuts its options there without a word.
const MAX_OPTIONS: usize = 4095;

/// The container's own root; `maps` are those of U, where that is used.
pub fn root(
    paths: &Paths,
    container: &Container,
    layers: &Layers,
    maps: Option<&Maps>,
) -> Result<Root> {
    if let Some(dir) = &container.rootfs {
        return Ok(Root::Directory(c_path(dir)?));
    }
    let dir = paths.container(&container.id);
    let upper = Upper {
        upper: c_path(&dir.join("upper"))?,
        work: c_path(&dir.join("work"))?,
        volatile: container.host_config.auto_remove,
        owner: container.ids.outside(0, 0),
    };
    let links = paths.run_container(&container.id).join("l");
    let tree = Tree {
        paths,
        layers,
        links: &links,
        layout: container.ids,
        // What it has written is as fuse-overlayfs writes it.
        need_fuse: layers.need_fuse || paths.owners_by_fuse(&container.id).exists(),
        maps,
    };
    tree.overlay(Some(upper)).map(Root::Overlay)
}

/// The tree of another image, to be read; `number` tells it from others.
pub fn image(
    paths: &Paths,
    container: &Container,
    layers: &Layers,
    maps: Option<&Maps>,
    number: usize,
) -> Result<Overlay> {
    let links = paths
        .run_container(&container.id)
        .join(format!("l{number}"));
    let tree = Tree {
        paths,
        layers,
        links: &links,
        layout: container.ids,
        need_fuse: layers.need_fuse,
        maps,
    };
    tree.overlay(None)
}

/// The layers as they are on disk, to be read; links to them go below `dir`.
pub fn view(paths: &Paths, layers: &Layers, maps: Option<&Maps>, dir: &Path) -> Result<Overlay> {
    let tree = Tree {
        paths,
        layers,
        links: &dir.join("l"),
        layout: Layout::Same,
        need_fuse: layers.need_fuse,
        maps,
    };
    tree.overlay(None)
}

struct Tree<'a> {
    paths: &'a Paths,
    layers: &'a Layers,
    /// Where short links to the layers go, for kernels that need them.
    links: &'a Path,
    layout: Layout,
    need_fuse: bool,
    maps: Option<&'a Maps>,
}

impl Tree<'_> {
    fn overlay(&self, upper: Option<Upper>) -> Result<Overlay> {
        let staging = staging(self.paths)?;
        if let Some(maps) = self.maps.filter(|_| !self.layout.is_same()) {
            let wanted = shift::Wanted {
                layers: &self.layers.dirs,
                init: upper.is_some(),
                need_fuse: self.need_fuse,
                layout: self.layout,
                upper,
                staging,
            };
            return shift::overlay(self.paths, maps, wanted);
        }
        let mut lower = self.layers.dirs.clone();
        if upper.is_some() {
            lower.insert(0, init_layer::path(self.paths)?);
        } else if lower.len() < 2 {
            // An overlay that nobody writes has two layers at least.
            lower.push(self.paths.run().join("mnt"));
        }
        let lower = match kernel_is(6, 7) {
            true => Lower::Each(lower.iter().map(|dir| c_path(dir)).collect::<Result<_>>()?),
            false => self.joined(&lower, upper.as_ref())?,
        };
        Ok(Overlay {
            native: !self.need_fuse,
            lower,
            shifted: None,
            upper,
            userxattr: self.maps.is_some(),
        })
    }

    /// Makes the short links and the options that name them.
    fn joined(&self, lower: &[PathBuf], upper: Option<&Upper>) -> Result<Lower> {
        use std::os::unix::ffi::OsStrExt;
        let links = self.links;
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
        let mut options = format!("lowerdir={}", names.join(":"));
        if let Some(upper) = upper {
            for (name, dir) in [("u", &upper.upper), ("w", &upper.work)] {
                let dir = std::ffi::OsStr::from_bytes(dir.as_bytes());
                made(symlink(dir, links.join(name)))?;
            }
            options += ",upperdir=u,workdir=w";
            if upper.volatile {
                options += ",volatile";
            }
        }
        if self.maps.is_some() {
            options += ",userxattr";
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
