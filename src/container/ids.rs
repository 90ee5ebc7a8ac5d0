//! `--userns`: which ids of the caller stand for those of the container.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::host::Need;
use crate::record::container::Container;
use crate::runtime::users::{self, Files};
use crate::userns::layout::Layout;
use crate::userns::map::Maps;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode as Bits;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

/// `--userns` as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Docker's: nothing, or `host`.
    Plain,
    /// `keep-id`, with `uid=` and `gid=` where they are given.
    Keep(Option<u32>, Option<u32>),
    Nomap,
}

impl Mode {
    /// Words that are none of podman's are left to the caller.
    pub fn parse(text: &str) -> Result<Self> {
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        match word {
            "nomap" if rest.is_empty() => Ok(Self::Nomap),
            "keep-id" => {
                let (mut uid, mut gid) = (None, None);
                for option in rest.split(',').filter(|option| !option.is_empty()) {
                    let invalid = || {
                        Error::usage(format!(
                            "--userns: invalid USER mode: \"{option}\" is no option of keep-id"
                        ))
                        .hint("--userns keep-id:uid=NUMBER,gid=NUMBER")
                    };
                    let (key, value) = option.split_once('=').ok_or_else(invalid)?;
                    let id = value.parse().map_err(|_| invalid())?;
                    match key {
                        "uid" => uid = Some(id),
                        "gid" => gid = Some(id),
                        _ => return Err(invalid()),
                    }
                }
                Ok(Self::Keep(uid, gid))
            }
            _ => Ok(Self::Plain),
        }
    }
}

/// The layout that the container asks for. With `keep-id` and no user of its
/// own it also gets one: the kept. `donor` is whose namespaces it joins.
pub fn layout(
    engine: &Engine,
    container: &mut Container,
    donor: Option<&Container>,
) -> Result<Layout> {
    let mode = Mode::parse(&container.host_config.userns_mode)?;
    let wanted = match mode {
        Mode::Plain => return Ok(donor.map_or(Layout::Same, |donor| donor.ids)),
        other => other,
    };
    let asked = container.host_config.userns_mode.clone();
    let counts = counts(&asked)?;
    if container.rootfs.is_some() {
        return Err(Error::unsupported(format!(
            "--userns {asked} is not supported with --rootfs: the directory's files have the owners that they have"
        )));
    }
    let layout = match wanted {
        Mode::Keep(uid, gid) => kept(engine, container, uid, gid)?,
        _ => Layout::Nomap,
    };
    if let Layout::Keep { uid, gid } = layout
        && (uid >= counts.0 || gid >= counts.1)
    {
        return Err(Error::invalid(format!(
            "--userns {asked}: {uid}:{gid} is beyond the {} ids that you have",
            counts.0
        ))
        .hint(Need::MoreSubordinateIds.hint()));
    }
    if let Some(donor) = donor.filter(|donor| donor.ids != layout) {
        return Err(Error::unsupported(format!(
            "--userns {asked} is not supported with the namespaces of container {}: they belong to its user namespace",
            donor.id
        )));
    }
    Ok(layout)
}

/// How many users and groups there are.
fn counts(asked: &str) -> Result<(u32, u32)> {
    if nix::unistd::geteuid().is_root() {
        return Err(Error::unsupported(format!(
            "--userns {asked} is not supported for root, who has no subordinate ids"
        ))
        .hint("it is for containers of ordinary users"));
    }
    let maps = Maps::of_caller()?;
    if maps.is_single() {
        return Err(Error::unsupported(format!(
            "--userns {asked} is not supported without subordinate ids"
        ))
        .hint(Need::SubordinateIds.hint()));
    }
    Ok(maps.counts())
}

/// The caller becomes the user that the container runs as; of one that runs as
/// root, or does not say, he stays who he is (as with podman).
fn kept(
    engine: &Engine,
    container: &mut Container,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<Layout> {
    let me = (
        nix::unistd::geteuid().as_raw(),
        nix::unistd::getegid().as_raw(),
    );
    let user = container.config.user.clone();
    let (uid, gid) = if (uid, gid) != (None, None) {
        (uid.unwrap_or(me.0), gid.unwrap_or(me.1))
    } else if user.is_empty() {
        me
    } else {
        let layers = super::start::layers(engine, &container.layers)?;
        let files = Files::read(
            in_image(&layers.dirs, b"etc/passwd"),
            in_image(&layers.dirs, b"etc/group"),
        );
        match users::resolve(&user, &[], &files)? {
            found if found.uid == 0 => me,
            found => (found.uid, found.gid),
        }
    };
    if user.is_empty() {
        container.config.user = format!("{uid}:{gid}");
    }
    Ok(match (uid, gid) {
        (0, 0) => Layout::Same,
        (uid, gid) => Layout::Keep { uid, gid },
    })
}

/// A file of the image as its uppermost layer has it. A link on the way leads
/// within that layer.
fn in_image(layers: &[PathBuf], path: &[u8]) -> Option<OwnedFd> {
    layers.iter().find_map(|dir| {
        let dir = std::fs::File::open(dir).ok()?;
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = crate::fs::rooted::open(dir.as_fd(), path, flags, Bits::empty()).ok()?;
        let kind = nix::sys::stat::fstat(&file).ok()?.st_mode & libc::S_IFMT;
        (kind == libc::S_IFREG).then_some(file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        for (text, want) in [
            ("", Mode::Plain),
            ("host", Mode::Plain),
            ("nomap", Mode::Nomap),
            ("keep-id", Mode::Keep(None, None)),
            ("keep-id:uid=70,gid=71", Mode::Keep(Some(70), Some(71))),
            ("keep-id:gid=5", Mode::Keep(None, Some(5))),
        ] {
            assert_eq!(Mode::parse(text).unwrap(), want, "{text}");
        }
        for bad in ["keep-id:uid", "keep-id:uid=x", "keep-id:size=5"] {
            assert!(Mode::parse(bad).is_err(), "{bad}");
        }
    }
}
