//! The list of mounts: the engine's own first, then the user's, parents before
//! children. Docker's defaults (moby, oci/defaults_linux.go) as data.

use super::namespaces::{Namespaces, Whose};
use super::security::Security;
use super::{c_path, c_string, devices};
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::record::container::{BindOptions, Container, Mount as MountRequest};
use crate::runtime::explain;
use crate::runtime::plan::{Mount, Source, Step};
use crate::sys::mount::{
    ATTR_NOATIME, ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, ATTR_STRICTATIME,
};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

/// Device nodes of every container.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("dev/ptmx", "pts/ptmx"),
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
    ("dev/core", "/proc/kcore"),
];

/// The group that owns terminals.
const TTY_GROUP: u32 = 5;

pub struct Tree<'a> {
    pub paths: &'a Paths,
    pub container: &'a Container,
    pub security: &'a Security,
    pub rootless: bool,
    pub single_id: bool,
    pub private_network: bool,
    pub namespaces: &'a Namespaces,
    /// The /dev/shm that goes with another's IPC namespace.
    pub shared_memory: Option<&'a OwnedFd>,
}

/// A mount that the user asked for, resolved.
struct Wanted {
    target: String,
    mount: Mount,
}

impl Tree<'_> {
    /// All steps, and the propagation that the root needs for them.
    pub fn steps(&self) -> Result<(Vec<Step>, libc::c_ulong)> {
        let wanted = self.wanted()?;
        let targets: Vec<String> = wanted.iter().map(|w| w.target.clone()).collect();
        let has = |path: &str| targets.iter().any(|target| target == path);
        let mut steps = vec![Step::Mount(self.proc()?)];
        if !has("/dev") {
            self.devices(&mut steps, &has)?;
        }
        self.sysfs(&mut steps)?;
        if !has("/dev") && !has("/dev/mqueue") {
            steps.push(Step::Mount(self.message_queues()?));
        }
        for name in ["hosts", "hostname", "resolv.conf"] {
            if !has(&format!("/etc/{name}")) {
                steps.push(Step::Mount(self.etc_file(name)?));
            }
        }
        let slave = wanted.iter().any(|w| w.mount.propagation == libc::MS_SLAVE);
        steps.extend(wanted.into_iter().map(|w| Step::Mount(w.mount)));
        if !has("/dev") {
            self.host_devices(&mut steps)?;
        }
        Ok((
            steps,
            if slave {
                libc::MS_SLAVE
            } else {
                libc::MS_PRIVATE
            },
        ))
    }

    fn devices(&self, steps: &mut Vec<Step>, has: &dyn Fn(&str) -> bool) -> Result<()> {
        let options = [("mode", "755"), ("size", "65536k")];
        steps.push(Step::Mount(new(
            "tmpfs",
            "dev",
            &options,
            ATTR_NOSUID | ATTR_STRICTATIME,
        )?));
        let group = TTY_GROUP.to_string();
        let mut options = vec![("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")];
        // Only a group that the namespace knows can own terminals.
        if !self.single_id {
            options.push(("gid", &group));
        }
        steps.push(Step::Mount(new(
            "devpts",
            "dev/pts",
            &options,
            ATTR_NOSUID | ATTR_NOEXEC,
        )?));
        if !has("/dev/shm") && self.container.host_config.ipc_mode != "none" {
            steps.push(Step::Mount(self.shared_memory()?));
        }
        for (name, major, minor) in DEVICES {
            let path = format!("dev/{name}");
            steps.push(self.device(
                &format!("/{path}"),
                &path,
                libc::makedev(major, minor),
                libc::S_IFCHR,
                0o666,
            )?);
        }
        for (path, target) in LINKS {
            steps.push(Step::Link {
                path: c_string(path)?,
                target: c_string(target)?,
            });
        }
        Ok(())
    }

    /// A new procfs belongs to a process namespace, and only its owner makes
    /// one: of the host's processes the host's is shown.
    fn proc(&self) -> Result<Mount> {
        if self.rootless && self.namespaces.pid == Whose::Host {
            return of_host("proc", NOEXEC);
        }
        new("proc", "proc", &[], NOEXEC)
    }

    fn message_queues(&self) -> Result<Mount> {
        if self.rootless && self.namespaces.ipc == Whose::Host {
            let mut mount = of_host("dev/mqueue", NOEXEC)?;
            mount.optional = true;
            return Ok(mount);
        }
        new("mqueue", "dev/mqueue", &[], NOEXEC)
    }

    fn shared_memory(&self) -> Result<Mount> {
        if self.namespaces.ipc == Whose::Host {
            return of_host("dev/shm", NOEXEC);
        }
        if let Some(mount) = self.shared_memory {
            use crate::error::Context;
            let copy = mount.try_clone().context(|| "cannot use /dev/shm")?;
            return Ok(plain(Source::Detached(copy), c_string("dev/shm")?, 0));
        }
        let size = self.container.host_config.shm_size.to_string();
        let options = [("mode", "1777"), ("size", size.as_str())];
        new("tmpfs", "dev/shm", &options, NOEXEC)
    }

    /// A node where mknod(2) is allowed: then its mode and owner are its own
    /// and not the host's. Else the host's node, mounted.
    fn device(
        &self,
        host: &str,
        path: &str,
        device: libc::dev_t,
        kind: libc::mode_t,
        mode: libc::mode_t,
    ) -> Result<Step> {
        if self.rootless {
            return Ok(Step::Mount(bind(Path::new(host), path, false)?));
        }
        Ok(Step::Node {
            path: c_string(path)?,
            kind,
            permissions: mode,
            device,
        })
    }

    /// `--device`, and with `--privileged` whatever the host has.
    fn host_devices(&self, steps: &mut Vec<Step>) -> Result<()> {
        for device in &self.container.host_config.devices {
            let found = devices::find(device)?;
            let target = relative(&device.path_in_container)?;
            steps.push(self.device(
                &device.path_on_host,
                &target,
                found.number,
                found.kind,
                found.permissions,
            )?);
        }
        if self.security.privileged {
            self.all_devices(Path::new("/dev"), steps)?;
        }
        Ok(())
    }

    fn all_devices(&self, dir: &Path, steps: &mut Vec<Step>) -> Result<()> {
        let own = ["pts", "shm", "mqueue", "fd", "console", "ptmx"];
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let known = name
                .to_str()
                .is_none_or(|n| own.contains(&n) || DEVICES.iter().any(|d| d.0 == n));
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            if known && dir == Path::new("/dev") {
                continue;
            }
            if kind.is_dir() {
                self.all_devices(&path, steps)?;
            } else if kind.is_char_device() || kind.is_block_device() {
                let mut mount = bind(&path, &relative(&path.to_string_lossy())?, false)?;
                mount.optional = true;
                steps.push(Step::Mount(mount));
            }
        }
        Ok(())
    }

    /// sysfs belongs to a network namespace; with the host's network the host's
    /// is shown, read-only.
    fn sysfs(&self, steps: &mut Vec<Step>) -> Result<()> {
        let writable = self.security.privileged;
        let read_only = if writable { 0 } else { ATTR_RDONLY };
        if self.private_network || !self.rootless {
            steps.push(Step::Mount(new("sysfs", "sys", &[], NOEXEC | read_only)?));
            let read_only = if self.security.writable_cgroups {
                0
            } else {
                ATTR_RDONLY
            };
            let mut cgroup = match self.namespaces.cgroup {
                // As with procfs, a new one belongs to the namespace.
                Whose::Host => of_host("sys/fs/cgroup", NOEXEC | read_only)?,
                _ => new("cgroup2", "sys/fs/cgroup", &[], NOEXEC | read_only)?,
            };
            // A host without cgroup v2 has no such directory.
            cgroup.optional = true;
            steps.push(Step::Mount(cgroup));
        } else {
            let mut sys = bind(Path::new("/sys"), "sys", true)?;
            sys.attributes = ATTR_RDONLY | NOEXEC;
            sys.recursive = true;
            steps.push(Step::Mount(sys));
        }
        Ok(())
    }

    fn etc_file(&self, name: &str) -> Result<Mount> {
        let path = self.paths.run_container(&self.container.id).join(name);
        let mut mount = bind(&path, &format!("etc/{name}"), false)?;
        if self.container.host_config.readonly_rootfs {
            mount.attributes = ATTR_RDONLY;
        }
        Ok(mount)
    }

    /// What the user asked for, parents before children.
    fn wanted(&self) -> Result<Vec<Wanted>> {
        let host = &self.container.host_config;
        let mut all = Vec::new();
        for (target, options) in &host.tmpfs {
            all.push(tmpfs(target, options)?);
        }
        for text in host.binds.iter().flatten() {
            all.push(from_bind(text)?);
        }
        for request in host.mounts.iter().chain(&self.container.inherited) {
            all.push(from_request(request)?);
        }
        for w in &all {
            refuse_target(&w.target)?;
        }
        all.sort_by_key(|w| w.target.matches('/').count());
        for pair in all.iter().enumerate() {
            let (i, w) = pair;
            if all[..i].iter().any(|other| other.target == w.target) {
                return Err(Error::invalid(format!(
                    "Duplicate mount point: {}",
                    w.target
                )));
            }
        }
        Ok(all)
    }
}

const NOEXEC: u64 = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;

fn new(fstype: &str, target: &str, options: &[(&str, &str)], attributes: u64) -> Result<Mount> {
    let options = options
        .iter()
        .map(|(key, value)| {
            Ok((
                c_string(key)?,
                (!value.is_empty()).then(|| c_string(value)).transpose()?,
            ))
        })
        .collect::<Result<_>>()?;
    let source = Source::New {
        fstype: c_string(fstype)?,
        options,
    };
    Ok(plain(source, c_string(target)?, attributes))
}

fn plain(source: Source, target: CString, attributes: u64) -> Mount {
    Mount {
        source,
        target,
        attributes,
        propagation: 0,
        recursive: false,
        optional: false,
        follow: false,
    }
}

/// What the host has in the same place.
fn of_host(target: &str, attributes: u64) -> Result<Mount> {
    let mut mount = bind(&Path::new("/").join(target), target, true)?;
    mount.attributes = attributes;
    Ok(mount)
}

fn bind(path: &Path, target: &str, recursive: bool) -> Result<Mount> {
    Ok(Mount {
        source: Source::Host {
            path: c_path(path)?,
            recursive,
        },
        target: c_string(target)?,
        attributes: 0,
        propagation: libc::MS_PRIVATE,
        recursive,
        optional: false,
        follow: false,
    })
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

/// `SOURCE:TARGET[:OPTIONS]` with absolute paths.
fn from_bind(text: &str) -> Result<Wanted> {
    let mut parts = text.splitn(3, ':');
    let (source, target) = match (parts.next(), parts.next()) {
        (Some(source), Some(target)) => (source, target),
        _ => {
            return Err(Error::invalid(format!(
                "invalid volume specification: '{text}'"
            )));
        }
    };
    let source = Path::new(source);
    if !is_there(source)? {
        // `-v` makes a missing directory, as Docker does.
        std::fs::create_dir_all(source).map_err(|e| {
            Error::invalid(format!(
                "cannot make the missing bind source \"{}\": {}",
                source.display(),
                crate::error::reason(&e)
            ))
        })?;
    }
    let mut mount = bind(source, &relative(target)?, true)?;
    mount.follow = true;
    for option in parts
        .next()
        .unwrap_or("")
        .split(',')
        .filter(|o| !o.is_empty())
    {
        match option {
            "ro" => mount.attributes |= ATTR_RDONLY,
            "rbind" | "rw" | "z" | "Z" | "nocopy" => {}
            other => propagation(&mut mount, other)?,
        }
    }
    Ok(Wanted {
        target: clean(target)?,
        mount,
    })
}

fn from_request(request: &MountRequest) -> Result<Wanted> {
    if request.kind == "tmpfs" {
        let mut options = Vec::new();
        if let Some(given) = &request.tmpfs_options {
            if given.size_bytes > 0 {
                options.push(format!("size={}", given.size_bytes));
            }
            if given.mode != 0 {
                options.push(format!("mode={:o}", given.mode));
            }
        }
        if request.read_only {
            options.push("ro".into());
        }
        return tmpfs(&request.target, &options.join(","));
    }
    let defaults = BindOptions::default();
    let options = request.bind_options.as_ref().unwrap_or(&defaults);
    let source = Path::new(&request.source);
    if !is_there(source)? {
        if !options.create_mountpoint {
            return Err(Error::invalid(format!(
                "invalid mount config for type \"bind\": bind source path does not exist: {}",
                request.source
            )));
        }
        std::fs::create_dir_all(source).map_err(|e| {
            Error::invalid(format!(
                "cannot make \"{}\": {}",
                request.source,
                crate::error::reason(&e)
            ))
        })?;
    }
    let mut mount = bind(source, &relative(&request.target)?, !options.non_recursive)?;
    mount.follow = true;
    if request.read_only {
        mount.attributes |= ATTR_RDONLY;
    }
    if !options.propagation.is_empty() {
        propagation(&mut mount, &options.propagation)?;
    }
    Ok(Wanted {
        target: clean(&request.target)?,
        mount,
    })
}

fn propagation(mount: &mut Mount, word: &str) -> Result<()> {
    mount.propagation = match word {
        "private" | "rprivate" => libc::MS_PRIVATE,
        "slave" | "rslave" => libc::MS_SLAVE,
        "shared" | "rshared" => {
            return Err(
                Error::unsupported(format!("bind propagation {word} is not supported"))
                    .hint("rslave shows the host's later mounts in the container"),
            );
        }
        _ => return Err(Error::invalid(format!("invalid mode: {word}"))),
    };
    Ok(())
}

/// `--tmpfs TARGET[:OPTIONS]`: noexec, nosuid, nodev unless said otherwise.
fn tmpfs(target: &str, options: &str) -> Result<Wanted> {
    let mut attributes = NOEXEC;
    let mut own: Vec<(&str, &str)> = Vec::new();
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" => attributes |= ATTR_RDONLY,
            "rw" | "async" | "relatime" => {}
            "exec" => attributes &= !ATTR_NOEXEC,
            "suid" => attributes &= !ATTR_NOSUID,
            "dev" => attributes &= !ATTR_NODEV,
            "noexec" => attributes |= ATTR_NOEXEC,
            "nosuid" => attributes |= ATTR_NOSUID,
            "nodev" => attributes |= ATTR_NODEV,
            "noatime" => attributes |= ATTR_NOATIME,
            other => match other.split_once('=') {
                Some((
                    key @ ("size" | "mode" | "uid" | "gid" | "nr_inodes" | "nr_blocks"),
                    value,
                )) => {
                    own.push((key, value));
                }
                _ => {
                    return Err(Error::invalid(format!("invalid tmpfs option \"{other}\"")));
                }
            },
        }
    }
    if !own.iter().any(|(key, _)| *key == "mode") {
        own.push(("mode", "1777"));
    }
    let mut mount = new("tmpfs", &relative(target)?, &own, attributes)?;
    mount.follow = true;
    Ok(Wanted {
        target: clean(target)?,
        mount,
    })
}

/// The target as an absolute path without `.`, `..` and doubled slashes.
fn clean(target: &str) -> Result<String> {
    let path = Path::new(target);
    if !path.is_absolute() {
        return Err(Error::invalid(format!(
            "invalid mount path: '{target}' mount path must be absolute"
        )));
    }
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            _ => {}
        }
    }
    Ok(cleaned.to_string_lossy().into_owned())
}

fn relative(target: &str) -> Result<String> {
    Ok(clean(target)?.trim_start_matches('/').to_string())
}

/// Not over the root, and not into procfs: what the engine writes and masks
/// there would be the user's (CVE-2019-16884). Same exceptions as runc.
fn refuse_target(target: &str) -> Result<()> {
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
            crate::error::Kind::Denied,
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
}
