//! The mounts that the user asked for, as steps of the plan.

use super::mounts::{NOEXEC, bind, new, plain};
use super::{c_path, c_string};
use crate::error::{Context, Error, Kind, Result};
use crate::paths::Paths;
use crate::record::container::{Container, MountPoint};
use crate::record::mount;
use crate::runtime::explain;
use crate::runtime::plan::{Mount, Source};
use crate::sys::mount::{
    ATTR_NOATIME, ATTR_NODEV, ATTR_NODIRATIME, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY,
    ATTR_STRICTATIME,
};
use crate::text::path::absolute;
use crate::volume::{self, driver};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A mount that the user asked for, resolved.
pub struct Wanted {
    pub target: String,
    pub mount: Mount,
}

/// All of them, parents before children.
pub fn all(
    paths: &Paths,
    container: &Container,
    mounted: &HashMap<String, OwnedFd>,
    rootless: bool,
) -> Result<Vec<Wanted>> {
    let mut all = Vec::new();
    for (target, options) in &container.host_config.tmpfs {
        all.push(tmpfs(target, options)?);
    }
    for point in &container.mounts {
        all.push(match point.kind {
            mount::Kind::Bind => of_bind(point, rootless)?,
            mount::Kind::Volume => of_volume(paths, point, mounted, rootless)?,
            mount::Kind::Tmpfs => of_tmpfs(point)?,
            mount::Kind::Image => of_image(point)?,
        });
    }
    for w in &all {
        refuse_target(&w.target)?;
    }
    sort(&mut all, |w| &w.target);
    for (i, w) in all.iter().enumerate() {
        if all[..i].iter().any(|other| other.target == w.target) {
            return Err(Error::invalid(format!(
                "Duplicate mount point: {}",
                w.target
            )));
        }
    }
    Ok(all)
}

fn sort<T>(all: &mut [T], target: impl Fn(&T) -> &str) {
    all.sort_by_key(|w| target(w).matches('/').count());
}

/// Which of the images that are mounted comes first, second, … in [`all`].
pub fn images(container: &Container) -> Vec<usize> {
    let images = container
        .mounts
        .iter()
        .filter(|point| point.kind == mount::Kind::Image);
    let mut order: Vec<(usize, &MountPoint)> = images.enumerate().collect();
    sort(&mut order, |(_, point)| &point.destination);
    order.into_iter().map(|(which, _)| which).collect()
}

/// Whether the source of a bind is there. One that cannot be seen because of a
/// directory above it is an error that names that one.
fn is_there(source: &Path) -> Result<bool> {
    match source.try_exists() {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(explain::closed_source(source))
        }
        other => Ok(other.unwrap_or(false)),
    }
}

fn of_bind(point: &MountPoint, rootless: bool) -> Result<Wanted> {
    let source = Path::new(&point.source);
    if !is_there(source)? {
        if !point.makes_source {
            return Err(Error::invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {}",
                point.source
            )));
        }
        std::fs::create_dir_all(source).map_err(|e| {
            Error::invalid(format!(
                "cannot make the missing bind source \"{}\": {}",
                source.display(),
                crate::error::reason(&e)
            ))
        })?;
    }
    let target = relative(&point.destination)?;
    let mut mount = bind(source, &target, !point.non_recursive)?;
    mount.follow = true;
    mount.recursive = !point.writable_below;
    if !point.rw {
        mount.attributes |= ATTR_RDONLY;
    }
    mount.propagation = propagation(&point.propagation, source, rootless)?;
    Ok(Wanted {
        target: clean(&point.destination)?,
        mount,
    })
}

fn propagation(word: &str, source: &Path, rootless: bool) -> Result<u64> {
    match word {
        "" | "private" | "rprivate" => Ok(libc::MS_PRIVATE),
        "slave" | "rslave" => {
            let found = mount_of(source);
            match found {
                // A copy in a user's namespace is a slave of the host's.
                Some(ref m) if !rootless && !m.shared && !m.slave => {
                    Err(not_shared(source, m, "a shared or slave mount"))
                }
                _ => Ok(libc::MS_SLAVE),
            }
        }
        "shared" | "rshared" if rootless => Err(Error::unsupported(format!(
            "bind propagation {word} is not supported without root: the kernel passes no mounts from a user's namespace to the host"
        ))
        .hint("rslave shows the host's later mounts in the container")),
        "shared" | "rshared" => match mount_of(source) {
            Some(ref m) if !m.shared => Err(not_shared(source, m, "a shared mount")),
            // As it is: a peer of the host's.
            _ => Ok(0),
        },
        _ => Err(Error::invalid(format!("invalid mode: {word}"))),
    }
}

fn not_shared(source: &Path, at: &MountOf, what: &str) -> Error {
    Error::invalid(format!(
        "path {} is mounted on {} but it is not {what}",
        source.display(),
        at.place
    ))
    .hint(format!("`mount --make-rshared {}` makes it one", at.place))
}

/// The mount that a path of the host is on (proc_pid_mountinfo(5)).
struct MountOf {
    place: String,
    shared: bool,
    slave: bool,
}

fn mount_of(path: &Path) -> Option<MountOf> {
    let path = path.canonicalize().ok()?;
    let text = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut best: Option<MountOf> = None;
    for line in text.lines() {
        let mut fields = line.split(' ').skip(4);
        let Some(place) = fields.next() else { continue };
        let place = place.replace("\\040", " ");
        if !path.starts_with(&place) {
            continue;
        }
        // A later one of the same place is above.
        if best.as_ref().is_none_or(|b| place.len() >= b.place.len()) {
            let tags: Vec<&str> = fields.skip(1).take_while(|tag| *tag != "-").collect();
            let has = |word: &str| tags.iter().any(|tag| tag.starts_with(word));
            best = Some(MountOf {
                shared: has("shared:"),
                slave: has("master:"),
                place,
            });
        }
    }
    best
}

fn of_volume(
    paths: &Paths,
    point: &MountPoint,
    mounted: &HashMap<String, OwnedFd>,
    rootless: bool,
) -> Result<Wanted> {
    let target = relative(&point.destination)?;
    let subpath = (!point.subpath.is_empty())
        .then(|| c_string(&point.subpath))
        .transpose()?;
    let whole = |path: &Path| -> Result<Mount> {
        let mut mount = bind(path, &target, true)?;
        mount.source = Source::Host {
            path: c_path(path)?,
            subpath: subpath.clone(),
            recursive: true,
        };
        Ok(mount)
    };
    let backing = driver::backing(&volume::get(paths, &point.name)?)?;
    let mut mount = match backing {
        driver::Backing::Directory => whole(&paths.volume_data(&point.name))?,
        driver::Backing::Bind {
            source,
            recursive,
            flags,
        } => {
            if !is_there(Path::new(&source))? {
                return Err(Error::not_found(format!(
                    "volume {}: device {source} does not exist",
                    point.name
                )));
            }
            let mut mount = whole(Path::new(&source))?;
            if let Source::Host { recursive: r, .. } = &mut mount.source {
                *r = recursive;
            }
            mount.attributes = attributes(&flags, 0);
            mount.propagation = propagation(&point.propagation, Path::new(&source), rootless)?;
            mount
        }
        driver::Backing::Mounted { .. } if subpath.is_some() => {
            return Err(Error::unsupported(format!(
                "volume {}: volume-subpath is not supported for a volume that is a file system of its own",
                point.name
            )));
        }
        driver::Backing::Mounted {
            fstype,
            device,
            flags,
            options,
        } => match mounted.get(&point.name) {
            Some(other) => {
                let copy = other
                    .try_clone()
                    .context(|| format!("cannot share volume {}", point.name))?;
                plain(
                    Source::Detached(copy),
                    c_string(&target)?,
                    attributes(&flags, 0),
                )
            }
            None => {
                let options: Vec<(&str, &str)> = options
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_deref().unwrap_or_default()))
                    .collect();
                let mut mount = new(&fstype, &target, &options, attributes(&flags, 0))?;
                if let Source::New { device: of, .. } = &mut mount.source {
                    *of = c_string(&device)?;
                }
                mount
            }
        },
    };
    mount.follow = true;
    if !point.rw {
        mount.attributes |= ATTR_RDONLY;
    }
    Ok(Wanted {
        target: clean(&point.destination)?,
        mount,
    })
}

fn of_tmpfs(point: &MountPoint) -> Result<Wanted> {
    let mut options = Vec::new();
    if let Some(given) = &point.tmpfs {
        if given.size_bytes > 0 {
            options.push(format!("size={}", given.size_bytes));
        }
        if given.mode != 0 {
            options.push(format!("mode={:o}", given.mode));
        }
    }
    if !point.rw {
        options.push("ro".into());
    }
    tmpfs(&point.destination, &options.join(","))
}

fn of_image(point: &MountPoint) -> Result<Wanted> {
    let subpath = (!point.subpath.is_empty())
        .then(|| c_string(&point.subpath))
        .transpose()?;
    let target = c_string(&relative(&point.destination)?)?;
    let mut mount = plain(Source::Image { subpath }, target, ATTR_RDONLY);
    mount.follow = true;
    Ok(Wanted {
        target: clean(&point.destination)?,
        mount,
    })
}

/// What mount(8)'s words make of `given`; the last one counts.
fn attributes(words: &[String], given: u64) -> u64 {
    words
        .iter()
        .fold(given, |all, word| attribute(word, all).unwrap_or(all))
}

/// `None`: it is no word of the mount, but perhaps of its file system.
fn attribute(word: &str, all: u64) -> Option<u64> {
    Some(match word {
        "ro" => all | ATTR_RDONLY,
        "rw" => all & !ATTR_RDONLY,
        "exec" => all & !ATTR_NOEXEC,
        "noexec" => all | ATTR_NOEXEC,
        "suid" => all & !ATTR_NOSUID,
        "nosuid" => all | ATTR_NOSUID,
        "dev" => all & !ATTR_NODEV,
        "nodev" => all | ATTR_NODEV,
        "noatime" => all | ATTR_NOATIME,
        "nodiratime" => all | ATTR_NODIRATIME,
        "strictatime" => all | ATTR_STRICTATIME,
        "atime" | "relatime" | "diratime" | "norelatime" | "nostrictatime" | "async" | "sync"
        | "dirsync" | "defaults" | "mand" | "nomand" => all,
        _ => return None,
    })
}

/// `--tmpfs TARGET[:OPTIONS]`: noexec, nosuid, nodev unless said otherwise.
fn tmpfs(target: &str, options: &str) -> Result<Wanted> {
    let mut all = NOEXEC;
    let mut own: Vec<(&str, &str)> = Vec::new();
    for option in options.split(',').filter(|o| !o.is_empty()) {
        if let Some(changed) = attribute(option, all) {
            all = changed;
            continue;
        }
        match option.split_once('=') {
            Some((
                key @ ("size" | "mode" | "uid" | "gid" | "nr_inodes" | "nr_blocks" | "mpol"
                | "huge"),
                value,
            )) => own.push((key, value)),
            _ => {
                return Err(Error::invalid(format!("invalid tmpfs option \"{option}\"")));
            }
        }
    }
    if !own.iter().any(|(key, _)| *key == "mode") {
        own.push(("mode", "1777"));
    }
    let mut mount = new("tmpfs", &relative(target)?, &own, all)?;
    mount.follow = true;
    Ok(Wanted {
        target: clean(target)?,
        mount,
    })
}

/// The target as an absolute path without `.`, `..` and doubled slashes.
pub fn clean(target: &str) -> Result<String> {
    if !target.starts_with('/') {
        return Err(Error::invalid(format!(
            "invalid mount path: '{target}' mount path must be absolute"
        )));
    }
    Ok(absolute(target))
}

pub fn relative(target: &str) -> Result<String> {
    Ok(clean(target)?.trim_start_matches('/').to_string())
}

/// Not over the root, and not into procfs: what the engine writes and masks
/// there would be the user's (CVE-2019-16884). Same exceptions as runc.
pub fn refuse_target(target: &str) -> Result<()> {
    const ALLOWED: [&str; 10] = [
        "/proc/cpuinfo",
        "/proc/diskstats",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/swaps",
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/slabinfo",
        "/proc/net/dev",
        "/proc/sys/kernel/ns_last_pid",
    ];
    if target == "/" {
        return Err(Error::invalid(
            "invalid specification: destination can't be '/'",
        ));
    }
    let in_proc = target == "/proc" || target.starts_with("/proc/");
    if in_proc && !ALLOWED.contains(&target) {
        return Err(Error::new(
            Kind::Denied,
            format!("\"{target}\" cannot be mounted because it is inside /proc"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_cleaned_and_refused() {
        assert_eq!(clean("/a//b/../c/.").unwrap(), "/a/c");
        assert_eq!(clean("/../../etc").unwrap(), "/etc");
        assert!(clean("a/b").is_err());
        for bad in ["/", "/proc", "/proc/self/attr", "/proc/sys"] {
            assert!(refuse_target(bad).is_err(), "{bad}");
        }
        for good in ["/dev", "/process", "/proc/uptime", "/sys"] {
            assert!(refuse_target(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn tmpfs_options() {
        let wanted = tmpfs("/x", "size=1m,exec,ro").unwrap();
        assert_eq!(
            wanted.mount.attributes,
            ATTR_NOSUID | ATTR_NODEV | ATTR_RDONLY
        );
        assert!(tmpfs("/x", "lowerdir=/").is_err());
        assert!(tmpfs("x", "").is_err());
    }

    #[test]
    fn the_mount_of_a_path() {
        let found = mount_of(Path::new("/proc/self")).unwrap();
        assert_eq!(found.place, "/proc");
        assert!(mount_of(Path::new("/no/such/path")).is_none());
    }
}
